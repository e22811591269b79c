"""Every message survives the journey, as frames of bytes."""

from __future__ import annotations

import pickle
import typing
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.transport.node_memory import Place
from scoop_mpi.wire import messages
from scoop_mpi.wire.columns import Block, Sealed
from scoop_mpi.wire.functions import FunctionName
from scoop_mpi.wire.messages import (
    Begin,
    Call,
    CalledOff,
    ConstantsDeleted,
    ConstantsKept,
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsProposed,
    ConstantsPublished,
    ConstantsRefused,
    FunctionSent,
    FunctionWanted,
    HoldReleased,
    ImportFailed,
    Leave,
    Message,
    Reserved,
    Results,
    Returned,
    ShowLog,
    Steal,
    StealFailed,
    Stop,
    Stopped,
    Work,
    WorkOffered,
    WorkWanted,
)
from scoop_mpi.wire.serializer import EncodedError
from scoop_mpi.wire.values import SealedValues
from tests.unit.helpers import over_the_wire

ranks = st.integers(0, 100_000)
numbers = st.integers(0, 10**12)
texts = st.text(max_size=5)
buffers = st.binary(max_size=40).map(pickle.PickleBuffer)
plain_things = st.none() | st.integers() | st.floats(allow_nan=False) | texts | st.binary()
payloads = st.tuples(st.binary(max_size=20) | buffers, st.lists(buffers, max_size=3).map(tuple))
blocks = st.builds(Block, payloads | texts, st.integers(1, 3))
pieces = st.tuples(blocks, st.integers(0, 1), st.integers(1, 3))
plain_values = st.lists(st.integers() | texts, max_size=4)
functions = payloads | st.builds(FunctionName, ranks, numbers)
columns = (
    st.lists(st.integers() | texts, max_size=4)
    | st.builds(range, st.integers(0, 10**12))
    | st.builds(Sealed, st.lists(pieces, max_size=3))
)
values = plain_values | st.builds(
    SealedValues, st.lists(st.tuples(plain_things) | payloads | texts, max_size=3)
)
parcels = st.tuples(
    ranks,
    numbers,
    numbers,
    functions,
    st.none() | functions,
    numbers,
    st.lists(columns, max_size=3).map(tuple),
    st.booleans(),
)
encoded_errors = st.builds(EncodedError, st.none() | payloads, texts, texts, texts, ranks, texts)
segments = st.tuples(
    numbers,
    numbers,
    numbers,
    values,
    st.dictionaries(numbers, encoded_errors, max_size=2),
)
constants = st.dictionaries(texts, payloads, max_size=3)
places = st.builds(
    Place, numbers, numbers, st.tuples(numbers, numbers), st.lists(numbers).map(tuple)
)

MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    WorkWanted: st.builds(WorkWanted),
    WorkOffered: st.builds(WorkOffered),
    Reserved: st.builds(Reserved, st.booleans(), st.booleans()),
    Begin: st.builds(Begin),
    Steal: st.builds(Steal, st.lists(ranks, max_size=5).map(tuple)),
    StealFailed: st.builds(StealFailed, st.lists(ranks, max_size=5).map(tuple)),
    Work: st.builds(Work, numbers, st.lists(parcels, max_size=3)),
    Results: st.builds(Results, numbers, st.lists(segments, max_size=3), st.booleans()),
    Call: st.builds(Call, numbers, ranks, numbers, st.binary(), st.lists(plain_things).map(tuple)),
    Returned: st.builds(Returned, numbers, numbers, plain_things, st.booleans()),
    CalledOff: st.builds(CalledOff, ranks, numbers, st.lists(ranks, max_size=3).map(tuple)),
    FunctionWanted: st.builds(FunctionWanted, numbers),
    FunctionSent: st.builds(FunctionSent, numbers, payloads),
    ConstantsProposed: st.builds(ConstantsProposed, numbers, constants, st.booleans()),
    ConstantsRefused: st.builds(ConstantsRefused, numbers, texts),
    ConstantsKept: st.builds(ConstantsKept, numbers, numbers),
    ConstantsDeleted: st.builds(ConstantsDeleted, st.dictionaries(texts, numbers)),
    ConstantsPublished: st.builds(
        ConstantsPublished, numbers, ranks, numbers, constants, st.lists(texts).map(tuple), numbers
    ),
    ConstantsPlaced: st.builds(ConstantsPlaced, numbers, st.binary(), places, st.just({})),
    ConstantsMapped: st.builds(ConstantsMapped, numbers, st.none() | texts),
    HoldReleased: st.builds(HoldReleased, texts),
    ImportFailed: st.builds(ImportFailed, texts),
    Stop: st.builds(Stop),
    Stopped: st.builds(Stopped),
    Leave: st.builds(Leave),
    ShowLog: st.builds(ShowLog, st.booleans()),
}


def plain(part: Any) -> Any:
    """Return what is compared: types, and content down to the bytes."""
    if isinstance(part, (pickle.PickleBuffer, bytearray, memoryview, bytes)):
        return bytes(bytes_of(part))
    if isinstance(part, Sealed):
        return Sealed, [
            (plain(block.payload), block.count, first, last) for block, first, last in part.pieces
        ]
    if isinstance(part, SealedValues):
        return SealedValues, plain(part.entries)
    if isinstance(part, tuple | list):
        return type(part), [plain(inner) for inner in part]
    if isinstance(part, dict):
        return {key: plain(value) for key, value in part.items()}
    return part


def test_every_type_of_message_is_tested_here() -> None:
    assert set(typing.get_args(Message)) == set(MESSAGES)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_message_survives(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(MESSAGES[kind])
    assert plain(over_the_wire(message)) == plain(message)


def test_a_message_without_large_buffers_is_one_small_frame() -> None:
    for message in (WorkWanted(), WorkOffered(), Steal((1,)), Stop(), Work(1, [])):
        (frame,) = messages.encode(message)
        assert len(frame) < 64


def test_large_buffers_are_frames_of_their_own_and_not_copied() -> None:
    array: Any = np.arange(10_000)
    values = {"one": (b"data", (pickle.PickleBuffer(array),)), "two": (b"more", ())}
    frames = messages.encode(ConstantsProposed(1, values))
    assert len(frames) == 2
    assert np.shares_memory(np.frombuffer(bytes_of(frames[1]), np.uint8), array)


grid: Any = np.arange(6).reshape(2, 3)
fortran_grid: Any = np.asfortranarray(grid)
nothing: Any = np.empty((0, 3))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"content",
        bytearray(b"content"),
        memoryview(b"content")[2:5],
        memoryview(grid),
        pickle.PickleBuffer(bytearray(5)),
        pickle.PickleBuffer(fortran_grid),
        pickle.PickleBuffer(nothing),
        np.arange(5, dtype=np.uint8),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_frame_is_seen_as_flat_bytes(frame: Any) -> None:
    view = bytes_of(frame)
    assert (view.ndim, view.format, view.contiguous) == (1, "B", True)
    assert view.nbytes == memoryview(frame).nbytes


def test_a_fortran_ordered_array_is_seen_as_it_lies_in_memory() -> None:
    assert bytes(bytes_of(pickle.PickleBuffer(fortran_grid))) == fortran_grid.tobytes(order="A")
