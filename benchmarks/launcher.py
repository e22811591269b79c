"""Start processes and MPI jobs, each with a time limit: then it shows its stacks and is killed."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).resolve().parent.parent

# Who starts several processes tells each of them so.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "PALS_SIZE")
_SECONDS_TO_DUMP = 5.0
_QUESTION = (
    "import mpi4py; mpi4py.rc.initialize = False; "
    "from benchmarks.raw import mpi_name; print(mpi_name())"
)


class JobFailed(Exception):
    """A job ended with an error, or not at all; the text has the end of its output."""


class NoWorld(Exception):
    """The processes that were started don't form one MPI world; the text says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python interpreter and the MPI that its mpi4py uses.

    Attributes:
        python: the interpreter.
        mpi: what the MPI library calls itself.
        mpiexec: how a job of that MPI is started, up to the number of ranks.
    """

    python: str
    mpi: str
    mpiexec: tuple[str, ...]

    @classmethod
    def of(cls, python: str) -> Environment:
        """Find out about an interpreter.

        Raises:
            JobFailed: it can't be run, or has no MPI.
        """
        mpi = _mpi_of(python)
        return cls(python, mpi, _mpiexec_of(python, mpi))

    def python_version(self) -> str:
        """Return the interpreter's version."""
        if self.python == sys.executable:
            return platform.python_version()
        answer = subprocess.run([self.python, "-V"], capture_output=True, text=True, check=True)
        return answer.stdout.strip().removeprefix("Python ")

    def command(self, ranks: int, *arguments: str) -> list[str]:
        """Return the command that runs Python on so many ranks."""
        return [*self.mpiexec, "-n", str(ranks), self.python, *arguments]


@functools.cache
def _mpi_of(python: str) -> str:
    try:
        return run([python, "-c", _QUESTION], limit=60).strip().rpartition("\n")[2]
    except OSError as error:
        raise JobFailed(f"can't run {python}: {error}") from error


def _mpiexec_of(python: str, mpi: str) -> tuple[str, ...]:
    # The interpreter's path is not resolved: in a virtual environment it is a link to elsewhere.
    beside = Path(python).parent / "mpiexec"
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise JobFailed(f"no mpiexec beside {python} or on PATH: pip install 'scoop_mpi[mpich]'")
    # Open MPI starts no more ranks than there are cores, and gives each a core, unless told.
    options = ("--map-by", ":oversubscribe", "--bind-to", "none") if "Open MPI" in mpi else ()
    return (found, *options)


def is_within_job(environment: Mapping[str, str]) -> bool:
    """Whether a launcher has started this process as one of several."""
    sizes = [environment.get(name, "") for name in _SIZES]
    return any(size.isdecimal() and int(size) > 1 for size in sizes)


def run(command: Sequence[str], limit: float) -> str:
    """Run a command to its end, and return what it wrote to stdout and stderr.

    Args:
        command: program and arguments.
        limit: seconds after which it is made to show its stacks, and killed.

    Raises:
        JobFailed: it failed, or was killed.
    """
    environment = dict(os.environ)
    paths = filter(None, [str(CHECKOUT), environment.get("PYTHONPATH")])
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": "1"}
    # To a file: a process left behind would hold a pipe open, and we would wait for it.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            _dump_and_kill(process.pid)
            process.wait()
            status = None
        output.seek(0)
        text = output.read()
    if status != 0:
        ending = f"took longer than {limit:g} s" if status is None else f"ended with {status}"
        raise JobFailed(f"{' '.join(command)} {ending}:\n{text[-4000:]}")
    return text


def kill_children() -> None:
    """Kill all processes that descend from this one."""
    _kill(psutil.Process().children(recursive=True))


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _dump_and_kill(pid: int) -> None:
    family = _family(pid)
    pythons = []
    for process in family:
        with contextlib.suppress(psutil.Error):
            if "python" in process.name():
                process.send_signal(signal.SIGABRT)
                pythons.append(process)
    psutil.wait_procs(pythons, _SECONDS_TO_DUMP)
    _kill([*family, *_family(pid)])


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
