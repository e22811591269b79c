"""Constants: shared objects, written once, that every rank can read.

Rank 0 gives each set of constants the next version number and sends it down a tree, so that every
rank comes to hold versions 1, 2, 3, ... and a name is taken once in the whole job, whoever sets
it. Each message that brings tasks or results tells the newest version that its sender has heard
of. What was set before a task was submitted is thus known to be on its way, wherever the task
runs, and reading a constant waits for it.

    proposer               rank 0                    leaders of other nodes
       |  ConstantsProposed   |                             |
       |--------------------->|  a name taken, by another value: ConstantsRefused, to the proposer
       |                      |  all taken, by the same values: ConstantsKept, to the proposer
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

That a constant is no more is a version as well. Who deletes one asks rank 0 for it; those that go
by themselves rank 0 removes when nobody refers to them any longer (`holds`). A deleted name
can be taken again, so a rank that has heard of a deletion reads no name before it has that version.

Whether a value is the one that a name has, rank 0 tells by the bytes that travel. What the user's
own ``==`` says is not asked: it may be anything, an array for one.

A pure state machine: `handle` and `propose` return what to send. The runtime places and maps
memory. Values stay sealed until they are first read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import ClassVar

from scoop_mpi.errors import UnexpectedMessage
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.constant_values import Constant, copied
from scoop_mpi.wire.holds import Hold, Holds, Keeper
from scoop_mpi.wire.messages import (
    ConstantsDeleted,
    ConstantsKept,
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsProposed,
    ConstantsPublished,
    ConstantsRefused,
    HoldReleased,
    Message,
    Send,
)
from scoop_mpi.wire.serializer import Payload, forwarded

REGISTRAR_RANK = 0
CHILDREN = 4  # of a leader in the tree: few, since each costs its parent the bandwidth of a copy
# Constants of so many bytes in all are placed in the node's memory. It takes some system calls, a
# descriptor and another message for each rank, which smaller ones aren't worth.
PLACED_BYTES = 1 << 20
_NEWS_BITS = 32  # of the news: a version, and above it the newest that has deleted


def sendable(message: ConstantsPublished) -> ConstantsPublished:
    """Return a message that has been received in the form in which it can be sent on."""
    values = {name: forwarded(payload) for name, payload in message.values.items()}
    return message._replace(values=values)


class Proposal:
    """Constants that this rank wants to set.

    Args:
        notify: called once rank 0 has decided.
        hold: on the only one of them, if it is to go when nobody refers to it any more.

    Attributes:
        is_answered: whether rank 0 has decided.
        refused: names the one that is taken already, by another value.
    """

    __slots__ = ("_notify", "hold", "is_answered", "refused")

    def __init__(self, notify: Callable[[], None], hold: Hold | None = None) -> None:
        self._notify = notify
        self.hold = hold
        self.is_answered = False
        self.refused: str | None = None

    def accept(self, version: int) -> None:
        """They have been published as this version, or were before."""
        if self.hold is not None:
            self.hold.version = version
        self.is_answered = True
        self._notify()

    def refuse(self, name: str) -> None:
        """This name has another value."""
        self.refused = name
        self.is_answered = True
        self._notify()


class Constants:
    """This rank's constants; on rank 0 also the registry of all names.

    Args:
        rank: this rank.
        leaders: for each rank the leader of its node, which is the node's lowest rank.
        post: has a message sent to a rank, or to this one itself, by the next step. It is called
            at any time, also where an object ends.
        discard: gets what has been removed, and may be let go of where code of the user's may run.

    Attributes:
        version: this rank has all constants up to this version.
        news: what each message with tasks or results tells: that there are versions up to one, and
            which of them is the newest that has deleted a constant. As one number: messages stay
            small, and are looked at as fast.
        holds: this rank's, on those that go by themselves.
    """

    TAKES: ClassVar[tuple[type[Message], ...]] = (
        ConstantsProposed,
        ConstantsRefused,
        ConstantsKept,
        ConstantsDeleted,
        ConstantsPublished,
        ConstantsPlaced,
        ConstantsMapped,
        HoldReleased,
    )

    def __init__(
        self,
        rank: int,
        leaders: Sequence[int],
        post: Callable[[int, Message], object],
        discard: Callable[[object], object],
    ) -> None:
        self.rank = rank
        self._discard = discard
        self.version = 0
        self.news = 0
        self.holds = Holds(rank, REGISTRAR_RANK, lambda to, name: post(to, HoldReleased(name)))
        self.on_change: list[Callable[[], None]] = []
        self._child_leaders = _children(rank, sorted(set(leaders)))
        # The others of its node, if this rank is a leader: those who map what it places, and those
        # who have failed to.
        self._mappers = [r for r, leader in enumerate(leaders) if leader == rank != r]
        self._copiers: list[int] = []
        self._placed: dict[int, tuple[ConstantsPublished, set[int]]] = {}  # not mapped by these yet
        self._held: dict[str, Constant] = {}
        self._proposals: dict[int, Proposal] = {}
        self._tickets = 0
        self._name_numbers = itertools.count()
        self._early: dict[int, ConstantsPublished] = {}  # overtook a version with large buffers
        self._versions_by_name: dict[str, int] = {}  # on rank 0: those taken
        self._last_given = 0  # on rank 0: the last version number given
        self._last_erased = 0  # on rank 0: the last of them that has deleted

    def hear_of(self, news: int) -> None:
        """A message told these `news`."""
        if news == self.news:
            return
        erased, version = divmod(news, 1 << _NEWS_BITS)
        self.news = max(erased, self._erased) << _NEWS_BITS | max(version, self.heard_of)

    @property
    def heard_of(self) -> int:
        """There are constants up to this version, at least."""
        return self.news % (1 << _NEWS_BITS)

    @property
    def _erased(self) -> int:
        """The newest version that this rank knows to have deleted a constant."""
        return self.news >> _NEWS_BITS

    def propose(self, values: dict[str, Payload], proposal: Proposal) -> list[Send]:
        """Ask rank 0 to publish constants; `proposal` will be answered."""
        self._tickets += 1
        self._proposals[self._tickets] = proposal
        are_counted = proposal.hold is not None
        return [Send(REGISTRAR_RANK, ConstantsProposed(self._tickets, values, are_counted))]

    def find(self, name: str) -> Constant | None:
        """Return the constant of this name, if this rank holds it and it can't be out of date."""
        return self._held.get(name) if self.version >= self._erased else None

    def find_of_unique_name(self, name: str) -> Constant | None:
        """Return the constant of a name that nobody takes again."""
        return self._held.get(name)

    def held(self) -> list[tuple[str, Constant]]:
        """Return all constants that this rank holds, by name, the oldest first."""
        return list(self._held.items())

    def new_name(self, stem: str) -> str:
        """Return a name that no other constant has, on whichever rank."""
        return f"{stem}/{self.rank}/{next(self._name_numbers)}"

    @property
    def is_behind(self) -> bool:
        """Whether constants that this rank has heard of are still on their way."""
        return self.version < self.heard_of

    def should_place(self, message: ConstantsPublished) -> bool:
        """Say whether this rank should have `message` placed in its node's memory."""
        if not self._mappers:
            return False
        frames = (
            buffer
            for data, buffers in message.values.values()
            for buffer in (data, *buffers)
            if type(buffer) not in (bytes, Keeper)  # else it travels within the message
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
            UnexpectedMessage: the message is not about constants, or one that `take_in` is for; or
                it is of a proposal or version that this rank knows nothing of.
        """
        match message:
            case ConstantsProposed():
                return self._decide(source, message)
            case ConstantsRefused(ticket, name):
                if ticket not in self._proposals:
                    raise UnexpectedMessage(self.rank, source, message, "nothing was proposed")
                self._proposals.pop(ticket).refuse(name)
                return []
            case ConstantsKept(ticket, news):
                if ticket not in self._proposals:
                    raise UnexpectedMessage(self.rank, source, message, "nothing was proposed")
                self.hear_of(news)
                self._proposals.pop(ticket).accept(self.heard_of)
                return []
            case ConstantsDeleted(versions):
                return self._delete(versions)
            case HoldReleased(name):
                return self._release(source, name)
            case ConstantsPublished():
                return self._pass_on(message, placed)
            case ConstantsMapped(version, problem):
                _, missing = self._placed.get(version, (None, ()))
                if source not in missing:
                    raise UnexpectedMessage(self.rank, source, message, "nobody had asked it to")
                return self._mapped(source, version, problem)
            case _:
                raise UnexpectedMessage(self.rank, source, message, "it is not about constants")

    def _decide(self, origin: int, proposed: ConstantsProposed) -> list[Send]:
        ticket, values, are_counted = proposed
        # What rank 0 publishes it takes in at once, so it has each constant whose name is taken.
        taken = {name: self._held[name] for name in values if name in self._versions_by_name}
        for name, constant in taken.items():
            if not constant.was_set_to(values[name]):
                return [Send(origin, ConstantsRefused(ticket, name))]
        new = {name: payload for name, payload in values.items() if name not in taken}
        if not new:
            return [Send(origin, ConstantsKept(ticket, self.news))]
        version = self._last_given + 1
        for name in new:
            self._versions_by_name[name] = version
            if are_counted:
                self.holds.published(name, origin)
        return self._publish(origin, ticket, new, ())

    def _delete(self, versions: dict[str, int]) -> list[Send]:
        """Remove constants, unless that has been done, and the names may have been taken again."""
        current = self._versions_by_name
        names = tuple(name for name, version in versions.items() if current.get(name) == version)
        if names:
            self._last_erased = self._last_given + 1
        return self._remove(names)

    def _release(self, source: int, name: str) -> list[Send]:
        parent = self.holds.released(source, name)
        if parent is None:
            return []
        if parent != self.rank:
            return [Send(parent, HoldReleased(name))]
        return self._remove((name,) if name in self._versions_by_name else ())

    def _remove(self, names: tuple[str, ...]) -> list[Send]:
        for name in names:
            del self._versions_by_name[name]
        return self._publish(REGISTRAR_RANK, 0, {}, names) if names else []

    def _publish(
        self, origin: int, ticket: int, values: dict[str, Payload], removed: tuple[str, ...]
    ) -> list[Send]:
        self._last_given += 1
        published = ConstantsPublished(
            self._last_given, origin, ticket, values, removed, self._last_erased
        )
        return [Send(self.rank, published)]

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
        values = {name: copied(payload) for name, payload in message.values.items()}
        return message._replace(values=values)

    def take_in(self, message: ConstantsPublished) -> None:
        """Have the constants of `message`, which are here or mapped."""
        if message.version in self._placed:  # who can't map them gets them from this mapping
            _, missing = self._placed[message.version]
            self._placed[message.version] = sendable(message), missing
        self._early[message.version] = message
        while (due := self._early.pop(self.version + 1, None)) is not None:
            for name in due.removed:
                removed = self._held.pop(name, None)
                if removed is not None and removed.is_open:
                    self._discard(removed)
            for name, payload in due.values.items():
                self._held[name] = Constant(
                    payload, due.origin, due.version, is_registrars=self.rank == REGISTRAR_RANK
                )
            self.version = due.version
            self.hear_of(due.erased << _NEWS_BITS | due.version)
            if due.origin == self.rank and due.values:
                self._proposals.pop(due.ticket).accept(due.version)
        for notify in list(self.on_change):
            notify()


def _children(rank: int, leaders: list[int]) -> tuple[int, ...]:
    """Return to which leaders `rank` sends constants on."""
    if rank not in leaders:
        return ()
    first = CHILDREN * leaders.index(rank) + 1
    return tuple(leaders[first : first + CHILDREN])
