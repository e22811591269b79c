"""One `hash()` of texts and bytes on all ranks of a job.

Python salts it anew in each process. So ``hash(key) % n`` in tasks, the usual way to partition, or
the order of a set of texts, would differ from rank to rank. Python reads the salt's seed from a
variable, once, when it starts; so where the variable isn't set, this process starts itself again
with it, before it has done or imported anything.

The seed is fixed. No launcher gives all ranks a number of their job's that all launchers have, and
the ranks can't agree on one before MPI is up. It also makes a job's answer the same from run to
run. What is lost is the salt's purpose: somebody who makes up texts that all have one hash can
slow down the dictionaries of a job that reads them.
"""

from __future__ import annotations

import os
import sys

from scoop_mpi.system.interpreter import Invocation

TYPE_CHECKING = False  # typing's; type checkers know it by its name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

VARIABLE = "PYTHONHASHSEED"
SEED = "0"


def agree() -> None:
    """Start this process again if its hashes are salted, and nobody has said how; else return.

    Only where Python has been started to run scoop_mpi alone: not under a debugger, or what
    measures coverage, which might not bear it. `MPITransport` sees whether the ranks agree.
    """
    if os.environ.get(VARIABLE) or sys.flags.ignore_environment or not sys.executable:
        return
    if not runs_us_alone(sys.orig_argv[1:], len(sys.argv) - 1):
        return
    if sys.stdout is not None:  # as it is where it was closed
        sys.stdout.flush()
    try:
        os.execve(
            sys.executable,
            [sys.executable, *sys.orig_argv[1:]],
            {**os.environ, VARIABLE: SEED},
        )
    except OSError:
        return  # the ranks' hashes will be compared


def runs_us_alone(words: list[str], arguments: int) -> bool:
    """Say whether a command line of Python's runs scoop_mpi, and nothing else around it.

    Args:
        words: what follows Python's name.
        arguments: how many of these words are scoop_mpi's own.
    """
    invocation = Invocation(words)
    program = invocation.program(arguments)
    is_script = len(program) == 1 and not program[0].startswith("-")
    # -R tells Python to ignore the variable.
    return "R" not in invocation.letters and (is_script or program == ["-m", "scoop_mpi"])


def report_disagreement(logger: Logger) -> None:
    """Say that the ranks' hashes differ, unless the user wanted that."""
    if os.environ.get(VARIABLE) != "random":
        logger.warning(
            "hash() of the same text differs from rank to rank, and so does the order of sets of "
            "texts: give all ranks one %s in their environment, and Python no option -E, -I or -R, "
            "which has it ignored. %s=random says that it is meant to differ.",
            VARIABLE,
            VARIABLE,
        )


def description(are_alike: bool, environment: Mapping[str, str]) -> str:
    """Return what ``--info`` says of the ranks' hashes.

    Args:
        are_alike: whether they are.
        environment: the process's environment variables.
    """
    likeness = "alike on all ranks" if are_alike else "differ between the ranks"
    return f"{likeness}; {VARIABLE} {environment.get(VARIABLE, 'not set')}"
