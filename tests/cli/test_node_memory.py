"""Large constants on real MPI: a node has them once, and nothing of them outlives the job."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.launch import Job, launch, start

WriteProgram = Callable[..., Path]

LIMIT = 60.0  # seconds for one job
RANKS = 3

# What all programs here begin with. Ranks meet by a file from each; the limit of the job is theirs.
# Tasks first meet before they wait for anything: then each rank has just one of them.
MEETING = """
    import os
    import sys
    import time
    from pathlib import Path

    import numpy as np

    import scoop_mpi
    from scoop_mpi import futures, shared

    def meet(name):
        own = Path(sys.argv[1], name)
        own.mkdir(exist_ok=True)
        (own / str(scoop_mpi.worker.rank)).touch()
        while len(os.listdir(own)) < scoop_mpi.SIZE:
            time.sleep(0.01)
"""
# As Pythons that were built for an old C library.
WITHOUT_MEMFD = """
    del os.memfd_create
"""
# The kernel refuses larger files, those in memory included.
SMALL_FILES_ONLY = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
"""
MEGABYTES = 256
MEASURE = f"""
    def megabytes_of_rank(name):
        meet(name + " begun")
        table = shared.getConst(name, timeout=0)
        if table is not None:
            assert int(table.sum()) == table.size
        meet(name + " read")
        with open("/proc/self/smaps_rollup") as lines:  # PSS: what is shared counts in equal parts
            kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        meet(name + " measured")
        return kilobytes / 1024

    def megabytes_of_all(name):
        return sum(futures.map(megabytes_of_rank, [name] * scoop_mpi.SIZE))

    if __name__ == "__main__":
        before = megabytes_of_all("nothing")
        shared.setConst(table=np.ones({MEGABYTES} << 20, np.uint8))
        print(megabytes_of_all("table") - before)
"""


