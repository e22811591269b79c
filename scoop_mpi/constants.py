"""Constants: shared objects, written once, that every rank can read.

Rank 0 gives each set of constants the next version number and sends it down a tree, so that every
rank comes to hold versions 1, 2, 3, ... and a name is taken once in the whole job, whoever sets
it. Each message that brings tasks or results tells the newest version that its sender has heard
of. What was set before a task was submitted is thus known to be on its way, wherever the task
runs, and reading a constant waits for it.

    proposer               rank 0                    leaders of other nodes
       |  ConstantsProposed   |                             |
       |--------------------->|  name taken: ConstantsRefused, to the proposer
       |                      |---- ConstantsPublished ---->|---- ... --->   a tree of leaders
       |                      |                             |
       |                the ranks of its node         the ranks of its node
     set returns when the version has come back to it

Of each node one rank, its leader, gets the constants over the network. Small ones it sends on to
the others of its node. Large ones it places in memory that they all map (`node_memory`), so a node
has them once, and tells the others where; who can't map them gets a copy after all.

    leader                                  any rank of its node, the leader too
       |  ConstantsPlaced                      |
       |-------------------------------------->|
       |  ConstantsMapped(problem or None)     |
       |<--------------------------------------|
       |  ConstantsPublished, if there was one |
       |-------------------------------------->|

A pure state machine: `handle` and `propose` return what to send. The runtime places and maps
memory. Values stay sealed until they are first read.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from scoop_mpi.messages import (
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsProposed,
    ConstantsPublished,
    ConstantsRefused,
    Message,
    Send,
    bytes_of,
)
from scoop_mpi.serializer import OUT_OF_BAND_BYTES, Buffer, Payload, decode, encode, forwarded

REGISTRAR_RANK = 0
CHILDREN = 4  # of a leader in the tree: few, since each costs its parent the bandwidth of a copy
# Constants of so many bytes in all are placed in the node's memory. It takes some system calls, a
# descriptor and another message for each rank, which smaller ones aren't worth.
PLACED_BYTES = 1 << 20


def seal(value: object) -> Payload:
    """Return a constant's value as a payload.

    Small buffers stay out of the stream as well. So they can be opened read-only, as large ones.

    Raises:
        SerializationError: it can't be pickled; the text names its type.
    """
    data, buffers = encode(value, out_of_band_bytes=0)
    if len(bytes_of(data)) >= OUT_OF_BAND_BYTES:
        data = pickle.PickleBuffer(data)  # also of plain bytes and text, however long
    return data, tuple(
        view.tobytes() if (view := bytes_of(buffer)).nbytes < OUT_OF_BAND_BYTES else buffer
        for buffer in buffers
    )


def sendable(message: ConstantsPublished) -> ConstantsPublished:
    """Return a message that has been received in the form in which it can be sent on."""
    values = {name: forwarded(payload) for name, payload in message.values.items()}
    return message._replace(values=values)


class Proposal:
    """Constants that this rank wants to set. `refused` names the one that is taken already."""

    __slots__ = ("_notify", "is_answered", "refused")

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self.is_answered = False
        self.refused: str | None = None

    def answer(self, refused: str | None) -> None:
        """Rank 0 has decided."""
        self.refused = refused
        self.is_answered = True
        self._notify()


class Constants:
    """This rank's constants; on rank 0 also the registry of all names.

    Args:
        rank: this rank.
        leaders: for each rank the leader of its node, which is the node's lowest rank.

    Attributes:
        version: this rank has all constants up to this version.
        heard_of: there are constants up to this version, at least.
    """

    def __init__(self, rank: int, leaders: Sequence[int]) -> None:
        self.rank = rank
        self.version = 0
        self.heard_of = 0
        self.on_change: list[Callable[[], None]] = []
        self._child_leaders = _children(rank, sorted(set(leaders)))
        # The others of its node, if this rank is a leader: those who map what it places, and those
        # who have failed to.
        self._mappers = [r for r, leader in enumerate(leaders) if leader == rank != r]
        self._copiers: list[int] = []
        self._placed: dict[int, tuple[ConstantsPublished, set[int]]] = {}  # not mapped by these yet
        self._sealed: dict[str, Payload] = {}
        self._opened: dict[str, Any] = {}
        self._proposals: dict[int, Proposal] = {}
        self._tickets = 0
        self._name_numbers = itertools.count()
        self._early: dict[int, ConstantsPublished] = {}  # overtook a version with large buffers
        self._names_taken: set[str] = set()  # on rank 0
        self._last_given = 0  # on rank 0: the last version number given

    def hear_of(self, version: int) -> None:
        """A message told of this version."""
        if version > self.heard_of:
            self.heard_of = version

    def propose(self, values: dict[str, Payload], proposal: Proposal) -> list[Send]:
        """Ask rank 0 to publish constants; `proposal` will be answered."""
        self._tickets += 1
        self._proposals[self._tickets] = proposal
        return [Send(REGISTRAR_RANK, ConstantsProposed(self._tickets, values))]

    def has(self, name: str) -> bool:
        """Say whether this rank holds a constant of this name."""
        return name in self._sealed or name in self._opened

    def new_name(self, stem: str) -> str:
        """Return a name that no other constant has, on whichever rank."""
        return f"{stem}/{self.rank}/{next(self._name_numbers)}"

    @property
    def is_behind(self) -> bool:
        """Whether constants that this rank has heard of are still on their way."""
        return self.version < self.heard_of

    def get(self, name: str) -> Any:
        """Return a constant that this rank holds; every reader gets the same object.

        Raises:
            SerializationError: it can't be unpickled here.
        """
        sealed = self._sealed.get(name)
        if sealed is not None:
            data, buffers = sealed
            self._opened.setdefault(name, decode((data, tuple(map(_read_only, buffers)))))
            self._sealed.pop(name, None)
        return self._opened[name]

    def should_place(self, message: ConstantsPublished) -> bool:
        """Say whether this rank should have `message` placed in its node's memory."""
        if not self._mappers:
            return False
        frames = (
            buffer
            for data, buffers in message.values.values()
            for buffer in (data, *buffers)
            if type(buffer) is not bytes  # else it travels within the message
        )
        return sum(bytes_of(frame).nbytes for frame in frames) >= PLACED_BYTES

    def is_mapping(self, version: int) -> bool:
        """Say whether ranks of this node have yet to map what was placed."""
        return version in self._placed

    def handle(
        self, source: int, message: Message, placed: ConstantsPlaced | None = None
    ) -> list[Send]:
        """Take in a message of rank `source`; return what to send.

        Args:
            source: who sent it; this rank itself, if it decided so.
            message: what it says.
            placed: tells where in the node's memory the constants of `message` have been placed.

        Raises:
            TypeError: the message is not about constants, or one that `take_in` is for.
        """
        match message:
            case ConstantsProposed(ticket, values):
                return self._decide(source, ticket, values)
            case ConstantsRefused(ticket, name):
                self._proposals.pop(ticket).answer(name)
                return []
            case ConstantsPublished():
                return self._pass_on(message, placed)
            case ConstantsMapped(version, problem):
                return self._mapped(source, version, problem)
            case _:
                raise TypeError(f"the constants got {message!r} from rank {source}")

    def _decide(self, origin: int, ticket: int, values: dict[str, Payload]) -> list[Send]:
        for name in values:
            if name in self._names_taken:
                return [Send(origin, ConstantsRefused(ticket, name))]
        self._names_taken.update(values)
        self._last_given += 1
        return [Send(self.rank, ConstantsPublished(self._last_given, origin, ticket, values))]

    def _pass_on(self, message: ConstantsPublished, placed: ConstantsPlaced | None) -> list[Send]:
        copiers = (*self._child_leaders, *self._copiers)
        if placed is None:
            copiers += (*self._mappers,)
        if copiers or placed is None:
            message = self._own(message)
        copy = sendable(message)
        sends = [Send(rank, copy) for rank in copiers]
        if placed is None:
            self.take_in(message)
            return sends
        mappers = (self.rank, *self._mappers)
        self._placed[message.version] = copy, set(mappers)
        return [*sends, *(Send(rank, placed) for rank in mappers)]

    def _mapped(self, rank: int, version: int, problem: str | None) -> list[Send]:
        message, missing = self._placed[version]
        missing.remove(rank)
        if not missing:
            del self._placed[version]
        if problem is None:
            return []
        if rank == self.rank:
            self.take_in(self._own(message))
            return []
        if rank in self._mappers:
            self._mappers.remove(rank)
            self._copiers.append(rank)
        return [Send(rank, message)]

    def _own(self, message: ConstantsPublished) -> ConstantsPublished:
        """Return `message` as it is to be kept, or to be sent while the program goes on.

        What rank 0 itself has proposed are still the program's own arrays, which it may change as
        soon as they have been set.
        """
        if not self.rank == REGISTRAR_RANK == message.origin:
            return message
        values = {name: _copied(payload) for name, payload in message.values.items()}
        return message._replace(values=values)

    def take_in(self, message: ConstantsPublished) -> None:
        """Have the constants of `message`, which are here or mapped."""
        if message.version in self._placed:  # who can't map them gets them from this mapping
            _, missing = self._placed[message.version]
            self._placed[message.version] = sendable(message), missing
        self._early[message.version] = message
        while (message_due := self._early.pop(self.version + 1, None)) is not None:
            self.version = message_due.version
            self.hear_of(message_due.version)
            self._sealed.update(message_due.values)
            if message_due.origin == self.rank:
                self._proposals.pop(message_due.ticket).answer(None)
        for notify in list(self.on_change):
            notify()


def _children(rank: int, leaders: list[int]) -> tuple[int, ...]:
    """Return to which leaders `rank` sends constants on."""
    if rank not in leaders:
        return ()
    first = CHILDREN * leaders.index(rank) + 1
    return tuple(leaders[first : first + CHILDREN])


def _copied(payload: Payload) -> Payload:
    """Return a payload that shares no memory with the object that was sealed."""
    data, buffers = payload
    return data, tuple(
        buffer if type(buffer) is bytes else bytearray(bytes_of(buffer)) for buffer in buffers
    )


def _read_only(buffer: Buffer) -> memoryview:
    """Return a view of a buffer for an array that is to be read-only.

    A view of an array: an array's unpickling may look for the writable memory beneath a view, and
    finds that this is not.
    """
    import numpy

    view = bytes_of(buffer)
    if not view.nbytes:
        return memoryview(b"")
    array = numpy.frombuffer(view, numpy.uint8)
    array.flags.writeable = False
    return array.data
