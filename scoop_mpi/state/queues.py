"""The queues: a rank's tasks that nobody has begun, and who gets each.

    ready         the main thread's, oldest first
    elsewhere     those of the program's other threads: the hub leaves them to their thread
    deferred      futures of calls that wait for other futures
    due           those of them that wait no longer, and are to become ready
    urgent        claimed already, and to be run by the hub before all else

The hot path knows of none of the methods here: submitting and claiming a local future is a plain
insertion and a `dict.pop`, which other code does straight on `ready`, from whichever thread. These
are atomic, and whoever pops a future owns it, so nothing here may assume that a task seen in
`ready` is still there a moment later.

A dictionary keeps the places of what was taken out until it grows next, and who looks for its
oldest entry goes over all of them. So after a burst of tasks the queues are compacted.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from scoop_mpi.errors import (
    UNGUARDED,
    CancelledError,
    DependencyError,
    InvariantBroken,
    NotStartedProperly,
)
from scoop_mpi.tasks.dependencies import Awaited, with_results
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.tasks.stolen import StolenCall

# A queue is compacted if it has more bytes than this, and than this many for each of its entries;
# a dictionary that has just grown has half as many.
_SPARSE_BYTES = 1 << 14
_SPARSE_BYTES_PER_ENTRY = 256


class Queues:
    """A rank's tasks that nobody has begun.

    Attributes:
        on_ready_elsewhere: called when a call in `elsewhere` has become ready, whose thread waits.
        on_due: called with a call whose futures are done, before it is ready; says whether that is
            done as well.
    """

    __slots__ = (
        "_moving",
        "deferred",
        "due",
        "elsewhere",
        "is_closed",
        "on_due",
        "on_ready_elsewhere",
        "ready",
        "urgent",
    )

    def __init__(self) -> None:
        self.on_ready_elsewhere: Callable[[], object] = _do_nothing
        self.on_due: Callable[[Future], bool] = _is_not_done
        self.ready: dict[Task, None] = ImportGuard()
        self.elsewhere: dict[Task, None] = ImportGuard()
        self.deferred: dict[Future, Awaited] = {}
        self.due: deque[Future] = deque()
        self.urgent: deque[Future] = deque()
        self.is_closed = False
        # Held by who compacts, by who puts into `elsewhere`, and for all that has to do with
        # `deferred`. Reentrant, as the handler of a signal may come by here as well.
        self._moving = threading.RLock()

    def open(self, make: Callable[[], dict[Task, None]] = dict) -> None:
        """Take tasks from now on: the program has been imported, or is about to run as root.

        Args:
            make: makes a queue.
        """
        kind = ClosedQueue if self.is_closed else make  # it had ended before it was imported here
        self.ready, self.elsewhere = kind(), kind()

    def close(self) -> Iterator[Future]:
        """The program has ended: take nothing more.

        Returns:
            The futures that nobody has begun. Each has left the queues when it is yielded.
        """
        self.is_closed = True
        with self._moving:
            queues = self.ready, self.elsewhere
            if not isinstance(self.ready, ImportGuard):  # which says better what is wrong
                self.ready, self.elsewhere = ClosedQueue(), ClosedQueue()
            deferred, self.deferred = self.deferred, {}
        for future in list(self.urgent):
            if isinstance(future, StolenCall):
                with suppress(ValueError):  # the hub has begun it just now
                    self.urgent.remove(future)
        return itertools.chain(deferred, _emptied(queues[0]), _emptied(queues[1]))

    def clear(self) -> None:
        """Refer to nothing of the program's any more."""
        self.deferred.clear()
        self.due.clear()
        self.urgent.clear()

    # ------------------------------------------------------------ ready tasks

    @property
    def has_tasks(self) -> bool:
        """Whether there are tasks that anybody could begin."""
        return bool(self.ready or self.elsewhere)

    def claim(self, task: Task) -> bool:
        """Take a task out of the queues, to run it or give it away; False if somebody else has."""
        if self.ready.pop(task, self) is None or self.elsewhere.pop(task, self) is None:
            return True
        with self._moving:  # it may have been out for a moment
            return self.ready.pop(task, self) is None or self.elsewhere.pop(task, self) is None

    def is_ready(self, task: Task) -> bool:
        """Say whether a rank could take this task now."""
        return task in self.ready or task in self.elsewhere

    def is_waiting(self, task: Task) -> bool:
        """Say whether nobody has begun this task."""
        if task in self.ready or task in self.elsewhere:
            return True
        with self._moving:
            return task in self.ready or task in self.elsewhere or task in self.deferred

    def put_elsewhere(self, task: Task) -> None:
        """Put a task into the queue of the program's other threads. Any of them may."""
        with self._moving:
            self.elsewhere[task] = None

    def forget(self, span: Span) -> None:
        """Take a span without unclaimed calls out of the queues."""
        self.ready.pop(span, None)
        self.elsewhere.pop(span, None)

    def compact(self, is_main_thread: bool) -> None:
        """Compact queues of few entries that once had many.

        Args:
            is_main_thread: whether the main thread calls this, within a step, and not amid the
                user's own lines: then nobody puts anything into `ready` meanwhile.
        """
        for queue in (self.ready, self.elsewhere) if is_main_thread else (self.elsewhere,):
            size = queue.__sizeof__()
            if size > _SPARSE_BYTES and size > _SPARSE_BYTES_PER_ENTRY * len(queue):
                with self._moving:
                    _compact(queue)

    def check(self) -> None:
        """See that what must always hold does.

        Raises:
            InvariantBroken: it does not.
        """
        seen: set[Task] = set()
        for queue in (self.ready, self.elsewhere, self.deferred):
            for task in list(queue):
                if task in seen:
                    raise InvariantBroken(f"{task!r} waits in two queues")
                seen.add(task)
                if isinstance(task, Span):
                    task.check()
                elif task.is_done and task in queue:
                    raise InvariantBroken(f"{task!r} waits, and is done")

    # ------------------------------------------------------------ calls that wait for futures

    def withdraw(self, future: Future) -> bool:
        """Take back a future that nobody has begun, or that waits for others, for good."""
        if self.claim(future):
            return True
        with self._moving:
            return self.deferred.pop(future, None) is not None or self.claim(future)

    def defer(self, future: Future, awaited: Awaited) -> None:
        """Keep a call until what it waits for is done.

        Raises:
            CancelledError: the program has ended.
        """
        with self._moving:
            if self.is_closed:
                self.ready[future] = None  # which cancels it
            self.deferred[future] = awaited
        awaited.notify()

    def dependencies_of(self, future: Future, is_for_main: bool) -> Iterator[Future]:
        """Return what a call waits for; nothing, if it is ready.

        Args:
            future: that of the call.
            is_for_main: whether it is the main thread that waits for it, and so is to have it.
        """
        awaited = self.deferred.get(future)
        if awaited is None:
            return iter(())
        awaited.is_for_main = is_for_main
        return iter(awaited.dependencies)

    def enqueue_due(self) -> None:
        """Make the calls ready that wait for nothing any more. For threads of the program's.

        A call whose futures have failed has failed with that.
        """
        while self.due:
            try:
                future = self.due.popleft()
            except IndexError:
                return  # another thread took the last one
            try:
                self._enqueue_due(future)
            except BaseException:
                self.due.appendleft(future)
                raise

    def _enqueue_due(self, future: Future) -> None:
        if future not in self.deferred:
            return
        error: BaseException | None = None
        try:
            function, arguments = with_results(*future.call)
        except (CancelledError, DependencyError) as failure:
            error = failure.with_traceback(None)  # which holds this frame: no cycle is to keep both
        with self._moving:
            awaited = self.deferred.pop(future, None)
            if awaited is None:
                return  # it was taken back, or the program has ended
            if error is None:
                future.replace_function(function)
                future.replace_arguments(arguments)
                if not self.on_due(future):
                    queue = self.ready if awaited.is_for_main else self.elsewhere
                    queue[future] = None
        if error is not None:
            future.complete(None, error)
        elif not awaited.is_for_main:
            self.on_ready_elsewhere()


