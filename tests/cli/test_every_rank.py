"""Calls that are made once on each rank of a real job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import launch, on_ranks

WriteProgram = Callable[..., Path]


PROGRAM = """
    import threading, time
    import scoop_mpi
    from scoop_mpi import futures

    tables = {}
    table = bytes(3_000_000)

    def load(name, size=10):
        tables[name] = list(range(size))
        return scoop_mpi.worker.rank

    def look_up(number):
        time.sleep(0.001)
        return tables["numbers"][number]

    class Large:
        def __init__(self):
            self.data = table

        def size(self):
            return len(self.data)

    def fail():
        raise ValueError(f"on {scoop_mpi.worker.rank}")

    if __name__ == "__main__":
        ranks = list(range(scoop_mpi.SIZE))
        assert futures.on_every_rank(load, "numbers", size=200) == ranks
        assert list(futures.map(look_up, range(200))) == list(range(200))
        assert futures.on_every_rank(Large().size) == [3_000_000 for _ in ranks]
        assert futures.on_every_rank(lambda: len(tables["numbers"])) == [200 for _ in ranks]
        places = futures.on_every_rank(
            lambda: (scoop_mpi.LOCAL_RANK, scoop_mpi.NODE, scoop_mpi.NODES)
        )
        assert places == [(rank, 0, 1) for rank in ranks], places
        found = []
        thread = threading.Thread(target=lambda: found.append(futures.on_every_rank(load, "x")))
        thread.start()
        assert list(futures.map(look_up, range(50))) == list(range(50))
        thread.join()
        assert found == [ranks]
        try:
            futures.on_every_rank(fail)
        except ValueError as error:
            assert str(error) == "on 0"
        print("right")
"""


@on_ranks(1, 2, 4)
@pytest.mark.parametrize("options", [(), ("--strict",)], ids=" ".join)
def test_what_it_sets_is_there_for_the_calls(
    options: tuple[str, ...], ranks: int, write_program: WriteProgram
) -> None:
    run = launch(*options, write_program(PROGRAM), ranks=ranks, timeout=60).check()
    assert run.stdout == "right\n"


@on_ranks(2, 4)
def test_a_root_that_only_serves_makes_it_too(ranks: int, write_program: WriteProgram) -> None:
    run = launch("--root", "serves", write_program(PROGRAM), ranks=ranks, timeout=60).check()
    assert run.stdout == "right\n"


def test_without_a_job_there_is_one_rank(write_program: WriteProgram) -> None:
    from scoop_mpi import futures

    assert futures.on_every_rank(max, 3, 4) == [4]
    with pytest.raises(TypeError, match=r"on_every_rank\(\) needs something callable, not 3"):
        futures.on_every_rank(3)  # type: ignore[call-overload]
