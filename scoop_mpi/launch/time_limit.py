"""When a scheduler's allocation ends."""

from __future__ import annotations

from collections.abc import Mapping

from scoop_mpi.errors import StartError

# The user's own word comes first.
_VARIABLES = ("SCOOP_MPI_END_TIME", "SLURM_JOB_END_TIME")


def end_of_allocation(environment: Mapping[str, str]) -> float:
    """Return when the allocation ends, in seconds since 1970.

    Args:
        environment: the process's environment variables.

    Raises:
        StartError: none of them tells.
    """
    for name in _VARIABLES:
        text = environment.get(name)
        if not text:
            continue
        try:
            return float(text)
        except ValueError as error:
            raise StartError(
                f"{name} is to be a number of seconds since 1970, not {text!r}"
            ) from error
    raise StartError(
        "--stop-before: no variable tells when this allocation ends. Set SCOOP_MPI_END_TIME to "
        "that time, in seconds since 1970"
    )
