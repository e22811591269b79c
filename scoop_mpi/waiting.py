"""Waiting: who is notified of what, and how the program's own threads wait.

How greenlets wait, by parking, is said in `greenlets`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from scoop_mpi.errors import CancelledError
from scoop_mpi.future import Future

if TYPE_CHECKING:
    from scoop_mpi.hub import Hub


WAITING_WHILE_PICKLING = (
    "a future can't be waited for while an object is being pickled or unpickled"
)


class Waiter(Protocol):
    """Somebody who waits to be notified. Notifications may be spurious: look again."""

    def notify(self) -> None: ...

    def wait(self, deadline: float | None) -> bool:
        """Wait for a notification since the last; return False if `deadline` came first.

        Raises:
            CancelledError: the program has ended, and with it this task.
        """
        ...


class ThreadWaiter:
    """Waits by blocking the calling thread, one of the program's own."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._event = threading.Event()

    def notify(self) -> None:
        """See `Waiter`."""
        self._event.set()

    def wait(self, deadline: float | None) -> bool:
        """See `Waiter`."""
        runtime = self._hub.runtime
        if runtime.is_stepping_here:
            raise RuntimeError(WAITING_WHILE_PICKLING)
        self._hub.waiting_threads[self] = None
        try:
            if runtime.is_stopping:
                raise CancelledError(runtime.ended)
            with self._hub.turns.waiting(self) as limit:
                if deadline is not None and (limit is None or deadline - runtime.clock() < limit):
                    was_notified = self._event.wait(deadline - runtime.clock())
                else:
                    was_notified = self._event.wait(limit) or limit is not None
            self._event.clear()
            if runtime.is_stopping:
                raise CancelledError(runtime.ended)
            return was_notified
        finally:
            del self._hub.waiting_threads[self]


class Arrivals:
    """Tells which of many futures are done, in the order in which that happened.

    To whichever thread asks: one after the other, it may be several.

    Args:
        hub: the rank's hub.
        futures: which ones; a future that occurs twice arrives twice.
    """

    def __init__(self, hub: Hub, futures: Iterable[Future]) -> None:
        self.arrived: deque[Future] = deque()
        self._hub = hub
        self._waiter = hub.waiter()
        self._watchers = [(future, _Arrival(future, self)) for future in futures]
        self._tried = 0  # so many of them, to run them here
        for future, watcher in self._watchers:
            future.watch(watcher, hub)

    def close(self) -> None:
        """Watch no longer."""
        for future, watcher in self._watchers:
            future.unwatch(watcher)

    def advance(self, deadline: float | None) -> bool:
        """Run one of the futures that wait here, or else wait until one is done.

        Returns:
            False if `deadline` was over.
        """
        runtime = self._hub.runtime
        self._hub.run_due_callbacks()
        self._hub.answer_pump()
        if deadline is not None and runtime.clock() > deadline:
            return False
        while self._tried < len(self._watchers):
            future, _ = self._watchers[self._tried]
            if not future.is_done and self._hub.run_here(future):
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
        waiter = self._hub.waiter(self._waiter)
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
