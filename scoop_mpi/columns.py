"""Columns: the arguments or the results of many calls, as they travel.

*One bad object never spoils its neighbours.* Where each of them is of a plain built-in type, which
can't fail, the column is an ordinary list. Otherwise every object is sealed on its own, once
however often it occurs, and opened on its own, by the rank that uses it.

    column = [1, 2, 3] or range(...)                      travels as it is
           | Sealed(entries, index)    entries: payload or Unsendable;  item i = entries[index[i]]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from scoop_mpi.errors import SerializationError, describe_callable
from scoop_mpi.serializer import PLAIN, Payload, decode, encode, forwarded

_NESTING = frozenset({tuple, list})
_PLAIN_DEPTH = 3  # levels of tuples and lists that are looked into


class Unsendable(NamedTuple):
    """Stands in a column for an object that could not be pickled; `reason` names its type."""

    reason: str


class Sealed:
    """A column whose objects are pickled one by one.

    `index` maps an item to its entry, where some entry occurs more than once; None: one to one.
    """

    __slots__ = ("_opened", "entries", "index")

    def __init__(self, entries: list[Payload | Unsendable], index: list[int] | None) -> None:
        self.entries = entries
        self.index = index
        self._opened: dict[int, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Sealed, (self.entries, self.index)

    def __len__(self) -> int:
        return len(self.entries) if self.index is None else len(self.index)

    def __getitem__(self, items: slice) -> Sealed:
        if self.index is None:
            return Sealed(self.entries[items], None)
        part = Sealed(self.entries, self.index[items])
        part._opened = self._opened  # what occurs many times is opened once
        return part

    def trimmed(self) -> Sealed:
        """Return the same column to be sent on, without entries that it does not refer to."""
        if self.index is None:
            return Sealed([_forwarded_entry(entry) for entry in self.entries], None)
        used = {entry: place for place, entry in enumerate(dict.fromkeys(self.index))}
        entries = [_forwarded_entry(self.entries[entry]) for entry in used]
        return Sealed(entries, [used[i] for i in self.index])

    def open(self) -> tuple[list[Any], dict[int, SerializationError]]:
        """Return the objects, and by position the errors of those that can't be had."""
        items: list[Any] = []
        failures: dict[int, SerializationError] = {}
        index = range(len(self.entries)) if self.index is None else self.index
        for position, entry in enumerate(index):
            try:
                if self.index is None:
                    items.append(_open_entry(self.entries[entry]))
                    continue
                if entry not in self._opened:
                    self._opened[entry] = _open_entry(self.entries[entry])
                items.append(self._opened[entry])
            except SerializationError as error:
                items.append(None)
                failures[position] = error
        return items, failures


Column = Sequence[Any] | Sealed


class Batch(NamedTuple):
    """The arguments of `length` calls, as columns.

    Of a map over one iterable there is one column, of its items (`star` is False); otherwise there
    is one for each position of the calls' argument tuples (`star` is True).
    """

    length: int
    columns: tuple[Column, ...]
    star: bool

    def part(self, start: int, stop: int) -> Batch:
        """Return the calls from `start` up to `stop`."""
        return Batch(stop - start, tuple(column[start:stop] for column in self.columns), self.star)

    def trimmed(self) -> Batch:
        """Return the same batch, to be sent on."""
        columns = tuple(c.trimmed() if isinstance(c, Sealed) else c for c in self.columns)
        return self._replace(columns=columns)

    def open(self) -> tuple[Sequence[Any], dict[int, SerializationError]]:
        """Return the items (tuples if `star`), and by position what could not be opened."""
        failures: dict[int, SerializationError] = {}
        columns: list[Sequence[Any]] = []
        for number, column in enumerate(self.columns):
            if isinstance(column, Sealed):
                items, bad = column.open()
                for position, error in bad.items():
                    failures.setdefault(
                        position, SerializationError(f"argument {number + 1}: {error}")
                    )
                columns.append(items)
            else:
                columns.append(column)
        if not self.star:
            return columns[0], failures
        if not columns:
            return [()] * self.length, failures
        return list(zip(*columns, strict=True)), failures

    def open_call(self, function: Callable[..., Any]) -> tuple[Any, ...]:
        """Return the arguments of the only call of this batch; `function` is named in errors.

        Raises:
            SerializationError: one of them could not be opened.
        """
        arguments = []
        for column in self.columns:
            if type(column) is list:
                arguments.append(column[0])
                continue
            items, failures = open_column(column)
            if failures:
                raise SerializationError(
                    f"a call of {describe_callable(function)}: "
                    f"argument {len(arguments) + 1}: {failures[0]}"
                )
            arguments.append(items[0])
        return tuple(arguments)


def seal(items: Sequence[Any]) -> Column:
    """Return `items` as a column. Never raises: what can't be pickled fails when it is opened."""
    if type(items) is range or _are_plain(items):
        return items
    places: dict[int, int] = {}
    for item in items:
        places.setdefault(id(item), len(places))
    if len(places) == len(items):
        return Sealed([_seal_entry(item) for item in items], None)
    unique = {id(item): item for item in items}
    index = [places[id(item)] for item in items]
    return Sealed([_seal_entry(item) for item in unique.values()], index)


def seal_calls(items: Sequence[Any], star: bool) -> Batch:
    """Return the arguments of some calls as a batch.

    Args:
        items: one argument for each call or, with `star`, one tuple of them, all of one length.
        star: whether the items are tuples of arguments.
    """
    if not star:
        return Batch(len(items), (seal(items),), star)
    columns = tuple(seal(column) for column in zip(*items, strict=True))
    return Batch(len(items), columns, star)


def open_column(column: Column) -> tuple[Sequence[Any], dict[int, SerializationError]]:
    """Return the objects of `column`, and by position the errors of those that can't be had."""
    return column.open() if isinstance(column, Sealed) else (column, {})


def _are_plain(items: Iterable[Any], depth: int = _PLAIN_DEPTH) -> bool:
    types = set(map(type, items))
    if types <= PLAIN:
        return True
    types -= PLAIN
    if not depth or not types <= _NESTING:
        return False
    nested = [item for item in items if type(item) in _NESTING]
    return _are_plain(list(chain.from_iterable(nested)), depth - 1)


def _seal_entry(item: Any) -> Payload | Unsendable:
    try:
        return encode(item)
    except SerializationError as error:
        return Unsendable(str(error))


def _forwarded_entry(entry: Payload | Unsendable) -> Payload | Unsendable:
    return entry if isinstance(entry, Unsendable) else forwarded(entry)


def _open_entry(entry: Payload | Unsendable) -> Any:
    if isinstance(entry, Unsendable):
        raise SerializationError(entry.reason)
    return decode(entry)
