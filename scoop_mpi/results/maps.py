"""Maps: from a function and iterables to calls that are submitted, and their results.

Decides what kind of map it is to be; must not know how calls are made, nor in which order results
come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.time_limits import OVERDUE
from scoop_mpi.errors import TimeoutError
from scoop_mpi.results.arrivals import Arrivals
from scoop_mpi.results.submitted import SubmittedMap
from scoop_mpi.tasks.dependencies import are_futures_among
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.outcomes import Outcomes

# A map with a buffer submits its calls in portions of one n-th of the buffer: fewer at a time would
# cost more, and of so many in all only as few are missing from those under way.
_PORTIONS = 4


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
    program_calls = hub.program_calls
    if program_calls is not None:
        function = program_calls.prepared(function)
    if program_calls is not None and program_calls.journal is not None:
        journal = program_calls.journal
        known = program_calls.calls_of(function, calls, star)
        if known is not None:
            from scoop_mpi.results.journalled import JournalledMap  # not above: few have a journal

            return JournalledMap(
                hub,
                function,
                calls,
                star,
                program_calls,
                journal,
                known,
                reduction,
                window_size,
                first,
            )
    return SubmittedMap(hub, function, calls, star, reduction, window_size, first)


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
