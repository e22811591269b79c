"""The file of a journal: records that are only ever added at its end.

    magic                    "scoop_mpi journal", the version, a newline
    record    head           mark, kind, lengths of table and values, checksum of head and table
              table          what there is to know to find a value
              values         one after the other, each with a checksum in the table

A kill can come at any byte. What it leaves of the last record is cut off by who writes next. To
open a journal takes a look at the tables alone: a value is looked at when it is asked for.

Responsible for what stands where; must not know what a value or a function is.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

_MAGIC = b"scoop_mpi journal "
VERSION = 1
_FIRST_LINE = _MAGIC + str(VERSION).encode() + b"\n"
_LONGEST_FIRST_LINE = 64
_MARK = b"\xd7\x9dJR"  # begins each record, and no text
_HEAD = struct.Struct("<4sBxxxIQI")  # mark, kind, bytes of the table, of the values, checksum
_OWNER = struct.Struct("<I")  # of the results of a record: the number of the function
_ENTRY = struct.Struct("<20sQI")  # of a result: the call, bytes, checksum
_SEARCHED_AT_ONCE = 1 << 20
_MOST_WRITTEN_AT_ONCE = 1 << 30

_PROGRAM, _FUNCTION, _RESULTS = range(1, 4)
_KINDS = (_PROGRAM, _FUNCTION, _RESULTS)


class JournalError(Exception):
    """A journal can't be used. The text says why, and the way out."""


class Function(NamedTuple):
    """A function of which there are results.

    Attributes:
        name: by which a user knows it, with its module.
        digest: of what it does.
    """

    name: str
    digest: str


class Place(NamedTuple):
    """Where a value stands in the file.

    Attributes:
        offset: its first byte.
        size: how many bytes it has.
        checksum: of them.
    """

    offset: int
    size: int
    checksum: int


class Results(NamedTuple):
    """Some results of one function.

    Attributes:
        function: its number: that of its record among those of functions.
        places: by its call, where each value stands.
    """

    function: int
    places: list[tuple[bytes, Place]]


class _Record(NamedTuple):
    kind: int
    table: bytes
    values_at: int
    end: int


class Contents:
    """What stands in a journal.

    Args:
        file: the journal, open for reading.
        path: how the user calls it.

    Attributes:
        program: the program whose journal it is; None: it is empty.
        functions: those of which there are results, by their number.
        results: of them.
        end: where the last whole record ends.
        size: of the file: behind `end` there may be a part of a record.

    Raises:
        JournalError: it is none, of another version, or damaged.
        OSError: it can't be read.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        damage: int | None = None
        for record in self._begin(file, path):
            if damage is not None:
                raise JournalError(
                    f"the journal {path} is damaged: what stands at byte {damage} is no record, "
                    f"and there are records behind it. Nothing has been changed. To go on with "
                    f"what can be read: python -m scoop_mpi.journal {path} --compact NEW, and then "
                    "--journal NEW"
                )
            if isinstance(record, int):
                damage = record
                continue
            self._take(record)
            self.end = record.end

    def _begin(self, file: IO[bytes], path: str) -> Iterator[_Record | int]:
        """Begin with nothing; return an iterator over what there is: see `_records`."""
        self.program: str | None = None
        self.functions: list[Function] = []
        self.results: list[Results] = []
        self.size = file.seek(0, os.SEEK_END)
        self.end = _end_of_first_line(file, self.size, path)
        return _records(file, self.end, self.size)

    def _take(self, record: _Record) -> None:
        if record.kind == _PROGRAM:
            self.program = json.loads(record.table)["program"]
        elif record.kind == _FUNCTION:
            self.functions.append(Function(**json.loads(record.table)))
        else:
            self.results.append(_results(record))


class Salvage(Contents):
    """What can be read of a journal, damaged or not.

    Attributes:
        skipped: the bytes that belong to no whole record.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.skipped = 0
        for record in self._begin(file, path):
            if isinstance(record, int):
                continue
            if record.kind != _RESULTS or _results(record).function < len(self.functions):
                self.skipped += record.end - _length(record) - self.end
                self._take(record)
                self.end = record.end
        self.skipped += self.size - self.end


def _length(record: _Record) -> int:
    """Return how many bytes a record has."""
    return _HEAD.size + len(record.table) + record.end - record.values_at


def _end_of_first_line(file: IO[bytes], size: int, path: str) -> int:
    """Return where the records begin; 0: the file is empty, or the first line not whole.

    Raises:
        JournalError: it is no journal, or of another version.
    """
    file.seek(0)
    start = file.read(_LONGEST_FIRST_LINE)
    if start.startswith(_FIRST_LINE):
        return len(_FIRST_LINE)
    if len(start) == size and _FIRST_LINE.startswith(start):
        return 0
    if not start.startswith(_MAGIC):
        raise JournalError(
            f"{path} is no journal of scoop_mpi's, and is left as it is: name another file"
        )
    version = start[len(_MAGIC) :].split(b"\n")[0].decode(errors="replace")
    raise JournalError(
        f"the journal {path} is of version {version}, and this scoop_mpi knows version {VERSION}: "
        "use the scoop_mpi that wrote it, or name another file"
    )


