"""Objects travel in columns, and one that can't does not keep the others from it."""

from __future__ import annotations

import enum
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.columns import Sealed, open_column, seal, seal_calls
from tests.arrays import any_arrays, assert_same
from tests.unit.helpers import (
    Box,
    Unpicklable,
    Ununpicklable,
    batch_over_the_wire,
    column_over_the_wire,
)
from tests.unit.things import atoms, big, nested


def opened(column: Any) -> list[Any]:
    """Return the objects of a column of which all can be had."""
    items, failures = open_column(column)
    assert not failures
    return list(items)


@st.composite
def columns_with_repeats(draw: st.DrawFn) -> list[Any]:
    """Lists in which the same objects may occur again and again."""
    objects = draw(st.lists(nested | big, min_size=1, max_size=6))
    places = draw(st.lists(st.integers(0, len(objects) - 1), max_size=12))
    return [objects[place] for place in places]


@st.composite
def bounds(draw: st.DrawFn, length: int) -> tuple[int, int]:
    start = draw(st.integers(0, length))
    return start, draw(st.integers(start, length))


@given(st.lists(nested | big))
def test_a_column_opens_to_its_items(items: list[Any]) -> None:
    assert opened(column_over_the_wire(seal(items))) == items


@given(columns_with_repeats())
def test_a_column_with_repeats_opens_to_its_items(items: list[Any]) -> None:
    received = opened(column_over_the_wire(seal(items)))
    assert received == items


@given(st.lists(any_arrays(), max_size=4))
def test_a_column_of_arrays_opens_to_its_items(items: list[np.ndarray[Any, Any]]) -> None:
    received = opened(column_over_the_wire(seal(items)))
    for one, other in zip(received, items, strict=True):
        assert_same(one, other)


def test_plain_items_travel_as_they_are() -> None:
    for items in (range(10**9), [1, 2.0, "three", b"four", None, True, 5j], (1, 2)):
        assert seal(items) is items
    plain: Any
    for plain in ([(1, 2), [3, "four", ()]], [(((),),)], [[[[]]]]):
        assert seal(plain) is plain


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "items",
    [[Box(1)], [1, Box(2)], [(1, [Box(2)])], [{}], [{1: 2}], [Colour.RED]],
    ids=repr,
)
def test_items_that_may_fail_are_sealed_one_by_one(items: list[Any]) -> None:
    assert isinstance(seal(items), Sealed)


Named = namedtuple("Named", "x y")


def test_named_tuples_stay_so() -> None:
    received = opened(column_over_the_wire(seal([Named(1, 2), Named(3, 4)])))
    assert [type(item) for item in received] == [Named, Named]
    assert received == [(1, 2), (3, 4)]


class Counted:
    """Counts how often it is pickled."""

    times = 0

    def __reduce__(self) -> Any:
        Counted.times += 1
        return Counted, ()


@given(st.lists(st.integers(0, 3), max_size=20))
def test_an_object_that_occurs_many_times_travels_once(places: list[int]) -> None:
    objects = [Counted() for _ in range(4)]
    Counted.times = 0
    column = column_over_the_wire(seal([objects[place] for place in places]))
    assert Counted.times == len(set(places))
    received = opened(column)
    assert len(set(map(id, received))) == len(set(places))
    first = {place: received[places.index(place)] for place in places}
    assert all(first[place] is thing for place, thing in zip(places, received, strict=True))


def test_parts_of_a_column_share_an_object_that_occurs_many_times() -> None:
    box = Box(1)
    batch = batch_over_the_wire(seal_calls([box] * 6, star=False))
    parts = [batch.part(first, first + 2).open()[0] for first in (0, 2, 4)]
    assert {id(item) for part in parts for item in part} == {id(parts[0][0])}


