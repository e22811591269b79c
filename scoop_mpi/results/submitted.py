"""A map that has been submitted: one span, and its results as they come in.

Responsible for the order in which results come out; must not know how calls are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from typing import Any

from scoop_mpi.engine.hub import Hub
from scoop_mpi.errors import from_call
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.notes import note_call
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.tasks.span import Span


class SubmittedMap:
    """A map of which the calls have been submitted, and whose results can be taken once.

    In whichever thread, or in several, one after the other.

    Args:
        hub: this rank's.
        function: what is called.
        calls: one argument for each call or, with `star`, one tuple of them. They don't change.
        star: whether `calls` holds tuples of arguments.
        reduction: of a mapReduce its reduction function.
        window_size: of how many calls the first window is to be.
        first: the number of the first call, in errors.

    Attributes:
        count: the number of calls.
    """

    def __init__(
        self,
        hub: Hub,
        function: Callable[..., Any],
        calls: Sequence[Any],
        star: bool,
        reduction: Callable[[Any, Any], Any] | None = None,
        window_size: int = 1,
        first: int = 0,
    ) -> None:
        self.count = len(calls)
        self._calls = calls
        self._first = first
        self._hub = hub
        self._function = function
        self._waiter = hub.waiter()
        self._span = Span(
            hub.runtime.rank,
            calls,
            star,
            hub.runtime.worker.ledger.deliver,
            function=function,
            reduction=reduction,
            context=copy_context(),
        )
        self._span.window_size = window_size
        self._span.watcher = self._waiter
        is_kept_out = hub.program_calls is not None and hub.program_calls.take_map(self._span)
        if calls and not is_kept_out:
            hub.enqueue(self._span)
            hub.runtime.step(is_sated=True)

    @property
    def window_size(self) -> int:
        """To what the size of windows has been adapted; see `Span.resize_window`."""
        return self._span.window_size

    def outcomes(
        self, deadline: float | None, *, is_first_come: bool = False
    ) -> Iterator[Outcomes]:
        """Yield the outcomes of the calls as they come in, until all have.

        Args:
            deadline: when to raise, by the runtime's clock; None: never.
            is_first_come: whether each is waited for, rather than all.

        Raises:
            TimeoutError: that was before all outcomes were there.
        """
        span = self._span
        left = span.count
        try:
            while left:
                arrived = self._arrived()
                while arrived:
                    outcomes = arrived.popleft()
                    left -= outcomes.length
                    yield outcomes
                    del outcomes  # the consumer's alone while the next ones are waited for
                if left and self._is_watched_here():
                    if is_first_come:
                        self._hub.time_limits.leave_to_idle_ranks((span,))
                        if span.inbox:
                            continue
                    self._hub.advance(span, self._waiter, deadline)
        finally:
            if left:
                self.call_off()
        self._hub.runtime.worker.queues.forget(span)

    def _arrived(self) -> deque[Outcomes]:
        """Return the outcomes that have come in, to be taken out from the left."""
        return self._span.inbox

    def call_off(self) -> None:
        """Nobody wants the results that are to come: what has not begun is dropped, everywhere."""
        self._hub.runtime.call_off(self._span)

    def _is_watched_here(self) -> bool:
        """Say whether the calling thread is the one to be notified; from now on it is.

        If it was not, what has come meanwhile notified another.
        """
        waiter = self._hub.waiter(self._waiter)
        if waiter is self._waiter:
            return True
        self._waiter = self._span.watcher = waiter
        self._hub.adopt(self._span)
        return False

    def _open(
        self, outcomes: Outcomes, deadline: float | None
    ) -> tuple[Sequence[Any], dict[int, BaseException]]:
        """Return the values, and by offset the exceptions as this map raises them.

        Where a call has returned a future, that is waited for.
        """
        start = outcomes.start
        values, failures = outcomes.open()
        del outcomes  # what a call raises that is made here holds this frame
        if self._hub.bell.has_futures and Future in set(map(type, values)):
            values = list(values)
            for offset in range(len(values)):
                if type(values[offset]) is Future:
                    self._replace_future(offset, values, failures, deadline)
        for offset in failures:
            failures[offset] = from_call(failures[offset], self._function)
            self.note(failures[offset], start + offset)
        try:
            return values, failures
        finally:
            del values, failures

    def note(self, error: BaseException, number: int) -> None:
        """Have an error tell that call `number` raised it."""
        call = self._calls[number]
        arguments = call if self._span.star else (call,)
        note_call(error, self._function, arguments, number=self._first + number)

    def _replace_future(
        self,
        offset: int,
        values: list[Any],
        failures: dict[int, BaseException],
        deadline: float | None,
    ) -> None:
        """Put what a future comes to in the place of the future."""
        future, values[offset] = values[offset], None
        try:
            values[offset], error = self._hub.outcome(future, deadline)
            if error is not None:
                failures[offset] = error
        finally:
            del future, values, failures
            error = None

    def in_order(self, deadline: float | None) -> Iterator[Any]:
        """Yield the results in the order of the calls, up to the first that raised; see `outcomes`.

        Raises:
            BaseException: what that call raised.
        """
        early: dict[int, Outcomes] = {}
        position = 0
        for outcomes in self.outcomes(deadline):
            early[outcomes.start] = outcomes
            del outcomes
            while position in early:
                values, failures = self._open(early.pop(position), deadline)
                position += len(values)
                if not failures:
                    yield from values
                    continue
                for offset, value in enumerate(values):
                    if offset in failures:
                        error = failures[offset]
                        failures.clear()  # the error holds this frame: no cycle is to hold both
                        try:
                            raise error
                        finally:
                            del error
                    yield value

    def as_completed(self, deadline: float | None) -> Iterator[Any]:
        """Return an iterator over the results as they come in; see `outcomes`.

        Where a call raised, so does the iterator, which can go on after that.
        """
        return _Results(self._parts(deadline))

    def _parts(self, deadline: float | None) -> Iterator[Iterable[Any]]:
        """Yield iterables over results, or over failures: these raise one each time."""
        for outcomes in self.outcomes(deadline, is_first_come=True):
            values, failures = self._open(outcomes, deadline)
            del outcomes
            first = 0
            for offset in sorted(failures):
                yield values[first:offset]
                yield map(_raise, ([failures.pop(offset)],))
                first = offset + 1
            yield values[first:] if first else values


class _Results(Iterator[Any]):
    """An iterator over parts one after the other that goes on after one of them has raised.

    `itertools.chain` is faster, and would do. But where two greenlets ask it for the next result at
    the same time, Python may crash.
    """

    def __init__(self, parts: Iterator[Iterable[Any]]) -> None:
        self._parts = parts
        self._part: Iterator[Any] = iter(())

    def __next__(self) -> Any:
        while True:
            for value in self._part:
                return value
            self._part = iter(next(self._parts))


def _raise(holder: list[BaseException]) -> Any:
    """Raise what the list holds, and keep it nowhere: it will hold this frame."""
    raise holder.pop()
