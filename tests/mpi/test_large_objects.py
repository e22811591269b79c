"""Objects that travel as messages of their own, or as many of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from scoop_mpi import futures, shared
from scoop_mpi.engine.hub import running
from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES
from tests.arrays import ARRAYS, Array, any_arrays, assert_same
from tests.mpi.conftest import Job

pytestmark = pytest.mark.mpi


class CarrierError(Exception):
    """An exception with something to carry."""


def double(array: Any) -> Any:
    array *= 2  # it is the task's own, and writable
    return array


def echo(thing: Any) -> Any:
    return thing


def fail_with(thing: Any) -> None:
    raise CarrierError(thing)


def constant(name: str) -> Any:
    return shared.getConst(name, timeout=0)


def poll(future: futures.Future) -> Any:
    """Return the result, leaving the call to another rank if there is one."""
    while not future.done():
        pass
    return future.result()


def as_argument_and_result(thing: Any) -> Any:
    return poll(futures.submit(echo, thing))


def in_an_exception(thing: Any) -> Any:
    future = futures.submit(fail_with, thing)
    while not future.done():
        pass
    error = future.exception()
    assert isinstance(error, CarrierError)
    (carried,) = error.args
    return carried


def as_constant(thing: Any) -> Any:
    runtime = running().runtime
    name = runtime.constants.new_name("thing")
    shared.setConst(**{name: thing})
    return poll(futures.submit(constant, name))


WAYS = [as_argument_and_result, in_an_exception, as_constant]


@pytest.mark.parametrize("size", [1, 1000, 100_000, 4_000_000])
def test_arrays_there_and_back(job: Job, size: int) -> None:
    def program() -> None:
        for _ in range(5):
            array = np.arange(size, dtype=float)
            np.testing.assert_array_equal(poll(futures.submit(double, array.copy())), 2 * array)

    job(program)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [2, 2 * OUT_OF_BAND_BYTES], ids=["small", "large"])
def test_arrays_of_every_kind(job: Job, way: Callable[[Any], Any], size: int) -> None:
    def program() -> None:
        for make in ARRAYS.values():
            array = make(size)
            assert_same(way(array), array)

    job(program)


@pytest.mark.parametrize("way", WAYS)
def test_any_array(job: Job, way: Callable[[Any], Any]) -> None:
    # In the same order each time: what it takes until a failure is found can be replayed.
    @settings(
        max_examples=30,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],  # where many ranks share a core
    )
    @given(any_arrays())
    def program(array: Array) -> None:
        assert_same(way(array), array)

    job(program)


def test_bytes_of_100_megabytes(job: Job) -> None:
    def program() -> None:
        text = bytes(range(250)) * 400_000
        assert as_argument_and_result(text) == text

    job(program)


@pytest.mark.parametrize("way", WAYS)
def test_long_bytes(job: Job, way: Callable[[Any], Any]) -> None:
    def program() -> None:
        text = bytes(range(250)) * 4000
        assert way(text) == text
        assert way(bytearray(text)) == text
        assert way(memoryview(text)[::2]) == text[::2]

    job(program)


def test_more_buffers_than_one_message_announces(job: Job) -> None:
    def program() -> None:
        arrays = [np.full(4000, float(n)) for n in range(600)]
        for result, array in zip(futures.map(np.negative, arrays), arrays, strict=True):
            np.testing.assert_array_equal(result, -array)
        (result,) = futures.map(list, [tuple(arrays)])
        assert [array[0] for array in result] == list(range(600))

    job(program)


def sum_of_constant(_: int) -> float:
    return float(shared.getConst("table", timeout=0).sum())


def test_a_large_constant(job: Job) -> None:
    def program() -> None:
        table = np.ones(1_000_000)
        shared.setConst(table=table)
        table[:] = 0  # a constant is what it was when it was set
        shared.setConst(small=1)
        assert set(futures.map(sum_of_constant, range(20))) == {1_000_000.0}

    job(program)


def set_and_sum(number: int) -> float:
    name = f"table{number}"
    shared.setConst(**{name: np.full(1_000_000, float(number))})
    return float(poll(futures.submit(constant, name))[-1])


def test_large_constants_of_all_ranks(job: Job) -> None:
    def program() -> None:
        assert list(futures.map(set_and_sum, range(12))) == list(range(12))
        assert shared.getConst("table11", timeout=0)[0] == 11

    job(program)
