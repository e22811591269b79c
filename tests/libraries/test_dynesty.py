"""dynesty with a pool: the same evidence as without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 110.0


@on_ranks(1, 2, 4)
def test_the_evidence_is_that_of_one_process(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import dynesty, numpy as np
        import scoop_mpi

        def log_likelihood(x):
            return -0.5 * float(np.sum((x - 0.5) ** 2)) / 0.01

        def transform(u):
            return u

        def evidence(pool):
            sampler = dynesty.NestedSampler(
                log_likelihood, transform, 2, nlive=50, pool=pool, queue_size=4,
                rstate=np.random.default_rng(3),
            )
            sampler.run_nested(dlogz=5.0, print_progress=False)
            return sampler.results.logz[-1]

        if __name__ == "__main__":
            class Serial:
                map = staticmethod(lambda func, items: list(map(func, items)))

            expected = evidence(Serial())
            with scoop_mpi.Pool() as pool:
                assert evidence(pool) == expected
            print("right")
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "right\n"
