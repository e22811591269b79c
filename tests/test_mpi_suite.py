"""Starts the tests of tests/mpi under mpiexec, on several numbers of ranks.

By hand: mpiexec -n 4 python -m pytest --with-mpi tests/mpi
"""

from __future__ import annotations

import pytest

from tests.launch import launch, on_ranks

# Seconds for the whole suite on one number of ranks.
LIMIT = 240


@pytest.mark.timeout(LIMIT + 60)
@on_ranks(1, 2, 3, 4)
def test_suite_passes_under_mpiexec(ranks: int) -> None:
    # No cache: the ranks would write theirs over one another's. No limit for a single test: where
    # one hangs, the stacks of all ranks are wanted, which `launch` shows.
    options = ("-p", "no:cacheprovider", "-q", "--with-mpi", "--timeout=0")
    launch(*options, "tests/mpi", ranks=ranks, python=("-m", "pytest"), timeout=LIMIT).check()
