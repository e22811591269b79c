"""What a command line says: from words to a `CommandLine`.

SCOOP's options are all understood: those that MPI has no use for are answered with what does there
what they did.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import shlex
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, NoReturn

from scoop_mpi._version import __version__
from scoop_mpi.config import Config, Start
from scoop_mpi.program import Program

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

CANT_FOLLOW = 2  # the exit status of a command line that can't be followed
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
_HOST_OPTIONS = ("--host", "--hosts")
# Those that say how the ranks are started, and so come too late for a rank.
_START_OPTIONS = frozenset(
    {
        *("-n", "--hostfile", *_HOST_OPTIONS, "--mpiexec-args", "--dry-run"),
        *("--python", "--python-interpreter", "--python-executable"),
    }
)


class CommandLine(NamedTuple):
    """What a command line asks for.

    Attributes:
        config: what each rank is to do.
        start: how the ranks are to be started.
        niceness: the ranks' niceness; None: as it is.
        is_info: whether only to tell about the MPI and the ranks.
        rank_words: the part of the command line that is for the ranks.
        start_options: the names of the options that say how to start them.
    """

    config: Config
    start: Start = Start()
    niceness: int | None = None
    is_info: bool = False
    rank_words: tuple[str, ...] = ()
    start_options: tuple[str, ...] = ()


def parse(arguments: Sequence[str]) -> CommandLine:
    """Return what the command line asks for. Exits, as argparse does, if it can't be understood."""
    parser, actions = _parser()
    words = _split(arguments, actions)
    options = parser.parse_args([word for option in words.options for word in option])
    program = words.program
    if program is None:
        if not (options.interactive or options.info):
            parser.error("there is no program to run: name a script, or give -m module or -c code")
        program = Program("code", "from scoop_mpi import futures, shared")
    program = program._replace(folder=options.path, search_path=tuple(options.pythonpath))
    config = Config(
        program,
        logging.DEBUG if options.debug else _log_level(options.verbose, options.quiet),
        options.debug,
        options.threads,
        options.profile,
        options.scoop_alias,
        options.interactive,
    )
    asked = Start(
        options.n,
        tuple(options.hosts),
        options.hostfile,
        options.python,
        tuple(options.mpiexec_args),
        options.dry_run,
    )
    named = [(_name_of(option), option) for option in words.options]
    return CommandLine(
        config,
        asked,
        options.nice,
        options.info,
        (
            *(word for name, option in named if name not in _START_OPTIONS for word in option),
            *words.rest,
        ),
        tuple(dict.fromkeys(name for name, _ in named if name in _START_OPTIONS)),
    )


class _Words(NamedTuple):
    """A command line, taken apart.

    Attributes:
        options: our own options, each with its value.
        program: what to run; None: nothing was named.
        rest: the words that name the program, and its arguments.
    """

    options: tuple[tuple[str, ...], ...]
    program: Program | None = None
    rest: tuple[str, ...] = ()


def _split(arguments: Sequence[str], actions: Sequence[argparse.Action]) -> _Words:
    """Split the command line into options of ours, and the program with arguments of its own.

    As Python does, and argparse can't: the first word that is no option begins the program.
    """
    valued = {name for action in actions if action.nargs is None for name in action.option_strings}
    options: list[tuple[str, ...]] = []
    place = 0
    while place < len(arguments):
        word = arguments[place]
        rest = tuple(arguments[place:])
        if word[:2] in ("-m", "-c") or word == "--" or not word.startswith("-"):
            return _Words(tuple(options), _program(rest), rest)
        place += 1
        if word in _HOST_OPTIONS:
            hosts = tuple(itertools.takewhile(_may_be_host, arguments[place:]))
            # Without any, argparse will complain.
            options += [(f"{word}={host}",) for host in hosts] or [(word,)]
            place += len(hosts)
        elif _wants_value(word, valued) and place < len(arguments):
            value = arguments[place]
            # Joined where it can be, else argparse takes a value with a dash for an option.
            options.append((f"{word}={value}",) if word.startswith("--") else (word, value))
            place += 1
        else:
            options.append((word,))
    return _Words(tuple(options))


def _program(words: tuple[str, ...]) -> Program | None:
    first, *rest = words
    if first[:2] in ("-m", "-c"):
        kind: Literal["module", "code"] = "module" if first[1] == "m" else "code"
        rest = [first[2:], *rest] if first[2:] else rest
        return Program(kind, rest[0], tuple(rest[1:])) if rest else None
    if first != "--":
        rest = [first, *rest]
    return Program("script", rest[0], tuple(rest[1:])) if rest else None


def _name_of(option: tuple[str, ...]) -> str:
    word = option[0]
    return word.partition("=")[0] if word.startswith("--") else word[:2]


