"""Calls that are made again if they fail, among real ranks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]


@on_ranks(2, 3)
@pytest.mark.parametrize("option", ["--", "--strict"])
def test_a_rank_that_has_nothing_to_do_gets_it(
    option: str, ranks: int, write_program: WriteProgram
) -> None:
    program = write_program("""
        import scoop_mpi
        from scoop_mpi import futures

        def square(x):
            if scoop_mpi.worker.rank == 0:
                raise OSError("there is no license on this rank")
            return x * x

        if __name__ == "__main__":
            retrying = futures.options(retries=12, retry_on=OSError, backoff=0.001)
            for x in range(5):
                assert retrying.submit(square, x).result() == x * x
            assert list(retrying.map(square, range(20))) == [x * x for x in range(20)]
            assert isinstance(futures.submit(square, 3).exception(), (OSError, type(None)))
            print("right")
    """)
    options = [] if option == "--" else [option]
    assert launch(*options, program, ranks=ranks, timeout=60).check().stdout == "right\n"


@on_ranks(1, 3)
def test_errors_of_the_program_s_own_types_and_the_log(
    ranks: int, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program("""
        import os, sys
        from scoop_mpi import futures

        class Busy(Exception):
            pass

        def count(name):
            path = os.path.join(sys.argv[1], name)
            with open(path, "a") as file:
                file.write(".")
            if os.path.getsize(path) < 3:
                raise Busy(name)
            return os.path.getsize(path)

        if __name__ == "__main__":
            retrying = futures.options(name="counting", retries=5, retry_on=Busy)
            names = [f"file{number}" for number in range(6)]
            print(list(retrying.map(count, names)))
            print(futures.options(retries=1).submit(count, "other").exception())
    """)
    run = launch("-v", program, tmp_path, ranks=ranks, timeout=60).check()
    assert run.stdout == "[3, 3, 3, 3, 3, 3]\nother\n"
    assert "count (counting), attempt 1: Busy: file0, rank" in run.stderr
    assert "count (counting), attempt 2: Busy: file5, rank" in run.stderr
