"""What a rank does while there is nothing to do: spin, then yield, then sleep.

A reply that is about to come is met spinning, within a microsecond. A rank that has been idle for
longer costs next to nothing. Where a node has more ranks than cores, spinning would take the core
from a rank that works, so there a rank yields at once and sleeps longer.
"""

from __future__ import annotations

import os
import time

_SPINS = 50  # of some microseconds each
_LOOKS = 4  # of a quarter of a microsecond each; the other duties take longer than all of them
_YIELDS = 200
_CROWDED_YIELDS = 20
_FIRST_SLEEP = 20e-6  # seconds
# The same where ranks share cores, times the ranks of a core. A wake-up takes some 40 us of a core,
# and so those of the ranks that have just run out of work take half of it at the most.
_CROWDED_FIRST_SLEEP = 80e-6
# A sleep is no longer than this share of the time that the rank has slept already, so that it adds
# as little to the time until work begins.
_SHARE = 0.005
_CROWDED_SHARE = 0.01
_LONGEST_SLEEP = 10e-3
_LONGEST_CROWDED_SLEEP = 25e-3
_LONGEST_SLEEP_PER_RANK = 1.5e-3  # times the ranks of a core, where there are very many


class Backoff:
    """Pauses that grow from nothing while a rank stays idle.

    Args:
        ranks_per_core: how many ranks share a core of this node.

    Attributes:
        looks: how many times in a row to look for a message, between two pauses.
    """

    def __init__(self, ranks_per_core: float) -> None:
        is_crowded = ranks_per_core > 1
        self.looks = 1 if is_crowded else _LOOKS
        self._spins = 0 if is_crowded else _SPINS
        self._yields = self._spins + (_CROWDED_YIELDS if is_crowded else _YIELDS)
        self._share = _CROWDED_SHARE if is_crowded else _SHARE
        self._first = _CROWDED_FIRST_SLEEP * ranks_per_core if is_crowded else _FIRST_SLEEP
        self._longest = max(
            _LONGEST_CROWDED_SLEEP if is_crowded else _LONGEST_SLEEP,
            _LONGEST_SLEEP_PER_RANK * ranks_per_core,
        )
        self._count = 0
        self._slept = 0.0

    def reset(self) -> None:
        """There was something to do."""
        self._count = 0
        self._slept = 0.0

    def pause(self, limit: float | None) -> None:
        """There was nothing to do again; wait a moment, at most `limit` seconds."""
        self._count += 1
        if self._count <= self._spins:
            return
        if self._count <= self._yields:
            os.sched_yield()
            return
        seconds = min(max(self._first, self._share * self._slept), self._longest)
        if limit is not None:
            seconds = max(min(seconds, limit), 0.0)
        time.sleep(seconds)
        self._slept += seconds