class ClosedQueue(dict[Any, None]):
    """Stands in for the queues once the program has ended: what comes is cancelled."""

    def __setitem__(self, task: Any, value: None) -> None:
        if isinstance(task, Future):
            task.complete(None, CancelledError("the program has ended"))
        raise CancelledError("the program has ended")


class ImportGuard(dict[Any, None]):
    """Stands in for the queues while a worker imports the program: nothing may be submitted."""

    def __setitem__(self, task: Any, value: None) -> None:
        raise NotStartedProperly(f"futures: {UNGUARDED}")


def _do_nothing() -> None:
    """Stand for a function where there is none."""


def _is_not_done(_: Future) -> bool:
    """Stand for a function where there is none."""
    return False


def _emptied(queue: dict[Task, None]) -> Iterator[Future]:
    """Take all tasks out of a queue; yield the futures among them."""
    for task in list(queue):
        if queue.pop(task, queue) is None and isinstance(task, Future):
            yield task


def _compact(queue: dict[Task, None]) -> None:
    """Take all out of a queue, and put it back in.

    Entry by entry, so that whoever claims a task meanwhile either has it or finds it missing.
    """
    entries: deque[tuple[Task, None]] = deque()
    try:
        with suppress(KeyError):  # when it is empty
            entries.extendleft(itertools.starmap(queue.popitem, itertools.repeat(())))
    finally:
        queue.clear()  # lets go of the memory
        queue.update(entries)
