"""The program's standard input: the very one that this command was given, where that can be done.

mpiexec reads its own, and sends it on to the root. MPICH's ends the job if the root doesn't keep
up, Open MPI's never tells of the end. So where this process becomes mpiexec, it keeps its standard
input open beside mpiexec's, which gets nothing, and the root opens the same one:

    python -m scoop_mpi -n 4          0: a file or pipe
    becomes mpiexec                   0: /dev/null, 10: the file or pipe
    rank 0                            0: /proc/<mpiexec's process>/fd/10, opened

Not a terminal: a process in a group of its own may not read from it. Not a socket, which can't be
opened. And only on one host.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Iterable, Mapping, MutableMapping

from scoop_mpi.launch import launchers

_VARIABLE = "SCOOP_MPI_STANDARD_INPUT"
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


def keep() -> dict[str, str]:
    """Keep standard input open beside mpiexec's own, for the root.

    Returns:
        The variables that tell the root where it is; none if mpiexec is to pass it on.
    """
    try:
        status = os.fstat(0)
        is_stream = stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)
        if os.isatty(0) or not (is_stream or stat.S_ISREG(status.st_mode)):
            return {}
        os.close(_open("/proc/self/fd/0"))  # whether it can be
        offset = 0 if is_stream else os.lseek(0, 0, os.SEEK_CUR)
    except OSError:  # it can't be opened anew, or this system doesn't have /proc
        return {}
    kept = fcntl.fcntl(0, fcntl.F_DUPFD, _LEAST_DESCRIPTOR)  # which mpiexec inherits
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    place = (os.getpid(), kept, status.st_dev, status.st_ino, offset)
    return {_VARIABLE: " ".join(map(str, place))}


def take(environment: MutableMapping[str, str]) -> None:
    """On the root, take the standard input that was kept for it, if one was.

    Args:
        environment: the process's environment variables. That of ours is removed.

    Raises:
        OSError: it isn't there any more, or can't be opened.
    """
    place = environment.pop(_VARIABLE, None)
    if place is None or not launchers.is_first(environment):
        return
    process, kept, device, inode, offset = map(int, place.split())
    path = f"/proc/{process}/fd/{kept}"
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (device, inode):
            raise FileNotFoundError(f"{path} is another file")
        os.set_blocking(descriptor, True)
        if stat.S_ISREG(status.st_mode):
            os.lseek(descriptor, offset, os.SEEK_SET)
        os.dup2(descriptor, 0)
    finally:
        os.close(descriptor)
    if sys.stdin is not None:
        # Anew, as it has found out already what can be done with the pipe that it had.
        sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115


def _open(path: str) -> int:
    # Without waiting for who writes into a named pipe; and a terminal won't become ours.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)


def may_be_elsewhere(options: Iterable[str], environment: Mapping[str, str]) -> bool:
    """Say whether mpiexec may start the root on another host.

    Args:
        options: the user's own for mpiexec.
        environment: the process's environment variables.
    """
    names = {word.lstrip("-").partition("=")[0] for word in options}
    return bool(names & _HOST_OPTIONS or _HOST_VARIABLES & environment.keys())
