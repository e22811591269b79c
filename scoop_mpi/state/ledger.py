"""The ledger: what this rank owns and has given away, until all that is owed of it has come in.

A span or a group of futures knows which of its calls are in, so what is told twice changes nothing.
It must not know how calls were given, nor who waits for their outcomes.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from scoop_mpi.errors import InvariantBroken
from scoop_mpi.state.experience import Experience
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.intervals import Holders
from scoop_mpi.tasks.outcomes import FutureGroup, Outcomes
from scoop_mpi.tasks.span import Span
from scoop_mpi.wire.messages import Segment

# What is given away under one key.
Owed = Span | FutureGroup | Future


class Ledger:
    """What this rank owns and has given away in part, by the key that other ranks know it by.

    Args:
        discarded: gets what is no longer needed, to be let go of where finalizers of the user's
            may run.
        experience: is told how long calls have taken elsewhere, at most.

    Attributes:
        dropped: futures whose calls were given away, and dropped by who had them.
        given: until all of it has been reported.
        now: the time, in seconds, as of the last step.
    """

    __slots__ = (
        "_discarded",
        "_entered",
        "_experience",
        "_holders",
        "_last_key",
        "dropped",
        "given",
        "now",
    )

    def __init__(self, discarded: deque[object], experience: Experience) -> None:
        self.now = 0.0
        self._experience = experience
        self._entered: dict[int, float] = {}  # when; of those of which nothing is in
        self.given: dict[int, Owed] = {}
        self.dropped: deque[Future] = deque()
        self._holders: dict[int, int | Holders] = {}  # of all of it, or of its calls
        self._discarded = discarded
        self._last_key = 0

    def enter(self, owed: Owed, rank: int | None = None) -> int:
        """Enter what is about to be given away; return its key, larger than all before.

        Args:
            owed: what it is.
            rank: the one rank that gets all of it; None: `note_given` says who gets what.
        """
        self._last_key = key = self._last_key + 1
        self.given[key] = owed
        if rank is not None:
            self._holders[key] = rank
        if self._experience.is_wanted:
            self._entered[key] = self.now
        return key

    def note_given(self, key: int, start: int, length: int, rank: int) -> None:
        """Note to which rank calls went; what that rank passes on, it does not tell."""
        holders = self._holders.get(key)
        if not isinstance(holders, Holders):
            holders = self._holders[key] = Holders()
        holders.put(start, start + length, rank)

    def holders_of(self, key: int) -> list[tuple[int, int, int]]:
        """Return who has the calls of `key` whose outcomes are not in, as far as is known here.

        Returns:
            Of each interval of calls the first, the one after the last, and the rank.
        """
        holders = self._holders.get(key, ())
        return [(0, 1, holders)] if isinstance(holders, int) else list(holders)

    def _no_longer_held(self, key: int, start: int, length: int) -> None:
        holders = self._holders.get(key)
        if isinstance(holders, Holders):
            holders.remove(start, start + length)

    def _learn(self, key: int, owed: Owed) -> None:
        """The first outcomes of `key` come in: no call of them has taken longer than until now."""
        since = self._entered.pop(key, None)
        if since is not None:
            function = owed.call[0] if isinstance(owed, Future) else owed.function
            self._experience.note_at_most(function, self.now - since)

    def _close(self, key: int) -> None:
        """All of `key` is in."""
        self.given.pop(key, None)
        self._holders.pop(key, None)
        if self._entered:
            self._entered.pop(key, None)

    def has_had(self, key: int) -> bool:
        """Say whether anything has ever been given away under this key."""
        return 0 < key <= self._last_key

    def deliver(self, span: Span, outcomes: Outcomes) -> None:
        """Take in outcomes of calls that ran here: the `outlet` of this rank's own spans."""
        span.deliver(outcomes)
        if span.unreported == 0:
            self._close(span.key)

    def settle(self, segments: list[Segment], may_pickle: bool) -> None:
        """Take in what another rank has reported of calls that have a key here.

        Args:
            segments: what it has reported.
            may_pickle: whether code of the user's may run: what ends with a call, ends at once.
        """
        discarded = None if may_pickle else self._discarded
        for segment in segments:
            owed = self.given.get(segment[0])
            if owed is None:
                continue  # all of it has come before
            if self._entered:
                self._learn(segment[0], owed)
            if isinstance(owed, Span):
                is_settled = owed.settle(segment)
            else:
                group = owed if isinstance(owed, FutureGroup) else FutureGroup([owed], owed.call[0])
                is_settled = group.settle(segment, discarded)
                if group.dropped:
                    self.dropped += group.dropped
                    group.dropped = []
            if is_settled:
                self._close(segment[0])
            else:
                self._no_longer_held(*segment[:3])
            self._discarded.append(owed)

    def settle_value(self, key: int, value: Any, may_pickle: bool) -> bool:
        """Take in the value of a future that was given away; return False if there is no such one.

        Args:
            key: its key here.
            value: what the call returned.
            may_pickle: see `settle`.
        """
        future = self.given.get(key)
        if future is None and self.has_had(key):
            return True  # it has come before
        if not isinstance(future, Future):
            return False
        if self._entered:
            self._learn(key, future)
        self._close(key)
        if not may_pickle:
            self._discarded += (future, future.call)
        future.complete(value, None)
        return True

    def check(self) -> None:
        """See that what must always hold does: what is owed is not settled.

        Raises:
            InvariantBroken: it does not.
        """
        for key, owed in list(self.given.items()):
            if isinstance(owed, Span):
                owed.check()
                is_owed = owed.key == key and owed.unreported > 0
            else:
                is_owed = not (owed.is_done if isinstance(owed, Future) else owed.is_settled)
            for first, last, _ in self.holders_of(key):
                if isinstance(owed, Span | FutureGroup) and owed.are_in(first, last):
                    raise InvariantBroken(f"{owed!r}: calls {first} to {last} are in, and held")
            if key in self.given and not (is_owed and self.has_had(key)):
                raise InvariantBroken(f"{owed!r} is in the ledger as {key}, and nothing is owed")

    def close(self) -> list[Future]:
        """Take in nothing more; return the futures that are not done."""
        futures = [future for owed in list(self.given.values()) for future in _futures_of(owed)]
        self.given.clear()
        self._holders.clear()
        self._entered.clear()
        return [future for future in futures if not future.is_done]


def _futures_of(owed: Owed) -> list[Future]:
    """Return the futures among what a rank has given away. Who waits for a span's calls hears."""
    if isinstance(owed, Future):
        return [owed]
    return owed.futures if isinstance(owed, FutureGroup) else []
