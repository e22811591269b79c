"""The MPI transport; the only file that imports mpi4py.

Point-to-point messages on a duplicate of COMM_WORLD, so that a program's own use of MPI does not
mix with ours. Nothing here blocks: sends are non-blocking and keep their buffers until they are
done; a receive is posted only for what a probe has seen, with source and tag pinned. One that is
always posted, for whichever rank, would be faster, but between hosts MPICH loses messages so.

    tag SMALL     the single frame of a small message, which arrives with the envelope
    tag LARGE     the sizes of the frames of any other message; the frames follow with
    tag FRAME     one MPI message each (of at most 1 GiB: a count must fit an int on older MPIs)

The sizes come first, so the receiver posts its receives for all frames right when it reads them,
and MPI matches the frames of two messages from one rank in the order in which they were sent. A
message whose frames are still coming in is an entry in `_incoming`, not a wait.

Importing this module initialises MPI.
"""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import mpi4py

from scoop_mpi.system import cores, streams
from scoop_mpi.transport.buffers import Buffers
from scoop_mpi.transport.frames import Frames, bytes_of

# Of this package one thread at a time calls MPI. But the program may call it too, at any time: a
# call of mpi4py's lets go of the GIL, and the pump then makes another. With SERIALIZED that spoils
# messages, the program's and ours.
if "MPI4PY_RC_THREAD_LEVEL" not in os.environ:
    mpi4py.rc.thread_level = "multiple"

from mpi4py import MPI

_SMALL, _LARGE, _FRAME = 1, 2, 3
_SMALL_BYTES = 4096  # all MPIs send so little eagerly, so receiving it can't wait for the sender
_MOST_FRAMES = 256  # their sizes are a small message too
_CHUNK_BYTES = 1 << 30
_TEXT = "a text"  # whose hash is compared
_BOOT_IDENTIFIER = "/proc/sys/kernel/random/boot_id"
# Before an abort: the launcher kills the ranks without reading what they last wrote, and nothing
# tells when it has.
_SECONDS_TO_FORWARD = 0.1


def world_size() -> int:
    """Return the number of processes that this MPI knows of."""
    return MPI.COMM_WORLD.Get_size()


def library_description() -> str:
    """Return all that the MPI library says of itself, on one line, and the standard it follows."""
    version, subversion = MPI.Get_version()
    words = " ".join(MPI.Get_library_version().strip("\0").split())
    return f"{words} (MPI {version}.{subversion})"


def thread_level() -> str:
    """Return the name of the support for threads that MPI was started with."""
    levels = ("SINGLE", "FUNNELED", "SERIALIZED", "MULTIPLE")
    granted = MPI.Query_thread()
    return next(f"THREAD_{name}" for name in levels if granted == getattr(MPI, f"THREAD_{name}"))


def keep_until_the_end() -> None:
    """Have `MPI.Finalize` do nothing when the program calls it: the job needs MPI to its end.

    What ends MPI is mpi4py itself, when Python has ended. It doesn't come by here.
    """
    vars(MPI)["Finalize"] = _finalize_later


def _finalize_later() -> None:
    """Return: MPI is finalized when the job has ended, on all ranks (`python -m scoop_mpi`)."""


def _boot_identifier() -> str:
    """Return what tells this kernel from those of other hosts of the same name, if Linux does."""
    if not os.path.exists(_BOOT_IDENTIFIER):
        return ""
    with open(_BOOT_IDENTIFIER) as file:
        return file.read()


