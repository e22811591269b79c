"""Constants: shared objects, written once, that every rank can read.

Rank 0 gives each set of constants the next version number and sends it down a tree, so that every
rank comes to hold versions 1, 2, 3, ... and a name is taken once in the whole job, whoever sets
it. Each message that brings tasks or results tells the newest version that its sender has heard
of. What was set before a task was submitted is thus known to be on its way, wherever the task
runs, and reading a constant waits for it.

    proposer               rank 0                    children in the tree
       |  ConstantsProposed   |                             |
       |--------------------->|  name taken: ConstantsRefused, to the proposer
       |                      |---- ConstantsPublished ---->|---- ... --->
       |<--------------------------------(down the tree)----|
     set returns when the version has come back to it

A pure state machine: `handle` and `propose` return what to send. Values stay sealed until they
are first read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from scoop_mpi.messages import (
    ConstantsProposed,
    ConstantsPublished,
    ConstantsRefused,
    Message,
    Send,
)
from scoop_mpi.serializer import Payload, decode, forwarded

REGISTRAR_RANK = 0
CHILDREN = 4  # of a rank in the tree: few, since each costs its parent the bandwidth of a copy


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

    Attributes:
        version: this rank has all constants up to this version.
        heard_of: there are constants up to this version, at least.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.version = 0
        self.heard_of = 0
        self.on_change: list[Callable[[], None]] = []
        self._children = tuple(
            child for child in range(CHILDREN * rank + 1, CHILDREN * (rank + 1) + 1) if child < size
        )
        self._sealed: dict[str, Payload] = {}
        self._opened: dict[str, Any] = {}
        self._proposals: dict[int, Proposal] = {}
        self._tickets = 0
        self._name_numbers = itertools.count()
        self._early: dict[int, ConstantsPublished] = {}  # overtook a version with large buffers
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
            self._opened.setdefault(name, decode(sealed))
            self._sealed.pop(name, None)
        return self._opened[name]

    def handle(self, source: int, message: Message) -> list[Send]:
        """Take in a message of rank `source`; return what to send.

        Raises:
            TypeError: the message is not about constants.
        """
        match message:
            case ConstantsProposed(ticket, values):
                return self._decide(source, ticket, values)
            case ConstantsRefused(ticket, name):
                self._proposals.pop(ticket).answer(name)
                return []
            case ConstantsPublished():
                return self._take_in(message)
            case _:
                raise TypeError(f"the constants got {message!r} from rank {source}")

    def _decide(self, origin: int, ticket: int, values: dict[str, Payload]) -> list[Send]:
        for name in values:
            if self.has(name):
                return [Send(origin, ConstantsRefused(ticket, name))]
        self._last_given += 1
        return self._take_in(ConstantsPublished(self._last_given, origin, ticket, values))

    def _take_in(self, published: ConstantsPublished) -> list[Send]:
        sends = []
        if self._children:
            values = {name: forwarded(payload) for name, payload in published.values.items()}
            sends = [Send(child, published._replace(values=values)) for child in self._children]
        self._early[published.version] = published
        while (message := self._early.pop(self.version + 1, None)) is not None:
            self.version = message.version
            self.hear_of(message.version)
            self._sealed.update(message.values)
            if message.origin == self.rank:
                self._proposals.pop(message.ticket).answer(None)
        for notify in list(self.on_change):
            notify()
        return sends
