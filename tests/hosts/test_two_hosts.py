"""Jobs on two hosts, joined by TCP, which have nothing in common but their files.

Two hosts have to be there, so these tests run only where SCOOP_MPI_HOSTS names them: `ci/hosts
test` brings up two of its own and does that, for each MPI.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.launch import (
    MARK,
    ROOT,
    Job,
    Run,
    find_mpiexec,
    launch,
    mpi_library,
    start,
    uses_open_mpi,
)

WriteProgram = Callable[..., Path]

HOSTS = os.environ.get("SCOOP_MPI_HOSTS", "").split()
RUN = (ROOT / "ci" / "hosts", "run")
RANKS = 4
LIMIT = 60.0  # seconds for each job

pytestmark = pytest.mark.skipif(
    len(HOSTS) != 2, reason="needs two hosts; `ci/hosts test` starts them and sets SCOOP_MPI_HOSTS"
)

# Where its ranks are. A task may run on any rank, so it asks until all have answered.
WHERE = """
    import json
    import time
    import scoop_mpi
    from scoop_mpi import futures

    def where(_):
        time.sleep(0.02)
        return scoop_mpi.worker

    def all_workers():
        found = set()
        while len(found) < scoop_mpi.SIZE:
            found.update(futures.map(where, range(4 * scoop_mpi.SIZE)))
        return sorted(found)
"""


@pytest.fixture
def hostfile(tmp_path: Path) -> Path:
    """A file that gives half of the ranks to each host, as mpiexec reads it."""
    line = "{} slots={}\n" if uses_open_mpi() else "{}:{}\n"
    path = tmp_path / "hostfile"
    path.write_text("".join(line.format(host, RANKS // 2) for host in HOSTS))
    return path


def begin(program: Path, hostfile: Path) -> Job:
    """Start a program on all ranks, from the first host."""
    if uses_open_mpi():
        options = ["--hostfile", str(hostfile)]
        # The other MPIs' ranks inherit the whole environment of mpiexec also on other hosts.
        for name in ("PYTHONPATH", "PYTHONFAULTHANDLER", MARK):
            options += ["-x", name]
    else:
        options = ["-f", str(hostfile)]
    return start(
        program,
        timeout=LIMIT,
        # With ":oversubscribe" there is always room on the first host.
        env={"PRTE_MCA_rmaps_default_mapping_policy": None},
        launcher=[*RUN, HOSTS[0], find_mpiexec(), *options, "-n", str(RANKS)],
    )


def run(program: Path, hostfile: Path) -> Run:
    with begin(program, hostfile) as job:
        return job.finish()


def report(run: Run) -> Any:
    """What the program has printed, as JSON."""
    return json.loads(run.check().stdout)


def shared_memory(host: str) -> set[str]:
    """What there is in a host's /dev/shm. MPICH leaves something of jobs that were killed."""
    show = "import os; print(*os.listdir('/dev/shm'))"
    return set(launch("-c", show, python=(), launcher=[*RUN, host]).check().stdout.split())


def test_the_ranks_of_both_hosts_take_part(hostfile: Path, write_program: WriteProgram) -> None:
    program = write_program(
        WHERE
        + """
    if __name__ == "__main__":
        print(json.dumps(all_workers()))
    """
    )
    first, second = HOSTS
    assert report(run(program, hostfile)) == [[0, first], [1, first], [2, second], [3, second]]


def test_the_command_line_starts_ranks_on_both_hosts(
    tmp_path: Path, write_program: WriteProgram
) -> None:
    """With SCOOP's hostfile instead of mpiexec's own; not as many on each."""
    first, second = HOSTS
    hostfile = tmp_path / "hosts"
    hostfile.write_text(f"{first} 1\n{second} 3\n")
    program = write_program(
        WHERE
        + """
    if __name__ == "__main__":
        print(json.dumps(all_workers()))
    """
    )
    run = launch(
        *("--hostfile", hostfile, "-n", "4", program),
        timeout=LIMIT,
        env={"PRTE_MCA_rmaps_default_mapping_policy": None},
        launcher=[*RUN, first],
    )
    assert report(run) == [[0, first], [1, second], [2, second], [3, second]]


