"""How many threads numerical libraries may use on a rank.

Left alone, numpy's BLAS starts a thread for each core of the host on each rank: with 64 ranks on 64
cores that is 4096 threads, which get in each other's way. So each rank is given its share of its
host's cores. The libraries read these variables when they are loaded, so they are set before the
program is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

_OPENMP = "OMP_NUM_THREADS"
VARIABLES = (
    _OPENMP,
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def settings(
    choice: int | Literal["keep"] | None,
    cores: int,
    ranks_per_core: float,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables to set.

    Args:
        choice: what ``--threads`` says: a number, which overrides variables that are set; "keep":
            nothing is set; None: the rank's share, where the user has set nothing.
        cores: how many cores this rank may use.
        ranks_per_core: how many ranks of its host share a core.
        environment: the variables that are set already.
    """
    if choice == "keep":
        return {}
    if choice is not None:
        return dict.fromkeys(VARIABLES, str(choice))
    # Where the user has set OpenMP's alone it is meant for all: OpenBLAS and MKL go by it, too. It
    # may be a list, for nested regions; the others take one number.
    openmp = environment.get(_OPENMP, "").partition(",")[0].strip()
    number = openmp or str(share(cores, ranks_per_core))
    return {name: number for name in VARIABLES if not environment.get(name)}


def share(cores: int, ranks_per_core: float) -> int:
    """Return a rank's share of the cores of its host, at least 1."""
    share = int(round(1 / ranks_per_core, 6))  # rounded, as 1 / (1 / 49) falls short of 49
    return max(1, min(cores, share))
