"""The root's line to the process that has started mpiexec: see `parent`.

Apart from that, as every rank comes by here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping

from scoop_mpi.launch import descriptors, launchers

VARIABLE = "SCOOP_MPI_PARENT"


class Line:
    """By which the root tells the parent of itself.

    Args:
        pipe: the parent's; None: there is no parent, or it is on another host.
    """

    def __init__(self, pipe: int | None = None) -> None:
        self._pipe = pipe

    def announce(self) -> None:
        """Tell that this process takes signals from now on."""
        self._say("root", os.getpid())

    def tell_end(self, status: int) -> None:
        """Tell that the program has ended, and with what exit status."""
        self._say("end", status)

    def _say(self, word: str, number: int) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # the parent is gone
                os.write(self._pipe, f"{word} {number}\n".encode())


def take(environment: MutableMapping[str, str]) -> Line:
    """Return the line to the parent. A worker has none.

    Args:
        environment: the process's environment variables. That of ours is removed.
    """
    place = environment.pop(VARIABLE, None)
    if place is None or not launchers.is_first(environment):
        return Line()
    try:
        # Without waiting for who reads it: the parent may have ended.
        return Line(descriptors.reopen(place, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return Line()  # it is on another host
