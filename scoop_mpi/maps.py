"""Maps: from a function and iterables to a span, and from its outcomes to an iterator.

Responsible for the order in which results come out; must not know how calls are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from scoop_mpi.hub import Hub
from scoop_mpi.outcomes import Outcomes
from scoop_mpi.span import Span


class SubmittedMap:
    """A map of which the calls have been submitted, and whose results can be taken once.

    Args:
        hub: this rank's.
        function: what is called.
        iterables: its arguments, up to the end of the shortest.
        reduction: of a mapReduce its reduction function.

    Attributes:
        count: the number of calls.
    """

    def __init__(
        self,
        hub: Hub,
        function: Callable[..., Any],
        iterables: tuple[Iterable[Any], ...],
        reduction: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        star = len(iterables) > 1
        calls: Sequence[Any]
        if star:
            calls = list(zip(*iterables, strict=False))
        elif isinstance(iterables[0], range | tuple):  # these can't change under us
            calls = iterables[0]
        else:
            calls = list(iterables[0])
        self.count = len(calls)
        self._hub = hub
        self._waiter = hub.waiter()
        self._span = Span(
            hub.runtime.rank,
            calls,
            star,
            hub.runtime.worker.deliver,
            function=function,
            reduction=reduction,
        )
        self._span.watcher = self._waiter
        if calls:
            hub.enqueue(self._span)
            hub.runtime.step()

    def outcomes(self, deadline: float | None) -> Iterator[Outcomes]:
        """Yield the outcomes of the calls as they come in, until all have.

        Args:
            deadline: when to raise, by the runtime's clock; None: never.

        Raises:
            TimeoutError: that was before all outcomes were there.
        """
        span = self._span
        inbox = span.inbox
        left = self.count
        while left:
            while inbox:
                outcomes = inbox.popleft()
                left -= outcomes.length
                yield outcomes
                del outcomes  # the consumer's alone while the next ones are waited for
            if left:
                self._hub.advance(span, self._waiter, deadline)
        self._hub.runtime.worker.forget(span)

    def in_order(self, deadline: float | None) -> Iterator[Any]:
        """Yield the results in the order of the calls, up to the first that raised; see `outcomes`.

        Raises:
            BaseException: what that call raised.
        """
        early: dict[int, Outcomes] = {}
        position = 0
        for outcomes in self.outcomes(deadline):
            early[outcomes.start] = outcomes
            while position in early:
                values, failures = early.pop(position).open()
                position += len(values)
                if not failures:
                    yield from values
                    continue
                for offset, value in enumerate(values):
                    if offset in failures:
                        raise failures[offset]
                    yield value

    def as_completed(self, deadline: float | None) -> Iterator[Any]:
        """Return an iterator over the results as they come in; see `outcomes`.

        Where a call raised, so does the iterator, which can go on after that.
        """
        return _Results(self._values_and_failures(deadline))

    def _values_and_failures(
        self, deadline: float | None
    ) -> Iterator[tuple[Any, BaseException | None]]:
        for outcomes in self.outcomes(deadline):
            values, failures = outcomes.open()
            for offset, value in enumerate(values):
                yield value, failures.get(offset)


class _Results(Iterator[Any]):
    """An iterator over values and failures that goes on after it has raised one of them."""

    def __init__(self, outcomes: Iterator[tuple[Any, BaseException | None]]) -> None:
        self._outcomes = outcomes

    def __next__(self) -> Any:
        value, failure = next(self._outcomes)
        if failure is not None:
            raise failure
        return value
