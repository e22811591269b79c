"""Outcomes: how calls ended, on their way from who made them to who owns them.

Responsible for what comes of a call between its end and the future or span at its owner; must not
know how it is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from scoop_mpi.errors import SerializationError
from scoop_mpi.tasks.future import Future, Unopened, differ
from scoop_mpi.tasks.intervals import Intervals
from scoop_mpi.tasks.notes import note_call
from scoop_mpi.wire.messages import Segment
from scoop_mpi.wire.serializer import EncodedError, decode_error
from scoop_mpi.wire.values import SealedValue, SealedValues, open_values


class Outcomes(NamedTuple):
    """How `length` consecutive calls of a span ended, the first of them being call `start`.

    `values` has None where a call failed. Of a reduction both are what `reduction.Tree.add` takes
    instead. What came from another rank is still sealed.
    """

    start: int
    length: int
    values: Sequence[Any]
    failures: dict[int, Any]  # of BaseException or EncodedError

    @property
    def are_dropped(self) -> bool:
        """Whether the calls were not made, and nobody is to wait for them."""
        return not len(self.values) and not self.failures

    def part(self, first: int, last: int) -> Outcomes:
        """Return how the calls from number `first` up to `last` ended.

        Raises:
            ValueError: these are the partial values of a reduction, which can't be taken apart.
        """
        values = self.values
        if len(values) != self.length:
            raise ValueError(f"a part of {self.length} calls that were combined")
        begin, end = first - self.start, last - self.start
        if isinstance(values, SealedValues):
            values = SealedValues(values.entries[begin:end])
        else:
            values = values[begin:end]
        failures = {
            offset - begin: error
            for offset, error in self.failures.items()
            if begin <= offset < end
        }
        return Outcomes(first, last - first, values, failures)

    def open(self) -> tuple[Sequence[Any], dict[int, BaseException]]:
        """Return the values, and by offset the exceptions, unsealing what is sealed.

        The exceptions are kept here no longer: their frames may lead here, and a cycle would keep
        what calls had in their locals until Python looks for cycles.
        """
        values, failures = open_values(self.values)
        for offset, error in self.failures.items():
            failures[offset] = decode_error(error) if isinstance(error, EncodedError) else error
        self.failures.clear()
        return values, failures


# Outcomes of other ranks' calls, to be sent: with the owner's rank, and its key there.
Outbox = deque[tuple[int, int, Outcomes]]
# Plain values that a `Call` returned, likewise.
ReturnedValues = deque[tuple[int, int, Any]]


class FutureGroup:
    """Futures that were given away together: to the thief they are one span, `key` at the owner.

    Args:
        futures: the futures.
        function: what is called, with the arguments that were sent.
        kept: what has to be there as long as they are not all done (see `functions`).

    Attributes:
        dropped: those whose calls were not made, and that will never be done.
    """

    __slots__ = ("_taken", "dropped", "function", "futures", "kept")

    def __init__(
        self, futures: list[Future], function: Callable[..., Any], kept: object = None
    ) -> None:
        self.futures = futures
        self.function = function
        self.kept = kept
        self.dropped: list[Future] = []
        self._taken = Intervals()  # those whose outcomes are in

    def settle(self, segment: Segment, discarded: deque[object] | None) -> bool:
        """Complete the futures that `segment` reports; return whether all of them are done.

        Args:
            segment: what has been reported. It is opened when it is asked for: that takes code of
                the user's.
            discarded: gets what the futures no longer need, to be let go of where the user's
                finalizers may run; None: they may run here.
        """
        _, start, length, values, encoded = segment
        outcomes = Outcomes(start, length, values, encoded)
        for first, last in self._taken.add(start, start + length):
            is_all = last - first == length
            self._complete(outcomes if is_all else outcomes.part(first, last), discarded)
        return self.is_settled

    def context_of(self, start: int, length: int) -> Context | None:
        """Return the context of `length` futures from number `start` on; None if they differ."""
        first, *others = (future.context for future in self.futures[start : start + length])
        if first is None or any(other is None or differ(first, other) for other in others):
            return None
        return first

    def are_in(self, first: int, last: int) -> bool:
        """Say whether any of the futures from number `first` up to `last` are done."""
        return self._taken.overlaps(first, last)

    @property
    def is_settled(self) -> bool:
        """Whether all of the futures are done."""
        return self._taken.count == len(self.futures)

    def _complete(self, outcomes: Outcomes, discarded: deque[object] | None) -> None:
        start, length, values, failures = outcomes
        if outcomes.are_dropped:
            self.dropped += self.futures[start : start + length]
            return
        futures = self.futures[start : start + length]
        if discarded is not None:
            discarded.extend(future.call for future in futures)
        if not failures and not isinstance(values, SealedValues):
            for future, value in zip(futures, values, strict=True):
                future.complete(value, None)
            return
        for offset, future in enumerate(futures):
            error = failures.get(offset)
            value = values.sealed(offset) if isinstance(values, SealedValues) else values[offset]
            if error is not None or type(value) is SealedValue:
                call = None if error is None else future.call
                future.complete_unopened(Arrived(value, error, call))
            else:
                future.complete(value, None)


class Arrived(Unopened):
    """How a call ended on another rank: still sealed.

    Args:
        value: the value; of a call that failed, None.
        error: what the call raised.
        call: its function and arguments, if it failed.
    """

    __slots__ = ("_call", "_error", "_value")

    def __init__(
        self,
        value: SealedValue | None,
        error: EncodedError | None,
        call: tuple[Callable[..., Any], tuple[Any, ...]] | None,
    ) -> None:
        self._value = value
        self._error = error
        self._call = call

    def open(self) -> tuple[Any, BaseException | None]:
        """See `Unopened`."""
        if self._error is not None:
            failure = decode_error(self._error)
            if self._call is not None:
                note_call(failure, *self._call)
            return None, failure
        try:
            return None if self._value is None else self._value.open(), None
        except SerializationError as error:
            return None, error
