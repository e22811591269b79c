"""Run a program on several ranks, as its user would, in a limited time, and leave nothing behind.

`launch` runs a job to its end, `start` returns it while it runs, for tests that kill a rank or
press Ctrl-C:

    launch("program.py", "argument", ranks=4).check()

    with start("program.py", ranks=4) as job:
        job.wait_for("ready")
        job.rank_process(2).kill()
        job.finish().check(status=None)

Each job gets a mark of its own in its environment, which all its processes inherit. So they are
found also after mpiexec has gone and they belong to nobody. A job's output goes to files, not to
pipes: a process left behind would hold a pipe open, and the reader would wait for it.

A job that outlives its limit is made to dump the Python stacks of all its ranks, is killed, and
raises `JobTimedOut`, with all its output in the message.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

MARK = "SCOOP_MPI_TEST_JOB"
# Where a launcher tells a process its rank: MPICH's or Intel MPI's, and Open MPI's.
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
# What MPICH and Open MPI call their segments in /dev/shm. Intel MPI leaves none there.
SHARED_MEMORY = ("mpich_shm_*", "sm_segment.*")

TIMEOUT = 60.0
# Seconds that a job's last processes may take to go after mpiexec has ended.
GRACE = 3.0
# Seconds for all ranks to dump their stacks, and for mpiexec then to pass them on and end.
DUMP_LIMIT = 15.0
POLL = 0.01

OPEN_MPI_SETTINGS = {
    # Continuous integration runs as root, and with more ranks than cores.
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    # Else each start looks for other networks, for about a second.
    "OMPI_MCA_btl": "self,sm,tcp",
}
INTEL_MPI_SETTINGS = {
    # Else it binds the ranks of every job to the same cores, also those of jobs that run beside.
    "I_MPI_PIN": "off",
}


def on_ranks(*sizes: int) -> pytest.MarkDecorator:
    """Run the decorated test once for each number of ranks, as its argument `ranks`."""
    return pytest.mark.parametrize("ranks", sizes, ids=lambda size: f"{size}ranks")


@dataclass(frozen=True, slots=True)
class Run:
    """What a job that has ended leaves: its exit status, its output, and what it failed to end.

    `seconds` is the time from start to the end of mpiexec; `leftovers` describes the processes that
    were still there `GRACE` seconds later (and have been killed since).
    """

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    leftovers: tuple[str, ...] = ()

    def __str__(self) -> str:
        left = "".join(f"\nleft running: {process}" for process in self.leftovers)
        return (
            f"$ {shlex.join(self.command)}\n"
            f"exit status {self.returncode} after {self.seconds:.1f} s{left}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}\n---"
        )

    def check(self, status: int | None = 0) -> Run:
        """Fail unless it ended with this exit status (None: any but 0) and left nothing running."""
        as_expected = self.returncode != 0 if status is None else self.returncode == status
        if not as_expected:
            wanted = "a failure" if status is None else f"exit status {status}"
            pytest.fail(f"expected {wanted} of\n{self}", pytrace=False)
        if self.leftovers:
            pytest.fail(f"not all processes ended:\n{self}", pytrace=False)
        return self


class JobTimedOut(AssertionError):
    """A job outlived its limit; `run` is what it had written, the stacks of its ranks included."""

    def __init__(self, reason: str, run: Run) -> None:
        super().__init__(f"{reason}\n{run}")
        self.run = run


class Job:
    """A running job. As a context manager it leaves no process behind, whatever happens."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        timeout: float,
        typed: str | None = None,
    ) -> None:
        self.command = tuple(command)
        self.timeout = timeout
        self._mark = uuid.uuid4().hex
        # The launchers' session files go here too, so that a killed job leaves none in /tmp.
        self._directory = tempfile.TemporaryDirectory(
            prefix="scoop_mpi-", ignore_cleanup_errors=True
        )
        files = Path(self._directory.name)
        self._stdout = files / "stdout"
        self._stderr = files / "stderr"
        self._started = time.monotonic()
        self._started_at = time.time()
        # To append: `_dump_stacks` writes there too.
        with self._stdout.open("ab") as stdout, self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**environment, MARK: self._mark, "TMPDIR": self._directory.name},
                stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                # A session of its own: signals to the tests don't reach it, nor its own the tests.
                start_new_session=True,
            )
        if typed is not None and self._process.stdin is not None:
            with self._process.stdin as stdin:  # closed then: the end of what is typed
                stdin.write(typed.encode())

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._directory.cleanup()
        _remove_shared_memory(since=self._started_at)

    @property
    def stdout(self) -> str:
        """What the job has written to stdout so far."""
        return self._stdout.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What the job has written to stderr so far."""
        return self._stderr.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """All living processes of the job, mpiexec and its helpers included."""
        return [process for process in psutil.process_iter() if _is_marked(process, self._mark)]

    def rank_process(self, rank: int) -> psutil.Process:
        """The Python process that runs as this rank."""
        for process in filter(_is_python, self.processes()):
            environment = process.environ()
            if str(rank) in (environment.get(name) for name in RANK_VARIABLES):
                return process
        raise LookupError(f"no process runs as rank {rank} of\n{self._run()}")

    @property
    def is_running(self) -> bool:
        """Whether mpiexec (or the program, if it was started without) has not ended."""
        return self._process.poll() is None

    def wait_for(self, text: str) -> None:
        """Wait until the job has written `text` to stdout or stderr; raise if it ends without."""
        while text not in self.stdout and text not in self.stderr:
            ended = self._process.poll() is not None
            # What it wrote last may have come between the two looks.
            if ended and text not in self.stdout and text not in self.stderr:
                raise AssertionError(f"ended without writing {text!r}:\n{self._run()}")
            if self._seconds_left() <= 0:
                self._time_out(f"has not written {text!r} in {self.timeout:g} s")
            time.sleep(POLL)

    def send_signal(self, number: int) -> None:
        """Send mpiexec (or the program, if it was started without) a signal, as `kill` would."""
        self._process.send_signal(number)

    def press_interrupt(self) -> None:
        """Send SIGINT as a terminal does for Ctrl-C: to all processes still in mpiexec's group."""
        os.killpg(self._process.pid, signal.SIGINT)

    def finish(self) -> Run:
        """Wait until the job has ended and its processes are gone, and return what it leaves."""
        try:
            self._process.wait(max(0.0, self._seconds_left()))
        except subprocess.TimeoutExpired:
            self._time_out(f"not at its end after {self.timeout:g} s")
        seconds = time.monotonic() - self._started
        _wait_until(lambda: not self.processes(), GRACE)
        leftovers = tuple(_describe(process) for process in self.processes())
        self._kill()
        return self._run(seconds, leftovers)

    def _run(self, seconds: float | None = None, leftovers: tuple[str, ...] = ()) -> Run:
        status = self._process.returncode
        return Run(
            self.command,
            -1 if status is None else status,
            self.stdout,
            self.stderr,
            time.monotonic() - self._started if seconds is None else seconds,
            leftovers,
        )

    def _seconds_left(self) -> float:
        return self._started + self.timeout - time.monotonic()

    def _time_out(self, reason: str) -> None:
        running = tuple(_describe(process) for process in self.processes())
        self._dump_stacks()
        self._kill()
        raise JobTimedOut(reason, self._run(self.timeout, running))

    def _dump_stacks(self) -> None:
        """Make every Python process of the job write its stacks to stderr, of which it dies.

        A launcher kills the other ranks as soon as one has died, often before they have written
        theirs, and may itself end without having read them all. So the launchers stand still
        meanwhile, and what is in the pipes to them is read here.
        """
        processes = self.processes()
        ranks = [process for process in processes if _is_python(process)]
        launchers = [process for process in processes if process not in ranks]
        _signal_all(launchers, signal.SIGSTOP)
        with contextlib.ExitStack() as stack:
            pipes = [stack.enter_context(pipe) for pipe in _stderr_pipes(ranks)]
            _signal_all(ranks, signal.SIGABRT)
            _wait_until(lambda: not any(is_alive(process) for process in ranks), DUMP_LIMIT)
            with self._stderr.open("ab") as stderr:
                for pipe in pipes:
                    stderr.write(pipe.read() or b"")
        _signal_all(launchers, signal.SIGCONT)
        _wait_until(lambda: self._process.poll() is not None, DUMP_LIMIT)

    def _kill(self) -> None:
        # Again and again: a process may start another while its siblings are being killed.
        def all_gone() -> bool:
            processes = self.processes()
            _signal_all(processes, signal.SIGKILL)
            return not processes

        _wait_until(all_gone, DUMP_LIMIT)
        self._process.wait(DUMP_LIMIT)


