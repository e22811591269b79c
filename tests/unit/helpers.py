"""What crosses ranks, and who pretends to be another rank, in the tests without MPI."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from scoop_mpi.tasks.future import Future
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.columns import Batch, Column
from scoop_mpi.wire.functions import FunctionOnWire
from scoop_mpi.wire.meanings import ATTRIBUTE, Meanings
from scoop_mpi.wire.messages import (
    ConstantsProposed,
    Message,
    Results,
    Segment,
    Work,
    decode,
    encode,
)
from scoop_mpi.wire.serializer import Payload

AnyMessage = TypeVar("AnyMessage", bound=Message)


def over_the_wire(message: AnyMessage) -> AnyMessage:
    """Return the message as another rank gets it: made from copies of its frames."""
    received = decode([bytearray(bytes_of(frame)) for frame in encode(message)])
    assert type(received) is type(message)
    return received


def payload_over_the_wire(payload: Payload) -> Payload:
    """Return the payload as another rank gets it."""
    return over_the_wire(ConstantsProposed(1, {"payload": payload})).values["payload"]


def batch_over_the_wire(batch: Batch) -> Batch:
    """Return the batch as another rank gets it."""
    (parcel,) = over_the_wire(Work(0, [(0, 1, 0, (b"", ()), None, *batch)])).parcels
    return Batch(parcel[5], parcel[6], parcel[7])


class OpenParcel(NamedTuple):
    """A parcel, its fields by name."""

    owner: int
    key: int
    start: int
    calls: list[Any]
    reduction: FunctionOnWire | None


def parcels_of(work: Work) -> list[OpenParcel]:
    """Return what `work` brings, its arguments unsealed."""
    opened = []
    for owner, key, start, _, reduction, length, columns, star in work.parcels:
        calls, failures = Batch(length, columns, star).open()
        assert not failures
        opened.append(OpenParcel(owner, key, start, list(calls), reduction))
    return opened


def segment_over_the_wire(segment: Segment) -> Segment:
    """Return the segment as another rank gets it."""
    return over_the_wire(Results(0, [segment])).segments[0]


def column_over_the_wire(column: Column) -> Column:
    """Return the column as another rank gets it."""
    return batch_over_the_wire(Batch(len(column), (column,), star=False)).columns[0]


def make_future(function: Callable[..., Any], *arguments: Any) -> Future:
    """Return a future that nobody has submitted yet."""
    return Future.of(function, arguments)


class Refusal(Exception):
    """What the objects below raise."""


class Unpicklable:
    """An object that can't be pickled."""

    def __reduce__(self) -> Any:
        raise Refusal("it refuses to be pickled")


class Ununpicklable:
    """An object that can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return refuse_to_unpickle, ()


def refuse_to_unpickle() -> None:
    """Stand for an object's own unpickling that fails."""
    raise Refusal("it refuses to be unpickled")


class Box:
    """An object of no plain type; it is equal to boxes of the same content."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __repr__(self) -> str:
        return f"Box({self.content!r})"


def bracket(left: str, right: str) -> str:
    """Combine two texts so that the tree shows."""
    return f"({left} {right})"


def the_tree(count: int, first: int = 0) -> str:
    """Return what a reduction of so many items by `bracket` has to be: see `reduction`."""

    def node(level: int, start: int) -> str:
        if not level:
            return str(start)
        half = 1 << (level - 1)
        return bracket(node(level - 1, start), node(level - 1, start + half))

    nodes = []
    start = first
    for level in reversed(range(count.bit_length())):
        if count >> level & 1:
            nodes.append(node(level, start))
            start += 1 << level
    return functools.reduce(bracket, nodes)


@contextmanager
def main_module(source: str, names_on_every_rank: set[str] | None) -> Iterator[types.ModuleType]:
    """Let a module made of `source` be the program, as on the root."""
    module = types.ModuleType("__main__")
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        exec(source, module.__dict__)
        if names_on_every_rank is not None:
            module.__dict__[ATTRIBUTE] = meanings = Meanings(module)
            meanings.end(names_on_every_rank)
        yield module
    finally:
        sys.modules["__main__"] = before
