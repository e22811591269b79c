"""Numpy arrays of every kind, and whether two are the same: for the tests of what travels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tests.unit.helpers import Box

Array = np.ndarray[Any, Any]


class Tagged(np.ndarray[Any, Any]):
    """A subclass of array that has nothing of its own."""


def structured(size: int) -> Array:
    array = np.zeros(size, [("name", "U5"), ("place", "<f8", (2,)), ("count", ">i4")])
    array["name"] = "name"
    array["place"] = np.arange(2 * size).reshape(size, 2)
    array["count"] = np.arange(size)
    return array


def read_only(size: int) -> Array:
    array = np.arange(size)
    array.flags.writeable = False
    return array


# By name: what makes an array of some multiple of so many items.
ARRAYS: dict[str, Callable[[int], Array]] = {
    "plain": lambda size: np.arange(float(size)),
    "of no dimension": lambda size: np.array(float(size)),
    "of no dimension, of an object": lambda size: np.array(Box(size), object),
    "of objects": lambda size: np.array([Box(i) for i in range(size)] + [None], object),
    "of texts": lambda size: np.array([str(i) for i in range(size)]),
    "of times": lambda size: np.arange(size).astype("datetime64[s]"),
    "of durations": lambda size: np.arange(size).astype("timedelta64[ms]"),
    "in Fortran's order": lambda size: np.asfortranarray(np.arange(6 * size).reshape(2, 3, size)),
    "with gaps": lambda size: np.arange(2 * size)[::2],
    "backwards": lambda size: np.arange(size)[::-1],
    "backwards in one dimension": lambda size: np.arange(2 * size).reshape(2, size)[:, ::-1],
    "transposed": lambda size: np.arange(6 * size).reshape(2, 3, size).transpose(1, 0, 2),
    "repeated by strides of 0": lambda size: np.broadcast_to(np.arange(3), (size, 3)),
    "read-only": read_only,
    "empty": lambda size: np.empty((size, 0, 2)),
    "of records": structured,
    "of records, by attribute": lambda size: structured(size).view(np.recarray),
    "a field of records": lambda size: structured(size)["place"],
    "of foreign byte order": lambda size: np.arange(size, dtype=">f8"),
    "on borrowed memory": lambda size: np.frombuffer(bytearray(8 * size), np.float64),
    "masked": lambda size: np.ma.masked_greater(np.arange(size), 0),
    "of a subclass": lambda size: np.arange(size).view(Tagged),
    "a matrix": lambda size: np.arange(2 * size).reshape(2, size).view(np.matrix),
}
# Those whose class or items need a way of their own.
ORDINARY_ARRAYS = {
    name: make
    for name, make in ARRAYS.items()
    if type(make(2)) is np.ndarray and not make(2).dtype.hasobject
}

# Numpy itself loses the byte order of foreign times.
_scalar_types = st_numpy.scalar_dtypes().filter(lambda kind: kind.kind not in "mM" or kind.isnative)
_types = _scalar_types | st_numpy.array_dtypes(_scalar_types)


@st.composite
def any_arrays(draw: st.DrawFn) -> Array:
    """Arrays of any type and shape, and views of such with gaps, turned over, or transposed."""
    shapes = st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    array: Array = draw(st_numpy.arrays(dtype=_types, shape=shapes))
    if not array.dtype.isnative:
        return array  # of its views numpy itself loses the byte order
    if array.ndim and draw(st.booleans()):
        steps = st.sampled_from([slice(None), slice(None, None, 2), slice(None, None, -1)])
        array = array[tuple(draw(steps) for _ in array.shape)]
    if draw(st.booleans()):
        array = array.transpose(draw(st.permutations(range(array.ndim))))
    return array


def assert_same(received: Any, array: Array) -> None:
    """Fail unless `received` is an array like `array`, in type, shape and content."""
    assert type(received) is type(array)
    assert received.dtype == array.dtype
    assert received.shape == array.shape
    if array.dtype.hasobject or isinstance(array, np.ma.MaskedArray):
        assert repr(received) == repr(array)
    else:
        assert received.tobytes() == array.tobytes()
