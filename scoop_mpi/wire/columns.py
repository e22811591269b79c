"""Columns: the arguments of many calls, as they travel.

Objects of plain built-in types, which can't fail, travel as an ordinary list. All others are
pickled one after the other into blocks: what several of them refer to, a class or a shared object,
is written once a block, and an object that can't be pickled or unpickled spoils only itself.

    column = [1, 2, 3] or range(...)              travels as it is
           | Sealed(pieces)    piece = (block, first, last): the items first..last of a block

    block     | item 0 | item 1 | item 2 | ...    one stream of pickles with one memo: a later item
                                                  may refer to what an earlier one has brought

So a block is read from its beginning on, and a piece of one that is given away takes the whole
block along. That is why blocks are small (`BLOCK_BYTES`), but for what their first item needs.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from scoop_mpi.errors import SerializationError, describe_callable, describe_error, raise_interrupt
from scoop_mpi.wire.serializer import (
    PLAIN,
    Buffer,
    Payload,
    decode,
    encode,
    forwarded,
    pickler_of,
)

if TYPE_CHECKING:
    from pickletools import OpcodeInfo

# A block ends once its items, but for the first, have taken so many bytes, or as many as the first:
# then what is shared between them is paid for, and little travels and is read in vain where it is
# split.
BLOCK_BYTES = 8 * 1024
_MOST_ITEMS = 1024  # of a block
_NESTING = frozenset({tuple, list})
_UNCHANGEABLE = frozenset({tuple})
_PLAIN_DEPTH = 3  # levels of tuples and lists that are looked into
# Objects within tuples and lists that are looked at for each item, on average: what occurs again
# and again is looked at again and again, but is pickled once.
_MOST_LOOKS = 64


class Block:
    """Some objects, pickled one after the other; or one that could not be pickled.

    Args:
        payload: the pickles; or the reason why there is none.
        count: how many objects there are.
    """

    __slots__ = ("_opened", "_reader", "count", "payload")

    def __init__(self, payload: Payload | str, count: int) -> None:
        self.payload = payload
        self.count = count
        self._opened: list[tuple[Any, SerializationError | None]] = []
        self._reader: _Reader | None = None

    def open(self, first: int, last: int) -> Iterator[tuple[Any, SerializationError | None]]:
        """Yield the objects from `first` up to `last`, or why one can't be had."""
        opened = self._opened
        while len(opened) < last:
            opened.append(self._open_next())
        return iter(opened[first:last])

    def _open_next(self) -> tuple[Any, SerializationError | None]:
        payload = self.payload
        if isinstance(payload, str):
            return None, SerializationError(payload)
        if self.count == 1:
            try:
                return decode(payload), None
            except SerializationError as error:
                return None, SerializationError(f"an argument: {error}")
        if self._reader is None:
            self._reader = _Reader(payload)
        return self._reader.next()

    @property
    def wire_form(self) -> tuple[Payload | str, int]:
        """The block as it is sent (on)."""
        payload = self.payload
        return (payload if isinstance(payload, str) else forwarded(payload)), self.count


