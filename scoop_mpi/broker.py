"""The broker: brings ranks that have run dry together with ranks that have work to spare.

A pure state machine on rank 0. It knows nothing of tasks; work itself goes directly from the
victim to the thief. Each rank is believed to have work from when it says so until a steal from it
fails, so a rank says it once, and no count of anybody's queue is kept here, to be out of date.

Every request is answered once: it leads to `Work` from a victim, or stays in `hungry`, or is on
its way to a victim, which gives or hands it back with `StealFailed`.
"""

from __future__ import annotations

from scoop_mpi.messages import Message, Send, Steal, StealFailed, WorkOffered, WorkWanted
from scoop_mpi.policy import THIEVES_PER_STEAL


class Broker:
    """The matchmaker's state. `handle` takes messages; the other methods spare rank 0 its own."""

    def __init__(self) -> None:
        # Both in the order of arrival: dicts, for want of an ordered set.
        self.offering: dict[int, None] = {}
        self.hungry: dict[int, None] = {}

    def handle(self, source: int, message: Message) -> list[Send]:
        """Take in a message of rank `source`; return what to send.

        Raises:
            TypeError: the message is none that a broker understands.
        """
        match message:
            case WorkWanted():
                return self.match((source,))
            case WorkOffered():
                steal = self.offered_by(source)
                return [] if steal is None else [Send(source, steal)]
            case StealFailed(thieves):
                self.exhausted_by(source)
                return self.match(thieves)
            case _:
                raise TypeError(f"the broker got {message!r} from rank {source}")

    def match(self, thieves: tuple[int, ...]) -> list[Send]:
        """Find a victim for each of `thieves`, or remember them as hungry."""
        sends = []
        for thief in thieves:
            victim = self._next_victim(thief)
            if victim is None:
                self.hungry[thief] = None
            else:
                sends.append(Send(victim, Steal((thief,))))
        return sends

    def _next_victim(self, thief: int) -> int | None:
        """Take the victims in turn, so that none is asked much more than the others."""
        for victim in self.offering:
            if victim != thief:
                self.offering[victim] = self.offering.pop(victim)
                return victim
        return None

    def offered_by(self, victim: int) -> Steal | None:
        """`victim` has said that it has work: return what it is to do for the hungry, if any."""
        self.offering[victim] = None
        thieves = [rank for rank in self.hungry if rank != victim][:THIEVES_PER_STEAL]
        if not thieves:
            return None
        for thief in thieves:
            del self.hungry[thief]
        return Steal(tuple(thieves), not self.hungry.keys() - {victim})

    def exhausted_by(self, victim: int) -> None:
        """`victim` has no more work to spare."""
        self.offering.pop(victim, None)