def start(
    *arguments: str | Path,
    ranks: int | None = 4,
    python: Sequence[str] = ("-m", "scoop_mpi"),
    timeout: float = TIMEOUT,
    env: Mapping[str, str | None] | None = None,
    cwd: Path = ROOT,
    typed: str | None = None,
    launcher: Sequence[str | Path] | None = None,
) -> Job:
    """Start `mpiexec -n ranks python -m scoop_mpi *arguments` and return the running job.

    arguments: what follows `python -m scoop_mpi`: options, program, its arguments.
    ranks: how many; None starts Python itself, without mpiexec.
    python: what stands between Python and the arguments; empty to run a program without scoop_mpi.
    timeout: seconds from start to end, of the whole job.
    env: variables to add to the environment; None takes one out.
    cwd: the job's working directory.
    typed: what it gets on its standard input, a pipe; None: nothing. Less than a pipe holds.
    launcher: what stands before Python, if it isn't `mpiexec -n ranks`.
    """
    if launcher is None:
        launcher = [] if ranks is None else [find_mpiexec(), "-n", str(ranks)]
    command = [*map(str, launcher), sys.executable, *python, *map(str, arguments)]
    return Job(command, _environment(env or {}), cwd, timeout, typed)


def launch(
    *arguments: str | Path,
    ranks: int | None = 4,
    python: Sequence[str] = ("-m", "scoop_mpi"),
    timeout: float = TIMEOUT,
    env: Mapping[str, str | None] | None = None,
    cwd: Path = ROOT,
    typed: str | None = None,
    launcher: Sequence[str | Path] | None = None,
) -> Run:
    """Run a job to its end; the arguments are those of `start`."""
    with start(
        *arguments,
        ranks=ranks,
        python=python,
        timeout=timeout,
        env=env,
        cwd=cwd,
        typed=typed,
        launcher=launcher,
    ) as job:
        return job.finish()


