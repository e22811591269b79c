"""What a call of another rank's returned is what it was then, and is copied only if need be."""

from __future__ import annotations

from itertools import repeat, starmap
from typing import Any

import numpy as np
import pytest

from scoop_mpi.errors import SerializationError
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.tasks.span import Span
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.columns import Batch, seal_calls
from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES
from scoop_mpi.wire.values import SealedValue, Sealer, column_of, open_values
from tests.unit.helpers import Box, Unpicklable, batch_over_the_wire, bracket

SEALER = Sealer(1, "node1")
SCRATCH = np.zeros(OUT_OF_BAND_BYTES)
ITEMS: list[Any] = []
LARGE = OUT_OF_BAND_BYTES


def values_of(function: Any, items: list[Any], **more: Any) -> list[Any]:
    """Return what a thief reports of a map that it has stolen whole."""
    found: list[Outcomes] = []
    batch: Batch = batch_over_the_wire(seal_calls(items, star=False))
    span = Span(
        0,
        batch,
        False,
        lambda _, outcomes: found.append(outcomes),
        function=function,
        sealer=SEALER,
        **more,
    )
    span.window_size = len(items)
    window = span.claim()
    assert window is not None
    window.run()
    span.retire(window)
    opened: list[Any] = []
    for outcomes in found:
        values, failures = open_values(column_of(outcomes.values))
        assert not failures
        opened += values
    return opened


def fill_scratch(x: int) -> Any:
    SCRATCH[:] = x
    return SCRATCH


def view_of_scratch(x: int) -> Any:
    SCRATCH[:] = x
    return SCRATCH[5:]


def scratch_in_a_box(x: int) -> Any:
    SCRATCH[:] = x
    return Box([SCRATCH])


def one_list(x: int) -> Any:
    ITEMS[:] = [x]
    return ITEMS


def list_in_a_tuple(x: int) -> Any:
    ITEMS[:] = [x]
    return (x, ITEMS)


def plain_then_list(x: int) -> Any:
    ITEMS[:] = [x]
    return ITEMS if x % 3 == 2 else x


@pytest.mark.parametrize(
    ("function", "look"),
    [
        (fill_scratch, lambda value: value[0]),
        (view_of_scratch, lambda value: value[0]),
        (scratch_in_a_box, lambda value: value.content[0][0]),
        (one_list, lambda value: value[0]),
        (list_in_a_tuple, lambda value: value[1][0]),
        (plain_then_list, lambda value: value[0] if isinstance(value, list) else value),
    ],
)
def test_a_value_is_what_it_was_when_the_function_returned(function: Any, look: Any) -> None:
    assert [look(value) for value in values_of(function, list(range(30)))] == list(range(30))


def test_partial_values_of_a_reduction_are_what_they_were() -> None:
    (value,) = values_of(fill_scratch, list(range(32)), reduction=lambda x, y: x + y)
    assert value[0] == sum(range(32))


def test_a_reduction_may_return_what_it_uses_again() -> None:
    def add_up(x: Any, y: Any) -> Any:
        ITEMS[:] = [x, y]
        return bracket(str(x), str(y))

    assert values_of(str, list(range(4)), reduction=add_up) == ["((0 1) (2 3))"]


SHARED = [np.arange(LARGE)]


def buffers_of(value: Any) -> tuple[Any, ...]:
    assert isinstance(value, SealedValue)
    assert not isinstance(value.payload, str)
    return value.payload[1]


def test_a_new_array_is_not_copied() -> None:
    address: list[int] = []

    def make(_: int) -> Any:
        array = np.arange(LARGE)
        address.append(array.ctypes.data)
        return array

    (in_map,) = map(SEALER.value, starmap(make, ((1,),)))
    alone = SEALER.take([make(1)])
    for value, where in zip((in_map, alone), address, strict=True):
        (buffer,) = buffers_of(value)
        assert np.frombuffer(bytes_of(buffer), np.uint8).ctypes.data == where


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: (1, array),
        lambda array: [array, "text"],
        lambda array: {"a": None, "b": array},
        lambda array: (array, 1.5, b"bytes"),
    ],
)
def test_nor_is_a_new_array_in_a_new_container(hold: Any) -> None:
    address: list[int] = []

    def make() -> Any:
        array = np.arange(LARGE)
        address.append(array.ctypes.data)
        return hold(array)

    (in_map,) = map(SEALER.value, starmap(make, ((),)))
    alone = SEALER.take([make()])
    for value, where in zip((in_map, alone), address, strict=True):
        (buffer,) = buffers_of(value)
        assert np.frombuffer(bytes_of(buffer), np.uint8).ctypes.data == where


def test_each_of_two_new_arrays_is_its_own() -> None:
    (value,) = map(SEALER.value, starmap(lambda: (np.arange(LARGE), np.ones(LARGE)), ((),)))
    assert all(isinstance(bytes_of(buffer).obj, np.ndarray) for buffer in buffers_of(value))


def test_what_is_in_a_container_twice_is_copied() -> None:
    def twice() -> Any:
        array = np.arange(LARGE)
        return array, array

    (value,) = map(SEALER.value, starmap(twice, ((),)))
    assert not any(isinstance(bytes_of(buffer).obj, np.ndarray) for buffer in buffers_of(value))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SCRATCH,
        lambda: SCRATCH[:],
        lambda: SCRATCH.reshape(2, -1),
        lambda: [SCRATCH],
        lambda: (1, SCRATCH),
        lambda: {"a": 1, "b": SCRATCH},
        lambda: [np.arange(LARGE), SCRATCH[:]],
        lambda: (1, [SCRATCH]),
        lambda: (Box(SCRATCH),),
        lambda: SHARED,
        lambda: np.arange(2 * LARGE)[::2],
    ],
)
def test_what_somebody_else_may_change_is_copied(make: Any) -> None:
    (value,) = map(SEALER.value, starmap(make, ((),)))
    for buffer in buffers_of(value):
        assert not np.shares_memory(np.frombuffer(bytes_of(buffer), np.uint8), SCRATCH)
        assert not isinstance(bytes_of(buffer).obj, np.ndarray)


@pytest.mark.parametrize("value", [1, 2.5, "text", b"", None, True, 1j, (), (1, ("two", (3.0,)))])
def test_plain_values_that_cannot_change_stay_as_they_are(value: Any) -> None:
    assert next(map(SEALER.value, repeat(value, 1))) is value


def test_a_value_that_cannot_be_sent_fails_alone() -> None:
    column = column_of(list(map(SEALER.value, [1, Unpicklable(), Box(2)])))
    values, failures = open_values(column)
    assert values == [1, None, Box(2)]
    assert isinstance(failures[1], SerializationError)


def test_references_are_counted_as_python_counts_them() -> None:
    """Should that change, arrays would be copied without need, or not although they have to be."""
    kept: list[Any] = []

    def keep(_: int) -> Any:
        kept.append(np.arange(LARGE))
        return kept[-1]

    (value,) = map(SEALER.value, starmap(keep, ((1,),)))
    (buffer,) = buffers_of(value)
    assert not np.shares_memory(np.frombuffer(bytes_of(buffer), np.uint8), kept[0])
