"""Single objects of more than 2 GiB, for which many a count in MPI is too small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.launch import launch

WriteProgram = Callable[..., Path]

ENOUGH_MEMORY = 12 << 30  # bytes: at most there are five copies of the object at a time
LIMIT = 300.0  # seconds: new memory is slow to get where the machine is busy


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize("kind", ["array", "bytes"])
@pytest.mark.parametrize("how", ["argument", "result", "constant"])
def test_more_than_two_gibibytes(how: str, kind: str, write_program: WriteProgram) -> None:
    available = psutil.virtual_memory().available
    if available < ENOUGH_MEMORY:
        pytest.skip(f"takes {ENOUGH_MEMORY >> 30} GiB of memory, and {available >> 30} are free")
    program = write_program("""
        import sys
        import numpy as np
        import scoop_mpi
        from scoop_mpi import futures, shared

        SIZE = (1 << 31) + 12_345

        def make():
            array = np.zeros(SIZE, np.uint8)
            array[0], array[SIZE // 2], array[-1] = scoop_mpi.worker.rank, 2, 3
            return array if sys.argv[2] == "array" else array.tobytes()

        def look(thing):
            marks = [int(thing[place]) for place in (0, SIZE // 2, -1)]
            return (len(thing), *marks, scoop_mpi.worker.rank)

        def look_at_constant():
            return look(shared.getConst("thing", timeout=0))

        def run_elsewhere(*call):
            future = futures.submit(*call)
            while not future.done():
                pass
            return future.result()

        if __name__ == "__main__":
            if sys.argv[1] == "argument":
                print(run_elsewhere(look, make()))
            elif sys.argv[1] == "result":
                print(look(run_elsewhere(make)))
            else:
                shared.setConst(thing=make())
                print(run_elsewhere(look_at_constant))
    """)
    run = launch(program, how, kind, ranks=2, timeout=LIMIT).check()
    maker, viewer = (1, 0) if how == "result" else (0, 1)
    assert run.stdout == f"({(1 << 31) + 12_345}, {maker}, 2, 3, {viewer})\n"
