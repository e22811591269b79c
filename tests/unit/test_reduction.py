"""A reduction's tree depends on the number of items alone."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.errors import Interrupt
from scoop_mpi.tasks.reduction import Tree, fold, intervals
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
        tree.add(start, stop - start, *fold(operation, start, items[start:stop]))
    return tree.result(None)


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
def test_an_operation_that_fails_fails_its_node_alone(error: BaseException) -> None:
    def fail_at_4(left: str, right: str) -> str:
        if left == "4":
            raise error
        return bracket(left, right)

    # The nodes of 2 to 3, 4 to 7, and 8.
    folded = fold(fail_at_4, 2, names(2, 9))
    assert folded == (["(2 3)", None, "8"], {1: error})


class CombinationFailed(Exception):
    """What an operation raises; it says for which items."""


def combine_unless(bad: set[str]) -> Any:
    """Return an operation that fails where the right half begins with an item of `bad`."""

    def operation(left: str, right: str) -> str:
        if right.strip("(").split(" ")[0].strip(")") in bad:
            raise CombinationFailed(left, right)
        return bracket(left, right)

    return operation


@given(splits(), st.data())
def test_the_first_operation_to_fail_from_the_left_is_raised_however_the_calls_are_split(
    segments: list[tuple[int, int]], data: st.DataObject
) -> None:
    count = count_of(segments)
    bad = data.draw(st.sets(st.integers(1, max(count - 1, 1)).map(str), min_size=1), label="bad")
    operation = combine_unless(bad)

    def outcome(segments: list[tuple[int, int]]) -> tuple[Any, ...]:
        try:
            return ("value", combined(operation, segments, names(0, count)))
        except CombinationFailed as error:
            return error.args

    expected = outcome([(item, item + 1) for item in range(count)])
    assert outcome([(0, count)]) == expected
    assert outcome(segments) == expected


@given(splits(), st.data())
def test_the_first_call_to_fail_comes_before_any_operation(
    segments: list[tuple[int, int]], data: st.DataObject
) -> None:
    count = count_of(segments)
    failed = data.draw(st.sets(st.integers(0, count - 1), min_size=1), label="failed")
    tree = Tree(combine_unless(set(names(0, count))), count)
    for start, stop in segments:
        failures = [number for number in sorted(failed) if start <= number < stop]
        if failures:
            tree.add(start, stop - start, [], {failures[0] - start: ValueError(failures[0])})
        else:
            folded = fold(combine_unless(set(names(0, count))), start, names(start, stop))
            tree.add(start, stop - start, *folded)
    assert tree.failed_call is not None
    assert tree.failed_call.args == (min(failed),)


def test_calls_that_could_not_be_sent_have_failed() -> None:
    tree = Tree(bracket, 9)
    unsent = ValueError("unsent")
    tree.add(2, 7, [None] * 7, dict.fromkeys(range(7), unsent))
    tree.add(0, 2, ["(0 1)"], {})
    assert tree.failed_call is unsent


def stop_at_2(left: str, right: str) -> str:
    if right == "2":
        raise StopIteration(right)
    return left + right


@pytest.mark.parametrize("segments", [[(0, 3)], [(0, 2), (2, 3)], [(2, 3), (1, 2), (0, 1)]])
def test_stop_iteration_is_no_end_of_a_reduction(segments: list[tuple[int, int]]) -> None:
    with pytest.raises(RuntimeError, match=r"^stop_at_2 raised StopIteration$") as caught:
        combined(stop_at_2, segments, names(0, 3))
    assert isinstance(caught.value.__cause__, StopIteration)
    assert caught.value.__cause__.value == "2"


def test_ctrl_c_at_the_owner_is_raised_at_once() -> None:
    def interrupt(left: str, right: str) -> str:
        raise Interrupt

    tree = Tree(interrupt, 3)
    tree.add(0, 1, ["0"], {})
    with pytest.raises(Interrupt):
        tree.add(1, 1, ["1"], {})