@given(st.data(), columns_with_repeats())
def test_a_part_of_a_part_opens_to_the_right_items(data: st.DataObject, items: list[Any]) -> None:
    batch = batch_over_the_wire(seal_calls(items, star=False))
    for _ in range(3):
        start, stop = data.draw(bounds(batch.length))
        batch, items = batch.part(start, stop), items[start:stop]
        assert batch.length == len(items)
        if data.draw(st.booleans()):
            batch = batch_over_the_wire(batch.trimmed())
        if data.draw(st.booleans()):
            assert batch.open() == (items, {})
    assert batch.open() == (items, {})


def test_a_part_that_is_sent_on_leaves_behind_what_it_does_not_need() -> None:
    one, other = Box(1), Box(2)
    column = column_over_the_wire(seal([one, one, other, other, other]))
    assert isinstance(column, Sealed)
    assert len(column.entries) == 2
    assert len(column[2:5].trimmed().entries) == 1
    assert opened(column_over_the_wire(column[2:5].trimmed())) == [other] * 3


@given(st.lists(st.sampled_from(["good", "unpicklable", "ununpicklable"]), max_size=12))
def test_a_bad_item_does_not_spoil_its_neighbours(kinds: list[str]) -> None:
    make = {"good": Box, "unpicklable": lambda _: Unpicklable(), "ununpicklable": _ununpicklable}
    items = [make[kind](number) for number, kind in enumerate(kinds)]
    received, failures = open_column(column_over_the_wire(seal(items)))
    assert len(received) == len(items)
    bad = [number for number, kind in enumerate(kinds) if kind != "good"]
    assert sorted(failures) == bad
    for number, kind in enumerate(kinds):
        if kind == "good":
            assert received[number] == items[number]
        else:
            reason = "pickled" if kind == "unpicklable" else "unpickled"
            assert f"refuses to be {reason}" in str(failures[number])


def _ununpicklable(_: int) -> Ununpicklable:
    return Ununpicklable()


def test_a_bad_item_that_occurs_many_times_fails_each_time() -> None:
    bad = Ununpicklable()
    column = column_over_the_wire(seal([bad, Box(1), bad]))
    items, failures = open_column(column)
    assert items == [None, Box(1), None]
    assert sorted(failures) == [0, 2]


# ------------------------------------------------------------ batches


@given(st.lists(st.tuples(nested, nested | big, atoms)))
def test_calls_of_several_arguments_open_to_tuples(calls: list[tuple[Any, ...]]) -> None:
    batch = batch_over_the_wire(seal_calls(calls, star=True))
    assert batch.length == len(calls)
    if calls:
        assert len(batch.columns) == 3
    assert batch.open() == (calls, {})


def test_calls_without_arguments_open_to_empty_tuples() -> None:
    batch = batch_over_the_wire(seal_calls([()] * 5, star=True))
    assert batch.part(1, 4).open() == ([()] * 3, {})


def test_a_range_stays_a_range() -> None:
    batch = batch_over_the_wire(seal_calls(range(10**12), star=False).part(5, 10**9))
    items, failures = batch.open()
    assert items == range(5, 10**9)
    assert not failures


def test_a_bad_argument_is_named_by_its_position() -> None:
    calls: list[tuple[Any, ...]] = [(1, Box(1)), (2, Unpicklable()), (3, Ununpicklable())]
    items, failures = batch_over_the_wire(seal_calls(calls, star=True)).open()
    assert items[0] == (1, Box(1))
    assert sorted(failures) == [1, 2]
    assert all(str(error).startswith("argument 2: ") for error in failures.values())


def test_a_call_with_two_bad_arguments_fails_for_the_first() -> None:
    calls = [(Unpicklable(), Ununpicklable())]
    _, failures = batch_over_the_wire(seal_calls(calls, star=True)).open()
    assert str(failures[0]).startswith("argument 1: ")


def test_a_batch_is_sent_on_column_by_column() -> None:
    batch = batch_over_the_wire(seal_calls([(1, Box(1)), (2, Box(2))], star=True))
    again = batch_over_the_wire(batch.part(1, 2).trimmed())
    assert again.open() == ([(2, Box(2))], {})
