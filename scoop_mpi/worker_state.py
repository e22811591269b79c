"""The worker: a rank's tasks, where they are, and what is owed to whom.

A state machine without I/O, clock or greenlets. It holds

    ready         spans and futures with calls that nobody has begun, oldest first
    elsewhere     ready tasks of the program's other threads: the hub leaves them to their thread
    given         what this rank owns and has given away in part, by key, until all is reported
    outbox        outcomes of other ranks' calls, not yet sent
    returned      plain values that calls of other ranks' returned, not yet sent

and changes them in `handle` (a message came), and in the other methods named for what happened.
Each returns what to send. The exception is the hot path: submitting and claiming a local future
is a plain insertion and a `dict.pop`, which other code does straight on `ready`, from whichever
thread. These are atomic, and whoever pops a future owns it, so nothing here may assume that a
task seen in `ready` is still there a moment later.

A dictionary keeps the places of what was taken out until it grows next, and who looks for its
oldest entry goes over all of them. So after a burst of tasks the queues are compacted.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scoop_mpi import log, policy
from scoop_mpi.columns import Batch
from scoop_mpi.errors import UNGUARDED, CancelledError, NotStartedProperly
from scoop_mpi.functions import FunctionName, Functions, LargeFunction, OwnFunction, SealedFunction
from scoop_mpi.future import Future
from scoop_mpi.giving import Giver
from scoop_mpi.messages import (
    Call,
    FunctionSent,
    FunctionWanted,
    Message,
    Parcel,
    Results,
    Returned,
    Segment,
    Send,
    Steal,
    StealFailed,
    Work,
    WorkWanted,
    make,
)
from scoop_mpi.outcomes import FutureGroup, Outbox, Outcomes, ReturnedValues
from scoop_mpi.serializer import EncodedError
from scoop_mpi.span import Span, Task
from scoop_mpi.stolen import LoneCall, StolenCall
from scoop_mpi.values import Sealer

BROKER_RANK = 0
# A queue is compacted if it has more bytes than this, and than this many for each of its entries;
# a dictionary that has just grown has half as many.
_SPARSE_BYTES = 1 << 14
_SPARSE_BYTES_PER_ENTRY = 256


class Worker:
    """The state of one rank's tasks.

    Args:
        rank: this rank.
        size: the number of ranks.
        host: the name of this rank's host, for error messages.
        constants_version: tells the newest version of the constants that this rank has heard of.
        warn: called with a text for the user; None: the log gets it.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        host: str,
        constants_version: Callable[[], int],
        warn: Callable[[str], object] | None = None,
    ) -> None:
        self.rank = rank
        self.size = size
        self.functions = Functions(rank, warn or logging.getLogger(log.NAME).warning)
        self.sealer = Sealer(rank, host)
        self.ready: dict[Task, None] = ImportGuard()
        self.elsewhere: dict[Task, None] = ImportGuard()
        self.given: dict[int, Span | FutureGroup | Future] = {}
        self.outbox: Outbox = deque()
        self.returned: ReturnedValues = deque()
        self.has_offered = False
        self.has_asked = False
        self.is_stopping = False
        self.runs_tasks = not policy.only_serves(rank, size)
        # Whether the oldest tasks are to be sealed ahead, as code of the user's has to run for it.
        self.should_seal_ahead = size > 1
        # The oldest task when that was last done, and how many there were, if not more than enough.
        self._sealed_from: Callable[[], Task | None] = lambda: None
        self._sealed_count: float = 0
        # What may be let go of where finalizers of the user's may run.
        self.discarded: deque[object] = deque()
        self._may_ask = False  # for work: before the program has been imported, and after its end
        self._constants_version = constants_version
        self._results_interval = policy.RESULTS_INTERVAL * size
        self._patient_outcomes = 0  # in the outbox: those whose span goes on here
        self._waiting_since: float | None = None
        self._waiting_work: list[Work] = []  # for large functions
        self._wanted: set[FunctionName] = set()
        self._arrived: list[LargeFunction] = []  # held until the work that waits has what it needs
        # Held by who compacts, and by who puts into `elsewhere`. Reentrant, as the handler of a
        # signal may come by here as well.
        self._moving = threading.RLock()
        self._giver = Giver(
            rank, self.runs_tasks, self.functions, self.given, self.claim, self.forget
        )

    def open_queues(self) -> None:
        """Let tasks be submitted: the program has been imported, or is about to run as root."""
        self.ready = {}
        self.elsewhere = {}
        if self.is_stopping:  # the program had ended before it was imported here
            self.ready, self.elsewhere = ClosedQueue(), ClosedQueue()
            return
        self._may_ask = self.runs_tasks and self.size > 1

    # ------------------------------------------------------------ what the rank itself does

    def report(self, is_low: bool, now: float = math.inf) -> list[Send]:
        """Send off what is in the outbox, one message for each owner, and ask for work if need be.

        Args:
            is_low: the rank is about to run dry: ask for work, unless it has.
            now: the time, in seconds. Results of a span that goes on here may wait, but not longer
                than a while (see `policy.RESULTS_INTERVAL`), and by default not at all.
        """
        wants_work = is_low and self._may_ask and not self.has_asked
        sends = []
        may_go_along = not self.has_offered
        if wants_work:
            self.has_asked = True
            # The broker takes it that there is nothing to spare; the next step offers again. Large
            # results could be overtaken by that offer, and would then withdraw it.
            self.has_offered = False
        if self.outbox and (wants_work or self._is_report_due(now)):
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
            is_low: see `report`. The request goes along, if it can.
        """
        owner, key, value = self.returned.popleft()
        wants_work = (
            is_low
            and owner == BROKER_RANK
            and self._may_ask
            and not self.has_asked
            and not self.has_offered
        )
        if wants_work:
            self.has_asked = True
        returned = make(Returned, (self._constants_version(), key, value, wants_work))
        return make(Send, (owner, returned))

    def _is_report_due(self, now: float) -> bool:
        if not self.ready or len(self.outbox) > self._patient_outcomes:
            return True
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= self._results_interval or now == math.inf

    def has_spare(self, keep: int, may_pickle: bool = True) -> bool:
        """Say whether there are more than `keep` calls that could be given away.

        Args:
            keep: how many must stay here.
            may_pickle: whether code of the user's may run for it; see `giving`.
        """
        left = -keep
        tasks = itertools.chain(self.ready, self.elsewhere) if self.elsewhere else self.ready
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
        if not may_pickle and (self.ready or self.elsewhere):
            self.should_seal_ahead = True
        return False

    def offer(self, keep: int, may_pickle: bool = True) -> bool:
        """Say whether to tell the broker of work to spare: there is, and it has not been told."""
        if (
            self.has_offered
            or self.size == 1
            or self.is_stopping
            or not self.has_spare(keep, may_pickle)
        ):
            return False
        self.has_offered = True
        return True

    def seal_ahead(self) -> None:
        """Seal the oldest tasks, for the pump to give away. For the thread of the program."""
        count = len(self.ready)
        oldest = list(itertools.islice(self.ready, policy.SEALED_AHEAD))
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
        """Seal a future of another thread's, which is about to be submitted, in that thread."""
        if self.size > 1 and not self._giver.spare(future, may_pickle=False):
            self._giver.seal_futures_ahead([future])

    def deliver(self, span: Span, outcomes: Outcomes) -> None:
        """Take in outcomes of calls that ran here: the `outlet` of this rank's own spans."""
        span.deliver(outcomes)
        if span.unreported == 0:
            self.given.pop(span.key, None)

    def send_outcomes(self, span: Span, outcomes: Outcomes) -> None:
        """Keep outcomes for the span's owner: the `outlet` of a stolen span. Any thread may."""
        self.outbox.append((span.owner, span.key, outcomes))
        if span.unclaimed:
            self._patient_outcomes += 1  # a count that is too low, from a race, does no harm

    def _segments(self) -> dict[int, list[Segment]]:
        """Empty the outbox; return what is in it, sealed, by owner."""
        self._patient_outcomes = 0
        self._waiting_since = None
        segments: dict[int, list[Segment]] = {}
        while self.outbox:
            owner, key, outcomes = self.outbox.popleft()
            segments.setdefault(owner, []).append(self._seal_outcomes(key, outcomes))
        return segments

    def drop_outcomes(self) -> None:
        """Nobody waits any longer for what is in the outbox."""
        self.outbox.clear()
        self.returned.clear()

    def let_go(self) -> None:
        """The job has ended: refer to nothing of the program's. Its objects end as Python ends."""
        self.functions.forget()
        self.given.clear()
        self.discarded.clear()

    def stop(self, on_closed: Callable[[], None]) -> None:
        """The program has ended: cancel what nobody has begun, and what others have.

        Nobody reports to a rank that has stopped, and who polls for a future must see its end too.

        Args:
            on_closed: called when the queues take nothing more, and before they are emptied.
        """
        self.is_stopping = True
        self._may_ask = False
        self._waiting_work.clear()
        with self._moving:
            queues = self.ready, self.elsewhere
            if not isinstance(self.ready, ImportGuard):  # which says better what is wrong
                self.ready, self.elsewhere = ClosedQueue(), ClosedQueue()
        on_closed()
        for queue in queues:
            for task in list(queue):
                if queue.pop(task, queue) is None and isinstance(task, Future):
                    self._complete(task, None, CancelledError("the program has ended"))
        for owed in list(self.given.values()):
            for future in _futures_of(owed):
                if not future.is_done:
                    self._complete(future, None, CancelledError("the program has ended"))
        self.given.clear()

    # ------------------------------------------------------------ what other ranks say

    def handle(
        self, source: int, message: Message, keep: int, may_pickle: bool = True
    ) -> list[Send]:
        """Take in a message of rank `source`; return what to send.

        Args:
            source: the rank that sent it.
            message: what it says.
            keep: how many calls a thief must leave here: 0 while this rank is busy with others, 1
                when it is about to begin one.
            may_pickle: whether code of the user's may run; see `giving`.

        Raises:
            TypeError: the message is none that a worker understands.
        """
        match message:
            case Call():
                self.take_call(message)
                return []
            case Returned():
                self.take_value(source, message)
                return []
            case Results():
                self._settle(message.segments)
                return []
            case Work():
                return self._take_in(message, keep, may_pickle)
            case Steal():
                return self.share(message.thieves, keep, may_pickle)
            case FunctionWanted():
                payload = self.functions.payload_of(message.number)
                return [Send(source, FunctionSent(message.number, payload))]
            case FunctionSent():
                return self._take_function(source, message, keep, may_pickle)
            case _:
                raise TypeError(f"rank {self.rank} got {message!r} from rank {source}")

    def take_call(self, call: Call) -> None:
        """Take in a call that another rank has given away."""
        self.has_asked = False
        if not self.is_stopping:
            task = LoneCall.of_call(call, self.functions, self.sealer, self.outbox, self.returned)
            self.ready[task] = None

    def take_value(self, source: int, returned: Returned) -> None:
        """Take in what a call has returned that this rank has given away."""
        if self.is_stopping:
            return
        future = self.given.pop(returned.key)
        if not isinstance(future, Future):
            raise TypeError(f"rank {self.rank} got {returned!r} from rank {source}")
        self._complete(future, returned.value, None)

    def _complete(self, future: Future, value: Any, error: BaseException | None) -> None:
        """Complete a future. What it no longer needs is let go of elsewhere."""
        self.discarded += (future, future.call)
        future.complete(value, error)

    def _settle(self, segments: list[Segment]) -> None:
        if self.is_stopping:
            return
        for segment in segments:
            owed = self.given[segment[0]]
            if isinstance(owed, Span):
                is_settled = owed.settle(segment)
            else:
                group = owed if isinstance(owed, FutureGroup) else FutureGroup([owed], owed.call[0])
                is_settled = group.settle(segment, self.discarded)
            if is_settled:
                self.given.pop(segment[0], None)  # unless the last call ran here
            self.discarded.append(owed)

    def _take_in(self, work: Work, keep: int, may_pickle: bool) -> list[Send]:
        """Take in work; or if large functions of it aren't here, ask their owners for them."""
        missing = self._missing(work)
        if missing and not self.is_stopping:
            self._waiting_work.append(work)
            asked = missing - self._wanted
            self._wanted |= asked
            return [Send(name.owner, FunctionWanted(name.number)) for name in sorted(asked)]
        self.has_asked = False
        if not self.is_stopping:
            for parcel in work.parcels:
                self.ready[self._task_of(parcel)] = None
        return self.share(work.followers, keep, may_pickle) if work.followers else []

    def _missing(self, work: Work) -> set[FunctionName]:
        """Return the names of the functions that have to come before the calls can be made."""
        names: set[FunctionName] = set()
        for owner, _, _, function, reduction, length, *_ in work.parcels:
            # A call by itself is its own partial value: it takes no reduction.
            for sealed in (function, reduction if length > 1 else None):
                if (
                    isinstance(sealed, FunctionName)
                    and owner != self.rank
                    and self.functions.find(sealed) is None
                ):
                    names.add(sealed)
        return names

    def _take_function(
        self, source: int, message: FunctionSent, keep: int, may_pickle: bool
    ) -> list[Send]:
        """Take in a large function, and the work that has waited for it."""
        name = FunctionName(source, message.number)
        if name not in self._wanted:
            raise TypeError(f"rank {self.rank} got {message!r} from rank {source}")
        self._wanted.discard(name)
        self._arrived.append(self.functions.take_in(name, message.payload))
        waiting, self._waiting_work = self._waiting_work, []
        sends = []
        for work in waiting:
            sends += self._take_in(work, keep, may_pickle)
        if not self._waiting_work:
            self._arrived.clear()
        return sends

    def _task_of(self, parcel: Parcel) -> Task:
        """Return the task that a parcel brings."""
        owner, key, start, function, reduction, length, columns, star = parcel
        sealed: SealedFunction | None = self.functions.find(function)
        own = self.given[key] if owner == self.rank else None
        if own is not None:  # calls that come home: the function itself is here
            called = own.call[0] if isinstance(own, Future) else own.function
            assert called is not None
            sealed = OwnFunction(called, function)
        if length == 1:
            assert sealed is not None
            return StolenCall.of_parcel(parcel, sealed, self.functions, self.sealer, self.outbox)
        span = Span(
            owner,
            Batch(length, columns, star),
            star,
            self.send_outcomes,
            function_payload=sealed,
            reduction_payload=None if reduction is None else self.functions.find(reduction),
            sealer=self.sealer,
            key=key,
            base=start,
        )
        if isinstance(own, Span) and reduction is not None and own.reduction is not None:
            span.reduction_payload = OwnFunction(own.reduction, reduction)
        return span

    def share(self, thieves: tuple[int, ...], keep: int, may_pickle: bool = True) -> list[Send]:
        """Give work to other ranks.

        Args:
            thieves: which ones.
            keep: how many calls must stay here; see `handle`.
            may_pickle: see `handle`.

        Returns:
            What to send: work, or to the broker that there was none for some of them.
        """
        if len(thieves) == 1 and not keep and (call := self.lone_call(may_pickle)) is not None:
            return [Send(thieves[0], call)]
        version = self._constants_version()
        tasks = itertools.chain(self.elsewhere, self.ready)
        parcels_of_teams = self._giver.parcels(tasks, len(thieves), keep, may_pickle)
        sends = []
        unserved: list[int] = []
        teams = policy.teams(thieves)
        for team, parcels in zip(teams, parcels_of_teams, strict=True):
            if parcels:
                sends.append(Send(team[0], Work(version, parcels, tuple(team[1:]))))
            else:
                unserved += team
        if unserved:
            self.has_offered = False
            if not may_pickle and (self.ready or self.elsewhere):
                self.should_seal_ahead = True
            most = policy.MOST_HANDED_BACK
            for first in range(0, len(unserved), most):
                thieves = tuple(unserved[first : first + most])
                sends.append(Send(BROKER_RANK, StealFailed(thieves)))
        return sends

    def lone_call(self, may_pickle: bool = True) -> Call | None:
        """Give away the only task there is, if it can go as a `Call`."""
        if len(self.ready) != 1 or self.elsewhere:
            return None
        tasks = list(self.ready)
        fields = self._giver.lone_call(tasks[0], may_pickle) if tasks else None
        return None if fields is None else make(Call, (self._constants_version(), *fields))

    # ------------------------------------------------------------ the queues

    def claim(self, task: Task) -> bool:
        """Take a task out of the queues, to run it or give it away; False if somebody else has."""
        if self.ready.pop(task, self) is None or self.elsewhere.pop(task, self) is None:
            return True
        with self._moving:  # it may have been out for a moment
            return self.ready.pop(task, self) is None or self.elsewhere.pop(task, self) is None

    def is_waiting(self, task: Task) -> bool:
        """Say whether nobody has begun this task."""
        if task in self.ready or task in self.elsewhere:
            return True
        with self._moving:
            return task in self.ready or task in self.elsewhere

    def put_elsewhere(self, task: Task) -> None:
        """Put a task into the queue of the program's other threads. Any of them may."""
        with self._moving:
            self.elsewhere[task] = None

    def compact(self, is_main_thread: bool) -> None:
        """Compact queues of few entries that once had many.

        Args:
            is_main_thread: whether the main thread calls this, within a step, and not amid the
                user's own lines: then nobody puts anything into `ready` meanwhile.
        """
        for queue in (self.ready, self.elsewhere) if is_main_thread else (self.elsewhere,):
            size = queue.__sizeof__()
            if size > _SPARSE_BYTES and size > _SPARSE_BYTES_PER_ENTRY * len(queue):
                with self._moving:
                    _compact(queue)

    def forget(self, span: Span) -> None:
        """Take a span without unclaimed calls out of the queues."""
        self.ready.pop(span, None)
        self.elsewhere.pop(span, None)

    def _seal_outcomes(self, key: int, outcomes: Outcomes) -> Segment:
        failures = {
            offset: error if isinstance(error, EncodedError) else self.sealer.failure(error)
            for offset, error in outcomes.failures.items()
        }
        return key, outcomes.start, outcomes.length, outcomes.values, failures


