"""A job that is killed leaves nothing in /dev/shm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.launch import SHARED_MEMORY, on_ranks, start, uses_open_mpi

WriteProgram = Callable[..., Path]

# All that MPICH does by shared memory still works.
BUSY = """
    import time
    from mpi4py import MPI
    import numpy as np
    import scoop_mpi
    from scoop_mpi import futures

    def add(array, number):
        return array + number

    def work(_):
        time.sleep(300)

    if __name__ == "__main__":
        array = np.zeros(1 << 20)
        assert sum(each[0] for each in futures.map(add, [array] * 8, range(8))) == 28
        print("working", flush=True)
        list(futures.map(work, range(scoop_mpi.SIZE)))
"""


def segments() -> set[Path]:
    return {path for pattern in SHARED_MEMORY for path in Path("/dev/shm").glob(pattern)}


@on_ranks(3)
def test_a_killed_job_leaves_no_memory_behind(ranks: int, write_program: WriteProgram) -> None:
    with start(write_program(BUSY), ranks=ranks) as job:
        job.wait_for("working")
        mapped = {
            line.split()[-1]
            for line in Path(f"/proc/{job.rank_process(1).pid}/maps").read_text().splitlines()
        }
        for process in job.processes():
            process.kill()
        job.finish()
        # Open MPI's segments have names while the job runs, and helpers that may be killed too.
        left = {str(path) for path in segments()} & mapped
        assert uses_open_mpi() or not left
