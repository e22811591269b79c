"""Memory for messages that come in: large pieces are used again once nobody holds them any more.

Memory that the system has just handed out is filled with zeros first, which takes about as long as
receiving into it does. So what held a large array that is gone is kept for the next one, up to a
limit. Whoever gets a piece of memory may keep it for as long as they like.
"""

from __future__ import annotations

import weakref
from typing import Any

_SMALLEST_KEPT = 1 << 20  # bytes
_MOST_KEPT = 64 << 20  # bytes, in all


class Buffers:
    """Hands out memory."""

    def __init__(self) -> None:
        self._free: list[Any] = []

    def take(self, size: int) -> Any:
        """Return `size` bytes of writable memory: a bytearray or, of a large size, an array."""
        if size < _SMALLEST_KEPT:
            return bytearray(size)
        # So much is hardly ever anything else than numpy's arrays, and a bytearray is filled with
        # zeros once more.
        import numpy

        memory = self._take_free(size)
        if memory is None:
            memory = numpy.empty(size, numpy.uint8)
        # Whatever is made of this array refers to it, so when it is gone, all is. It must not be a
        # view of `memory`: numpy would let views of it refer to `memory` instead.
        view = numpy.frombuffer(memory.data, numpy.uint8, size)
        weakref.finalize(view, self._give_back, memory).atexit = False
        return view

    def _take_free(self, size: int) -> Any:
        """Return the free piece that fits best. If none fits well, sizes have changed: drop all."""
        fitting = [memory for memory in self._free if size <= len(memory) <= 2 * size]
        if not fitting:
            self._free = []
            return None
        best = min(fitting, key=len)
        self._free = [memory for memory in self._free if memory is not best]
        return best

    def _give_back(self, memory: Any) -> None:
        """Nobody refers to `memory` any more. This may come at any time, in any thread."""
        if sum(map(len, self._free)) + len(memory) <= _MOST_KEPT:
            self._free.append(memory)
