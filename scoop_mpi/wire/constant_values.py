"""The values of constants: sealed when they are set, opened when they are first read.

Responsible for how a value is kept and known again, also for what makes its arrays read-only. Must
not know how it gets from rank to rank (`constants`), nor that its memory may be shared
(`node_memory`).
"""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.frozen_arrays import reduce_frozen
from scoop_mpi.wire.holds import Keeper
from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES, Buffer, Payload, decode, encode

_COMPARED_BYTES = 1 << 20  # at a time: bytes compare faster than views of them, but are copies


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


class _Imprint(NamedTuple):
    """What is kept of a payload that has been opened: enough to know it again.

    Attributes:
        digest: of its stream, which would be as large as the value itself.
        buffers: they take no more memory, as the value's arrays lie in them.
    """

    digest: bytes
    buffers: tuple[Buffer, ...]


def _imprint_of(payload: Payload) -> _Imprint:
    import hashlib  # not above: rank 0 alone needs it

    data, buffers = payload
    # The stream names what the keepers are of.
    kept = tuple(buffer for buffer in buffers if type(buffer) is not Keeper)
    return _Imprint(hashlib.blake2b(bytes_of(data)).digest(), kept)


def _are_equal(one: Buffer, other: Buffer) -> bool:
    mine, others = bytes_of(one), bytes_of(other)
    parts = (
        slice(start, start + _COMPARED_BYTES) for start in range(0, mine.nbytes, _COMPARED_BYTES)
    )
    return mine.nbytes == others.nbytes and all(
        bytes(mine[part]) == bytes(others[part]) for part in parts
    )


class Constant:
    """A constant that this rank holds.

    Args:
        payload: its value.
        origin: the rank that has set it.
        version: the one that has brought it.
        is_registrars: whether it may be asked for what it was set to, also once it is open.

    Attributes:
        origin: the rank that has set it.
        version: the one that has brought it.
    """

    __slots__ = ("_imprint", "_is_registrars", "_opened", "_payload", "origin", "version")

    def __init__(
        self, payload: Payload, origin: int, version: int, *, is_registrars: bool = False
    ) -> None:
        self.origin = origin
        self.version = version
        self._is_registrars = is_registrars
        self._imprint: _Imprint | None = None
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
            if self._is_registrars:
                self._imprint = _imprint_of(payload)
            self._payload = None
        return self._opened[0]

    def was_set_to(self, payload: Payload) -> bool:
        """Say whether `payload` is, byte by byte, the one of this constant.

        Nothing is opened, so no code of the user's runs.
        """
        own = self._payload  # looked at first: another thread may open it meanwhile
        mine = self._imprint if own is None else _imprint_of(own)
        assert mine is not None, "only the registrar's constants are asked"
        others = _imprint_of(payload)
        return (
            mine.digest == others.digest
            and len(mine.buffers) == len(others.buffers)
            and all(map(_are_equal, mine.buffers, others.buffers))
        )