def _records(file: IO[bytes], start: int, size: int) -> Iterator[_Record | int]:
    """Yield the records of a file; where there is none, that place, and what follows behind it."""
    offset = start
    while 0 < offset < size:
        record = _record_at(file, offset, size)
        if record is not None:
            yield record
            offset = record.end
            continue
        yield offset
        found = _next_record(file, offset + 1, size)
        if found is None:
            return
        offset = found


def _record_at(file: IO[bytes], offset: int, size: int) -> _Record | None:
    """Return the record that begins at a place; None: there is none, or it is not whole."""
    file.seek(offset)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, kind, table_size, values_size, checksum = _HEAD.unpack(head)
    values_at = offset + _HEAD.size + table_size
    if mark != _MARK or kind not in _KINDS or values_at + values_size > size:
        return None
    table = file.read(table_size)
    if zlib.crc32(table, zlib.crc32(head[:-4])) != checksum:
        return None
    return _Record(kind, table, values_at, values_at + values_size)


def _next_record(file: IO[bytes], start: int, size: int) -> int | None:
    """Return where the next whole record begins, from a place on; None: there is none."""
    offset = start
    while offset < size:
        file.seek(offset)
        piece = file.read(_SEARCHED_AT_ONCE)
        place = piece.find(_MARK)
        while place >= 0:
            if _record_at(file, offset + place, size) is not None:
                return offset + place
            place = piece.find(_MARK, place + 1)
        offset += max(len(piece) - len(_MARK) + 1, 1)
    return None


def _results(record: _Record) -> Results:
    (function,) = _OWNER.unpack_from(record.table)
    places = []
    offset = record.values_at
    for call, size, checksum in _ENTRY.iter_unpack(record.table[_OWNER.size :]):
        places.append((call, Place(offset, size, checksum)))
        offset += size
    return Results(function, places)


def read(file: IO[bytes], place: Place) -> bytes | None:
    """Return a value; None: it is damaged."""
    file.seek(place.offset)
    value = file.read(place.size)
    if len(value) < place.size or zlib.crc32(value) != place.checksum:
        return None
    return value


class Writer:
    """Adds records to a journal. Each is in the system's hands when the call returns.

    Args:
        descriptor: of the file, open for writing. It stays the caller's.
        end: where the last whole record ends; what is behind that is cut off.
    """

    def __init__(self, descriptor: int, end: int) -> None:
        self._descriptor = descriptor
        self._end = end
        os.ftruncate(descriptor, end)
        if not end:
            self._append([_FIRST_LINE])

    def program(self, name: str) -> None:
        """Say whose journal it is."""
        self._add(_PROGRAM, json.dumps({"program": name}).encode(), [])

    def function(self, function: Function) -> None:
        """Add a function, whose number is how many there were."""
        self._add(_FUNCTION, json.dumps(function._asdict()).encode(), [])

    def results(self, function: int, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Add some results of a function: calls, and what they returned.

        Args:
            function: its number.
            values: the calls, by 20 bytes each, and the values.
        """
        table = [_OWNER.pack(function)]
        contents = []
        for call, value in values:
            table.append(_ENTRY.pack(call, len(value), zlib.crc32(value)))
            contents.append(value)
        self._add(_RESULTS, b"".join(table), contents)

    def _add(self, kind: int, table: bytes, values: list[bytes]) -> None:
        head = _HEAD.pack(_MARK, kind, len(table), sum(map(len, values)), 0)[:-4]
        checksum = zlib.crc32(table, zlib.crc32(head))
        self._append([head, checksum.to_bytes(4, "little"), table, *values])

    def _append(self, pieces: list[bytes]) -> None:
        """Write at the end. If that fails, nothing is there of it.

        Raises:
            OSError: it can't be written.
        """
        data = memoryview(b"".join(pieces))
        offset = self._end
        try:
            while data:
                written = os.pwrite(self._descriptor, data[:_MOST_WRITTEN_AT_ONCE], offset)
                data = data[written:]
                offset += written
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end = offset


def describe(contents: Contents) -> dict[str, Any]:
    """Return what there is in a journal: by function the number of results, and of bytes."""
    calls: dict[int, dict[bytes, int]] = {number: {} for number in range(len(contents.functions))}
    for results in contents.results:
        calls[results.function].update((call, place.size) for call, place in results.places)
    return {
        "program": contents.program,
        "functions": [
            {
                **function._asdict(),
                "results": len(calls[number]),
                "bytes": sum(calls[number].values()),
            }
            for number, function in enumerate(contents.functions)
        ],
    }
