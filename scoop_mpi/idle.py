"""What a rank does while there is nothing to do: spin, then yield, then sleep.

A reply that is about to come is met spinning, within a microsecond. A rank that has been idle for
longer costs next to nothing. Where a node has more ranks than cores, spinning would take the core
from a rank that works, so there a rank yields at once and sleeps longer.
"""

from __future__ import annotations

import os
import time

_SPINS = 50  # of about a microsecond each
_YIELDS = 200
_FIRST_SLEEP = 20e-6  # seconds
_LONGEST_SLEEP = 1e-3
_LONGEST_CROWDED_SLEEP = 5e-3
_GROWTH = 1.2


class Backoff:
    """Pauses that grow from nothing while a rank stays idle.

    Args:
        crowded: whether the node has more ranks than cores.
    """

    def __init__(self, crowded: bool) -> None:
        self._spins = 0 if crowded else _SPINS
        self._yields = self._spins + (20 if crowded else _YIELDS)
        self._longest = _LONGEST_CROWDED_SLEEP if crowded else _LONGEST_SLEEP
        self._count = 0
        self._sleep = _FIRST_SLEEP

    def reset(self) -> None:
        """There was something to do."""
        self._count = 0
        self._sleep = _FIRST_SLEEP

    def pause(self, limit: float | None) -> None:
        """There was nothing to do again; wait a moment, at most `limit` seconds."""
        self._count += 1
        if self._count <= self._spins:
            return
        if self._count <= self._yields:
            os.sched_yield()
            return
        time.sleep(self._sleep if limit is None else max(min(self._sleep, limit), 0.0))
        self._sleep = min(self._sleep * _GROWTH, self._longest)