def test_what_crosses_hosts_crosses_the_network(
    hostfile: Path, write_program: WriteProgram
) -> None:
    """Arrays there and back, to and from each rank; and the network's own count of their bytes."""
    program = write_program(
        WHERE
        + """
    import numpy as np

    def bytes_received():
        with open("/proc/net/dev") as file:
            lines = [line.split() for line in file]
        return sum(int(line[1]) for line in lines[2:] if line[0] != "lo:")

    def double(array):
        time.sleep(0.02)
        return scoop_mpi.worker, 2 * array

    if __name__ == "__main__":
        before = bytes_received()
        arrays = [np.arange(n, n + 250_000.0) for n in range(8 * scoop_mpi.SIZE)]
        crossed = 0
        while not crossed:
            for array, (worker, result) in zip(arrays, futures.map(double, arrays)):
                assert (result == 2 * array).all()
                crossed += array.nbytes * (worker.host != scoop_mpi.worker.host)
        print(json.dumps([bytes_received() - before, crossed]))
    """
    )
    received, crossed = report(run(program, hostfile))
    assert received >= crossed > 0


def test_constants_reach_both_hosts_and_leave_nothing_there(
    hostfile: Path, write_program: WriteProgram
) -> None:
    program = write_program(
        WHERE
        + """
    import numpy as np
    from scoop_mpi import shared

    def read(_):
        time.sleep(0.02)
        table, call = shared.getConst("table", timeout=0), shared.getConst("call", timeout=0)
        return scoop_mpi.worker, float(table.sum()), call(20)

    if __name__ == "__main__":
        shared.setConst(table=np.ones(2_000_000), call=lambda x: x + 1)
        seen = set()
        while len({worker for worker, *_ in seen}) < scoop_mpi.SIZE:
            seen.update(futures.map(read, range(4 * scoop_mpi.SIZE)))
        print(json.dumps(sorted({tuple(values) for _, *values in seen})))
    """
    )
    before = {host: shared_memory(host) for host in HOSTS}
    assert report(run(program, hostfile)) == [[2_000_000.0, 21]]
    assert {host: shared_memory(host) for host in HOSTS} == before


def test_an_exception_names_the_host(hostfile: Path, write_program: WriteProgram) -> None:
    program = write_program(
        WHERE
        + """
    def fail(_):
        time.sleep(0.02)
        raise KeyError(scoop_mpi.worker.host)

    if __name__ == "__main__":
        here = scoop_mpi.worker.host
        while True:
            fs = [futures.submit(fail, n) for n in range(4 * scoop_mpi.SIZE)]
            errors = [future.exception() for future in fs]
            remote = [error for error in errors if error.args[0] != here]
            if remote:
                break
        print(json.dumps([remote[0].args[0], remote[0].__cause__.host]))
    """
    )
    assert report(run(program, hostfile)) == [HOSTS[1], HOSTS[1]]


def test_the_programs_status_is_the_jobs(hostfile: Path, write_program: WriteProgram) -> None:
    program = write_program(
        WHERE
        + """
    if __name__ == "__main__":
        all_workers()
        raise SystemExit(3)
    """
    )
    ended = run(program, hostfile)
    if mpi_library().startswith("Intel") and ended.returncode == 255:
        # Its mpiexec kills the other ranks as soon as one has ended with a status, and then now and
        # then takes that of the ssh to the other host for the job's. So it does on plain mpi4py.
        ended.check(255)
    else:
        ended.check(3)


@pytest.mark.parametrize("victim", [0, RANKS - 1])
def test_a_rank_that_is_killed_ends_the_job_on_both_hosts(
    victim: int, hostfile: Path, write_program: WriteProgram
) -> None:
    program = write_program(
        WHERE
        + """
    def work(_):
        while True:
            pass

    if __name__ == "__main__":
        all_workers()
        print("at work", flush=True)
        list(futures.map(work, range(scoop_mpi.SIZE)))
    """
    )
    with begin(program, hostfile) as job:
        job.wait_for("at work")
        assert len({job.rank_process(rank).pid for rank in range(RANKS)}) == RANKS
        job.rank_process(victim).kill()
        job.finish().check(None)
