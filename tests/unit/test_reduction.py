"""A reduction's tree depends on the number of items alone."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.reduction import Tree, fold, intervals
from tests.unit.helpers import bracket, the_tree


def names(start: int, stop: int) -> list[str]:
    return [str(number) for number in range(start, stop)]


@st.composite
def splits(draw: st.DrawFn, most: int = 70) -> list[tuple[int, int]]:
    """Draw segments that tile the items from 0 up to some number, in any order."""
    count = draw(st.integers(1, most))
    cuts = sorted({0, count, *draw(st.lists(st.integers(0, count), max_size=8))})
    return draw(st.permutations(list(itertools.pairwise(cuts))))


def combined(operation: Any, segments: list[tuple[int, int]], items: list[Any]) -> Any:
    """Reduce `items` as ranks would that have run these segments of calls."""
    tree = Tree(operation, len(items))
    for start, stop in segments:
        values, failures = fold(operation, start, items[start:stop])
        assert not failures
        tree.add(start, stop - start, values)
    return tree.result()


def count_of(segments: list[tuple[int, int]]) -> int:
    return max(stop for _, stop in segments)


def test_seven_items_are_combined_as_in_the_docstring() -> None:
    whole = combined(bracket, [(0, 7)], names(0, 7))
    assert whole == "((((0 1) (2 3)) (4 5)) 6)"


@given(splits())
def test_the_tree_is_the_same_for_all_splits_in_all_orders(segments: list[tuple[int, int]]) -> None:
    count = count_of(segments)
    assert combined(bracket, segments, names(0, count)) == the_tree(count)


@given(splits())
def test_order_is_kept(segments: list[tuple[int, int]]) -> None:
    letters = [chr(ord("a") + number) for number in range(count_of(segments))]
    assert combined(operator.add, segments, letters) == "".join(letters)


@given(splits(most=20), st.data())
def test_a_sum_of_floats_is_the_same_to_the_bit(
    segments: list[tuple[int, int]], data: st.DataObject
) -> None:
    count = count_of(segments)
    numbers = data.draw(
        st.lists(st.floats(-1e9, 1e9), min_size=count, max_size=count), label="numbers"
    )
    alone = combined(operator.add, [(0, count)], numbers)
    assert combined(operator.add, segments, numbers).hex() == alone.hex()


def test_a_single_item_is_its_own_reduction() -> None:
    item = object()
    assert combined(None, [(0, 1)], [item]) is item


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_intervals_are_aligned_tile_the_items_and_are_as_large_as_can_be(
    start: int, length: int
) -> None:
    nodes = list(intervals(start, start + length))
    position = start
    for level, index in nodes:
        assert index << level == position
        position += 1 << level
    assert position == start + length
    for (level, index), following in itertools.pairwise(nodes):
        assert following != (level, index + 1) or index & 1, "two halves of a node stand alone"


@given(st.integers(0, 10**4), st.integers(0, 10**4))
def test_few_values_are_left_to_send(start: int, length: int) -> None:
    values, _ = fold(operator.add, start, [1] * length)
    assert sum(values) == length
    assert len(values) <= 2 * length.bit_length()


class Outrage(BaseException):
    """An exception of the kind that few catch."""


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), Outrage()], ids=repr)
def test_an_operation_that_fails_is_a_failure(error: BaseException) -> None:
    def fail(left: str, right: str) -> str:
        raise error

    assert fold(fail, 0, names(0, 4)) == ([], {0: error})


def test_an_operation_that_fails_at_the_owner_raises_there() -> None:
    def fail(left: str, right: str) -> str:
        raise ValueError("no")

    tree = Tree(fail, 2)
    tree.add(0, 1, ["0"])
    with pytest.raises(ValueError, match="no"):
        tree.add(1, 1, ["1"])