class MPITransport:
    """A `Transport` over MPI. Making one is collective: every rank of COMM_WORLD has to."""

    def __init__(self) -> None:
        self._comm = MPI.COMM_WORLD.Dup()
        self.rank = self._comm.Get_rank()
        self.size = self._comm.Get_size()
        self.host = MPI.Get_processor_name()
        # One collective call for all that the ranks ask of each other: with many of them on few
        # cores each takes tenths of a second, and Split_type several times as long.
        node = (self.host, _boot_identifier())
        usable = sum(1 << core for core in cores.usable())
        places, masks, hashes = zip(*self._comm.allgather((node, usable, hash(_TEXT))), strict=True)
        first: dict[tuple[str, str], int] = {}
        self.leaders: Sequence[int] = [
            first.setdefault(place, rank) for rank, place in enumerate(places)
        ]
        of_node = [mask for place, mask in zip(places, masks, strict=True) if place == node]
        self.ranks_per_core = len(of_node) / reduce(or_, of_node).bit_count()
        self.hashes_agree = len(set(hashes)) == 1
        self.is_thread_safe = MPI.Query_thread() >= MPI.THREAD_MULTIPLE
        self._status = MPI.Status()
        self._outgoing: dict[int, deque[tuple[MPI.Request, Any]]] = {}
        self._incoming: list[_Incoming] = []
        self._buffers = Buffers()
        self.is_sending = False
        self.bytes_pending = 0

    def barrier(self) -> None:
        """See `protocol.Transport`."""
        self._comm.Barrier()

    def gather(self, fact: object) -> list[Any]:
        """See `protocol.Transport`."""
        return self._comm.gather(fact, 0) or []

    def share(self, thing: Any) -> Any:
        """See `protocol.Transport`."""
        return self._comm.bcast(thing, 0)

    def send(self, destination: int, frames: Frames) -> None:
        """See `protocol.Transport`."""
        if len(frames) == 1 and len(frames[0]) <= _SMALL_BYTES:
            self._start(destination, frames[0], _SMALL)
            return
        views = [bytes_of(frame) for frame in frames]
        if len(views) > _MOST_FRAMES:
            views = _packed(views)
        packed = len(views) < len(frames)
        sizes = [view.nbytes for view in views]
        self._start(destination, struct.pack(f"?{len(sizes)}q", packed, *sizes), _LARGE)
        for view in views:
            for offset in range(0, view.nbytes, _CHUNK_BYTES):
                self._start(destination, view[offset : offset + _CHUNK_BYTES], _FRAME)

    def _start(self, destination: int, buffer: Any, tag: int) -> None:
        request = self._comm.Isend((buffer, MPI.BYTE), destination, tag)
        pending = self._outgoing.get(destination)
        if pending is None:
            if request.Test():
                return
            pending = self._outgoing[destination] = deque()
        pending.append((request, buffer))
        self.is_sending = True
        self.bytes_pending += len(buffer)

    def receive(self) -> tuple[int, Frames] | None:
        """See `protocol.Transport`."""
        if self._incoming:
            for incoming in self._incoming:
                if incoming.has_arrived():
                    self._incoming.remove(incoming)
                    return incoming.source, incoming.frames
        status = self._status
        comm = self._comm
        probe = comm.Iprobe
        # What has come since the last call, a probe only fetches, and the next one sees. Without
        # that, who sleeps between two calls would sleep once more.
        while probe(MPI.ANY_SOURCE, MPI.ANY_TAG, status) or probe(
            MPI.ANY_SOURCE, MPI.ANY_TAG, status
        ):
            source, tag = status.source, status.tag
            buffer = bytearray(status.count)
            comm.Recv((buffer, MPI.BYTE), source, tag)
            if tag == _SMALL:
                return source, [buffer]
            incoming = self._post(source, buffer)
            if incoming.has_arrived():
                return source, incoming.frames
            self._incoming.append(incoming)
        return None

    def _post(self, source: int, sizes: bytearray) -> _Incoming:
        count = len(sizes) // 8 - 1
        packed, *lengths = struct.unpack(f"?{count}q", sizes)
        buffers = [self._buffers.take(length) for length in lengths]
        requests = []
        for buffer in buffers:
            view = memoryview(buffer)
            for offset in range(0, view.nbytes, _CHUNK_BYTES):
                part = view[offset : offset + _CHUNK_BYTES]
                requests.append(self._comm.Irecv((part, MPI.BYTE), source, _FRAME))
        return _Incoming(source, requests, buffers, packed)

    def progress(self) -> None:
        """See `protocol.Transport`."""
        outgoing = self._outgoing
        for destination, pending in list(outgoing.items()):
            while pending and pending[0][0].Test():
                _, buffer = pending.popleft()
                self.bytes_pending -= len(buffer)
            if not pending:
                del outgoing[destination]
        self.is_sending = bool(outgoing)
        if not outgoing:
            outgoing.clear()  # also of the places of all ranks that it has ever held

    @property
    def is_receiving(self) -> bool:
        """See `protocol.Transport`."""
        return bool(self._incoming)

    def abort(self, status: int) -> None:
        """See `protocol.Transport`."""
        streams.flush()
        time.sleep(_SECONDS_TO_FORWARD)
        MPI.COMM_WORLD.Abort(status)


class _Incoming:
    """A message whose frames are coming in."""

    __slots__ = ("_buffers", "_packed", "_requests", "source")

    def __init__(
        self, source: int, requests: list[MPI.Request], buffers: list[Any], packed: bool
    ) -> None:
        self.source = source
        self._requests = requests
        self._buffers = buffers
        self._packed = packed

    def has_arrived(self) -> bool:
        return MPI.Request.Testall(self._requests)

    @property
    def frames(self) -> Frames:
        return _unpacked(self._buffers) if self._packed else self._buffers


def _packed(views: list[memoryview]) -> list[memoryview]:
    """Join many frames into two: their sizes, and their bytes one after the other."""
    sizes = struct.pack(f"{len(views)}q", *(view.nbytes for view in views))
    return [memoryview(sizes), memoryview(b"".join(views))]


def _unpacked(buffers: list[Any]) -> Frames:
    """Take apart what `_packed` joined. Each frame gets memory of its own."""
    sizes, joined = buffers
    frames: Frames = []
    offset = 0
    joined = memoryview(joined)
    for (size,) in struct.iter_unpack("q", sizes):
        frames.append(bytearray(joined[offset : offset + size]))
        offset += size
    return frames
