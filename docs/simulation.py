"""Simulates how ranks share calls, for pictures: who has nothing to do takes half of another's.

It leaves out what a picture doesn't need. A rank that asks is given calls at once, of the rank that
has most left; and how long they are on the way is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a rank made."""

    rank: int
    number: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Taking:
    """Calls that went from one rank to another."""

    victim: int
    thief: int
    begin: float
    end: float


@dataclass(slots=True)
class Run:
    """Calls on some ranks. Rank 0 begins with all of them, or with the one that starts the others.

    Attributes:
        lengths: how long each call takes.
        ready: for each rank when it first asks for calls.
        on_the_way: the time until a rank that has asked for calls has them.
        started: for each call those that it starts, if call 0 starts the others.
        by_themselves: they were submitted one by one. So half of them is each second one, and rank
            0, which waits for them in order, begins the last if the next is elsewhere.
        calls: those that were made, by when they began.
        takings: who took calls of whom.
    """

    lengths: Sequence[float]
    ready: Sequence[float] = (0.0,) * 4
    on_the_way: float = 0.0
    started: Sequence[Sequence[int]] = ()
    by_themselves: bool = False
    calls: list[Call] = field(default_factory=list)
    takings: list[Taking] = field(default_factory=list)
    # For each rank the calls that are left, those that were started together in a list of their
    # own; when it is free; and which call it makes until then.
    _left: list[list[list[int]]] = field(default_factory=list)
    _free: list[float] = field(default_factory=list)
    _current: list[Call | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        everything = [0] if self.started else list(range(len(self.lengths)))
        self._left = [[everything], *([] for _ in self.ready[1:])]
        self._free = list(self.ready)
        self._current = [None for _ in self.ready]
        while any(self._left) or any(self._current):
            # Of several at the same time, first those whose calls end and may start others.
            rank = min(self.ranks, key=lambda rank: (self._free[rank], not self._current[rank]))
            self._go_on(rank)
        self.calls.sort(key=lambda call: (call.begin, call.rank))

    @property
    def ranks(self) -> range:
        return range(len(self.ready))

    @property
    def end(self) -> float:
        """When the last call is over."""
        return max(call.end for call in self.calls)

    def rank_of(self) -> dict[int, int]:
        """Return for each call, by its number, the rank that made it."""
        return {call.number: call.rank for call in self.calls}

    def noted(self, call: Call) -> float:
        """Return when rank 0 takes note of a result: as soon as it makes no call of its own."""
        if call.rank == 0:
            return call.end
        own = (own.end for own in self.calls if own.rank == 0 and own.begin < call.end < own.end)
        return next(own, call.end)

    def _go_on(self, rank: int) -> None:
        """Let a rank that is free begin its next call, which it may have to take from another."""
        call, self._current[rank] = self._current[rank], None
        if call and self.started and self.started[call.number]:
            self._left[rank].append(list(self.started[call.number]))
        if not self._left[rank]:
            if not any(self._left):
                # There may be something when another's call is over.
                busy = [self._free[other] for other in self.ranks if self._current[other]]
                self._free[rank] = min(busy, default=self._free[rank])
                return
            self._take(rank)
        number = self._next(rank)
        begin = self._free[rank]
        self._free[rank] = begin + self.lengths[number]
        self._current[rank] = Call(rank, number, begin, self._free[rank])
        self.calls.append(Call(rank, number, begin, self._free[rank]))

    def _take(self, thief: int) -> None:
        """Have a rank take half of the oldest calls that the one with most of them has left."""
        victim = max(self.ranks, key=lambda rank: sum(map(len, self._left[rank])))
        oldest = self._left[victim][0]
        keeps = len(oldest) // 2
        if self.by_themselves:
            taken, kept = oldest[::2], oldest[1::2]
        else:
            kept, taken = oldest[:keeps], oldest[keeps:]
        self._left[victim][:1] = [kept] if kept else []
        self._left[thief].append(taken)
        arrival = self._free[thief] + self.on_the_way
        self.takings.append(Taking(victim, thief, self._free[thief], arrival))
        self._free[thief] = arrival

    def _next(self, rank: int) -> int:
        """Take out the call that a rank makes next, of those that were started last."""
        newest = self._left[rank][-1]
        place = 0
        if self.by_themselves and rank == 0:
            over = {call.number for call in self.calls if call.end <= self._free[0]}
            awaited = min(set(range(len(self.lengths))) - over)
            place = newest.index(awaited) if awaited in newest else -1
        number = newest.pop(place)
        if not newest:
            self._left[rank].pop()
        return number
