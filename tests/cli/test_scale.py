"""Many ranks, many tasks, and an MPI that allows less than usual."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import EXAMPLES, launch, on_ranks

WriteProgram = Callable[..., Path]


@pytest.mark.timeout(400)
def test_many_more_ranks_than_cores() -> None:
    run = launch(EXAMPLES / "pi_calc.py", ranks=128, timeout=300).check()
    assert run.stdout.startswith("pi = 3.1")


@on_ranks(2)
@pytest.mark.timeout(200)
def test_memory_does_not_grow_with_the_number_of_tasks(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import gc
        import time
        import scoop_mpi
        from scoop_mpi import futures

        def same(x):
            return x

        def memory(_):
            time.sleep(0.02)
            gc.collect()
            with open("/proc/self/statm") as file:
                return scoop_mpi.worker.rank, int(file.read().split()[1]) * 4096

        def memory_of_all():
            found = {}
            while len(found) < scoop_mpi.SIZE:
                found.update(futures.map(memory, range(4 * scoop_mpi.SIZE)))
            return found

        def run(tasks):
            for round in range(tasks // 1000):
                fs = [futures.submit(same, x) for x in range(1000)]
                for future in fs:
                    if round % 2:
                        future.result()
                    while not future.done():
                        pass
                assert sum(futures.map(same, range(1000))) == 499_500

        if __name__ == "__main__":
            run(30_000)
            before = memory_of_all()
            run(300_000)
            after = memory_of_all()
            print(max(after[rank] - before[rank] for rank in before))
    """)
    run = launch(program, ranks=ranks, timeout=150).check()
    assert int(run.stdout) < 10_000_000