class _Reader:
    """Reads the objects of a block, one after the other.

    Once one has failed, each that follows is looked at first: it may refer to something that was to
    come with the one that failed.
    """

    def __init__(self, payload: Payload) -> None:
        data, buffers = payload
        self._stream = io.BytesIO(data)
        self._buffers = _Buffers(buffers)
        self._unpickler: Any = pickle.Unpickler(self._stream, buffers=self._buffers)
        self._missing: set[int] = set()  # of the memo
        self._memo_length = 0  # kept once something is missing

    def next(self) -> tuple[Any, SerializationError | None]:
        """Return the next object, or why it can't be had."""
        start, buffers_taken = self._stream.tell(), self._buffers.taken
        if self._missing:
            pickled = _Pickle(self._data, start)
            if not self._missing.isdisjoint(pickled.references):
                self._skip(pickled, buffers_taken)
                return None, SerializationError(
                    "an argument: it refers to an object that came with another one, which can't "
                    "be unpickled on the rank that received it"
                )
            self._memo_length += pickled.memoized
        try:
            return self._unpickler.load(), None
        except BaseException as error:
            raise_interrupt(error)
            kinds = _kinds_in(self._data, start)
            pickled = _Pickle(self._data, start)
            if self._missing:
                self._memo_length -= pickled.memoized
            else:
                self._memo_length = sum(
                    earlier.memoized for earlier in _pickles(self._data, 0, start)
                )
            self._skip(pickled, buffers_taken)
            return None, SerializationError(
                f"an argument: an object of type {kinds} can't be unpickled on the rank that "
                f"received it: {describe_error(error)}"
            )

    @property
    def _data(self) -> bytes:
        return self._stream.getvalue()

    def _skip(self, pickled: _Pickle, buffers_taken: int) -> None:
        """Go on behind an object, with whatever of it has come into the memo."""
        self._buffers.taken = buffers_taken + pickled.buffers
        self._stream.seek(pickled.end)
        memo = self._unpickler.memo.copy()
        self._memo_length += pickled.memoized
        self._missing |= set(range(self._memo_length)) - set(memo)
        # A new one: the old one has read ahead in what it could not finish. It is Python's own in
        # Python, whose memo can be set; that has to be as long as the pickler's was.
        self._unpickler = pickle._Unpickler(self._stream, buffers=self._buffers)
        self._unpickler.memo = {**memo, **dict.fromkeys(self._missing)}


class _Pickle:
    """What the pickle that begins at `start` consists of.

    Attributes:
        end: where it ends.
        buffers: the number of large buffers that it refers to.
        memoized: the number of entries that it adds to the memo.
        references: the entries of the memo that it refers to.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self.end = start
        self.buffers = self.memoized = 0
        self.references: set[int] = set()
        for opcode, argument, place in _opcodes(data, start):
            match opcode.name:
                case "NEXT_BUFFER":
                    self.buffers += 1
                case "MEMOIZE":
                    self.memoized += 1
                case "BINGET" | "LONG_BINGET":
                    self.references.add(argument)
                case "STOP":
                    assert place is not None
                    self.end = place + 1


def _pickles(data: bytes, start: int, stop: int) -> Iterator[_Pickle]:
    """Yield the pickles from `start` up to `stop`."""
    while start < stop:
        pickled = _Pickle(data, start)
        yield pickled
        start = pickled.end


class _Buffers(Iterator[Buffer]):
    """The buffers of a block, for the unpickler to take, and to be set back."""

    def __init__(self, buffers: tuple[Buffer, ...]) -> None:
        self._all = buffers
        self.taken = 0

    def __next__(self) -> Buffer:
        if self.taken >= len(self._all):
            raise StopIteration
        self.taken += 1
        return self._all[self.taken - 1]


def _opcodes(data: bytes, start: int) -> Iterator[tuple[OpcodeInfo, Any, int | None]]:
    """Return the opcodes of the pickle that begins at `start`."""
    import pickletools  # not above: few programs need it

    stream = io.BytesIO(data)
    stream.seek(start)
    return iter(pickletools.genops(stream))


def _kinds_in(data: bytes, start: int) -> str:
    """Return the names of up to three classes or functions that the pickle at `start` refers to.

    It may refer to them by the memo, so what stands before it is read as well.
    """
    memo: list[str] = []  # the texts, and names of classes, that can be referred to
    texts: list[str] = []
    names: dict[str, None] = {}
    place = 0
    while place <= start:
        names.clear()
        latest = ""
        for opcode, argument, _ in _opcodes(data, place):
            if opcode.name == "MEMOIZE":
                memo.append(latest)
            elif opcode.name in ("BINGET", "LONG_BINGET"):
                latest = memo[argument]
                texts.append(latest)
                if "." in latest:
                    names[latest] = None
            elif opcode.name == "STACK_GLOBAL":
                latest = ".".join(texts[-2:])
                names[latest] = None
            elif isinstance(argument, str):
                latest = argument
                texts.append(latest)
            else:
                latest = ""
        place = _Pickle(data, place).end
    return ", ".join(list(names)[:3]) or "(unknown)"


Piece = tuple[Block, int, int]


class Sealed(Sequence[Any]):
    """A column of pickled objects: consecutive pieces of blocks."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces

    def __reduce__(self) -> tuple[Any, ...]:
        # A block that occurs twice is split in between: it travels once.
        numbers: dict[int, int] = {}
        blocks: list[tuple[Payload | str, int]] = []
        for block, _, _ in self.pieces:
            if numbers.setdefault(id(block), len(numbers)) == len(blocks):
                blocks.append(block.wire_form)
        return _unsealed, (
            blocks,
            [(numbers[id(block)], first, last) for block, first, last in self.pieces],
        )

    def __len__(self) -> int:
        return sum(last - first for _, first, last in self.pieces)

    def __getitem__(self, items: Any) -> Any:
        """Return a part of the column; `items` is a slice without a step."""
        start, stop, _ = items.indices(len(self))
        part: list[Piece] = []
        place = 0
        for block, first, last in self.pieces:
            if place >= stop:
                break
            begin, end = max(start - place, 0), min(stop - place, last - first)
            if begin < end:
                part.append((block, first + begin, first + end))
            place += last - first
        return Sealed(part)

    def __add__(self, other: Sealed) -> Sealed:
        return Sealed(self.pieces + other.pieces)

    def open(self) -> tuple[list[Any], dict[int, SerializationError]]:
        """Return the objects, and by position the errors of those that can't be had."""
        items: list[Any] = []
        failures: dict[int, SerializationError] = {}
        for piece in self.pieces:
            block, first, last = piece
            for item, error in block.open(first, last):
                if error is not None:
                    failures[len(items)] = error
                items.append(item)
        return items, failures


