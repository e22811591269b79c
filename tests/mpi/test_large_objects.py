"""Objects that travel as messages of their own, or as many of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scoop_mpi import futures, shared
from tests.mpi.conftest import Job

pytestmark = pytest.mark.mpi


def double(array: Any) -> Any:
    array *= 2  # it is the task's own, and writable
    return array


def poll(future: futures.Future) -> Any:
    """Return the result, leaving the call to another rank if there is one."""
    while not future.done():
        pass
    return future.result()


@pytest.mark.parametrize("size", [1, 1000, 100_000, 4_000_000])
def test_arrays_there_and_back(job: Job, size: int) -> None:
    def program() -> None:
        for _ in range(5):
            array = np.arange(size, dtype=float)
            np.testing.assert_array_equal(poll(futures.submit(double, array.copy())), 2 * array)

    job(program)


def test_arrays_of_every_layout(job: Job) -> None:
    base = np.arange(90_000.0).reshape(300, 300)
    arrays = [base, base.T, base[::2, ::3], np.asfortranarray(base), np.array(3.0), base[:0]]

    def program() -> None:
        for array in arrays:
            result = poll(futures.submit(double, array.copy(order="K")))
            np.testing.assert_array_equal(result, 2 * array)

    job(program)


def test_more_buffers_than_one_message_announces(job: Job) -> None:
    def program() -> None:
        arrays = [np.full(4000, float(n)) for n in range(600)]
        for result, array in zip(futures.map(np.negative, arrays), arrays, strict=True):
            np.testing.assert_array_equal(result, -array)
        (result,) = futures.map(list, [tuple(arrays)])
        assert [array[0] for array in result] == list(range(600))

    job(program)


def test_long_bytes(job: Job) -> None:
    def program() -> None:
        text = b"x" * 20_000_000
        assert poll(futures.submit(bytes.upper, text)) == text.upper()

    job(program)


def sum_of_constant(_: int) -> float:
    return float(shared.getConst("table", timeout=0).sum())


def test_a_large_constant(job: Job) -> None:
    def program() -> None:
        shared.setConst(table=np.ones(1_000_000))
        shared.setConst(small=1)
        assert set(futures.map(sum_of_constant, range(20))) == {1_000_000.0}

    job(program)
