"""The broker: brings ranks that have run dry together with ranks that have work to spare.

A pure state machine on rank 0. It knows nothing of tasks; work itself goes directly from the
victim to the thief. Each rank is believed to have work from when it says so until it asks for work
or a steal from it fails, so a rank says it once, and no count of anybody's queue is kept here, to
be out of date.

First everybody is heard (`handle`), then victims and thieves are matched (`match`). Where tasks
are alike, all ranks run dry at once. If each were answered as it asks, the first ones would be
sent to ranks that are about to ask as well.

Every request is answered once: it stays in `hungry`, or is on its way to a victim, which gives or
hands it back with `StealFailed`.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import cycle, islice
from typing import ClassVar

from scoop_mpi.errors import UnexpectedMessage
from scoop_mpi.wire.messages import (
    Message,
    Reserved,
    Send,
    Steal,
    StealFailed,
    WorkOffered,
    WorkWanted,
)


class Broker:
    """The matchmaker's state, which its methods alone change.

    Args:
        size: the number of ranks.
    """

    TAKES: ClassVar[tuple[type[Message], ...]] = (WorkWanted, WorkOffered, Reserved, StealFailed)

    def __init__(self, size: int) -> None:
        self._size = size
        self.reserved: dict[int, bool] = {}  # whether they have calls that they don't begin
        # Both in the order of arrival: dicts, for want of an ordered set. In a plain dict the first
        # entry is found more and more slowly, the more entries before it were taken out.
        self.offering: OrderedDict[int, None] = OrderedDict()
        self.hungry: OrderedDict[int, None] = OrderedDict()

    def handle(self, source: int, message: Message) -> None:
        """Take in a message of rank `source`.

        Raises:
            UnexpectedMessage: the message is none that a broker understands.
        """
        match message:
            case WorkWanted():
                self.offering.pop(source, None)
                self.hungry[source] = None
            case WorkOffered():
                self.offering[source] = None
            case Reserved(has_calls, is_reserved):
                self.reserved.pop(source, None)
                if is_reserved:
                    self.reserved[source] = has_calls
            case StealFailed(thieves):
                self.offering.pop(source, None)
                self.hungry.update(dict.fromkeys(thieves))
            case _:
                raise UnexpectedMessage(0, source, message, "it is not for the broker")

    def __repr__(self) -> str:
        return f"<Broker, {len(self.hungry)} ranks hungry, {len(self.offering)} offering>"

    def first_to_begin(self) -> int | None:
        """Return a rank that is to begin a call though it is reserved, as all are; or None.

        It counts as reserved no longer.
        """
        if len(self.reserved) < self._size:
            return None
        rank = next((rank for rank, has_calls in self.reserved.items() if has_calls), None)
        if rank is not None:
            del self.reserved[rank]
        return rank

    def ask(self, thief: int) -> None:
        """`thief`, which has offered nothing, asks for work along with what it reports."""
        self.hungry[thief] = None

    def match(self) -> list[Send]:
        """Send each hungry rank to a victim, if there is any; return what to send.

        The hungry are dealt to the victims evenly, and victims are taken in turn from one time to
        the next, so that none is asked much more than the others.
        """
        if not self.hungry or not self.offering:
            return []
        thieves_of: dict[int, list[int]] = {}
        victims = cycle(list(islice(self.offering, len(self.hungry) + 1)))
        for thief in list(self.hungry):
            victim = next(victims)
            if victim == thief:
                if len(self.offering) == 1:
                    continue
                victim = next(victims)
            thieves_of.setdefault(victim, []).append(thief)
            del self.hungry[thief]
        for victim in thieves_of:
            self.offering.move_to_end(victim)
        return [Send(victim, Steal(tuple(thieves))) for victim, thieves in thieves_of.items()]

    def take_hungry(self) -> tuple[int, ...]:
        """Hand over all hungry ranks, to a victim that is found without `match`."""
        thieves = tuple(self.hungry)
        self.hungry.clear()
        return thieves

    def first_hungry(self, besides: int) -> int | None:
        """Return the rank that has been hungry for longest, if there is any `besides` this one."""
        for rank in self.hungry:
            if rank != besides:
                return rank
        return None

    def served(self, thief: int) -> None:
        """`thief` has been sent work without a `match`."""
        del self.hungry[thief]

    def exhausted_by(self, victim: int) -> None:
        """`victim`, which is this very rank, has no more work to spare."""
        self.offering.pop(victim, None)
