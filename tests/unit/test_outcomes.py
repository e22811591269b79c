"""How calls ended reaches those that wait for it, whatever of it can be had."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from scoop_mpi.errors import SerializationError
from scoop_mpi.tasks.outcomes import FutureGroup, Outcomes
from scoop_mpi.wire.messages import Results
from scoop_mpi.wire.serializer import encode_error
from scoop_mpi.wire.values import Sealer, column_of
from tests.unit.helpers import Box, Unpicklable, Ununpicklable, make_future, over_the_wire


def square(x: Any) -> Any:
    return x * x


def sealed_values(*values: Any) -> Any:
    """Return values as they are sent."""
    return column_of(list(map(Sealer(1, "node1").value, values)))


def test_outcomes_open_to_values_and_all_kinds_of_failures() -> None:
    error = ValueError("here")
    encoded = encode_error(KeyError("there"), 1, "node1")
    values = sealed_values(Box(1), None, None, Unpicklable())
    opened, failures = Outcomes(0, 4, values, {1: error, 2: encoded}).open()
    assert list(opened) == [Box(1), None, None, None]
    assert failures[1] is error
    assert repr(failures[2]) == "KeyError('there')"
    assert isinstance(failures[3], SerializationError)


def test_a_group_completes_its_futures_and_says_when_all_are_done() -> None:
    futures = [make_future(square, x) for x in range(4)]
    group = FutureGroup(futures, square)
    discarded: deque[object] = deque()
    error = encode_error(ValueError("no"), 1, "node1")
    assert not group.settle((1, 2, 2, [4, None], {1: error}), discarded)
    assert [future.is_done for future in futures] == [False, False, True, True]
    assert group.settle((1, 0, 2, [0, 1], {}), discarded)
    assert len(discarded) == len(futures)
    assert [future.failure for future in futures[:3]] == [None] * 3
    assert repr(futures[3].failure) == "ValueError('no')"


def test_a_value_that_cannot_be_opened_fails_its_future_alone() -> None:
    futures = [make_future(square, x) for x in range(3)]
    sealed = sealed_values(Box(0), Ununpicklable(), Box(2))
    (segment,) = over_the_wire(Results(0, [(1, 0, 3, sealed, {})])).segments
    assert FutureGroup(futures, square).settle(segment, deque())
    assert [type(future.failure) for future in futures] == [
        type(None),
        SerializationError,
        type(None),
    ]


@pytest.mark.parametrize("by_pump", [True, False])
def test_what_a_group_is_told_twice_changes_nothing(by_pump: bool) -> None:
    futures = [make_future(square, number) for number in range(6)]
    group = FutureGroup(futures, square)
    discarded: deque[object] | None = deque() if by_pump else None
    told: list[tuple[int, list[int], bool]] = [
        (2, [20, 21], False),
        (2, [0, 0], False),
        (1, [10, 0, 0, 30], False),
        (0, [1, 0, 0], False),
        (3, [0, 0, 50], True),
        (0, [0] * 6, True),
    ]
    for start, values, is_all in told:
        assert group.settle((1, start, len(values), values, {}), discarded) is is_all
    assert [future.result() for future in futures] == [1, 10, 20, 21, 30, 50]


def test_a_part_of_outcomes_has_its_own_failures() -> None:
    whole = Outcomes(10, 4, [0, None, 2, None], {1: "b", 3: "d"})
    assert whole.part(11, 13) == Outcomes(11, 2, [None, 2], {0: "b"})
    with pytest.raises(ValueError, match="combined"):
        Outcomes(10, 4, [7], {}).part(10, 12)
