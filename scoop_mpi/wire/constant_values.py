"""The values of constants: sealed when they are set, opened when they are first read.

Responsible for how a value is kept, also for what makes its arrays read-only. Must not know how it
gets from rank to rank (`constants`), nor that its memory may be shared (`node_memory`).
"""

from __future__ import annotations

import pickle
from typing import Any

from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.frozen_arrays import reduce_frozen
from scoop_mpi.wire.holds import Keeper
from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES, Buffer, Payload, decode, encode


def seal(value: object) -> Payload:
    """Return a constant's value as a payload.

    Small buffers stay out of the stream as well. So they can be opened read-only, as large ones.

    Raises:
        SerializationError: it can't be pickled; the text names its type.
    """
    data, buffers = encode(value, 0, reduce_frozen)
    if len(bytes_of(data)) >= OUT_OF_BAND_BYTES:
        data = pickle.PickleBuffer(data)  # also of plain bytes and text, however long
    return data, tuple(map(_within_message_if_small, buffers))


def _within_message_if_small(buffer: Buffer) -> Buffer:
    if type(buffer) is Keeper or bytes_of(buffer).nbytes >= OUT_OF_BAND_BYTES:
        return buffer
    return bytes_of(buffer).tobytes()


def copied(payload: Payload) -> Payload:
    """Return a payload that shares no memory with the object that was sealed."""
    data, buffers = payload
    return data, tuple(
        buffer if type(buffer) in (bytes, Keeper) else bytearray(bytes_of(buffer))
        for buffer in buffers
    )


class Constant:
    """A constant that this rank holds.

    Attributes:
        origin: the rank that has set it.
        version: the one that has brought it.
    """

    __slots__ = ("_opened", "_payload", "origin", "version")

    def __init__(self, payload: Payload, origin: int, version: int) -> None:
        self.origin = origin
        self.version = version
        self._payload: Payload | None = payload
        self._opened: list[Any] = []  # the value comes first; several threads may open it at once

    @property
    def is_open(self) -> bool:
        """Whether there is a value, of the user's own making."""
        return bool(self._opened)

    def open(self) -> Any:
        """Return its value: every reader gets the same object.

        Raises:
            SerializationError: it can't be unpickled here.
        """
        payload = self._payload
        if payload is not None and not self._opened:
            data, buffers = payload
            own = (bytes_of(b).toreadonly() for b in buffers if type(b) is not Keeper)
            self._opened.append(decode((data, tuple(own))))
            self._payload = None
        return self._opened[0]
