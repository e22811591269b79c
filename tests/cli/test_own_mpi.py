"""Programs that call MPI themselves: their messages and ours don't meet, whenever they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]

LIMIT = 100.0


@on_ranks(2, 3)
def test_tasks_may_send_and_receive(ranks: int, write_program: WriteProgram) -> None:
    # Under MPI_THREAD_SERIALIZED each run failed or hung, on MPICH.
    program = write_program("""
        from mpi4py import MPI
        from scoop_mpi import futures

        world = MPI.COMM_WORLD

        def talk(x):
            here = world.rank
            for number in range(2000):
                letter = (x, number)
                assert letter == world.sendrecv(letter, here, 7, source=here, recvtag=7)
            return x

        if __name__ == "__main__":
            assert list(futures.map(talk, range(20))) == list(range(20))
            print("right")
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "right\n"


@on_ranks(2)
def test_all_ranks_may_meet_while_they_import_the_program(
    ranks: int, write_program: WriteProgram
) -> None:
    # Under MPI_THREAD_SERIALIZED one run of four failed, on each MPI; some had wrong data.
    program = write_program("""
        from mpi4py import MPI
        from scoop_mpi import futures

        world = MPI.COMM_WORLD
        for number in range(3000):
            assert world.bcast(("x", number) if world.rank == 0 else None) == ("x", number)
            assert world.allreduce(number) == number * world.size

        def alone(x):
            return sum(MPI.COMM_SELF.allreduce(number) for number in range(200)) + x

        if __name__ == "__main__":
            assert list(futures.map(alone, range(20))) == [19900 + x for x in range(20)]
            print("right")
    """)
    for _ in range(8):
        assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "right\n"


@on_ranks(1, 3)
def test_the_program_is_granted_calls_of_several_threads(
    ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        from mpi4py import MPI
        print(MPI.Query_thread() == MPI.THREAD_MULTIPLE)
    """)
    assert launch(program, ranks=ranks).check().stdout == "True\n" * ranks


@on_ranks(1, 2, 4)
@pytest.mark.parametrize("level", ["funneled", "serialized"])
def test_an_mpi_that_grants_less(level: str, ranks: int, write_program: WriteProgram) -> None:
    program = write_program("""
        import threading
        from mpi4py import MPI
        from scoop_mpi import futures

        def fib(n):
            if n < 2:
                return n
            left, right = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
            return left.result() + right.result()

        if __name__ == "__main__":
            assert MPI.Query_thread() < MPI.THREAD_MULTIPLE
            assert threading.active_count() == 1
            print(list(futures.map(fib, range(15)))[-1], fib(14))
    """)
    run = launch(program, ranks=ranks, env={"MPI4PY_RC_THREAD_LEVEL": level}).check()
    assert run.stdout == "377 377\n"
    assert run.stderr.count("without MPI_THREAD_MULTIPLE") == 1
    page = launch("--info", ranks=ranks, env={"MPI4PY_RC_THREAD_LEVEL": level}).check().stdout
    assert f"THREAD_{level.upper()}: no thread" in page


@on_ranks(1, 2, 3)
@pytest.mark.parametrize("place", ["everywhere", "in the program", "in a task", "at exit"])
def test_the_program_may_finalize_mpi(place: str, ranks: int, write_program: WriteProgram) -> None:
    program = write_program(f"""
        import atexit, time
        from mpi4py import MPI
        from mpi4py.MPI import Finalize
        from scoop_mpi import futures

        def work(x):
            time.sleep(0.01)
            if {place == "in a task"}:
                MPI.Finalize()
            return x

        if {place == "everywhere"}:
            Finalize()
        if {place == "at exit"}:
            atexit.register(MPI.Finalize)
        if __name__ == "__main__":
            if {place == "in the program"}:
                MPI.Finalize()
            assert list(futures.map(work, range(20))) == list(range(20))
            print("right")
    """)
    assert launch(program, ranks=ranks, timeout=LIMIT).check().stdout == "right\n"
