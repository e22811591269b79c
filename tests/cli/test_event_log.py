"""With --debug each rank shows its last messages when a fault of ours ends the job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

# A rank is sent what it has never asked for.
PROGRAM = """
    import sys, time
    from scoop_mpi import futures
    from scoop_mpi.engine.hub import running
    from scoop_mpi.wire.messages import FunctionSent

    def work(x):
        time.sleep(0.01)
        return x

    if __name__ == "__main__":
        assert list(futures.map(work, range(40))) == list(range(40))
        destination = int(sys.argv[1])
        running().runtime.post(destination, FunctionSent(7, (b"", ())))
        while True:
            futures.wait([futures.submit(work, 1)])
"""


@on_ranks(2, 3)
@pytest.mark.parametrize("at", [0, 1])
def test_all_ranks_show_their_logs(ranks: int, at: int, write_program: WriteProgram) -> None:
    program = write_program(PROGRAM)
    run = launch("--debug", program, str(at), ranks=ranks, timeout=60).check(None)
    assert f"UnexpectedMessage: rank {at} got FunctionSent" in run.stderr
    for rank in range(ranks):
        assert run.stderr.count(f"scoop_mpi: rank {rank} (") == 1, rank
    assert run.stderr.count("Its last events:") == ranks
    assert "from rank 0: FunctionSent(number=7" in run.stderr
    assert "to rank 1: Work(" in run.stderr


@on_ranks(2)
def test_without_it_there_is_the_fault_alone(ranks: int, write_program: WriteProgram) -> None:
    run = launch(write_program(PROGRAM), "1", ranks=ranks, timeout=60).check(None)
    assert "UnexpectedMessage: rank 1 got FunctionSent" in run.stderr
    assert "last events" not in run.stderr


@on_ranks(1, 2, 3)
def test_a_sound_job_shows_nothing(ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        from scoop_mpi import futures

        def fib(n):
            if n < 2:
                return n
            left, right = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
            return left.result() + right.result()

        def mapped(x):
            return sum(futures.map(fib, range(x)))

        if __name__ == "__main__":
            print(futures.submit(fib, 18).result(), sum(futures.map(mapped, range(12))))
    """)
    run = launch("--debug", program, ranks=ranks, timeout=60).check()
    assert run.stdout == "2584 364\n"
    assert "last events" not in run.stderr
