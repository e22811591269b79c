"""Waiting: what a waiter is, and how the program's own threads wait.

How greenlets wait, by parking, is said in `greenlets`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Protocol

from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.turns import Turns
from scoop_mpi.errors import CancelledError
from scoop_mpi.tasks.future import Future

WAITING_WHILE_PICKLING = (
    "a future can't be waited for while an object is being pickled or unpickled"
)

# Seconds in which nothing has moved, or the hub has begun nothing, after which who waits or polls
# sees to it that what lies here is begun.
PATIENCE = 1.0


class Waiter(Protocol):
    """Somebody who waits to be notified. Notifications may be spurious: look again."""

    def notify(self) -> None: ...

    def wait(self, deadline: float | None) -> bool:
        """Wait for a notification since the last; return False if `deadline` came first.

        Raises:
            CancelledError: the program has ended, and with it this task.
        """
        ...


class WaitingThreads(dict["ThreadWaiter", None]):
    """The waiters of the program's threads that are blocked now.

    Attributes:
        news: how often they were all notified. Who looks whether to wait notes it before: a thread
            that has looked, and is not blocked yet, is missed by who notifies all.
    """

    __slots__ = ("news",)

    def __init__(self) -> None:
        super().__init__()
        self.news = 0

    def notify_all(self) -> None:
        """Have all of them look again. Any thread may, once there is something to be seen."""
        self.news += 1
        for waiter in list(self):
            waiter.notify()


class ThreadWaiter:
    """Waits by blocking the calling thread, one of the program's own.

    Args:
        runtime: tells when the program has ended.
        turns: of the program's threads.
        waiting: those that are blocked.
        help_out: called when a wait without a deadline has lasted for long: the thread may do
            something for others meanwhile.
        awaited: the futures that it waits for, if it is futures.
        news: those that the thread knew when it last looked whether to wait; None: it looks later.

    Attributes:
        thread: which one waits.
    """

    def __init__(
        self,
        runtime: Runtime,
        turns: Turns,
        waiting: WaitingThreads,
        help_out: Callable[[], object],
        awaited: Collection[Future] = (),
        news: int | None = None,
    ) -> None:
        self.thread = threading.get_ident()
        self.awaited = awaited
        self._runtime = runtime
        self._turns = turns
        self._waiting = waiting
        self._help_out = help_out
        self._news = waiting.news if news is None else news
        self._event = threading.Event()

    def notify(self) -> None:
        """See `Waiter`."""
        self._event.set()

    def wait(self, deadline: float | None) -> bool:
        """See `Waiter`."""
        if self._runtime.is_stepping_here:
            raise RuntimeError(WAITING_WHILE_PICKLING)
        self._runtime.let_go()
        was_notified = self._block(deadline)
        if not was_notified and deadline is None:
            self._help_out()
        return was_notified or deadline is None or self._runtime.clock() < deadline

    def _block(self, deadline: float | None) -> bool:
        """Block for a while, at the most until `deadline`; return whether this was notified."""
        runtime = self._runtime
        self._waiting[self] = None
        if self._news != self._waiting.news:  # in this order: see `WaitingThreads`
            self._event.set()
        try:
            if runtime.is_stopping:
                raise CancelledError(runtime.ended)
            with self._turns.waiting(self) as limit:
                seconds = PATIENCE if limit is None else limit
                if deadline is not None:
                    seconds = min(seconds, deadline - runtime.clock())
                was_notified = self._event.wait(seconds)
            self._event.clear()
            self._news = self._waiting.news  # known from here on: the caller looks again
            if runtime.is_stopping:
                raise CancelledError(runtime.ended)
            return was_notified
        finally:
            del self._waiting[self]