@functools.cache
def find_mpiexec() -> str:
    """The mpiexec of the running interpreter's environment, else the first one on PATH."""
    # The interpreter's path is not resolved: in a virtual environment it is a link to elsewhere.
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise FileNotFoundError(
            f"no mpiexec beside {sys.executable} or on PATH: pip install 'scoop_mpi[mpich]'"
        )
    return found


@functools.cache
def mpi_library() -> str:
    """What the MPI library that mpi4py uses says of its version, on one line."""
    # Another process is asked: one that has loaded MPI should not start MPI jobs.
    question = "from mpi4py import rc; rc.initialize = False; from mpi4py import MPI;"
    question += "print(MPI.Get_library_version())"
    answer = subprocess.run(
        [sys.executable, "-c", question],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    return " ".join(answer.stdout.split())


def uses_open_mpi() -> bool:
    """Whether the jobs run on Open MPI."""
    return mpi_library().startswith("Open MPI")


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process' environment with what the jobs need, the test's own changes last."""
    environment = {
        # An MPI takes no notice of another's.
        **OPEN_MPI_SETTINGS,
        **INTEL_MPI_SETTINGS,
        **os.environ,
        # Stacks on SIGABRT, and on a crash in C code.
        "PYTHONFAULTHANDLER": "1",
        # The job uses this checkout's package, as the tests do, whatever its working directory.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    # As in a user's shell: buffered, which a program that ends without a flush would lose.
    environment.pop("PYTHONUNBUFFERED", None)
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Return when the condition holds, or after that many seconds."""
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(POLL)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie, whose parent has not yet asked for its status, doesn't."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and is_alive(process)
    except psutil.Error:  # gone meanwhile, or somebody else's
        return False


def _is_python(process: psutil.Process) -> bool:
    try:
        return Path(process.exe()).name.startswith(("python", "pypy"))
    except psutil.Error:
        return False


def _stderr_pipes(processes: Iterable[psutil.Process]) -> Iterator[BinaryIO]:
    """The other ends of the pipes that these processes have as stderr; what isn't one is left."""
    seen = set()
    for process in processes:
        path = Path(f"/proc/{process.pid}/fd/2")
        try:
            status = path.stat()
            if stat.S_ISFIFO(status.st_mode) and status.st_ino not in seen:
                seen.add(status.st_ino)
                yield os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
        except OSError:  # gone meanwhile, or somebody else's
            continue


def _describe(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({process.status()}): {shlex.join(process.cmdline())}"
    except psutil.Error:
        return f"process {process.pid} (gone since)"


def _remove_shared_memory(since: float) -> None:
    """Remove the segments that killed ranks left; a container has space for a dozen of them."""
    for pattern in SHARED_MEMORY:
        for path in Path("/dev/shm").glob(pattern):
            try:
                status = path.stat()
                ours = status.st_uid == os.getuid() and status.st_mtime >= since
                if ours and not _is_mapped(path):
                    path.unlink()
            except FileNotFoundError:  # another job's, which has just ended
                continue


def _is_mapped(path: Path) -> bool:
    """Whether a process uses this file; it may be one of a job that runs beside."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            if str(path) in maps.read_text():
                return True
        except OSError:  # gone meanwhile, or somebody else's
            continue
    return False


def _signal_all(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
