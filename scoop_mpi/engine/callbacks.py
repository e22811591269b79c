"""Callbacks: when and where those of futures run.

    a task that ran here ends         right then, on its stack or, if that is too deep, by the hub
    another rank has completed one    it is due: when the program next waits, or comes by here

In the main thread each runs on a greenlet of its own, so that it can wait, however many do. In
another thread of the program's they run one after the other: one that waits holds up the others.

It must not know what a future is waited for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Protocol, TypeVar

from scoop_mpi.tasks.future import Future

Due = TypeVar("Due")


def taken_from(due: deque[Due]) -> Due | None:
    """Take the first of those that are due; None: there is none, or not any more.

    Several threads may take them. Between a look and the taking another may come first.
    """
    try:
        return due.popleft()
    except IndexError:
        return None


class Host(Protocol):
    """The hub, as far as callbacks need it."""

    thread: int

    @property
    def may_give_way(self) -> bool:
        """Whether somebody is due to whom the main thread can give way."""
        ...

    def give_way(self) -> None:
        """Let those run who are due."""
        ...

    def is_stack_deep(self) -> bool:
        """Say whether what runs next must do so on another stack."""
        ...

    def run_on_this_stack(self, run: Callable[[], object]) -> None:
        """Run one task more on this stack."""
        ...


class Callbacks:
    """The callbacks of one rank.

    Args:
        hub: the rank's.

    Attributes:
        due: futures that other ranks have completed, and whose callbacks are to run.
    """

    __slots__ = ("_hub", "_running", "_threads", "due")

    def __init__(self, hub: Host) -> None:
        self.due: deque[Future] = deque()
        self._hub = hub
        self._running = 0  # greenlets
        self._threads: set[int] = set()  # of the program's, which run some

    @property
    def have_run(self) -> bool:
        """Whether all that were due have run to their end."""
        return not (self.due or self._running)

    def call(self, future: Future) -> None:
        """Run the callbacks of a future that is done: here, unless this stack is too deep."""
        hub = self._hub
        if get_ident() != hub.thread:
            future.run_callbacks()
        elif hub.is_stack_deep():
            self.due.append(future)
            hub.give_way()
        else:
            hub.run_on_this_stack(future.run_callbacks)

    def run_due(self) -> None:
        """Have those run that are due. For whoever comes by: any thread."""
        if not (self.due or self._running):
            return
        thread = get_ident()
        if thread == self._hub.thread:
            # To callbacks that have waited, too: who finds its work on its own stack never parks.
            if self._hub.may_give_way:
                self._hub.give_way()
            return
        if thread in self._threads:
            return
        self._threads.add(thread)
        try:
            while (future := taken_from(self.due)) is not None:
                future.run_callbacks()
        finally:
            self._threads.discard(thread)

    def run(self, future: Future) -> None:
        """Run the callbacks of a future: a job."""
        self._running += 1
        try:
            future.run_callbacks()
        finally:
            self._running -= 1