def _wants_value(word: str, valued: set[str]) -> bool:
    """Say whether the next word is this option's value. In -vn 4, say, it is."""
    if word.startswith("--"):
        return word in valued
    for place, letter in enumerate(word[1:], start=2):
        if f"-{letter}" in valued:
            return place == len(word)
    return False


def _may_be_host(word: str) -> bool:
    """Say whether a word after ``--host`` is one more host, and not the program."""
    return not word.startswith("-") and "/" not in word and not word.endswith(".py")


def _log_level(verbose: int, quiet: bool) -> int:
    if quiet:
        return logging.ERROR
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _threads(text: str) -> int | Literal["keep"]:
    return "keep" if text == "keep" else _count(text)


def _niceness(text: str) -> int:
    number = int(text)
    if not -20 <= number <= 19:
        raise ValueError
    return number


def _words_of(text: str) -> list[str]:
    return shlex.split(text)


def _folders(text: str) -> list[str]:
    return [os.path.abspath(folder) for folder in text.split(os.pathsep) if folder]


# argparse names these in its errors: "invalid number (1 or more) value: '0'".
_count.__name__ = "number (1 or more)"
_threads.__name__ = "number of threads (1 or more, or keep)"
_niceness.__name__ = "niceness (-20 to 19)"
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


def _parser() -> tuple[argparse.ArgumentParser, list[argparse.Action]]:
    """Return the parser of our own options, and these."""
    parser = argparse.ArgumentParser(
        prog="python -m scoop_mpi",
        usage="%(prog)s [options] (prog.py | -m module | -c code) [arguments]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_argument_group("what to run, as with Python itself; arguments follow")
    start = parser.add_argument_group("how to start the ranks, where no launcher has")
    ranks = parser.add_argument_group("what each rank does")
    log = parser.add_argument_group("what is told")
    actions = [
        what.add_argument("-m", metavar="module", help="run a module"),
        what.add_argument("-c", metavar="code", help="run this code"),
        what.add_argument(
            "-i",
            dest="interactive",
            action="store_true",
            help="a Python prompt (IPython, if installed) on rank 0 after the program, or without "
            "one. Leave it with exit(). Under mpiexec it has no line editing, and Ctrl-C ends the "
            "job",
        ),
        start.add_argument(
            "-n",
            metavar="N",
            type=_count,
            help="number of ranks. Unless given: one for each slot of the hosts or of the "
            "scheduler's job, else for each core. 1: without mpiexec",
        ),
        *_host_options(start),
        start.add_argument(
            *("--python", "--python-interpreter", "--python-executable"),
            metavar="EXE",
            help="run the ranks with this Python",
        ),
        start.add_argument(
            "--mpiexec-args",
            metavar="'ARGS'",
            type=_words_of,
            default=[],
            help="further options for mpiexec, quoted as for a shell",
        ),
        start.add_argument(
            "--dry-run", action="store_true", help="print the command instead, and end"
        ),
        *_rank_options(ranks),
        log.add_argument(
            "-v", "--verbose", action="count", default=0, help="log more; -vv: still more"
        ),
        log.add_argument("-q", "--quiet", action="store_true", help="log errors only"),
        log.add_argument(
            "--debug", action="store_true", help="log everything, and set scoop_mpi.DEBUG"
        ),
        log.add_argument(
            "--info",
            action="store_true",
            help="tell about versions, MPI, ranks and hosts, as a bug report needs it, and end",
        ),
        log.add_argument(
            "--version",
            action="version",
            version=f"scoop_mpi {__version__}",
            help="print the version, and end",
        ),
    ]
    for names, has_value, answer in _ANSWERS:
        nargs = None if has_value else 0
        actions.append(
            parser.add_argument(
                *names, action=_Answer, nargs=nargs, answer=answer, help=argparse.SUPPRESS
            )
        )
    return parser, actions


def _host_options(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    either = group.add_mutually_exclusive_group()
    return [
        either.add_argument(
            *_HOST_OPTIONS,
            metavar="HOST",
            dest="hosts",
            action="append",
            default=[],
            help="hosts to run on, separated by blanks, each as often as it is to get a rank. The "
            "list ends at the next option, or at a program that ends in .py or has a / in it",
        ),
        either.add_argument(
            "--hostfile",
            metavar="FILE",
            help="hosts to run on: a line for each, with its number of ranks (unless given, as "
            "many as this host has cores). With -n, fewer fill the hosts in order, and more are "
            "dealt out in turn",
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
            "--profile",
            metavar="DIR",
            nargs="?",
            const="profile",
            help="write a profile (cProfile) of each rank to this folder; --profile alone: to "
            "profile/. Give a DIR as --profile=DIR",
        ),
        group.add_argument(
            "--no-scoop-alias",
            dest="scoop_alias",
            action="store_false",
            help="leave `import scoop` to an installed SCOOP; else it gives scoop_mpi",
        ),
    ]
