"""How many threads numerical libraries may use on a rank.

Left alone, numpy's BLAS starts a thread for each core of the host on each rank: with 64 ranks on 64
cores that is 4096 threads, which get in each other's way. So each rank is given its share of its
host's cores. The libraries read these variables when they are loaded, so they are set before the
program is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

OPENMP = "OMP_NUM_THREADS"
# OpenBLAS, MKL, BLIS and numexpr go by OpenMP's variable, but each by one of its own before that.
_NUMEXPR = "NUMEXPR_NUM_THREADS"
_BY_OPENMP = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", _NUMEXPR)
_ON_THEIR_OWN = ("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
VARIABLES = (OPENMP, *_BY_OPENMP, *_ON_THEIR_OWN)


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
    # Only what each library can't do without: the program may set OpenMP's variable before it loads
    # numpy, as programs do, and one of our own making for OpenBLAS alone would go before that.
    # OpenMP's may be a list, for nested regions; numexpr and the others take one number.
    openmp, comma, _ = environment.get(OPENMP, "").partition(",")
    number = openmp.strip() or str(share(cores, ranks_per_core))
    names = (OPENMP, *_ON_THEIR_OWN, *([_NUMEXPR] if comma else []))
    return {name: number for name in names if not environment.get(name)}


def share(cores: int, ranks_per_core: float) -> int:
    """Return a rank's share of the cores of its host, at least 1."""
    share = int(round(1 / ranks_per_core, 6))  # rounded, as 1 / (1 / 49) falls short of 49
    return max(1, min(cores, share))
