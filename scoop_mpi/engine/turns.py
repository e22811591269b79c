"""Turns: which of the program's threads make calls that other ranks could make as well.

Threads of one process share Python's lock: two that compute take twice as long. So where a thread
waits for calls that nobody has begun, it makes them itself only when it is its turn, which is one
thread's at a time. The calls of the others stay where other ranks can take them meanwhile.

    thread 1    calls ------------------>|waits for others' results|  ...
    thread 2    waits for its turn ......|calls ------------------------>
    thread 3    waits for its turn ........| done by another rank

One thread that waits for one call after the other makes them all itself, as long as they are short:
sending them away would only take time. Of long ones every other is offered to ranks that have
nothing to do, as this process may have other threads that compute.

It must go on whatever the calls do: sleep, wait for the disk, or for a call of another thread. So
after a while in which this process has computed little, twice as many threads get a turn. And if
those that have one compute on and on, one more gets it now and then.

It knows neither calls nor queues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Protocol

_PATIENCE = 0.02  # seconds after which it is looked whether this process computes
_BUSY = 0.1  # of a core's time: then it does, and may share the core with other ranks
_LONG = 0.005  # seconds: calls worth while sending away, though nobody computes here
# Seconds for one thread that computes on and on, after which a second one gets a turn; the time
# doubles with each.
_LONGEST_TURN = 1.0


class Waiting(Protocol):
    """A thread that waits: `notify` has it look again whether it is its turn."""

    def notify(self) -> None: ...


class Turns:
    """The turns of one process.

    Args:
        clock: tells the time, in seconds.
        cpu_clock: tells how many seconds this process has computed.
    """

    def __init__(
        self, clock: Callable[[], float], cpu_clock: Callable[[], float] = time.process_time
    ) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._lock = threading.Lock()  # held for moments
        self._depths: dict[int, int] = {}  # of the threads that have a turn: calls within calls
        self._entered_at: dict[int, float] = {}
        self._took = 0.0  # the last turn that ended, in seconds
        self._offers = False  # by turns
        self._computing = 0  # of these: the threads that don't wait
        self._most = 1  # threads that may compute at a time
        self._refused: set[int] = set()  # threads that were told to wait
        self._queue: dict[int, Waiting] = {}  # threads that do, for their turn
        self._last = 0  # the thread that had a turn last
        self._others_until = 0.0  # until when those that wait go before it
        self._looked_at = 0.0
        self._had_computed = 0.0
        self._moved_at = 0.0

    def is_mine(self) -> bool:
        """Say whether the calling thread makes a call already, within which it makes others."""
        return get_ident() in self._depths

    def should_offer(self) -> bool:
        """Say whether to offer a call to others first, although it is this thread's turn."""
        if self._took < _LONG:
            return False
        self._offers = not self._offers
        return self._offers

    def enter(self, at_once: bool = False) -> bool:
        """Take a turn, if it is this thread's; return whether it is.

        If not, the thread will be notified: by what it waits for, or when its turn may have come.

        Args:
            at_once: it is: there is no other rank to make the call.
        """
        thread = get_ident()
        if thread in self._depths:
            self._depths[thread] += 1
            return True
        with self._lock:
            now = self._clock()
            self._look(now)
            if not at_once and not self._is_free(thread, now):
                self._refused.add(thread)
                return False
            self._depths[thread] = 1
            self._entered_at[thread] = now
            self._computing += 1
            self._moved_at = now
            self._last = 0
            self._call_next()
            return True

    def leave(self) -> None:
        """Give back what `enter` has given."""
        thread = get_ident()
        if self._depths[thread] > 1:
            self._depths[thread] -= 1
            return
        del self._depths[thread]
        with self._lock:
            now = self._clock()
            self._took = now - self._entered_at.pop(thread)
            self._last = thread
            self._others_until = now + _PATIENCE
        self._stop_computing()

    @contextmanager
    def waiting(self, waiter: Waiting) -> Iterator[float | None]:
        """Let others have turns while this thread waits; yield how many seconds it may, at most.

        Args:
            waiter: the thread's. If it was refused a turn, it is notified when it may get one.
        """
        thread = get_ident()
        if thread in self._depths:
            self._stop_computing()
            try:
                yield None
            finally:
                with self._lock:
                    self._computing += 1
        elif thread in self._refused:
            self._refused.discard(thread)
            try:
                yield self._line_up(thread, waiter)
            finally:
                with self._lock:
                    self._queue.pop(thread, None)
                    self._call_next()  # for this thread may not want its turn any more
        else:
            yield None

    def _line_up(self, thread: int, waiter: Waiting) -> float:
        with self._lock:
            if self._is_free(thread, self._clock()):
                return 0.0
            self._queue[thread] = waiter
            return _PATIENCE * len(self._queue)  # so that one of them looks each 20 ms

    def _stop_computing(self) -> None:
        with self._lock:
            self._computing -= 1
            self._moved_at = self._clock()
            self._call_next()

    def _is_free(self, thread: int, now: float) -> bool:
        if self._computing >= self._most:
            return False
        return thread != self._last or not self._queue or now >= self._others_until

    def _call_next(self) -> None:
        """Have the first in the queue try, if there is a turn for it."""
        if self._queue and self._computing < self._most:
            next(iter(self._queue.values())).notify()

    def _look(self, now: float) -> None:
        """Decide how many threads may compute at a time."""
        seconds = now - self._looked_at
        if seconds < _PATIENCE:
            return
        computed = self._cpu_clock()
        is_busy = computed - self._had_computed > _BUSY * seconds
        self._looked_at, self._had_computed = now, computed
        if not self._computing or is_busy:
            self._most = 1
            if now - self._moved_at > _LONGEST_TURN * 2**self._computing:
                self._most = self._computing + 1
        else:
            self._most = max(2 * self._computing, self._most)
