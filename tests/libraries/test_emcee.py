"""emcee with a pool: the same chain as without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 110.0


@on_ranks(1, 2, 4)
@pytest.mark.parametrize("front", ["Pool", "MPIPoolExecutor"])
def test_the_chain_is_that_of_one_process(
    front: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import sys
        import emcee, numpy as np
        import scoop_mpi

        def log_probability(position):
            return -0.5 * float(np.sum(position**2))

        def chain(pool):
            start = np.random.default_rng(1).normal(size=(16, 3))
            np.random.seed(2)
            sampler = emcee.EnsembleSampler(16, 3, log_probability, pool=pool)
            sampler.run_mcmc(start, 40)
            return sampler.get_chain()

        if __name__ == "__main__":
            expected = chain(None)
            with getattr(scoop_mpi, sys.argv[1])() as pool:
                assert np.array_equal(chain(pool), expected)
            print("right")
    """)
    assert launch(program, front, ranks=ranks, timeout=LIMIT).check().stdout == "right\n"
