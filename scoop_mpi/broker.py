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

from scoop_mpi.messages import (
    Message,
    Results,
    Returned,
    Send,
    Steal,
    StealFailed,
    WorkOffered,
    WorkWanted,
)


class Broker:
    """The matchmaker's state, which its methods alone change."""

    def __init__(self) -> None:
        # Both in the order of arrival: dicts, for want of an ordered set. In a plain dict the first
        # entry is found more and more slowly, the more entries before it were taken out.
        self.offering: OrderedDict[int, None] = OrderedDict()
        self.hungry: OrderedDict[int, None] = OrderedDict()

    def handle(self, source: int, message: Message) -> None:
        """Take in a message of rank `source`.

        Raises:
            TypeError: the message is none that a broker understands.
        """
        match message:
            case Results(wants_work=True) | Returned(wants_work=True):  # who has offered nothing
                self.hungry[source] = None
            case WorkWanted():
                self.offering.pop(source, None)
                self.hungry[source] = None
            case WorkOffered():
                self.offering[source] = None
            case StealFailed(thieves):
                self.offering.pop(source, None)
                self.hungry.update(dict.fromkeys(thieves))
            case _:
                raise TypeError(f"the broker got {message!r} from rank {source}")

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
        return next((rank for rank in self.hungry if rank != besides), None)

    def served(self, thief: int) -> None:
        """`thief` has been sent work without a `match`."""
        del self.hungry[thief]

    def exhausted_by(self, victim: int) -> None:
        """`victim`, which is this very rank, has no more work to spare."""
        self.offering.pop(victim, None)
