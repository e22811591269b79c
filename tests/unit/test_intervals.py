"""Intervals, beside a plain set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.tasks.intervals import Holders, Intervals

lengths = st.integers(1, 12)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=30))
def test_what_is_added_is_there_once(parts: list[tuple[int, int]]) -> None:
    intervals, numbers = Intervals(), set[int]()
    for start, length in parts:
        new = set(range(start, start + length)) - numbers
        fresh = intervals.add(start, start + length)
        assert [number for begin, end in fresh for number in range(begin, end)] == sorted(new)
        numbers |= new
        assert intervals.count == len(numbers)
        gaps = sum(number + 1 not in numbers for number in numbers)
        assert len(intervals._starts) == len(intervals._stops) == gaps


def test_it_can_be_read() -> None:
    intervals = Intervals()
    intervals.add(3, 5)
    intervals.add(7, 8)
    assert repr(intervals) == "<Intervals 3..4, 7..7>"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12))), st.integers(0, 50), lengths)
def test_whether_any_are_in(added: list[tuple[int, int]], start: int, length: int) -> None:
    intervals = Intervals()
    numbers: set[int] = set()
    for first, count in added:
        intervals.add(first, first + count)
        numbers |= set(range(first, first + count))
    expected = not numbers.isdisjoint(range(start, start + length))
    assert intervals.overlaps(start, start + length) == expected


@given(st.lists(st.tuples(st.integers(0, 40), lengths, st.integers(0, 3) | st.none())))
def test_who_has_which_calls(events: list[tuple[int, int, int | None]]) -> None:
    """As a dictionary by number would say it; None: nobody has them any more."""
    holders = Holders()
    expected: dict[int, int] = {}
    for first, length, rank in events:
        for number in range(first, first + length):
            expected.pop(number, None)
        if rank is None:
            holders.remove(first, first + length)
        else:
            holders.put(first, first + length, rank)
            expected |= dict.fromkeys(range(first, first + length), rank)
        found = list(holders)
        assert {n: rank for first, last, rank in found for n in range(first, last)} == expected
        assert sum(last - first for first, last, _ in found) == len(expected)
        assert [first for first, *_ in found] == sorted(first for first, *_ in found)
