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

What is raised is fixed as well, whoever ran what, and whichever failed first: what the first call
to fail raised; and if none did, what the first operation to fail raised, from the left. Operations
that fail although all beneath them have succeeded cover different items, so that one of them is the
first. A node above them has no value, but their error. For this, nobody may stop at an error: a
node to its left may fail as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from typing import Any

from scoop_mpi.errors import BY_SIGNAL, from_call

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
        The value of each node of ``intervals(start, start + len(values))``, and by the position of
        a node what `operation` raised there, where the value is None.
    """
    folded: list[Any] = []
    failed_nodes: dict[int, BaseException] = {}
    offset = 0
    for position, (level, _) in enumerate(intervals(start, start + len(values))):
        row = values[offset : offset + (1 << level)]
        offset += 1 << level
        value, error = _fold_node(operation, row)
        folded.append(value)
        if error is not None:
            failed_nodes[position] = error
    return folded, failed_nodes


def _fold_node(operation: Operation, row: Sequence[Any]) -> tuple[Any, BaseException | None]:
    """Combine the values of one node; return its value, or what the first operation raised."""
    error: BaseException | None = None
    while len(row) > 1:
        above: list[Any] = []
        keep = above.append
        try:
            # No `map`: an operation that raised StopIteration would only make its row shorter.
            items = iter(row)
            for left, right in zip(items, items, strict=False):
                keep(operation(left, right))
        except BaseException as failure:
            error = failure  # further left than one in a row beneath, and so the first
        row = above
    return (row[0] if error is None else None), error


class _Failed:
    """Stands for the value of a node that has none; `error` says why."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Tree:
    """Combines the values of nodes, in whatever order they come in, into that of all items.

    Args:
        operation: the reduction function.
        count: the number of items.

    Attributes:
        failed_call: of the calls that failed so far, what the first raised.
        first_failed: which call that was.
    """

    def __init__(self, operation: Operation, count: int) -> None:
        self.failed_call: BaseException | None = None
        self.first_failed = count
        self._operation = operation
        self._count = count
        self._waiting: dict[tuple[int, int], Any] = {}

    def add(
        self,
        start: int,
        count: int,
        values: Sequence[Any],
        failures: Mapping[int, BaseException],
    ) -> None:
        """Take in the partial values of the calls from `start` on, as `fold` returned them.

        Or, if some of the calls failed, fewer values, and their failures by their offset.
        """
        nodes = list(intervals(start, start + count))
        if failures and len(values) != len(nodes):
            self._call_failed(start + min(failures), failures[min(failures)])
            return
        for position, ((level, index), value) in enumerate(zip(nodes, values, strict=True)):
            error = failures.get(position)
            if error is None:
                self._add_node(level, index, value)
            elif level == 0:  # nothing was combined: it is the call's
                self._call_failed(index, error)
            else:
                self._add_node(level, index, _Failed(error))

    def _call_failed(self, number: int, error: BaseException) -> None:
        if number < self.first_failed:
            self.first_failed = number
            self.failed_call = error

    def _add_node(self, level: int, index: int, value: Any) -> None:
        if self.failed_call is not None:
            return  # there will be no value
        waiting = self._waiting
        while (level, index ^ 1) in waiting:
            sibling = waiting.pop((level, index ^ 1))
            value = self._combine(sibling, value) if index & 1 else self._combine(value, sibling)
            level, index = level + 1, index >> 1
        waiting[level, index] = value

    def _combine(self, left: Any, right: Any) -> Any:
        if type(left) is _Failed:
            return left
        if type(right) is _Failed:
            return right
        try:
            return copy_context().run(self._operation, left, right)
        except BY_SIGNAL:  # this runs where the program waits
            raise
        except BaseException as error:
            return _Failed(error)

    def result(self, function: object) -> Any:
        """Return the value of all items; each must have been added, or a call have failed.

        Args:
            function: what the calls were of, to be named in an error.

        Raises:
            BaseException: what the first call to fail raised; or else the first operation.
        """
        if self.failed_call is not None:
            error, self.failed_call = from_call(self.failed_call, function), None
            try:
                raise error
            finally:
                del error  # which holds this frame: a cycle would keep both for long
        value, *rest = (self._waiting[node] for node in intervals(0, self._count))
        for right in rest:
            value = self._combine(value, right)
        if type(value) is _Failed:
            raise from_call(value.error, self._operation)
        return value
