"""Draining: of the program's calls none is begun any more, and those that run may end.

    begin     futures leave the queues and stay as they are, maps are wound down on all ranks
    is_over   nothing of the program's runs any more, or the time is up: what is left is not begun

It is about the calls that the program submits outside of tasks. Those of tasks that run are parts
of these, and go on.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from scoop_mpi.current import HotPath
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.state.calling_off import WindDown
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span

_SECONDS_OF_A_LOOK = 0.02


class Draining:
    """The calls of the root's program that are not done, and how they come to an end.

    Args:
        hub: the root's.
        runtime: the root's.
        seconds: that calls which run may go on.

    Attributes:
        has_begun: whether no further call is to begin.
    """

    def __init__(self, hub: HotPath, runtime: Runtime, seconds: float) -> None:
        self.has_begun = False
        self._held = 0  # so many calls are in no queue any more, and will never be made
        self._hub = hub
        self._runtime = runtime
        self._seconds = seconds
        self._deadline = 0.0
        self._open: set[Future] = set()  # not done, and in a queue or under way
        self._spans: weakref.WeakSet[Span] = weakref.WeakSet()
        self._winding_down: list[Span] = []  # held, to be counted once the program has let go

    def take(self, future: Future) -> bool:
        """The program has submitted a call; say whether that is to be kept out of the queues."""
        if self.has_begun:
            self._held += 1
            return True
        self._open.add(future)
        future.watch(_Done(self._open, future), self._hub)
        return False

    def take_map(self, span: Span) -> bool:
        """The program has submitted a map; say whether that is to be kept out of the queues."""
        if self.has_begun:
            self._held += span.count
            return True
        self._spans.add(span)
        return False

    def begin(self) -> None:
        """Begin no further call. In the main thread, and not amid a change of state."""
        self.has_begun = True
        self._deadline = self._runtime.clock() + self._seconds
        for future in list(self._open):
            if self._hub.withdraw(future):
                self._held += 1
                self._open.discard(future)
        self._winding_down = list(self._spans)
        self._runtime.wind_down(WindDown(self._winding_down, frozenset(self._open)))

    @property
    def is_over(self) -> bool:
        """Whether nothing of the program's runs any more, or the time is up. Any thread may ask."""
        if not self.has_begun:
            return False
        self._take_dropped()
        if self._runtime.clock() > self._deadline:
            return True
        return not self._open and all(span.unreported == 0 for span in self._winding_down)

    def _take_dropped(self) -> None:
        dropped = self._runtime.worker.ledger.dropped
        while dropped:
            future = dropped.popleft()
            if future in self._open:
                self._held += 1
                self._open.discard(future)

    @property
    def left(self) -> int:
        """How many calls of the program's have not been made, or not to their end."""
        spans = sum(span.dropped + span.unreported for span in self._winding_down)
        return self._held + len(self._open) + spans


class _Done:
    """Takes a future that is done out of those that are not."""

    __slots__ = ("_future", "_open")

    def __init__(self, open_: set[Future], future: Future) -> None:
        self._open = open_
        self._future = future

    def notify(self) -> None:
        self._open.discard(self._future)


class Watch:
    """A thread that says so when a job has drained.

    Args:
        draining: of the job.
        on_over: called once it is over.
    """

    def __init__(self, draining: Draining, on_over: Callable[[], object]) -> None:
        self._draining = draining
        self._on_over = on_over
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="draining", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no longer."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.wait(_SECONDS_OF_A_LOOK):
            if self._draining.is_over:
                self._on_over()
                return
