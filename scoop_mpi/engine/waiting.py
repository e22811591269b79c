"""Waiting: what a waiter is, and how the program's own threads wait.

How greenlets wait, by parking, is said in `greenlets`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Protocol

from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.turns import Turns
from scoop_mpi.errors import CancelledError
from scoop_mpi.tasks.future import Future

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
        awaited: Collection[Future] = (),
        news: int | None = None,
    ) -> None:
        self.thread = threading.get_ident()
        self.awaited = awaited
        self._runtime = runtime
        self._turns = turns
        self._waiting = waiting
        self._news = waiting.news if news is None else news
        self._event = threading.Event()

    def notify(self) -> None:
        """See `Waiter`."""
        self._event.set()

    def wait(self, deadline: float | None) -> bool:
        """See `Waiter`."""
        runtime = self._runtime
        if runtime.is_stepping_here:
            raise RuntimeError(WAITING_WHILE_PICKLING)
        runtime.let_go()
        self._waiting[self] = None
        if self._news != self._waiting.news:  # in this order: see `WaitingThreads`
            self._event.set()
        try:
            if runtime.is_stopping:
                raise CancelledError(runtime.ended)
            with self._turns.waiting(self) as limit:
                if deadline is not None and (limit is None or deadline - runtime.clock() < limit):
                    was_notified = self._event.wait(deadline - runtime.clock())
                else:
                    was_notified = self._event.wait(limit) or limit is not None
            self._event.clear()
            self._news = self._waiting.news  # known from here on: the caller looks again
            if runtime.is_stopping:
                raise CancelledError(runtime.ended)
            return was_notified
        finally:
            del self._waiting[self]
