"""The tree of a mapReduce: fixed by the number of items alone.

Floating-point addition is not associative, so a reduction is only reproducible if the same pairs
are combined whoever ran the calls. The tree here is the one of aligned dyadic intervals: a node
of level k covers the items [i * 2**k, (i + 1) * 2**k), and its value is that of its left half
combined with that of its right half. What remains at the right edge, where the number of items is
no power of two, is combined from the left:

    items      0   1   2   3   4   5   6           7 items
    level 1     (0 1)   (2 3)   (4 5)  6
    level 2        (0 .. 3)     (4 5)  6
    result        (((0 .. 3) (4 5)) 6)

Each interval of calls that a rank has run splits, in one way only, into such nodes. So that rank
can combine what lies within, and its partial values say by their place which nodes they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Operation = Callable[[Any, Any], Any]


def intervals(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Split the items from `start` up to `stop` into maximal nodes of the tree.

    Yields:
        (level, index) of each node, from the left.
    """
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def fold(
    operation: Operation, start: int, values: Sequence[Any]
) -> tuple[list[Any], dict[int, BaseException]]:
    """Combine the values of consecutive calls as far as the tree allows.

    Args:
        operation: the reduction function.
        start: the number of the first call.
        values: what the calls returned.

    Returns:
        The value of each node of ``intervals(start, start + len(values))``, and no failures; or
        nothing, and the failure of `operation`, as that of the first call.
    """
    folded: list[Any] = []
    offset = 0
    try:
        for level, _ in intervals(start, start + len(values)):
            row = values[offset : offset + (1 << level)]
            offset += 1 << level
            while len(row) > 1:
                row = list(map(operation, row[0::2], row[1::2]))
            folded.append(row[0])
    except BaseException as error:
        return [], {0: error}
    return folded, {}


class Tree:
    """Combines the values of nodes, in whatever order they come in, into that of all items."""

    def __init__(self, operation: Operation, count: int) -> None:
        self._operation = operation
        self._count = count
        self._waiting: dict[tuple[int, int], Any] = {}

    def add(self, start: int, count: int, values: Sequence[Any]) -> None:
        """Take in the partial values of the calls from `start` on, as `fold` returned them."""
        for (level, index), value in zip(intervals(start, start + count), values, strict=True):
            self._add_node(level, index, value)

    def _add_node(self, level: int, index: int, value: Any) -> None:
        waiting = self._waiting
        while (level, index ^ 1) in waiting:
            sibling = waiting.pop((level, index ^ 1))
            pair = (sibling, value) if index & 1 else (value, sibling)
            value = self._operation(*pair)
            level, index = level + 1, index >> 1
        waiting[level, index] = value

    def result(self) -> Any:
        """Return the value of all items; each must have been added."""
        first, *rest = (self._waiting[node] for node in intervals(0, self._count))
        for value in rest:
            first = self._operation(first, value)
        return first
