"""The options of our own command line, as argparse has them.

Apart from `command_line`: most ranks are started without any, and argparse takes a while to import.

SCOOP's options are all understood: those that MPI has no use for are answered with what does there
what they did.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, NoReturn

from scoop_mpi._version import __version__
from scoop_mpi.job.config import GRACE, NO_SIGNAL
from scoop_mpi.launch.request import CANT_FOLLOW, LINE

_DESCRIPTION = """\
Run a Python program on several ranks: rank 0 runs it, the others work for it.

Started by mpiexec, srun or the like, the ranks are those that it started. Otherwise this starts
them, with the mpiexec of the MPI that mpi4py uses."""

_EPILOG = """\
examples:
  python -m scoop_mpi -n 4 prog.py --its=options
  python -m scoop_mpi --hostfile hosts prog.py
  mpiexec -n 4 python -m scoop_mpi prog.py
  srun python -m scoop_mpi prog.py

Put what starts the work under `if __name__ == "__main__":`; every rank imports the program.
SCOOP's options are all understood: those with nothing to do under MPI say what does it there.
"""

# SCOOP's options that MPI has no use for, whether they take a value, and what to do instead.
_ANSWERS = (
    (("-b",), True, "there are no brokers to start: rank 0 is the broker. Leave it out"),
    (
        ("--rsh",),
        False,
        "the MPI's mpiexec reaches the hosts. Tell it: --mpiexec-args '-launcher rsh' with MPICH, "
        "--mpiexec-args '--prtemca prte_ssh_agent rsh' with Open MPI",
    ),
    (
        ("--ssh-executable",),
        True,
        "the MPI's mpiexec reaches the hosts. Tell it: --mpiexec-args '-launcher-exec EXE' with "
        "MPICH, --mpiexec-args '--prtemca prte_ssh_agent EXE' with Open MPI",
    ),
    (
        ("--tunnel", "-e"),
        False,
        "MPI carries the data over the hosts' own network, without tunnels. Leave it out",
    ),
    (
        ("--external-hostname", "--broker-hostname"),
        True,
        "mpiexec tells the hosts where it is. To choose the network: --mpiexec-args '-iface eth0' "
        "with MPICH, --mpiexec-args '--prtemca prte_if_include eth0' with Open MPI",
    ),
    (
        ("--prolog",),
        True,
        'put its commands into the job script; or have it end in exec "$@", and start the ranks '
        "by it: mpiexec -n 4 ./prolog python -m scoop_mpi prog.py",
    ),
    (
        ("--backend",),
        True,
        "MPI is the backend. Which network it uses is for its own settings: UCX_TLS, FI_PROVIDER "
        "or OMPI_MCA_pml in the environment",
    ),
    (("--log",), True, "the log goes to stderr. Send that to a file: 2> FILE"),
)


RANKS = ("-n", "-np", "--np")  # the last two as mpiexec has them
KERNEL = ("--install-kernel", "--name")  # what its job doesn't get


class Options(NamedTuple):
    """Our own options.

    Attributes:
        parser: understands them.
        valued: the names of those that need a value.
        listing: of those that take every host that follows.
        starting: of those that say how the ranks are started, and so come too late for a rank.
    """

    parser: argparse.ArgumentParser
    valued: frozenset[str]
    listing: frozenset[str]
    starting: frozenset[str]


def make() -> Options:
    """Return our own options."""
    parser = argparse.ArgumentParser(
        prog="python -m scoop_mpi",
        usage="%(prog)s [options] (prog.py | -m module | -c code) [arguments]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = _program_options(
        parser.add_argument_group("what to run, as with Python itself; arguments follow")
    )
    start = _start_options(
        parser.add_argument_group("how to start the ranks, where no launcher has")
    )
    ranks = _rank_options(parser.add_argument_group("what each rank does"))
    log = _log_options(parser.add_argument_group("what is told"))
    kernel = _kernel_options(parser.add_argument_group("for Jupyter, in place of a program"))
    return Options(
        parser,
        _names(
            action
            for action in (*what, *start, *ranks, *log, *kernel, *_answered_options(parser))
            if action.nargs is None
        ),
        _names(action for action in start if action.dest == "hosts"),
        _names(start),
    )


def _names(actions: Iterable[argparse.Action]) -> frozenset[str]:
    return frozenset(name for action in actions for name in action.option_strings)


def _program_options(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [
        group.add_argument("-m", metavar="module", help="run a module"),
        group.add_argument("-c", metavar="code", help="run this code"),
        group.add_argument(
            LINE,
            metavar="'WORDS'",
            help="the rest of this command line in one word, quoted as for a shell; for arguments "
            "that a launcher would take for itself, such as a colon",
        ),
        group.add_argument(
            "-i",
            dest="interactive",
            action="store_true",
            help="a Python prompt (IPython, if installed) on rank 0 after the program, or without "
            "one. Leave it with exit(). On several ranks it has no line editing",
        ),
    ]


def _start_options(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    ranks = group.add_argument(
        *RANKS,
        dest="n",
        metavar="N",
        type=_count,
        help="number of ranks. Unless given: one for each slot of the hosts or of the "
        "scheduler's job, else for each core. 1: without mpiexec",
    )
    hosts = group.add_mutually_exclusive_group()
    return [
        ranks,
        hosts.add_argument(
            *("--host", "--hosts"),
            metavar="HOST",
            dest="hosts",
            action="append",
            default=[],
            help="hosts to run on, separated by blanks, each as often as it is to get a rank. The "
            "list ends at the next option, or at a program that ends in .py or has a / in it",
        ),
        hosts.add_argument(
            "--hostfile",
            metavar="FILE",
            help="hosts to run on: a line for each, with its number of ranks (unless given, as "
            "many as this host has cores). With -n, fewer fill the hosts in order, and more are "
            "dealt out in turn",
        ),
        group.add_argument(
            *("--python", "--python-interpreter", "--python-executable"),
            metavar="EXE",
            help="run the ranks with this Python",
        ),
        group.add_argument(
            "--mpiexec-args",
            metavar="'ARGS'",
            type=_words_of,
            default=[],
            help="further options for mpiexec, quoted as for a shell",
        ),
        group.add_argument(
            "--restarts",
            metavar="N",
            type=_number,
            default=0,
            help="start the job again, up to N times, if a rank or mpiexec dies; with --journal it "
            "goes on from there. What the program itself ends with counts",
        ),
        group.add_argument(
            "--dry-run", action="store_true", help="print the command instead, and end"
        ),
    ]


def _rank_options(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [
        group.add_argument(
            "-p", "--path", metavar="DIR", help="go to this folder before running the program"
        ),
        group.add_argument(
            "--pythonpath",
            metavar="DIRS",
            type=_folders,
            default=[],
            help="look for modules in these folders, too, before others",
        ),
        group.add_argument(
            "--nice", metavar="N", type=_niceness, help="run with this niceness, -20 to 19"
        ),
        group.add_argument(
            "--threads",
            metavar="N|keep",
            type=_threads,
            help="number of threads for OpenMP, BLAS, numexpr and numba (OMP_NUM_THREADS and the "
            "like). Unless given, or these are set: the rank's share of its host's cores. keep: "
            "leave it to these libraries",
        ),
        group.add_argument(
            "--root",
            choices=["auto", "works", "serves"],
            default="auto",
            help="whether rank 0 runs tasks beside the program: works, or serves the others alone. "
            "Unless given, it works among fewer than 512 ranks",
        ),
        group.add_argument(
            "--grace",
            metavar="SECONDS",
            type=_seconds,
            default=GRACE,
            help="after SIGTERM, end the job if it has not ended by itself in this time (default: "
            "30)",
        ),
        group.add_argument(
            "--journal",
            metavar="FILE",
            type=os.path.abspath,
            help="keep what the program's calls return in this file, and take from it what they "
            "have returned in an earlier run",
        ),
        group.add_argument(
            "--isolate",
            action="store_true",
            help="make each call that the program submits in a process of its own beside the rank, "
            "so that a crash ends that call alone",
        ),
        group.add_argument(
            "--drain-signal",
            choices=["USR1", "USR2", NO_SIGNAL],
            help="at this signal begin no further call of the program's, let those that run end "
            "within --grace, raise Draining in the program, and end with status 75. Unless given: "
            "USR1 with --journal or --stop-before, else none",
        ),
        group.add_argument(
            "--stop-before",
            metavar="SECONDS",
            type=_seconds,
            help="do so by itself, as many seconds before the end of the scheduler's allocation",
        ),
        group.add_argument(
            "--profile",
            metavar="DIR",
            nargs="?",
            const="profile",
            help="write a profile (cProfile) of each rank to this folder; --profile alone: to "
            "profile/. Give a DIR as --profile=DIR",
        ),
        group.add_argument(
            "--strict",
            action="store_true",
            help="for tests: have all arguments and results pickled, also of calls that stay on "
            "their rank; what works so on one rank works on many",
        ),
        group.add_argument(
            "--no-scoop-alias",
            dest="scoop_alias",
            action="store_false",
            help="leave `import scoop` to an installed SCOOP; else it gives scoop_mpi",
        ),
        group.add_argument(
            "--mpi4py-alias",
            action="store_true",
            help="have `import mpi4py.futures` give scoop_mpi's executor",
        ),
    ]


def _log_options(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [
        group.add_argument(
            "-v", "--verbose", action="count", default=0, help="log more; -vv: still more"
        ),
        group.add_argument("-q", "--quiet", action="store_true", help="log errors only"),
        group.add_argument(
            "--debug", action="store_true", help="log everything, and set scoop_mpi.DEBUG"
        ),
        group.add_argument(
            "--info",
            action="store_true",
            help="tell about versions, MPI, ranks and hosts, as a bug report needs it, and end",
        ),
        group.add_argument(
            "--version",
            action="version",
            version=f"scoop_mpi {__version__}",
            help="print the version, and end",
        ),
    ]


def _kernel_options(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    place, name = KERNEL
    return [
        group.add_argument(
            place,
            choices=["user", "sys-prefix"],
            nargs="?",
            const="user",
            help="install a kernel whose cells run on rank 0 of a job, with -n and the other "
            "options given beside, and end. user: for every Jupyter of this user; that is meant "
            "unless told. sys-prefix: for the Jupyter of this Python environment. Give it as "
            f"{place}=sys-prefix",
        ),
        group.add_argument(
            name,
            metavar="NAME",
            type=_kernel_name,
            help="the kernel's name; scoop_mpi unless told",
        ),
    ]


def _answered_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        parser.add_argument(
            *names,
            action=_Answer,
            nargs=None if has_value else 0,
            answer=answer,
            help=argparse.SUPPRESS,
        )
        for names, has_value, answer in _ANSWERS
    ]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _threads(text: str) -> int | Literal["keep"]:
    return "keep" if text == "keep" else _count(text)


def _niceness(text: str) -> int:
    number = int(text)
    if not -20 <= number <= 19:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError
    return seconds


def _kernel_name(text: str) -> str:
    # As Jupyter has it, but for a dot at the beginning: the name is that of a folder.
    if re.fullmatch(r"\w[\w.-]*", text, re.ASCII) is None:
        raise ValueError
    return text


def _words_of(text: str) -> list[str]:
    return shlex.split(text)


def _folders(text: str) -> list[str]:
    return [os.path.abspath(folder) for folder in text.split(os.pathsep) if folder]


# argparse names these in its errors: "invalid number (1 or more) value: '0'".
_count.__name__ = "number (1 or more)"
_number.__name__ = "number (0 or more)"
_threads.__name__ = "number of threads (1 or more, or keep)"
_niceness.__name__ = "niceness (-20 to 19)"
_seconds.__name__ = "number of seconds (0 or more)"
_kernel_name.__name__ = "name (letters, digits, and . _ - after the first)"
_words_of.__name__ = "quoted list of options"


class _Answer(argparse.Action):
    """An option of SCOOP's that has nothing to do here: it ends with a line that says what does."""

    def __init__(self, *, answer: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._answer = answer

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        parser.exit(CANT_FOLLOW, f"scoop_mpi: {option_string}: {self._answer}.\n")