def _unsealed(
    blocks: list[tuple[Payload | str, int]], pieces: list[tuple[int, int, int]]
) -> Sealed:
    opened = [Block(*block) for block in blocks]
    return Sealed([(opened[number], first, last) for number, first, last in pieces])


Column = Sequence[Any]


class Batch(NamedTuple):
    """The arguments of `length` calls, as columns.

    Of a map over one iterable there is one column, of its items (`star` is False). Else the tuples
    of the calls' arguments are one sealed column, so that what a call gets twice is one object also
    where it arrives; or, where all arguments are plain, there is a column for each position.
    """

    length: int
    columns: tuple[Column, ...]
    star: bool

    def part(self, start: int, stop: int) -> Batch:
        """Return the calls from `start` up to `stop`."""
        return Batch(stop - start, tuple(column[start:stop] for column in self.columns), self.star)

    def open(self) -> tuple[Sequence[Any], dict[int, SerializationError]]:
        """Return the items (tuples if `star`), and by position what could not be opened."""
        columns = self.columns
        if not self.star or (columns and isinstance(columns[0], Sealed)):
            return open_column(columns[0])
        if not columns:
            return [()] * self.length, {}
        return list(zip(*columns, strict=True)), {}

    def open_call(self, function: Callable[..., Any]) -> tuple[Any, ...]:
        """Return the arguments of the only call of this batch; `function` is named in errors.

        Raises:
            SerializationError: they could not be opened.
        """
        items, failures = self.open()
        if failures:
            raise SerializationError(f"a call of {describe_callable(function)}: {failures[0]}")
        arguments: tuple[Any, ...] = items[0] if self.star else (items[0],)
        return arguments


def seal(items: Sequence[Any]) -> Column:
    """Return `items` as a column. Never raises: what can't be pickled fails when it is opened."""
    if type(items) is range or are_plain(items):
        return items
    return _pack(items, lambda item, error: str(error))


def seal_calls(items: Sequence[Any], star: bool) -> Batch:
    """Return the arguments of some calls as a batch. This may run code of the user's.

    Args:
        items: one argument for each call or, with `star`, one tuple of them, all of one length.
        star: whether the items are tuples of arguments.
    """
    plain = seal_plain_calls(items, star, _NESTING)
    if plain is not None:
        return plain
    return Batch(len(items), (pack_calls(items, star),), star)


def pack_calls(items: Sequence[Any], star: bool) -> Sealed:
    """Return the arguments of some calls as one sealed column, whatever they are.

    Args:
        items: see `seal_calls`.
        star: see `seal_calls`.
    """
    return _pack(items, _describe_call if star else _describe_item)


