"""A map of which the journal knows some results, and keeps the others as they come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from scoop_mpi.engine.callbacks import taken_from
from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.program_calls import ProgramCalls
from scoop_mpi.journal.journal import Call, Journal, Lost
from scoop_mpi.results.submitted import SubmittedMap
from scoop_mpi.tasks import reduction as trees
from scoop_mpi.tasks.outcomes import Outcomes


class JournalledMap(SubmittedMap):
    """A map of which only those calls are made whose results the journal doesn't know.

    Each result is kept in the journal by itself, also of a mapReduce. So what that combines is
    combined here.

    Args:
        hub: this rank's.
        function: what is called.
        calls: one argument for each call or, with `star`, one tuple of them. They don't change.
        star: whether `calls` holds tuples of arguments.
        program_calls: has it kept what has come in.
        journal: the job's.
        known: what the journal says of each call; None: it is not journalled.
        reduction: of a mapReduce its reduction function.
        window_size: of how many calls the first window is to be.
        first: the number of the first call, in errors.
    """

    def __init__(
        self,
        hub: Hub,
        function: Callable[..., Any],
        calls: Sequence[Any],
        star: bool,
        program_calls: ProgramCalls,
        journal: Journal,
        known: list[Call | None],
        reduction: Callable[[Any, Any], Any] | None = None,
        window_size: int = 1,
        first: int = 0,
    ) -> None:
        self._journal = journal
        self._journalled = known
        self._operation = reduction
        self._results = self._take_results()  # by the number of their call
        self._missing = [number for number in range(len(calls)) if number not in self._results]
        self._ready: deque[Outcomes] = deque()  # kept, and for the program to take
        made = calls if not self._results else [calls[number] for number in self._missing]
        super().__init__(hub, function, made, star, None, window_size, first)
        self._calls = calls
        self.count = len(calls)
        program_calls.watch_map(self)

    def _take_results(self) -> dict[int, Any]:
        results: dict[int, Any] = {}
        for number, call in enumerate(self._journalled):
            if call is not None and call.place is not None:
                try:
                    results[number] = self._journal.result(call)
                except Lost:
                    continue
        return results

    def outcomes(
        self, deadline: float | None, *, is_first_come: bool = False
    ) -> Iterator[Outcomes]:
        """See `SubmittedMap`."""
        results, self._results = self._results, {}
        for start, numbers in _stretches(list(results)):
            yield self._outcomes(start, [results.pop(number) for number in numbers], {})
        yield from super().outcomes(deadline, is_first_come=is_first_come)

    def keep_arrived(self) -> None:
        """Keep what has come in, whether the program takes it or not. Any thread may."""
        if self._span.inbox:
            self._arrived()
            self._waiter.notify()  # who waits has found nothing there

    def call_off(self) -> None:
        """See `SubmittedMap`. What has come in is kept."""
        self._arrived()
        super().call_off()

    def _arrived(self) -> deque[Outcomes]:
        """See `SubmittedMap`."""
        while (outcomes := taken_from(self._span.inbox)) is not None:
            self._ready.extend(self._kept(outcomes))
        return self._ready

    def _kept(self, outcomes: Outcomes) -> Iterator[Outcomes]:
        """Keep what has come in, and yield it by the numbers of all calls."""
        start, length = outcomes.start, outcomes.length
        for first, numbers in _stretches(self._missing[start : start + length]):
            part = outcomes.part(start, start + len(numbers))._replace(start=first)
            start += len(numbers)
            values, failures = super()._open(part, None)
            del part
            self._journal.keep(
                self._function,
                [
                    (call, value)
                    for offset, value in enumerate(values)
                    if offset not in failures
                    and (call := self._journalled[first + offset]) is not None
                ],
            )
            try:
                yield self._outcomes(first, values, failures)
            finally:
                del values, failures

    def _outcomes(
        self, start: int, values: Sequence[Any], failures: dict[int, BaseException]
    ) -> Outcomes:
        """Return opened outcomes, combined as far as can be if this is a mapReduce."""
        length = len(values)
        if self._operation is None:
            return Outcomes(start, length, values, failures)
        if failures:
            return Outcomes(start, length, [], {min(failures): failures[min(failures)]})
        return Outcomes(start, length, *trees.fold(self._operation, start, values))

    def _open(
        self, outcomes: Outcomes, deadline: float | None
    ) -> tuple[Sequence[Any], dict[int, BaseException]]:
        """See `SubmittedMap`: they are open."""
        return outcomes.values, outcomes.failures


def _stretches(numbers: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Split ascending numbers where one is left out; yield the first of each part, and the part."""
    for _, part in groupby(enumerate(numbers), lambda place: place[1] - place[0]):
        found = [number for _, number in part]
        yield found[0], found
