"""Sharing: what a rank gives to others of its work, and when it says that it has some to spare.

It knows who asks. What is taken, and in which form it leaves, is for `giving`.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from scoop_mpi.state import policy
from scoop_mpi.state.giving import Giver
from scoop_mpi.state.ledger import Ledger
from scoop_mpi.state.queues import Queues
from scoop_mpi.state.reports import Reports
from scoop_mpi.state.routing import BROKER_RANK
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.outcomes import FutureGroup
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.wire.columns import Batch
from scoop_mpi.wire.functions import Functions, SealedFunction, on_wire
from scoop_mpi.wire.messages import Call, Send, StealFailed, Work, make


class Errands(NamedTuple):
    """One call for each of some ranks, which nobody else is to make.

    Attributes:
        ranks: which ones.
        group: the futures of their calls, likewise.
        function: what is called, sealed.
        batch: the arguments of one call, sealed.
    """

    ranks: list[int]
    group: FutureGroup
    function: SealedFunction
    batch: Batch


class Sharing:
    """Gives a rank's work to others.

    Args:
        rank: this rank.
        size: the number of ranks.
        queues: the rank's.
        ledger: the rank's.
        reports: the rank's.
        functions: seals functions.
        constants_version: tells the newest version of the constants that this rank has heard of.
        runs_tasks: whether the rank takes part in the work itself.

    Attributes:
        should_seal_ahead: whether the oldest tasks are to be sealed ahead, as code of the user's
            has to run for it.
    """

    __slots__ = (
        "_constants_version",
        "_giver",
        "_ledger",
        "_queues",
        "_rank",
        "_reports",
        "_sealed_count",
        "_sealed_from",
        "_size",
        "should_seal_ahead",
    )

    def __init__(
        self,
        rank: int,
        size: int,
        queues: Queues,
        ledger: Ledger,
        reports: Reports,
        functions: Functions,
        constants_version: Callable[[], int],
        runs_tasks: bool,
    ) -> None:
        self.should_seal_ahead = size > 1
        self._rank = rank
        self._size = size
        self._queues = queues
        self._ledger = ledger
        self._reports = reports
        self._constants_version = constants_version
        # The oldest task when that was last done, and how many there were, if not more than enough.
        self._sealed_from: Callable[[], Task | None] = lambda: None
        self._sealed_count: float = 0
        self._giver = Giver(rank, runs_tasks, functions, queues, ledger)

    def has_spare(self, keep: int, may_pickle: bool = True) -> bool:
        """Say whether there are more than `keep` calls that could be given away.

        Args:
            keep: how many must stay here.
            may_pickle: whether code of the user's may run for it; see `giving`.
        """
        left = -keep
        queues = self._queues
        ready, elsewhere = queues.ready, queues.elsewhere
        tasks = itertools.chain(ready, elsewhere) if elsewhere else ready
        looks = math.inf if may_pickle else policy.MOST_LOOKED_AT + keep
        try:
            for task in tasks:
                if may_pickle and not isinstance(task, Span):
                    left += 1
                else:
                    left += self._giver.spare(task, may_pickle)
                if left > 0:
                    return True
                looks -= 1
                if looks < 0:
                    break
        except RuntimeError:  # a thread of the program is changing the queue: ask again later
            return False
        if not may_pickle and queues.has_tasks:
            self.should_seal_ahead = True
        return False

    def offer(self, keep: int, may_pickle: bool = True) -> bool:
        """Say whether to tell the broker of work to spare: there is, and it has not been told."""
        if (
            self._reports.has_offered
            or self._size == 1
            or self._queues.is_closed
            or not self.has_spare(keep, may_pickle)
        ):
            return False
        self._reports.has_offered = True
        return True

    def seal_ahead(self) -> None:
        """Seal the oldest tasks, for the pump to give away. For the thread of the program."""
        ready = self._queues.ready
        count = len(ready)
        oldest = list(itertools.islice(ready, policy.SEALED_AHEAD))
        if not oldest:
            return
        if (
            oldest[0] is self._sealed_from()
            and count <= self._sealed_count
            and isinstance(oldest[0], Future)
        ):
            return  # there is nothing new among them
        self._sealed_from = weakref.ref(oldest[0])
        self._sealed_count = math.inf if len(oldest) == policy.SEALED_AHEAD else count
        self.should_seal_ahead = self._giver.seal_ahead(oldest)

    def seal_elsewhere(self, future: Future) -> None:
        """Seal a future of another thread's, which is about to be submitted, in that thread.

        Raises:
            SerializationError: its function can't be sent.
        """
        if self._size > 1 and not self._giver.spare(future, may_pickle=False):
            self._giver.seal_futures_ahead([future])

    def share(self, thieves: tuple[int, ...], keep: int, may_pickle: bool = True) -> list[Send]:
        """Give work to other ranks.

        Args:
            thieves: which ones.
            keep: how many calls must stay here; see `Worker.handle`.
            may_pickle: see `Worker.handle`.

        Returns:
            What to send: work, or to the broker that there was none for some of them.
        """
        if (
            len(thieves) == 1
            and not keep
            and (call := self.lone_call(thieves[0], may_pickle)) is not None
        ):
            return [Send(thieves[0], call)]
        version = self._constants_version()
        queues = self._queues
        tasks = itertools.chain(queues.elsewhere, queues.ready)
        parcels_of_teams = self._giver.parcels(tasks, len(thieves), keep, may_pickle)
        sends = []
        unserved: list[int] = []
        teams = policy.teams(thieves)
        for team, parcels in zip(teams, parcels_of_teams, strict=True):
            if parcels:
                for owner, key, start, _, _, length, *_ in parcels:
                    if owner == self._rank:
                        self._ledger.note_given(key, start, length, team[0])
                sends.append(Send(team[0], Work(version, parcels, tuple(team[1:]))))
            else:
                unserved += team
        if unserved:
            self._reports.has_offered = False
            if not may_pickle and queues.has_tasks:
                self.should_seal_ahead = True
            most = policy.MOST_HANDED_BACK
            for first in range(0, len(unserved), most):
                thieves = tuple(unserved[first : first + most])
                sends.append(Send(BROKER_RANK, StealFailed(thieves)))
        return sends

    def errands(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], ranks: list[int]
    ) -> Errands:
        """Return the errands of some ranks. For a thread of the program's: pickles.

        Raises:
            SerializationError: the function can't be sent.
        """
        called, sealed, batch = self._giver.seal_call(function, arguments)
        futures = [Future.of(function, arguments) for _ in ranks]
        return Errands(ranks, FutureGroup(futures, called, sealed), sealed, batch)

    def send_errands(self, errands: Errands) -> list[Send]:
        """Return the messages that send errands to their ranks."""
        version = self._constants_version()
        ranks, group, function, batch = errands
        key = self._ledger.enter(group)
        sends = []
        for number, rank in enumerate(ranks):
            self._ledger.note_given(key, number, 1, rank)
            parcel = (self._rank, key, number, on_wire(function), None, *batch)
            sends.append(Send(rank, Work(version, [parcel], (), is_errand=True)))
        return sends

    def lone_call(self, thief: int, may_pickle: bool = True) -> Call | None:
        """Give away the only task there is, if it can go as a `Call`."""
        queues = self._queues
        if len(queues.ready) != 1 or queues.elsewhere:
            return None
        tasks = list(queues.ready)
        given = self._giver.lone_call(tasks[0], thief, may_pickle) if tasks else None
        if given is None:
            return None
        key, function, arguments = given
        return make(Call, (self._constants_version(), self._rank, key, function, arguments))
