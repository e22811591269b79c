"""Outcomes: how calls ended, on their way from who made them to who owns them.

Responsible for what comes of a call between its end and the future or span at its owner; must not
know how it is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scoop_mpi.columns import Column, open_column
from scoop_mpi.future import Future
from scoop_mpi.messages import Segment
from scoop_mpi.serializer import EncodedError, decode_error


class Outcomes(NamedTuple):
    """How `length` consecutive calls of a span ended, the first of them being call `start`.

    `values` has None where a call failed. Of a reduction both hold what `reduction.fold` returned
    instead. What came from another rank is still sealed.
    """

    start: int
    length: int
    values: Column
    failures: Mapping[int, BaseException | EncodedError]

    def open(self) -> tuple[Sequence[Any], dict[int, BaseException]]:
        """Return the values, and by offset the exceptions, unsealing what is sealed."""
        values, unopened = open_column(self.values)
        failures: dict[int, BaseException] = dict(unopened)
        for offset, error in self.failures.items():
            failures[offset] = decode_error(error) if isinstance(error, EncodedError) else error
        return values, failures


# Outcomes of other ranks' calls, to be sent: with the owner's rank, and its key there.
Outbox = deque[tuple[int, int, Outcomes]]
# Plain values that a `Call` returned, likewise.
ReturnedValues = deque[tuple[int, int, Any]]


class FutureGroup:
    """Futures that were given away together: to the thief they are one span, `key` at the owner."""

    __slots__ = ("futures", "unreported")

    def __init__(self, futures: list[Future]) -> None:
        self.futures = futures
        self.unreported = len(futures)

    def settle(self, segment: Segment) -> bool:
        """Complete the futures that `segment` reports; return whether all of them are done."""
        _, start, length, values, encoded = segment
        self.unreported -= length
        opened, failures = Outcomes(start, length, values, encoded).open()
        for offset, value in enumerate(opened):
            self.futures[start + offset].complete(value, failures.get(offset))
        return self.unreported == 0
