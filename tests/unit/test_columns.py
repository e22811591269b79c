"""Objects travel in columns, and one that can't does not keep the others from it."""

from __future__ import annotations

import enum
import pickle
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.columns import BLOCK_BYTES, Sealed, open_column, seal, seal_calls
from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES
from tests.arrays import any_arrays, assert_same
from tests.unit.helpers import (
    Box,
    Refusal,
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
def test_items_that_may_fail_are_sealed(items: list[Any]) -> None:
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
def test_an_object_that_occurs_many_times_in_a_block_travels_once(places: list[int]) -> None:
    objects = [Counted() for _ in range(4)]
    Counted.times = 0
    column = column_over_the_wire(seal([objects[place] for place in places]))
    assert Counted.times == len(set(places))
    received = opened(column)
    assert len(set(map(id, received))) == len(set(places))
    first = {place: received[places.index(place)] for place in places}
    assert all(first[place] is thing for place, thing in zip(places, received, strict=True))


class Common:
    """What many objects share: large, beside what each has for itself."""

    def __init__(self, size: int) -> None:
        self.table = [str(number) for number in range(size)]


@pytest.mark.parametrize("size", [10, 100_000])
def test_what_items_share_travels_once_however_large_it_is(size: int) -> None:
    common = Common(size)
    calls = [(common, number) for number in range(200)]
    alone = len(pickle.dumps(common))
    column = seal_calls(calls, star=True).columns[0]
    assert isinstance(column, Sealed)
    assert sum(len(bytes_of(block.payload[0])) for block, _, _ in column.pieces) < alone + 20_000
    received = opened(column_over_the_wire(column))
    assert [number for _, number in received] == list(range(200))
    assert len({id(shared) for shared, _ in received}) == 1


def test_what_large_items_share_travels_seldom_if_it_is_larger() -> None:
    common = Common(100_000)
    column = seal([(common, f"{number:20000}") for number in range(20)])
    assert isinstance(column, Sealed)
    assert len(column.pieces) == 1
    assert opened(column_over_the_wire(column))[-1][1] == f"{19:20000}"


def test_large_items_have_blocks_of_their_own() -> None:
    large = [list(range(number, number + 20_000)) for number in range(4)]
    for items in ([Box(item) for item in large], [Box(np.array(item)) for item in large]):
        column = seal(items)
        assert isinstance(column, Sealed)
        assert [(first, last) for _, first, last in column.pieces] == [(0, 1)] * 4


def test_a_block_ends_when_it_has_grown_so_that_parts_of_it_can_go_elsewhere() -> None:
    items = [Box("x" * 1000) for _ in range(100)]
    items = [Box(f"{number:1000}") for number in range(100)]
    column = seal(items)
    assert isinstance(column, Sealed)
    assert all(last - first <= 2 * BLOCK_BYTES // 1000 for _, first, last in column.pieces)
    assert opened(column_over_the_wire(column)) == items


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
            batch = batch_over_the_wire(batch)
        if data.draw(st.booleans()):
            assert batch.open() == (items, {})
    assert batch.open() == (items, {})


def test_a_part_that_is_sent_on_leaves_behind_the_blocks_that_it_does_not_need() -> None:
    items = [Box(np.arange(BLOCK_BYTES, dtype=np.uint8)) for _ in range(3)]
    column = column_over_the_wire(seal(items))
    assert isinstance(column, Sealed)
    assert len(column.pieces) == 3
    assert len(column[2:3].pieces) == 1


def test_a_block_that_is_split_within_a_message_travels_once() -> None:
    column = seal([Box(number) for number in range(4)])
    assert isinstance(column, Sealed)
    halves = column_over_the_wire(column[:2] + column[2:])
    assert isinstance(halves, Sealed)
    assert len({id(block) for block, _, _ in halves.pieces}) == 1
    assert opened(halves) == [Box(number) for number in range(4)]


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
    assert str(failures[1]).startswith("argument 2: an object of type Unpicklable can't be sent")
    assert str(failures[2]).startswith("an argument: an object of type ")
    assert "refuse_to_unpickle can't be unpickled" in str(failures[2])


def test_a_call_with_two_bad_arguments_fails_for_the_first() -> None:
    calls = [(Unpicklable(), Ununpicklable())]
    _, failures = batch_over_the_wire(seal_calls(calls, star=True)).open()
    assert str(failures[0]).startswith("argument 1: ")


def test_a_part_of_a_batch_can_be_sent_on() -> None:
    batch = batch_over_the_wire(seal_calls([(1, Box(1)), (2, Box(2))], star=True))
    again = batch_over_the_wire(batch.part(1, 2))
    assert again.open() == ([(2, Box(2))], {})


class Sibling:
    """One of two objects that refer to the same third, of which one can't be unpickled."""

    def __init__(self, common: Any, is_bad: bool) -> None:
        self.common = common
        self.is_bad = is_bad

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["is_bad"]:
            raise Refusal("it refuses")
        self.__dict__.update(state)


@given(st.lists(st.booleans(), max_size=8))
def test_who_shares_with_one_that_cannot_be_unpickled_can_be(bad: list[bool]) -> None:
    common: list[Any] = [Box(np.arange(OUT_OF_BAND_BYTES)), "text"]
    items = [Sibling(common, is_bad) for is_bad in bad]
    received, failures = open_column(column_over_the_wire(seal(items)))
    assert sorted(failures) == [number for number, is_bad in enumerate(bad) if is_bad]
    for number, thing in enumerate(received):
        if number in failures:
            assert "Sibling" in str(failures[number])
        else:
            assert thing.common[1] == "text"
            assert (thing.common[0].content == common[0].content).all()


def test_what_a_call_gets_twice_is_one_object_where_it_arrives() -> None:
    node, numbers = Box(1), [1, 2]
    calls: list[tuple[Any, ...]] = [(node, node), (node, [node]), (numbers, numbers)]
    ((first, second), (third, (fourth,)), (one, other)), _ = batch_over_the_wire(
        seal_calls(calls, star=True)
    ).open()
    assert first is second is third is fourth
    assert one is other


def test_nested_tuples_that_share_are_looked_at_for_a_moment_only() -> None:
    thing: Any = 0
    for _ in range(3):
        thing = (thing,) * 600
    column = seal([thing])
    assert isinstance(column, Sealed)
    assert opened(column_over_the_wire(column)) == [thing]
