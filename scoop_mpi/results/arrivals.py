"""Arrivals: which of many futures are done, in the order in which that happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from scoop_mpi.engine.hub import Hub
from scoop_mpi.tasks.future import Future


class Arrivals:
    """Tells which of many futures are done, in the order in which that happened.

    To whichever thread asks: one after the other, it may be several.

    Args:
        hub: the rank's hub.
        futures: which ones; a future that occurs twice arrives twice.
        is_first_come: whether the first of them is waited for, rather than all.
    """

    def __init__(self, hub: Hub, futures: Iterable[Future], *, is_first_come: bool = False) -> None:
        self._is_first_come = is_first_come
        self.arrived: deque[Future] = deque()
        self._hub = hub
        self._futures = list(futures)
        self._waiter = hub.waiter(awaited=self._futures)
        self._watchers = [(future, _Arrival(future, self)) for future in self._futures]
        self._tried = 0  # so many of them, to run them here
        for future, watcher in self._watchers:
            future.watch(watcher, hub)

    def close(self) -> None:
        """Watch no longer."""
        for future, watcher in self._watchers:
            future.unwatch(watcher)
        # What calls raise holds the frames that wait for them, and these hold this.
        for held in (self._futures, self._watchers, self.arrived):
            held.clear()

    def advance(self, deadline: float | None) -> bool:
        """Run one of the futures that wait here, or else wait until one is done.

        Returns:
            False if `deadline` was over.
        """
        runtime = self._hub.runtime
        self._hub.come_by(deadline)
        if deadline is not None and runtime.clock() > deadline:
            return False
        while self._tried < len(self._watchers):
            future = self._watchers[self._tried][0]
            if self._is_first_come and not future.is_done:
                self._hub.time_limits.leave_to_idle_ranks((future,))
                if self.arrived:
                    return True
            if not future.is_done and self._hub.run_here(future, deadline):
                del future  # see `close`
                self._tried += 1
                now = runtime.clock()
                runtime.step_if_due(now)
                return deadline is None or now <= deadline
            if self._hub.is_waiting(future):
                break  # this rank leaves it to others, or it isn't this thread's turn
            self._tried += 1
            if self.arrived:
                return True
            if self._hub.has_urgent:
                break  # this stack is too deep: the hub runs that one, and others may have the rest
        waiter = self._hub.waiter(self._waiter, self._futures)
        if waiter is not self._waiter:  # what has arrived meanwhile notified another thread's
            self._waiter = waiter
            if self.arrived:
                return True
        return waiter.wait(deadline) or bool(self.arrived)

    def add(self, future: Future) -> None:
        """A future is done."""
        self.arrived.append(future)
        self._waiter.notify()


class _Arrival:
    """Watches one future for `Arrivals`."""

    __slots__ = ("_arrivals", "_future")

    def __init__(self, future: Future, arrivals: Arrivals) -> None:
        self._future = future
        self._arrivals = arrivals

    def notify(self) -> None:
        self._arrivals.add(self._future)
