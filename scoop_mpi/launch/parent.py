"""The process that has started mpiexec, and stays its parent until the job ends.

mpiexec gives a job little time to end: Open MPI's a fifth of a second. Nor is its exit status
always the program's. So a signal that asks the job to end doesn't go to mpiexec. It goes to the
root, which ends the job in its own time, and tells its exit status itself:

    this process   -->  mpiexec, in a process group of its own  -->  ranks
        ^     |
        |     '--------- signals ---------------------------->  the root
        '--------------- "root PID", "end STATUS" ------------  into a pipe of this process's

The root opens the pipe by /proc. If it can't, because it is on another host, or before it has come
so far, mpiexec gets the signals. If this process is killed, so is mpiexec (on Linux).
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from scoop_mpi.errors import StartError
from scoop_mpi.launch import descriptors, line_to_parent
from scoop_mpi.system import streams

_TERMINATED = 128 + signal.SIGTERM  # the exit status of a program that has ended by it
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_SECONDS_OF_A_SECOND_KEY = 1.0  # within which another Ctrl-C ends everything
_SECONDS_BEHIND_ROOT = 5.0  # after the job's grace, until something is done about it
_SECONDS_TO_END = 5.0  # that the job then has, before more is done


def run(
    command: Sequence[str],
    variables: Mapping[str, str],
    grace: float,
    restarts: int = 0,
    journal: str | None = None,
) -> int:
    """Run mpiexec, and return the exit status of the job.

    Args:
        command: mpiexec's.
        variables: what is added to its environment.
        grace: seconds that the job may go on after SIGTERM.
        restarts: how often to run it again, if the root is gone before the program's end, and
            nobody has asked for that.
        journal: the job's; None: it has none.

    Raises:
        StartError: mpiexec can't be run.
    """
    ours = [number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    for attempt in range(restarts + 1):
        job = _Job(grace)
        for number in ours:
            signal.signal(number, job.signalled)
        signal.signal(signal.SIGALRM, job.is_overdue)
        try:
            job.start(command, variables)
        except OSError as error:
            raise StartError(f"can't run {command[0]}: {error}") from error
        job.wait()
        if attempt < restarts and job.is_lost:
            how = f"goes on with {journal}" if journal else "without --journal all is made again"
            streams.write_error(
                f"scoop_mpi: the job was lost before the program's end. It is started again "
                f"({attempt + 1} of {restarts}): {how}.\n"
            )
            job.close()
            continue
        break
    return job.end()


class _Job:
    """mpiexec, and what the root has said so far.

    Args:
        grace: seconds that the job may go on after SIGTERM.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe, writing = os.pipe()
        os.close(writing)  # the root opens the pipe anew
        os.set_blocking(self._pipe, False)
        self._said = b""
        self._status = 0  # mpiexec's
        self._was_signalled = False
        self._early: list[int] = []  # signals that came before mpiexec was there
        self._interrupted_at = -_SECONDS_OF_A_SECOND_KEY
        self._measures: Iterator[Callable[[], object]] | None = None  # once the job has to end

    def start(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start mpiexec.

        Raises:
            OSError: it can't be.
        """
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        place = descriptors.place(self._pipe)
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **variables, line_to_parent.VARIABLE: place},
            close_fds=False,
            preexec_fn=_leave_group(),
        )
        for number in self._early:
            self._process.send_signal(number)

    def wait(self) -> None:
        """Wait for mpiexec to end."""
        assert self._process is not None
        self._status = self._process.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)

    @property
    def is_lost(self) -> bool:
        """Whether the root has begun, and come to no end of its own, though nobody asked for it.

        So mpiexec has ended without it, or has killed it. Open MPI's sends SIGTERM first, and the
        root may just have had the time to tell that it ends by that. What is left is killed.
        """
        words = self._words()
        if "root" not in words or self._was_signalled:
            return False
        if words.get("end", _TERMINATED) != _TERMINATED:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(words["root"], signal.SIGKILL)
        return True

    def close(self) -> None:
        """Listen to it no longer."""
        os.close(self._pipe)

    def end(self) -> int:
        """Return the exit status of the job, which has ended, or end as mpiexec did."""
        status = self._status
        words = self._words()
        if words.get("end"):
            return words["end"]
        if status < 0:  # end as it did
            if -status != signal.SIGKILL:
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        if status == 0 and "root" in words and "end" not in words:
            streams.write_error(
                "scoop_mpi: mpiexec has ended with status 0, but rank 0 was gone before the "
                "program's end. Has C code called exit()?\n"
            )
            return 1
        return status

    def signalled(self, number: int, _: FrameType | None) -> None:
        """Send a signal on to the root; to mpiexec, if there is none that would take it."""
        self._was_signalled = True
        if self._process is None:
            self._early.append(number)
            return
        words = self._words()
        if "root" not in words or "end" in words:
            self._process.send_signal(number)
            return
        if self._measures is None and (number == signal.SIGTERM or self._is_second_key(number)):
            kill_root = functools.partial(os.kill, words["root"], signal.SIGKILL)
            self._measures = iter((kill_root, self._process.terminate, self._process.kill))
            if number == signal.SIGINT:  # mpiexec would only pass it on to the ranks
                self.is_overdue()
                return
            signal.setitimer(signal.ITIMER_REAL, self._grace + _SECONDS_BEHIND_ROOT)
        with contextlib.suppress(ProcessLookupError):  # mpiexec is about to notice
            os.kill(words["root"], number)

    def is_overdue(self, *_: Any) -> None:
        """Do more to end the job, which hasn't ended though it was asked to."""
        assert self._measures is not None
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_END)
        with contextlib.suppress(ProcessLookupError):
            next(self._measures, lambda: None)()

    def _is_second_key(self, number: int) -> bool:
        if number != signal.SIGINT:
            return False
        now = time.monotonic()
        before, self._interrupted_at = self._interrupted_at, now
        return now - before < _SECONDS_OF_A_SECOND_KEY

    def _words(self) -> dict[str, int]:
        """Return what the root has said."""
        with contextlib.suppress(BlockingIOError):  # nothing more
            while data := os.read(self._pipe, 1024):
                self._said += data
        lines = self._said.decode().splitlines()
        return {word: int(number) for word, number in map(str.split, lines)}


def _leave_group() -> Callable[[], None]:
    """Return what mpiexec does before it is mpiexec: it takes itself out of Ctrl-C's reach."""
    end_with_parent = _end_with_parent()

    def leave() -> None:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTIN, signal.SIG_DFL)  # see `standard_input.leave_terminal`
        end_with_parent()

    return leave


def _end_with_parent() -> Callable[[], object]:
    """Return what has a process get SIGTERM as soon as its parent is gone, on Linux."""
    if sys.platform != "linux":
        return lambda: None
    import ctypes

    libc = ctypes.CDLL(None)
    set_signal_of_parents_death = 1  # PR_SET_PDEATHSIG
    return lambda: libc.prctl(set_signal_of_parents_death, int(signal.SIGTERM), 0, 0, 0)
