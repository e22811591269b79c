"""Who writes a journal: one job at a time, by a file beside it that says which.

File systems of clusters may know no locks, or forget them when a node is lost. So the file tells
which process has made it, and that touches it now and then, as long as it lives:

    it was on this host, and is gone          the file is of no use any more
    Slurm or SGE has started its job again    likewise
    it is on another host                     it is watched: it must touch the file within a minute
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from scoop_mpi.journal.records import JournalError

SECONDS_OF_A_TOUCH = 10.0  # after which it is touched again
_SECONDS_WATCHED = 60.0  # without a touch: then he is gone
_SECONDS_OF_A_LOOK = 1.0
_SECONDS_TO_GO = 5.0  # that a job of this host has, which may just be at its end
_ENDED = ("X", "Z")  # states of processes that have, as Linux tells them


class Lock:
    """The file that says who writes a journal. Making it takes the journal.

    Args:
        journal: the path of the journal.
        environment: the process's environment variables.
        tell: called with a text if it takes a while.
        sleep: waits some seconds.

    Raises:
        JournalError: another job writes the journal.
        OSError: the file can't be made.
    """

    def __init__(
        self,
        journal: str,
        environment: Mapping[str, str],
        tell: Callable[[str], object],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._path = f"{journal}.lock"
        self._me = {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "began": _began(os.getpid()),
            "job": _job(environment),
        }
        while not self._take():
            holder = self._holder()
            if holder is None or _is_gone(holder, self._me):
                self._remove()
                continue
            if holder["host"] == self._me["host"] and self._goes(holder, sleep):
                continue
            is_here = holder["host"] == self._me["host"]
            if not is_here:
                tell(
                    f"the journal {journal} was left locked, or is in use, by process "
                    f"{holder['pid']} on {holder['host']}: waiting up to {_SECONDS_WATCHED:.0f} s "
                    "to see which"
                )
            if is_here or self._is_touched(sleep):
                raise JournalError(
                    f"the journal {journal} is in use: process {holder['pid']} on "
                    f"{holder['host']} writes it. Wait for the end of that job, or name another "
                    f"file. If it is not running any more, delete {self._path}"
                )
            self._remove()

    def touch(self) -> None:
        """Show that this process lives.

        Raises:
            OSError: the file is gone, or another's.
        """
        os.utime(self._path)

    def release(self) -> None:
        """Leave the journal to others."""
        if self._holder() == self._me:
            self._remove()

    def _take(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, json.dumps(self._me).encode())
        finally:
            os.close(descriptor)
        return True

    def _remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _holder(self) -> dict[str, Any] | None:
        """Return what the file says of who has made it; None: it is gone, or not whole."""
        try:
            with open(self._path, "rb") as file:
                holder = json.loads(file.read())
        except (FileNotFoundError, ValueError):
            return None
        is_whole = isinstance(holder, dict) and self._me.keys() <= holder.keys()
        return holder if is_whole else None

    def _goes(self, holder: Mapping[str, Any], sleep: Callable[[float], object]) -> bool:
        """Watch a process of this host for a moment; say whether it ends."""
        for _ in range(round(_SECONDS_TO_GO / _SECONDS_OF_A_LOOK)):
            sleep(_SECONDS_OF_A_LOOK)
            if _is_gone(holder, self._me) or self._holder() != holder:
                return True
        return False

    def _is_touched(self, sleep: Callable[[float], object]) -> bool:
        """Watch the file for a while; say whether it is touched."""
        before = self._touched_at()
        for _ in range(round(_SECONDS_WATCHED / _SECONDS_OF_A_LOOK)):
            sleep(_SECONDS_OF_A_LOOK)
            now = self._touched_at()
            if now is None:
                return False
            if now != before:
                return True
        return False

    def _touched_at(self) -> int | None:
        """Return when it was last touched, as the file's server has it; None: it is gone."""
        try:
            # NFS asks the server when a file is opened, not each time that somebody wants to know.
            with open(self._path, "rb") as file:
                return os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            return None


def _is_gone(holder: Mapping[str, Any], me: Mapping[str, Any]) -> bool:
    """Say whether it is certain that who has made the file has ended."""
    if holder["job"] is not None and me["job"] is not None:
        (name, start), (own_name, own_start) = holder["job"], me["job"]
        if name == own_name and start < own_start:
            return True
    if holder["host"] != me["host"]:
        return False
    began = _began(holder["pid"])
    return began is None or began != holder["began"]


def _began(pid: int) -> str | None:
    """Return what tells a process from a later one of its number; None: it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *others = file.read().rpartition(")")[2].split()
            return None if state in _ENDED else others[18]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def _job(environment: Mapping[str, str]) -> list[Any] | None:
    """Return the scheduler's job, and how often it has been started before; None: there is none."""
    if "SLURM_JOB_ID" in environment:
        return [environment["SLURM_JOB_ID"], int(environment.get("SLURM_RESTART_COUNT") or 0)]
    if "SGE_TASK_ID" in environment and "JOB_ID" in environment:
        name = f"{environment['JOB_ID']}.{environment['SGE_TASK_ID']}"
        return [name, int(environment.get("RESTARTED") == "1")]
    return None
