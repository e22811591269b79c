"""Maps: from a function and iterables to spans, and from their outcomes to an iterator.

Responsible for the order in which results come out; must not know how calls are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from itertools import chain, islice
from typing import Any

from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.time_limits import OVERDUE
from scoop_mpi.errors import TimeoutError, from_call
from scoop_mpi.results.arrivals import Arrivals
from scoop_mpi.tasks.dependencies import are_futures_among
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.notes import note_call
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.tasks.span import Span

# A map with a buffer submits its calls in portions of one n-th of the buffer: fewer at a time would
# cost more, and of so many in all only as few are missing from those under way.
_PORTIONS = 4


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
        if calls:
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
        inbox = span.inbox
        left = self.count
        try:
            while left:
                while inbox:
                    outcomes = inbox.popleft()
                    left -= outcomes.length
                    yield outcomes
                    del outcomes  # the consumer's alone while the next ones are waited for
                if left and self._is_watched_here():
                    if is_first_come:
                        self._hub.time_limits.leave_to_idle_ranks((span,))
                        if inbox:
                            continue
                    self._hub.advance(span, self._waiter, deadline)
        finally:
            if left:
                self.call_off()
        self._hub.runtime.worker.queues.forget(span)

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


class FuturesMap(SubmittedMap):
    """A map among whose arguments are futures: each call is ready once its own are done.

    So each has a future of its own.

    Args:
        hub: this rank's.
        function: what is called.
        calls: one argument for each call or, with `star`, one tuple of them.
        star: whether `calls` holds tuples of arguments.
    """

    def __init__(
        self, hub: Hub, function: Callable[..., Any], calls: Sequence[Any], star: bool
    ) -> None:
        self.count = len(calls)
        self._hub = hub
        self._function = function
        self._futures = [hub.submit(function, call if star else (call,)) for call in calls]

    @property
    def window_size(self) -> int:
        """See `SubmittedMap`."""
        return 1

    def note(self, error: BaseException, number: int) -> None:
        """See `SubmittedMap`: the future has done it."""

    def outcomes(
        self, deadline: float | None, *, is_first_come: bool = False
    ) -> Iterator[Outcomes]:
        """See `SubmittedMap`."""
        places = {future: place for place, future in enumerate(self._futures)}
        arrivals = Arrivals(self._hub, self._futures, is_first_come=is_first_come)
        try:
            while places:
                while not arrivals.arrived:
                    if not arrivals.advance(deadline):
                        raise TimeoutError(OVERDUE)
                place = places.pop(arrivals.arrived[0])
                yield self._outcome(place, arrivals.arrived.popleft(), deadline)
        finally:
            arrivals.close()
            places.clear()
            self.call_off()

    def _outcome(self, place: int, future: Future, deadline: float | None) -> Outcomes:
        """Return the outcome of a call that is done."""
        value, error = self._hub.outcome(future, deadline)
        return Outcomes(place, 1, [value], {} if error is None else {0: error})

    def call_off(self) -> None:
        """See `SubmittedMap`."""
        for future in self._futures:
            future.cancel()
        self._futures.clear()


def check_sizes(**sizes: int | None) -> None:
    """Refuse sizes that are less than 1.

    Raises:
        ValueError: one of them is.
    """
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def submitted(
    hub: Hub,
    function: Callable[..., Any],
    iterables: tuple[Iterable[Any], ...],
    reduction: Callable[[Any, Any], Any] | None = None,
) -> SubmittedMap:
    """Return a map over all items of `iterables`, up to the end of the shortest.

    Args:
        hub: this rank's.
        function: what is called.
        iterables: of the arguments.
        reduction: of a mapReduce its reduction function.
    """
    if len(iterables) > 1:
        return _submitted(hub, function, list(zip(*iterables, strict=False)), True, reduction)
    return _submitted(hub, function, _items_of(iterables[0]), False, reduction)


def _submitted(
    hub: Hub,
    function: Callable[..., Any],
    calls: Sequence[Any],
    star: bool,
    reduction: Callable[[Any, Any], Any] | None = None,
    window_size: int = 1,
    first: int = 0,
) -> SubmittedMap:
    if hub.bell.has_futures and are_futures_among(calls, star):
        return FuturesMap(hub, function, calls, star)
    return SubmittedMap(hub, function, calls, star, reduction, window_size, first)


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


def buffered_map(
    hub: Hub,
    function: Callable[..., Any],
    iterables: tuple[Iterable[Any], ...],
    size: int,
    deadline: float | None,
) -> Iterator[Any]:
    """Submit the first `size` calls of a map; return an iterator that submits the others.

    It submits as many as results have been taken, in portions. What an iterable raises, it raises
    once all results before that have been taken, as the built-in map does.
    """
    star = len(iterables) > 1
    calls = iter(zip(*iterables, strict=False) if star else iterables[0])
    portion = max(size // _PORTIONS, 1)
    maps: deque[SubmittedMap] = deque()

    failure: Exception | None = None  # of an iterable
    drawn = 0

    def submit(count: int, window_size: int) -> None:
        nonlocal failure, drawn
        items: list[Any] = []
        if failure is None:
            try:
                items.extend(islice(calls, count))
            except Exception as error:
                failure = error
        if items:
            maps.append(_submitted(hub, function, items, star, None, window_size, drawn))
            drawn += len(items)

    def results() -> Iterator[Any]:
        taken = 0
        try:
            while maps:
                first = maps.popleft()
                for value in first.in_order(deadline):
                    taken += 1
                    if taken == portion:
                        taken = 0
                        submit(portion, first.window_size)
                    yield value
        finally:
            for each in maps:
                each.call_off()
        if failure is not None:
            raise failure

    submit(size, 1)
    return results()


def _items_of(iterable: Iterable[Any]) -> Sequence[Any]:
    """Return what iterating over `iterable` gives.

    A subclass may give something else than it holds, or say another length, which `list` would ask
    for.
    """
    kind = type(iterable)
    if kind is range or kind is tuple:  # these can't change under us
        return iterable  # type: ignore[return-value]
    return list(iterable) if kind is list else list(chain(iterable))


def _raise(holder: list[BaseException]) -> Any:
    """Raise what the list holds, and keep it nowhere: it will hold this frame."""
    raise holder.pop()
