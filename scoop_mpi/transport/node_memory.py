"""Memory that the ranks of a node share: files in memory, and their mappings.

What lies in it, and who places it for whom, is none of its business (see `placing`).

The file has no name, so nothing has to be removed: its memory is gone when the last process that
maps it is, however that ends. `memfd_create` makes such files, and is not bound by the size of
/dev/shm, of which containers have little. Many a Python lacks it, having been built for an old C
library (conda's); there it is an O_TMPFILE in /dev/shm.

Alternatives: `multiprocessing.shared_memory` gives its segments names, which a killed job leaves
behind, and starts a process for each rank to prevent that. A window of MPI's is collective to
create, and a rank that is busy with the user's code can't join.
"""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scoop_mpi.errors import describe_error

_ALIGNMENT = 64  # bytes: what numpy's and compilers' fastest loops ask for
_DIRECTORY = "/dev/shm"
_KIND = "memfd_create" if hasattr(os, "memfd_create") else f"O_TMPFILE in {_DIRECTORY}"


class Place(NamedTuple):
    """Where in a node's memory some buffers lie.

    `process` has them in the file open there as `descriptor`, which `identity` (of device and
    inode) tells from any other; `lengths` are those of the buffers, in bytes.
    """

    process: int
    descriptor: int
    identity: tuple[int, int]
    lengths: tuple[int, ...]


class Segment:
    """Buffers in a file in memory, which other processes can map until `close` is called.

    Attributes:
        place: where other processes of the node find them.
        close: closes the file. Whoever has mapped it keeps it.

    Args:
        buffers: what to copy there.

    Raises:
        OSError: there is no such memory, or not enough of it.
    """

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        descriptor = _nameless_file()
        self.close = weakref.finalize(self, os.close, descriptor)
        lengths = tuple(buffer.nbytes for buffer in buffers)
        *offsets, total = _offsets(lengths)
        # Reserved at once: if memory is short, this fails, and not the first write to a page of it.
        os.posix_fallocate(descriptor, 0, total)
        for buffer, offset in zip(buffers, offsets, strict=True):
            _write(descriptor, buffer, offset)
        status = os.fstat(descriptor)
        self.place = Place(os.getpid(), descriptor, (status.st_dev, status.st_ino), lengths)


def map_place(place: Place) -> list[memoryview]:
    """Return read-only views of the buffers at `place`, which keep its memory alive.

    The mapping is private and could be written to, but for the views: networks register what they
    send for reading and writing, and UCX and libfabric fail where memory is mapped read-only.

    Raises:
        OSError: it can't be mapped. FileNotFoundError or PermissionError: this process doesn't see
            the one that has it, as in another container.
    """
    path = f"/proc/{place.process}/fd/{place.descriptor}"
    # Looked at before it is opened: it may be anything, if that process isn't who we think it is.
    _check_identity(os.stat(path), place, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check_identity(os.fstat(descriptor), place, path)
        *offsets, total = _offsets(place.lengths)
        mapping = mmap.mmap(descriptor, total, access=mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)
    memory = memoryview(mapping).toreadonly()
    return [
        memory[offset : offset + length]
        for offset, length in zip(offsets, place.lengths, strict=True)
    ]


def kind() -> str:
    """Return in a few words what memory constants are placed in, or why in none."""
    try:
        Segment([memoryview(bytes(mmap.PAGESIZE))]).close()
    except OSError as error:
        return f"copied to each rank: {describe_error(error)}"
    return f"shared on a node, by {_KIND}"


def _check_identity(status: os.stat_result, place: Place, path: str) -> None:
    if (status.st_dev, status.st_ino) != place.identity:
        raise FileNotFoundError(f"{path} is not what the node's leader has placed")


def _nameless_file() -> int:
    """Return the descriptor of a new file in memory."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("scoop_mpi-constants", os.MFD_CLOEXEC)
    if not hasattr(os, "O_TMPFILE"):
        raise OSError(errno.ENOTSUP, "this system has no files without a name")
    return os.open(_DIRECTORY, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)


def _offsets(lengths: Iterable[int]) -> list[int]:
    """Return where buffers of these lengths begin, and last where the next one would."""
    aligned = (-(-length // _ALIGNMENT) * _ALIGNMENT for length in lengths)
    return list(itertools.accumulate(aligned, initial=0))


def _write(descriptor: int, buffer: memoryview, offset: int) -> None:
    while buffer.nbytes:  # the kernel writes 2 GiB at a time at most
        written = os.pwrite(descriptor, buffer, offset)
        buffer, offset = buffer[written:], offset + written
