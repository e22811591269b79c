"""Memory for large messages is used again, but never while anybody holds a part of it."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import numpy as np
import pytest

from scoop_mpi.transport.buffers import _MOST_KEPT, _SMALLEST_KEPT, Buffers
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.serializer import decode, encode

SIZE = 2 * _SMALLEST_KEPT


def address(memory: Any) -> int:
    return int(np.frombuffer(memory, np.uint8).__array_interface__["data"][0])


def received(buffers: Buffers, thing: Any) -> Any:
    """Return an object as the rank that received it would have it."""
    data, sent = encode(thing)
    frames = [buffers.take(bytes_of(buffer).nbytes) for buffer in sent]
    for frame, buffer in zip(frames, sent, strict=True):
        memoryview(frame).cast("B")[:] = bytes_of(buffer)
    return decode((data, tuple(frames)))


@pytest.mark.parametrize("size", [0, 1, _SMALLEST_KEPT - 1, _SMALLEST_KEPT, SIZE])
def test_memory_is_writable_and_of_the_size_asked_for(size: int) -> None:
    view = memoryview(Buffers().take(size)).cast("B")
    assert view.nbytes == size
    assert not view.readonly


def test_what_nobody_holds_is_used_again() -> None:
    buffers = Buffers()
    first = address(buffers.take(SIZE))
    assert address(buffers.take(SIZE - 1)) == first


def test_what_somebody_holds_is_not() -> None:
    buffers = Buffers()
    held = buffers.take(SIZE)
    assert address(buffers.take(SIZE)) != address(held)


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_part_of_an_array_keeps_the_memory(is_read_only: bool) -> None:
    buffers = Buffers()
    sent = np.arange(SIZE).reshape(2, -1)
    sent.flags.writeable = not is_read_only
    part = received(buffers, {"array": sent})["array"].T[5:9, 1]
    gc.collect()
    expected = part.copy()
    for _ in range(3):
        received(buffers, np.zeros(SIZE))
    assert (part == expected).all()
    assert part.flags.writeable


def test_bytes_that_came_in_are_a_copy() -> None:
    buffers = Buffers()
    frame = buffers.take(SIZE)
    frame[:] = 1
    content = pickle.loads(pickle.dumps(bytes(frame)))
    del frame
    buffers.take(SIZE)[:] = 2
    assert set(content) == {1}


def test_a_piece_that_is_much_too_large_is_not_used() -> None:
    buffers = Buffers()
    large = buffers.take(5 * SIZE)
    at = address(large)
    del large
    assert address(buffers.take(SIZE)) != at or not buffers._free


def test_no_more_than_a_limit_is_kept() -> None:
    buffers = Buffers()
    pieces = [buffers.take(SIZE) for _ in range(_MOST_KEPT // SIZE + 5)]
    pieces.clear()
    gc.collect()
    assert sum(map(len, buffers._free)) == _MOST_KEPT
