"""The program's standard input: the very one that this command was given, where that can be done.

mpiexec reads its own, and sends it on to the root. MPICH's ends the job if the root doesn't keep
up, Open MPI's never tells of the end. So where this process starts mpiexec, it keeps its standard
input open, mpiexec gets nothing, and the root opens what was kept:

    python -m scoop_mpi -n 4          0: /dev/null, 10: the file or pipe that it was given
    mpiexec                           0: /dev/null
    rank 0                            0: /proc/<the first process>/fd/10, opened

Not a socket, which can't be opened. And only on one host. A terminal is read by this process alone,
and goes on through a pipe: mpiexec and the ranks are in groups of their own, which may not read it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping

from scoop_mpi.launch import descriptors, launchers

_VARIABLE = "SCOOP_MPI_STANDARD_INPUT"
# Without waiting for who writes into a named pipe; and a terminal won't become ours.
_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_LEAST_DESCRIPTOR = 10  # a shell's redirections use those below

# By which mpiexec learns of hosts besides from us.
_HOST_OPTIONS = frozenset(
    ("f", "host", "hosts", "hostfile", "hostlist", "machine", "machinefile", "default-hostfile")
)
_HOST_VARIABLES = frozenset(
    (
        *("HYDRA_HOST_FILE", "I_MPI_HYDRA_HOST_FILE", "PRTE_MCA_prte_default_hostfile"),
        *("SLURM_JOB_ID", "PBS_NODEFILE", "PE_HOSTFILE", "LSB_MCPU_HOSTS"),
    )
)


def leave_terminal() -> None:
    """If standard input is a terminal, read that in a thread, and have a pipe in its place."""
    if not os.isatty(0):
        return
    terminal = os.dup(0)
    reading, writing = os.pipe()
    os.dup2(reading, 0)
    os.close(reading)
    is_continued = threading.Event()
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background, reading is to fail
    signal.signal(signal.SIGCONT, lambda *_: is_continued.set())
    threading.Thread(
        target=_relay,
        args=(terminal, writing, is_continued),
        name="scoop_mpi-terminal",
        daemon=True,
    ).start()


def _relay(terminal: int, pipe: int, is_continued: threading.Event) -> None:
    while True:
        is_continued.clear()
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # this process is in the background, or the terminal is gone
            is_continued.wait()
            continue
        if not data:
            break
        try:
            os.write(pipe, data)
        except BrokenPipeError:  # nobody reads it any more
            break
    os.close(pipe)


def keep() -> dict[str, str]:
    """Keep standard input open for the root; mpiexec's own is empty then.

    Returns:
        The variables that tell the root where it is; none if mpiexec is to pass it on.
    """
    try:
        status = os.fstat(0)
        is_stream = stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)
        if not (is_stream or stat.S_ISREG(status.st_mode)):
            return {}
        os.close(os.open("/proc/self/fd/0", _READING))  # whether it can be
        offset = 0 if is_stream else os.lseek(0, 0, os.SEEK_CUR)
    except OSError:  # it can't be opened anew, or this system doesn't have /proc
        return {}
    kept = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return {_VARIABLE: f"{offset} {descriptors.place(kept)}"}


def take(environment: MutableMapping[str, str]) -> None:
    """On the root, take the standard input that was kept for it, if one was.

    Args:
        environment: the process's environment variables. That of ours is removed.

    Raises:
        OSError: it isn't there any more, or can't be opened.
    """
    kept = environment.pop(_VARIABLE, None)
    if kept is None or not launchers.is_first(environment):
        return
    offset, _, place = kept.partition(" ")
    descriptor = descriptors.reopen(place, _READING)
    try:
        os.set_blocking(descriptor, True)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.lseek(descriptor, int(offset), os.SEEK_SET)
        os.dup2(descriptor, 0)
    finally:
        os.close(descriptor)
    if sys.stdin is not None:
        # Anew, as it has found out already what can be done with the pipe that it had.
        sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115


def may_be_elsewhere(options: Iterable[str], environment: Mapping[str, str]) -> bool:
    """Say whether mpiexec may start the root on another host.

    Args:
        options: the user's own for mpiexec.
        environment: the process's environment variables.
    """
    names = {word.lstrip("-").partition("=")[0] for word in options}
    return bool(names & _HOST_OPTIONS or _HOST_VARIABLES & environment.keys())