@pytest.mark.parametrize("without_memfd", ["", WITHOUT_MEMFD], ids=["memfd", "tmpfile"])
def test_eight_ranks_have_a_constant_once(
    without_memfd: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(MEETING + without_memfd + MEASURE)
    run = launch(program, tmp_path, ranks=8, timeout=LIMIT).check()
    assert 0.9 * MEGABYTES < float(run.stdout) < 1.3 * MEGABYTES


def test_where_no_memory_is_to_be_had_each_rank_has_a_copy(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(MEETING + SMALL_FILES_ONLY + MEASURE)
    run = launch("-v", program, tmp_path, ranks=RANKS, timeout=LIMIT).check()
    assert float(run.stdout) > 0.9 * RANKS * MEGABYTES
    assert run.stderr.count("No memory to share on this node") == 1
    assert "large constants are copied to each rank (OSError: [Errno 27]" in run.stderr


RANK_WITHOUT_DESCRIPTORS = """
    import resource

    def read(_):
        meet("begun")
        rank = scoop_mpi.worker.rank
        is_limited = Path(sys.argv[1], "limited")
        if rank == 1:  # from now on it can open nothing
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            lowest_free = os.dup(0)
            os.close(lowest_free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            is_limited.mkdir()
        if rank == 0:
            while not is_limited.exists():
                time.sleep(0.01)
            shared.setConst(table=np.ones(4 << 20, np.uint8))
        table = shared.getConst("table", timeout=None)
        if rank == 1:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert table.all()
        assert not table.flags.writeable
        with open("/proc/self/maps") as lines:
            print(rank, "memfd:scoop_mpi-constants" in lines.read(), flush=True)

    if __name__ == "__main__":
        list(futures.map(read, range(scoop_mpi.SIZE)))
"""


def test_a_rank_that_cannot_map_gets_a_copy(write_program: WriteProgram, tmp_path: Path) -> None:
    program = write_program(MEETING + RANK_WITHOUT_DESCRIPTORS)
    run = launch("-v", program, tmp_path, ranks=RANKS, timeout=LIMIT).check()
    assert sorted(run.stdout.splitlines()) == ["0 True", "1 False", "2 True"]
    assert run.stderr.count("rank 1 gets copies of large constants (OSError: [Errno 24]") == 1


# ------------------------------------------------------------ constants that go

MAPPED = """
    def megabytes_mapped():
        total = 0
        with open("/proc/self/maps") as lines:
            for line in lines:
                if "/memfd:scoop_mpi-constants" in line or "/dev/shm/#" in line:
                    first, last = line.split()[0].split("-")
                    total += int(last, 16) - int(first, 16)
        return total >> 20
"""
ELEMENT_EACH_TIME = """
    class Model:
        def __init__(self, value):
            self.weights = np.full(2 << 17, float(value))

        def predict(self, index):
            return self.weights[index] + index

    def wait_until_freed(_):
        meet("last")
        while megabytes_mapped():  # a call of scoop_mpi's lets go of what was removed
            shared.getConst("never set", timeout=0.01)

    if __name__ == "__main__":
        most = 0
        for number in range(150):
            predict = shared.SharedElementEncapsulation(Model(number).predict)
            assert list(futures.map(predict, range(20))) == [number + x for x in range(20)]
            most = max(most, megabytes_mapped())
        del predict
        list(futures.map(wait_until_freed, range(scoop_mpi.SIZE)))
        print(most)
"""


@pytest.mark.parametrize("without_memfd", ["", WITHOUT_MEMFD], ids=["memfd", "tmpfile"])
def test_elements_that_nobody_refers_to_are_freed_on_all_ranks(
    without_memfd: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    """In all there are more of them than there may be segments at a time."""
    program = write_program(MEETING + without_memfd + MAPPED + ELEMENT_EACH_TIME)
    run = launch("-v", program, tmp_path, ranks=RANKS, timeout=LIMIT).check()
    assert 2 <= int(run.stdout) <= 100
    assert "No memory to share" not in run.stderr


SET_AND_DELETE = """
    def mean(_):
        return float(shared.getConst("table", timeout=0).mean())

    def forget(_):
        meet("last")
        constants = shared.elements
        for worker in constants:  # as pypet does it
            if "table" in constants[worker]:
                del constants[worker]["table"]
        assert shared.getConst("table", timeout=0) is None
        while megabytes_mapped():  # a call of scoop_mpi's lets go of what was removed
            shared.getConst("never set", timeout=0.01)

    if __name__ == "__main__":
        for number in range(150):
            shared.setConst(table=np.full(2 << 17, float(number)))
            assert set(futures.map(mean, range(10))) == {float(number)}
            if number < 149:
                shared.delConst("table")
        list(futures.map(forget, range(scoop_mpi.SIZE)))
"""


def test_deleted_constants_are_freed_on_all_ranks(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(MEETING + MAPPED + SET_AND_DELETE)
    run = launch("-v", program, tmp_path, ranks=RANKS, timeout=LIMIT).check()
    assert "No memory to share" not in run.stderr


# ------------------------------------------------------------ the job's end

SHARE = """
    def read(how):
        meet("begun")
        table = shared.getConst("table", timeout=0)
        assert table.all()
        with open("/proc/self/maps") as lines:
            inodes = {
                line.split()[4]
                for line in lines
                if "/memfd:scoop_mpi-constants" in line or "/dev/shm/#" in line
            }
        # To a file: of a job that is killed the launcher may lose what was written last.
        Path(sys.argv[1], f"inodes of {scoop_mpi.worker.rank}").write_text(" ".join(inodes))
        meet("read")
        if scoop_mpi.worker.rank == scoop_mpi.SIZE - 1:
            if how == "raise":
                raise ValueError("on purpose")
            if how == "os._exit":
                os._exit(3)
            if how == "abort":
                from mpi4py import MPI
                MPI.COMM_WORLD.Abort(5)
        if how == "wait":
            print("rank", scoop_mpi.worker.rank, "waits", flush=True)
            time.sleep(300)

    if __name__ == "__main__":
        how = sys.argv[2]
        shared.setConst(table=np.ones(4 << 20, np.uint8))
        list(futures.map(read, [how] * scoop_mpi.SIZE))
        if how == "sys.exit":
            sys.exit(4)
"""


def who_maps(inode: str) -> list[int]:
    """Return the processes that have a file in memory mapped or open."""
    holders = []
    for process in psutil.process_iter():
        directory = Path(f"/proc/{process.pid}")
        try:
            mapped = {line.split()[4] for line in (directory / "maps").read_text().splitlines()}
            is_open = any(str(link.stat().st_ino) == inode for link in (directory / "fd").iterdir())
        except OSError:  # gone meanwhile, or somebody else's
            continue
        if inode in mapped or is_open:
            holders.append(process.pid)
    return holders


def inode_of(directory: Path) -> str:
    """Return the one inode that all ranks say they have mapped."""
    said = [(directory / f"inodes of {rank}").read_text() for rank in range(RANKS)]
    (inode,) = set(said)
    assert inode.isdecimal()
    return inode


@pytest.mark.parametrize("without_memfd", ["", WITHOUT_MEMFD], ids=["memfd", "tmpfile"])
@pytest.mark.parametrize(
    ("how", "status"),
    [("return", 0), ("raise", 1), ("sys.exit", 4), ("os._exit", None), ("abort", None)],
)
def test_nothing_is_left_when_the_program_ends(
    how: str, status: int | None, without_memfd: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(MEETING + without_memfd + SHARE)
    launch(program, tmp_path, how, ranks=RANKS, timeout=LIMIT).check(status)
    assert who_maps(inode_of(tmp_path)) == []


def kill_a_rank(job: Job) -> None:
    job.rank_process(1).kill()


def kill_the_leader(job: Job) -> None:
    job.rank_process(0).kill()


def kill_mpiexec(job: Job) -> None:
    job.send_signal(signal.SIGKILL)


def terminate_mpiexec(job: Job) -> None:
    job.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("without_memfd", ["", WITHOUT_MEMFD], ids=["memfd", "tmpfile"])
@pytest.mark.parametrize(
    "end", [kill_a_rank, kill_the_leader, kill_mpiexec, terminate_mpiexec, Job.press_interrupt]
)
def test_nothing_is_left_when_the_job_is_killed(
    end: Callable[[Job], None], without_memfd: str, write_program: WriteProgram, tmp_path: Path
) -> None:
    program = write_program(MEETING + without_memfd + SHARE)
    with start(program, tmp_path, "wait", ranks=RANKS, timeout=LIMIT) as job:
        for rank in range(RANKS):
            job.wait_for(f"rank {rank} waits")
        inode = inode_of(tmp_path)
        assert len(who_maps(inode)) == RANKS
        end(job)
        job.finish().check(status=None)
    assert who_maps(inode) == []
