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
import math
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scoop_mpi import policy
from scoop_mpi.columns import Batch, Sealed, seal, seal_calls
from scoop_mpi.errors import UNGUARDED, CancelledError, NotStartedProperly, SerializationError
from scoop_mpi.future import Future
from scoop_mpi.messages import (
    Call,
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
from scoop_mpi.serializer import (
    PLAIN,
    EncodedError,
    FunctionCodec,
    Payload,
    encode_error,
    forwarded,
)
from scoop_mpi.span import Span
from scoop_mpi.stolen import LoneCall, StolenCall

Task = Future | Span
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
    """

    def __init__(
        self, rank: int, size: int, host: str, constants_version: Callable[[], int]
    ) -> None:
        self.rank = rank
        self.size = size
        self.host = host
        self.codec = FunctionCodec()
        self.ready: dict[Task, None] = ImportGuard()
        self.elsewhere: dict[Task, None] = ImportGuard()
        self.given: dict[int, Span | FutureGroup | Future] = {}
        self.outbox: Outbox = deque()
        self.returned: ReturnedValues = deque()
        self.has_offered = False
        self.has_asked = False
        self.is_stopping = False
        self.runs_tasks = not policy.only_serves(rank, size)
        self._may_ask = False  # for work: before the program has been imported, and after its end
        self._constants_version = constants_version
        self._results_interval = policy.RESULTS_INTERVAL * size
        self._patient_outcomes = 0  # in the outbox: those whose span goes on here
        self._waiting_since: float | None = None
        self._keys = itertools.count(1)
        # Held by who compacts, and by who puts into `elsewhere`. Reentrant, as the handler of a
        # signal may come by here as well.
        self._moving = threading.RLock()

    def open_queues(self) -> None:
        """Let tasks be submitted: the program has been imported, or is about to run as root."""
        self.ready = {}
        self.elsewhere = {}
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

    def has_spare(self, keep: int) -> bool:
        """Say whether there are more than `keep` calls that nobody has begun."""
        left = -keep
        try:
            for queue in (self.ready, self.elsewhere) if self.elsewhere else (self.ready,):
                for task in queue:
                    left += task.spare if isinstance(task, Span) else 1
                    if left > 0:
                        return True
        except RuntimeError:  # a thread of the program is changing the queue: ask again later
            pass
        return False

    def offer(self, keep: int) -> bool:
        """Say whether to tell the broker of work to spare: there is, and it has not been told."""
        if self.has_offered or self.size == 1 or self.is_stopping or not self.has_spare(keep):
            return False
        self.has_offered = True
        return True

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

    def stop(self) -> None:
        """The program has ended: drop what nobody has begun."""
        self.is_stopping = True
        self._may_ask = False
        for queue in (self.ready, self.elsewhere):
            for task in list(queue):
                if queue.pop(task, queue) is None and isinstance(task, Future):
                    task.complete(None, CancelledError("the program has ended"))

    # ------------------------------------------------------------ what other ranks say

    def handle(self, source: int, message: Message, keep: int) -> list[Send]:
        """Take in a message of rank `source`; return what to send.

        Args:
            source: the rank that sent it.
            message: what it says.
            keep: how many calls a thief must leave here: 0 while this rank is busy with others, 1
                when it is about to begin one.

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
                self._take_in(message.parcels)
                return self.share(message.followers, keep) if message.followers else []
            case Steal():
                return self.share(message.thieves, keep)
            case _:
                raise TypeError(f"rank {self.rank} got {message!r} from rank {source}")

    def take_call(self, call: Call) -> None:
        """Take in a call that another rank has given away."""
        self.has_asked = False
        if not self.is_stopping:
            self.ready[LoneCall.of_call(call, self.codec, self.outbox, self.returned)] = None

    def take_value(self, source: int, returned: Returned) -> None:
        """Take in what a call has returned that this rank has given away."""
        future = self.given.pop(returned.key)
        if not isinstance(future, Future):
            raise TypeError(f"rank {self.rank} got {returned!r} from rank {source}")
        future.complete(returned.value, None)

    def _settle(self, segments: list[Segment]) -> None:
        for segment in segments:
            owed = self.given[segment[0]]
            if isinstance(owed, Future):
                owed = FutureGroup([owed])
            if owed.settle(segment):
                self.given.pop(segment[0], None)  # unless the last call ran here

    def _take_in(self, parcels: list[Parcel]) -> None:
        self.has_asked = False
        if self.is_stopping:
            return
        for parcel in parcels:
            owner, key, start, function, reduction, length, columns, star = parcel
            if length == 1:
                self.ready[StolenCall.of_parcel(parcel, self.codec, self.outbox)] = None
                continue
            span = Span(
                owner,
                Batch(length, columns, star),
                star,
                self.send_outcomes,
                function_payload=forwarded(function),
                reduction_payload=None if reduction is None else forwarded(reduction),
                key=key,
                base=start,
            )
            self.ready[span] = None

    def share(self, thieves: tuple[int, ...], keep: int) -> list[Send]:
        """Give work to other ranks.

        Args:
            thieves: which ones.
            keep: how many calls must stay here; see `handle`.

        Returns:
            What to send: work, or to the broker that there was none for some of them.
        """
        if len(thieves) == 1 and not keep and (call := self.lone_call()) is not None:
            return [Send(thieves[0], call)]
        version = self._constants_version()
        parcels_of_teams = self._parcels(len(thieves), keep)
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
            most = policy.MOST_HANDED_BACK
            for first in range(0, len(unserved), most):
                thieves = tuple(unserved[first : first + most])
                sends.append(Send(BROKER_RANK, StealFailed(thieves)))
        return sends

    def lone_call(self) -> Call | None:
        """Give away the only task there is, if it can go as a `Call`."""
        if len(self.ready) != 1 or self.elsewhere:
            return None
        tasks = list(self.ready)
        if not tasks or type(task := tasks[0]) is not Future:
            return None
        try:
            function, arguments = task.call
        except RuntimeError:
            return None  # another thread has just made it
        if not PLAIN.issuperset(map(type, arguments)):
            return None
        try:
            data, buffers = self.codec.seal(function)
        except SerializationError as error:
            if self.claim(task):
                task.complete(None, error)
            return None
        if type(data) is not bytes or buffers or not self.claim(task):
            return None
        key = next(self._keys)
        self.given[key] = task
        return make(Call, (self._constants_version(), self.rank, key, data, arguments))

    def _parcels(self, thieves: int, keep: int) -> list[list[Parcel]]:
        """Take the oldest work for some thieves; return what each team of them gets."""
        # Of very many futures the oldest are enough to look at.
        most = policy.FUTURES_PER_THIEF * (thieves + 1) + keep
        singles: list[Task] = []
        for task in list(itertools.islice(itertools.chain(self.elsewhere, self.ready), most)):
            if isinstance(task, Future) or task.spare == 1:
                singles.append(task)
            elif (spare := task.spare) > 1:
                if singles:
                    keep = 0  # there is this one left
                    break
                counts = policy.shares(spare, thieves, keep, self.runs_tasks)
                return [self._wrap_calls(task, sum(team)) for team in policy.teams(counts)]
        hands = policy.deal(singles, thieves, keep, self.runs_tasks)
        return [self._wrap_tasks(policy.merged(team)) for team in policy.teams(hands)]

    def _wrap_calls(self, span: Span, count: int) -> list[Parcel]:
        """Take calls off a span; return the parcel, or none if there is nothing to send."""
        gift = span.give(count) if count else None
        if gift is None:
            return []
        start, calls = gift
        if not span.unclaimed:
            self.forget(span)
        try:
            function, reduction = self._seal_functions(span)
        except SerializationError as error:
            length = calls.length if isinstance(calls, Batch) else len(calls)
            failures = dict.fromkeys(range(length), error)
            span.outlet(span, Outcomes(start, length, [None] * length, failures))
            return []
        if span.owner == self.rank and not span.key:
            span.key = next(self._keys)
            self.given[span.key] = span
        batch = calls.trimmed() if isinstance(calls, Batch) else seal_calls(calls, span.star)
        return [(span.owner, span.key, start, function, reduction, *batch)]

    def _seal_functions(self, span: Span) -> tuple[Payload, Payload | None]:
        if span.function_payload is None:
            if span.function is None:
                raise RuntimeError(f"{span!r} has no function")
            if span.reduction is not None:
                span.reduction_payload = self.codec.seal(span.reduction)
            span.function_payload = self.codec.seal(span.function)
        return span.function_payload, span.reduction_payload

    def _wrap_tasks(self, tasks: list[Task]) -> list[Parcel]:
        """Claim single tasks; return them as parcels, futures of one function in one."""
        parcels: list[Parcel] = []
        groups: dict[tuple[int, int], list[Future]] = {}
        for task in tasks:
            if isinstance(task, Span):
                parcels += self._wrap_calls(task, 1)
            elif not self.claim(task):
                continue
            elif isinstance(task, StolenCall):
                parcels.append(task.parcel)
            else:
                function, arguments = task.call
                groups.setdefault((id(function), len(arguments)), []).append(task)
        for futures in groups.values():
            parcels += self._wrap_futures(futures)
        return parcels

    def _wrap_futures(self, futures: list[Future]) -> list[Parcel]:
        try:
            payload = self.codec.seal(futures[0].call[0])
        except SerializationError as error:
            for future in futures:
                future.complete(None, error)
            return []
        key = next(self._keys)
        self.given[key] = FutureGroup(futures)
        batch = seal_calls([future.call[1] for future in futures], star=True)
        return [(self.rank, key, 0, payload, None, *batch)]

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
            is_main_thread: whether the main thread calls this, within a step: then nobody puts
                anything into `ready` meanwhile.
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
            offset: error
            if isinstance(error, EncodedError)
            else encode_error(error, self.rank, self.host)
            for offset, error in outcomes.failures.items()
        }
        values = outcomes.values
        column = values if isinstance(values, Sealed) else seal(values)
        return key, outcomes.start, outcomes.length, column, failures


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


class ImportGuard(dict[Any, None]):
    """Stands in for the queues while a worker imports the program: nothing may be submitted."""

    def __setitem__(self, task: Any, value: None) -> None:
        raise NotStartedProperly(f"futures: {UNGUARDED}")
