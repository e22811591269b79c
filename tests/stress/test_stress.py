"""Some random programs give what they would give serially; ci/stress runs any number of them."""

from __future__ import annotations

import pytest

from tests.stress.runner import LIMIT, failed_jobs, run_job

JOBS = [(1, 1), (2, 2), (3, 3), (4, 5), *failed_jobs()]


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize(("seed", "ranks"), JOBS)
def test_random_programs_are_right(seed: int, ranks: int) -> None:
    problem = run_job(seed, ranks)
    assert problem is None, problem
