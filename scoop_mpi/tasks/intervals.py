"""Intervals: what holds of which of many numbers, in as little memory as there are gaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Intervals:
    """A set of whole numbers, as disjoint intervals in order.

    Attributes:
        count: how many numbers there are in it.
    """

    __slots__ = ("_starts", "_stops", "count")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self.count = 0

    def __repr__(self) -> str:
        parts = zip(self._starts, self._stops, strict=True)
        return f"<Intervals {', '.join(f'{start}..{stop - 1}' for start, stop in parts)}>"

    def add(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Add the numbers from `start` up to `stop`.

        Returns:
            The intervals of those that were not there, each as (start, stop).
        """
        starts, stops = self._starts, self._stops
        first = last = bisect_left(stops, start)  # those from first to last are merged into one
        low, high, place = start, stop, start
        fresh: list[tuple[int, int]] = []
        while last < len(starts) and starts[last] <= stop:
            if place < starts[last]:
                fresh.append((place, starts[last]))
            place = max(place, stops[last])
            low, high = min(low, starts[last]), max(high, stops[last])
            last += 1
        if place < stop:
            fresh.append((place, stop))
        starts[first:last] = [low]
        stops[first:last] = [high]
        self.count += sum(end - begin for begin, end in fresh)
        return fresh

    def overlaps(self, start: int, stop: int) -> bool:
        """Say whether any of the numbers from `start` up to `stop` are in it."""
        place = bisect_right(self._stops, start)
        return place < len(self._starts) and self._starts[place] < stop


class Holders:
    """Which rank has which of the calls of a span, as intervals that don't overlap."""

    __slots__ = ("_firsts", "_lasts", "_ranks")

    def __init__(self) -> None:
        self._firsts: list[int] = []  # in ascending order
        self._lasts: list[int] = []
        self._ranks: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield the first call of each interval, the one after its last, and the rank."""
        return zip(self._firsts, self._lasts, self._ranks, strict=True)

    def put(self, first: int, last: int, rank: int) -> None:
        """Note that `rank` has the calls from `first` up to `last`, whoever had them before."""
        place = self.remove(first, last)
        self._firsts.insert(place, first)
        self._lasts.insert(place, last)
        self._ranks.insert(place, rank)

    def remove(self, first: int, last: int) -> int:
        """Note that nobody has the calls from `first` up to `last` any more.

        Returns:
            The place of what begins after `first`.
        """
        firsts, lasts, ranks = self._firsts, self._lasts, self._ranks
        begin = bisect_right(lasts, first)  # the first interval that ends after `first`
        end = bisect_left(firsts, last)  # the first one that begins after all of it
        if begin >= end:
            return begin
        left = [(firsts[begin], first, ranks[begin])] if firsts[begin] < first else []
        right = [(last, lasts[end - 1], ranks[end - 1])] if lasts[end - 1] > last else []
        kept = left + right
        firsts[begin:end] = [each[0] for each in kept]
        lasts[begin:end] = [each[1] for each in kept]
        ranks[begin:end] = [each[2] for each in kept]
        return begin + len(left)