def _compact(queue: dict[Task, None]) -> None:
    """Take all out of a queue, and put it back in.

    Entry by entry, so that whoever claims a task meanwhile either has it or finds it missing.
    """
    entries: deque[tuple[Task, None]] = deque()
    try:
        with suppress(KeyError):  # when it is empty
            entries.extendleft(itertools.starmap(queue.popitem, itertools.repeat(())))
    finally:
        queue.clear()  # lets go of the memory
        queue.update(entries)


def _futures_of(owed: Span | FutureGroup | Future) -> list[Future]:
    """Return the futures among what a rank has given away. Who waits for a span's calls hears."""
    if isinstance(owed, Future):
        return [owed]
    return owed.futures if isinstance(owed, FutureGroup) else []


class ClosedQueue(dict[Any, None]):
    """Stands in for the queues once the program has ended: what comes is cancelled."""

    def __setitem__(self, task: Any, value: None) -> None:
        if isinstance(task, Future):
            task.complete(None, CancelledError("the program has ended"))
        raise CancelledError("the program has ended")


class ImportGuard(dict[Any, None]):
    """Stands in for the queues while a worker imports the program: nothing may be submitted."""

    def __setitem__(self, task: Any, value: None) -> None:
        raise NotStartedProperly(f"futures: {UNGUARDED}")