def seal_plain_calls(
    items: Sequence[Any], star: bool, nesting: frozenset[type] = _UNCHANGEABLE
) -> Batch | None:
    """Return a batch if all arguments are plain and can't change, else None. For any thread.

    Args:
        items: see `seal_calls`.
        star: see `seal_calls`.
        nesting: types whose objects may hold plain ones. A list is plain, but can change.
    """
    if not star:
        if type(items) is range or are_plain(items, nesting):
            return Batch(len(items), (items,), star)
        return None
    columns: tuple[Sequence[Any], ...] = tuple(zip(*items, strict=True))
    if all(are_plain(column, nesting) for column in columns):
        return Batch(len(items), columns, star)
    return None


def open_column(column: Column) -> tuple[Sequence[Any], dict[int, SerializationError]]:
    """Return the objects of `column`, and by position the errors of those that can't be had."""
    return column.open() if isinstance(column, Sealed) else (column, {})


def are_unchangeable(items: Iterable[Any]) -> bool:
    """Say whether all objects are plain, or tuples of such: they are the same at any time."""
    return are_plain(items, _UNCHANGEABLE)


def are_plain(items: Iterable[Any], nesting: frozenset[type] = _NESTING) -> bool:
    """Say whether all objects are of plain types, or tuples (or lists) of such.

    Args:
        items: the objects.
        nesting: which types may hold others.
    """
    looks = None
    for _ in range(_PLAIN_DEPTH + 1):
        types = set(map(type, items))
        if types <= PLAIN:
            return True
        types -= PLAIN
        if not types <= nesting:
            return False
        nested = [item for item in items if type(item) in nesting]
        length = sum(map(len, nested))
        if looks is None:
            looks = _MOST_LOOKS * (len(nested) + 16)
        looks -= length
        if looks < 0:
            return False
        items = list(chain.from_iterable(nested))
    return False


# ---------------------------------------------------------------- pickling


def _describe_item(item: Any, error: SerializationError) -> str:
    return f"argument 1: {error}"


def _describe_call(arguments: tuple[Any, ...], error: SerializationError) -> str:
    """Return why a call's arguments can't be pickled: because of the first that can't be."""
    for number, argument in enumerate(arguments, start=1):
        try:
            encode(argument)
        except SerializationError as reason:
            return f"argument {number}: {reason}"
    return str(error)  # one by one they can be


def _pack(items: Sequence[Any], describe: Callable[[Any, SerializationError], str]) -> Sealed:
    """Pickle `items` into blocks.

    Args:
        items: any objects.
        describe: tells why an item can't be pickled.
    """
    pieces: list[Piece] = []
    place = 0
    by_value = False  # once an item needs it, those that follow may as well
    while place < len(items):
        count, payload = _fill_block(items, place, by_value)
        if not count and not by_value:
            by_value = True
            count, payload = _fill_block(items, place, by_value)
        block: Block
        if count:
            block = Block(payload, count)
        else:
            count = 1
            try:
                block = Block(encode(items[place]), 1)
            except SerializationError as error:
                block = Block(describe(items[place], error), 1)
        pieces.append((block, 0, count))
        place += count
    return Sealed(pieces)


def _fill_block(items: Sequence[Any], first: int, by_value: bool) -> tuple[int, Payload]:
    """Pickle items from `first` on until the block is full or an item can't be pickled.

    Returns:
        How many there are in the block, and their pickles.
    """
    stream = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler = pickler_of(stream, buffers, by_value=by_value)
    end = size = more = first_size = 0
    last = min(first + _MOST_ITEMS, len(items))
    for place in range(first, last):
        buffers_before = len(buffers)
        try:
            pickler.dump(items[place])
            start, end = end, stream.tell()
            size = end - start
            if len(buffers) > buffers_before:
                size += sum(buffer.raw().nbytes for buffer in buffers[buffers_before:])
            if place == first:
                first_size = size
            else:
                more += size
            is_too_large = place > first and size > max(BLOCK_BYTES, first_size // 2)
        except BaseException as error:
            raise_interrupt(error)
            start, is_too_large = end, True
        if is_too_large:  # or can't be pickled: it gets a block of its own
            stream.truncate(start)
            del buffers[buffers_before:]
            last = place
            break
        if more > max(BLOCK_BYTES, first_size):
            last = place + 1
            break
    data = stream.getvalue()  # see `serializer._encode`
    content = pickle.PickleBuffer(data) if len(data) > BLOCK_BYTES else data
    return last - first, (content, pickler.with_keepers(buffers))
