"""Calling off: what nobody wants any more is dropped by whoever has it, and reported as dropped.

So in the end all calls are accounted for, just as if they had been made.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from scoop_mpi.state import policy
from scoop_mpi.state.ledger import Ledger
from scoop_mpi.state.queues import Queues
from scoop_mpi.state.reports import Reports
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.outcomes import FutureGroup, Outcomes
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.tasks.stolen import StolenCall
from scoop_mpi.wire.messages import CalledOff, Send

# Spans that were called off, and that a rank remembers: longer than any calls are under way.
_REMEMBERED = 256


class WindDown(NamedTuple):
    """What of the program's is to end: calls that run may, the others are not to be begun.

    Attributes:
        spans: those of its maps.
        futures: of its other calls those that are under way.
    """

    spans: list[Span]
    futures: frozenset[Future]


class CallingOff:
    """Drops the calls of spans that were called off.

    Args:
        rank: this rank.
        size: the number of ranks.
        queues: the rank's.
        ledger: the rank's.
        reports: the rank's.
        discarded: gets what is let go of where finalizers of the user's may run.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        queues: Queues,
        ledger: Ledger,
        reports: Reports,
        discarded: deque[object],
    ) -> None:
        self._rank = rank
        self._others = [other for other in range(size) if other != rank]
        self._queues = queues
        self._ledger = ledger
        self._reports = reports
        self._discarded = discarded
        self._known: OrderedDict[tuple[int, int], None] = OrderedDict()  # owner and key

    def call_off(self, span: Span) -> list[Send]:
        """Have the calls of a span of this rank's dropped that nobody has begun, on all ranks.

        Those that have begun go on.
        """
        if span.is_called_off:
            return []
        self._discarded.append(span.call_off())
        return self._drop_everywhere(span)

    def wind_down(self, asked: WindDown) -> list[Send]:
        """Have calls dropped that nobody has begun, on all ranks; outcomes of others still count.

        Futures that were given away along with others, which are still wanted, are let be.
        """
        sends: list[Send] = []
        for span in asked.spans:
            if not span.is_called_off and not span.is_winding_down:
                span.is_winding_down = True
                sends += self._drop_everywhere(span)
        for key, owed in self._ledger.given.items():
            futures = owed.futures if isinstance(owed, FutureGroup) else [owed]
            if asked.futures.issuperset(futures):
                sends += self._tell(key)
        return sends

    def _drop_everywhere(self, span: Span) -> list[Send]:
        self._queues.forget(span)
        stretches, arguments = span.drop()
        self._discarded.append(arguments)
        for start, length in stretches:
            self._ledger.deliver(span, Outcomes(start, length, (), {}))
        return self._tell(span.key) if span.key and span.unreported else []

    def _tell(self, key: int) -> list[Send]:
        """Tell all ranks that nobody wants the rest of what this one has given away under a key."""
        self._note(self._rank, key)
        return tell_followers(CalledOff(self._rank, key, tuple(self._others)))

    def drop(self, owner: int, key: int) -> None:
        """Drop what is here of a span that was called off, and what comes of it."""
        self._note(owner, key)
        for task in [*self._queues.ready, *self._queues.elsewhere]:
            self._drop_task(task, owner, key)

    def drop_arrived(self, owner: int, key: int, start: int, length: int) -> bool:
        """Drop calls that have come just now, if their span was called off; say whether it was."""
        if (owner, key) not in self._known:
            return False
        self._reports.add_dropped(owner, key, [(start, length)])
        return True

    def _drop_task(self, task: Task, owner: int, key: int) -> None:
        """Drop a task, or of a span what nobody has begun, if it is of the span called off."""
        if isinstance(task, Span):
            if (task.owner, task.key) == (owner, key):
                self._queues.forget(task)
                stretches, arguments = task.drop()
                self._discarded += (task, arguments)
                self._reports.add_dropped(owner, key, stretches)
        elif (
            isinstance(task, StolenCall)
            and task.name[:2] == (owner, key)
            and self._queues.claim(task)
        ):
            self._discarded.append(task)
            self._reports.add_dropped(owner, key, [(task.name[2], 1)])

    def _note(self, owner: int, key: int) -> None:
        """Remember this for a while: calls that are under way may come after it."""
        self._known[owner, key] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def tell_followers(message: CalledOff) -> list[Send]:
    """Return what to send so that the followers of a message hear it, one from the other."""
    owner, key, followers = message
    teams = policy.teams(followers)
    return [Send(team[0], CalledOff(owner, key, tuple(team[1:]))) for team in teams]
