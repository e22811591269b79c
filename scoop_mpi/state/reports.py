"""Reports: what a rank tells others of its own accord.

    outbox        outcomes of other ranks' calls, not yet sent
    returned      plain values that calls of other ranks' returned, not yet sent

And whether it is about to run dry, or has work to spare. Results go to their owner; if that is the
broker, so does a request for work along with them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from scoop_mpi.state import policy
from scoop_mpi.state.queues import Queues
from scoop_mpi.state.routing import BROKER_RANK
from scoop_mpi.tasks.outcomes import Outbox, Outcomes, ReturnedValues
from scoop_mpi.tasks.span import Span
from scoop_mpi.wire.messages import Results, Returned, Segment, Send, WorkWanted, make
from scoop_mpi.wire.serializer import EncodedError
from scoop_mpi.wire.values import Sealer


class Reports:
    """What a rank has to tell.

    Args:
        size: the number of ranks.
        queues: the rank's.
        sealer: seals what calls have raised.
        constants_version: tells the newest version of the constants that this rank has heard of.

    Attributes:
        has_asked: for work, and none has come since.
        has_offered: it has told the broker that it has work to spare.
        may_ask: for work: not before the program has been imported, nor after its end.
    """

    __slots__ = (
        "_constants_version",
        "_interval",
        "_patient_outcomes",
        "_queues",
        "_sealer",
        "_waiting_since",
        "has_asked",
        "has_offered",
        "may_ask",
        "outbox",
        "returned",
    )

    def __init__(
        self, size: int, queues: Queues, sealer: Sealer, constants_version: Callable[[], int]
    ) -> None:
        self.outbox: Outbox = deque()
        self.returned: ReturnedValues = deque()
        self.has_asked = False
        self.has_offered = False
        self.may_ask = False
        self._queues = queues
        self._sealer = sealer
        self._constants_version = constants_version
        self._interval = policy.RESULTS_INTERVAL * size
        self._patient_outcomes = 0  # in the outbox: those whose span goes on here
        self._waiting_since: float | None = None

    def take(self, is_low: bool, now: float = math.inf) -> list[Send]:
        """Send off what is in the outbox, one message for each owner, and ask for work if need be.

        Args:
            is_low: the rank is about to run dry: ask for work, unless it has.
            now: the time, in seconds. Results of a span that goes on here may wait, but not longer
                than a while (see `policy.RESULTS_INTERVAL`), and by default not at all.
        """
        wants_work = is_low and self.may_ask and not self.has_asked
        sends = []
        may_go_along = not self.has_offered
        if wants_work:
            self.has_asked = True
            # The broker takes it that there is nothing to spare; the next step offers again. Large
            # results could be overtaken by that offer, and would then withdraw it.
            self.has_offered = False
        if self.outbox and (wants_work or self._is_due(now)):
            version = self._constants_version()
            for owner, segments in self._segments().items():
                is_asking = wants_work and may_go_along and owner == BROKER_RANK
                sends.append(Send(owner, Results(version, segments, is_asking)))
                wants_work = wants_work and not is_asking
        if wants_work:
            sends.append(Send(BROKER_RANK, WorkWanted()))
        return sends

    def next_value(self, is_low: bool) -> Send:
        """Send the oldest value that a call of another rank's returned; there is one.

        It waits for nothing: somebody may be waiting for it.

        Args:
            is_low: see `take`. The request goes along, if it can.
        """
        owner, key, value = self.returned.popleft()
        wants_work = (
            is_low
            and owner == BROKER_RANK
            and self.may_ask
            and not self.has_asked
            and not self.has_offered
        )
        if wants_work:
            self.has_asked = True
        returned = make(Returned, (self._constants_version(), key, value, wants_work))
        return make(Send, (owner, returned))

    def add(self, span: Span, outcomes: Outcomes) -> None:
        """Keep outcomes for the span's owner: the `outlet` of a stolen span. Any thread may."""
        self.outbox.append((span.owner, span.key, outcomes))
        if span.unclaimed:
            self._patient_outcomes += 1  # a count that is too low, from a race, does no harm

    def add_dropped(self, owner: int, key: int, stretches: list[tuple[int, int]]) -> None:
        """Tell the owner of calls that will not be made, as it doesn't want them any more.

        Args:
            owner: the owner.
            key: its name for their span.
            stretches: of each the number of the first call, and how many there are.
        """
        for start, length in stretches:
            self.outbox.append((owner, key, Outcomes(start, length, (), {})))

    def drop(self) -> None:
        """Nobody waits any longer for what is here."""
        self.outbox.clear()
        self.returned.clear()

    def _is_due(self, now: float) -> bool:
        if not self._queues.ready or len(self.outbox) > self._patient_outcomes:
            return True
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= self._interval or now == math.inf

    def _segments(self) -> dict[int, list[Segment]]:
        """Empty the outbox; return what is in it, sealed, by owner."""
        self._patient_outcomes = 0
        self._waiting_since = None
        segments: dict[int, list[Segment]] = {}
        while self.outbox:
            owner, key, outcomes = self.outbox.popleft()
            failures = {
                offset: error if isinstance(error, EncodedError) else self._sealer.failure(error)
                for offset, error in outcomes.failures.items()
            }
            segment = key, outcomes.start, outcomes.length, outcomes.values, failures
            segments.setdefault(owner, []).append(segment)
        return segments
