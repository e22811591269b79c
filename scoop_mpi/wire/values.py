"""Values: what calls of another rank's returned, as it travels to their owner.

A value is what the function returned, as it was then: code of the user's that runs later, as the
next call, may change it. So it is sealed at once, by the thread that made the call, unless it is
plain and can't change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import starmap
from pickle import PickleBuffer
from typing import Any

from scoop_mpi.errors import SerializationError
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.columns import are_unchangeable
from scoop_mpi.wire.holds import Keeper
from scoop_mpi.wire.serializer import (
    PLAIN,
    Buffer,
    EncodedError,
    Payload,
    decode,
    encode,
    encode_error,
)

_MOST_LOOKED_AT = 64  # items of a container, for what may be copied without need


class SealedValue:
    """A value that has been pickled; or the reason why it can't be."""

    __slots__ = ("payload",)

    def __init__(self, payload: Payload | str) -> None:
        self.payload = payload

    def open(self) -> Any:
        """Return the value.

        Raises:
            SerializationError: it can't be had.
        """
        if isinstance(self.payload, str):
            raise SerializationError(self.payload)
        return decode(self.payload)


class Sealer:
    """Seals the outcomes of other ranks' calls.

    Args:
        rank: this rank, for the traceback of a call that failed.
        host: the name of its host, likewise.
    """

    def __init__(self, rank: int, host: str) -> None:
        self._rank = rank
        self._host = host
        self._references = next(map(self._count_references, starmap(object, ((),))))

    def value(self, value: Any) -> Any:
        """Return `value` if it is plain and can't change, else a `SealedValue`. Never raises.

        To be called by `map`, on an iterator that keeps no reference to the value: so a new array,
        which nobody else can change, is told from one that has to be copied. See also `take`.
        """
        kind = type(value)
        if kind in PLAIN or (kind is tuple and are_unchangeable(value)):
            return value
        # Before it is pickled, for that makes new references.
        is_own = sys.getrefcount(value) <= self._references and _is_nobody_elses(value)
        try:
            data, buffers = encode(value)
        except SerializationError as error:
            return SealedValue(str(error))
        if buffers and not is_own:
            buffers = tuple(map(_copied, buffers))
        return SealedValue((data, buffers))

    def take(self, holder: list[Any]) -> Any:
        """Take the last value out of a list, and return it as `value` does."""
        return next(map(self.value, starmap(holder.pop, ((),))))

    def failure(self, error: BaseException) -> EncodedError:
        """Return what a call raised, as it is sent."""
        return encode_error(error, self._rank, self._host)

    def _count_references(self, value: object) -> int:
        """Count the references to an object in the place of the one that `value` looks at."""
        return sys.getrefcount(value)


def _copied(buffer: Buffer) -> Buffer:
    return buffer if type(buffer) is Keeper else PickleBuffer(bytearray(bytes_of(buffer)))


def _is_nobody_elses(value: Any) -> bool:
    """Say whether nobody can change a value to which nobody else refers.

    That is an array with memory of its own, or a small container that holds, beside what is plain,
    only such arrays, to which nobody else refers either.
    """
    kind = type(value)
    if kind is not tuple and kind is not list and kind is not dict:
        return _owns_its_data(value)
    if len(value) > _MOST_LOOKED_AT or (kind is dict and not PLAIN.issuperset(map(type, value))):
        return False
    places: Iterable[Any] = value if kind is dict else range(len(value))
    return all(
        type(value[place]) in PLAIN
        or (_references_within(value, place) <= _REFERENCES_WITHIN and _owns_its_data(value[place]))
        for place in places
    )


def _references_within(container: Any, place: Any) -> int:
    """Count the references to what lies in a container."""
    return sys.getrefcount(container[place])


_REFERENCES_WITHIN = _references_within([object()], 0)  # if it lies there alone


def _owns_its_data(value: Any) -> bool:
    """Say whether a value is a numpy array, and its memory no other's."""
    kind = type(value)
    return (
        kind.__name__ == "ndarray"
        and kind.__module__ == "numpy"
        and value.flags.owndata
        and not value.dtype.hasobject
    )


class SealedValues(Sequence[Any]):
    """Values of which some are sealed.

    Args:
        entries: for each value (value,) if it is not sealed, its payload if it is, or the reason
            why it can't be had.
    """

    __slots__ = ("entries",)

    def __init__(self, entries: list[tuple[Any] | Payload | str]) -> None:
        self.entries = entries

    def __reduce__(self) -> tuple[Any, ...]:
        return SealedValues, (self.entries,)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, place: Any) -> Any:
        """Return the value at a place.

        Raises:
            SerializationError: it can't be had.
        """
        entry = self.entries[place]
        if isinstance(entry, str):
            raise SerializationError(entry)
        return entry[0] if len(entry) == 1 else decode(entry)

    def sealed(self, place: int) -> Any:
        """Return the value at a place, or a `SealedValue` if it is sealed."""
        entry = self.entries[place]
        if isinstance(entry, str) or len(entry) == 2:
            return SealedValue(entry)
        return entry[0]


def column_of(values: Sequence[Any]) -> Sequence[Any]:
    """Return settled values as they are sent."""
    if SealedValue not in set(map(type, values)):
        return values
    return SealedValues(
        [value.payload if type(value) is SealedValue else (value,) for value in values]
    )


def open_values(values: Sequence[Any]) -> tuple[Sequence[Any], dict[int, BaseException]]:
    """Return the values, opened, and by position the errors of those that can't be had."""
    if not isinstance(values, SealedValues):
        return values, {}
    opened: list[Any] = []
    failures: dict[int, BaseException] = {}
    for place in range(len(values)):
        try:
            opened.append(values[place])
        except SerializationError as error:
            opened.append(None)
            failures[place] = error
    return opened, failures
