"""The worker: a rank's tasks, where they are, and what is owed to whom.

A state machine without I/O, clock or greenlets. It holds

    ready         spans and futures with calls that nobody has begun, oldest first
    elsewhere     ready tasks of the program's other threads: the hub leaves them to their thread
    given         what this rank owns and has given away in part, by key, until all is reported
    outbox        outcomes of other ranks' calls, not yet sent

and changes them in `handle` (a message came), and in the other methods named for what happened.
Each returns what to send. The exception is the hot path: submitting and claiming a local future
is a plain insertion and a `dict.pop`, which other code does straight on `ready`, from whichever
thread. These are atomic, and whoever pops a future owns it, so nothing here may assume that a
task seen in `ready` is still there a moment later.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scoop_mpi import policy
from scoop_mpi.errors import UNGUARDED, CancelledError, NotStartedProperly, SerializationError
from scoop_mpi.future import Future
from scoop_mpi.messages import (
    Message,
    Parcel,
    Results,
    Segment,
    Send,
    Steal,
    StealFailed,
    Work,
    WorkOffered,
    WorkWanted,
)
from scoop_mpi.serializer import (
    Batch,
    EncodedError,
    FunctionCodec,
    Payload,
    encode_error,
    forwarded,
    seal,
    seal_calls,
)
from scoop_mpi.span import FutureGroup, Outcomes, Span

Task = Future | Span
BROKER_RANK = 0


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
        self.given: dict[int, Span | FutureGroup] = {}
        self.outbox: deque[tuple[Span, Outcomes]] = deque()
        self.has_offered = False
        self.has_asked = False
        self.is_open = False
        self.is_stopping = False
        self._constants_version = constants_version
        self._keys = itertools.count(1)

    def open_queues(self) -> None:
        """Let tasks be submitted: the program has been imported, or is about to run as root."""
        self.ready = {}
        self.elsewhere = {}
        self.is_open = True

    # ------------------------------------------------------------ what the rank itself does

    def ran_low(self) -> list[Send]:
        """The rank is about to run dry: ask for work, unless it has."""
        if self.has_asked or self.size == 1 or self.is_stopping or not self.is_open:
            return []
        self.has_asked = True
        return [Send(BROKER_RANK, WorkWanted())]

    def has_spare(self, keep: int) -> bool:
        """Say whether there are more than `keep` calls that nobody has begun."""
        left = -keep
        try:
            for task in itertools.chain(self.elsewhere, self.ready):
                left += 1 if isinstance(task, Future) else task.spare
                if left > 0:
                    return True
        except RuntimeError:  # a thread of the program is changing the queue: ask again later
            pass
        return False

    def offer(self, keep: int) -> list[Send]:
        """Say that there is work to spare, if there is and it has not been said."""
        if self.has_offered or self.size == 1 or self.is_stopping or not self.has_spare(keep):
            return []
        self.has_offered = True
        return [Send(BROKER_RANK, WorkOffered())]

    def deliver(self, span: Span, outcomes: Outcomes) -> None:
        """Take in outcomes of calls that ran here: the `outlet` of this rank's own spans."""
        span.deliver(outcomes)
        if span.unreported == 0:
            self.given.pop(span.key, None)

    def send_outcomes(self, span: Span, outcomes: Outcomes) -> None:
        """Keep outcomes for the span's owner: the `outlet` of a stolen span. Any thread may."""
        self.outbox.append((span, outcomes))

    def flush(self) -> list[Send]:
        """Send off what is in the outbox, one message for each owner."""
        segments: defaultdict[int, list[Segment]] = defaultdict(list)
        while self.outbox:
            span, outcomes = self.outbox.popleft()
            segments[span.owner].append(self._seal_outcomes(span.key, outcomes))
        version = self._constants_version()
        return [Send(owner, Results(version, parts)) for owner, parts in segments.items()]

    def stop(self) -> None:
        """The program has ended: drop what nobody has begun."""
        self.is_stopping = True
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
            case Steal(thieves, are_all):
                sends = self._share(thieves, keep)
                if not are_all:
                    self.has_offered = False  # the next step offers again, if there is more
                return sends
            case Work(_, parcels):
                self._take_in(parcels)
                return []
            case Results(_, segments):
                for segment in segments:
                    if self.given[segment.key].settle(segment):
                        self.given.pop(segment.key, None)  # unless the last call ran here
                return []
            case _:
                raise TypeError(f"rank {self.rank} got {message!r} from rank {source}")

    def _take_in(self, parcels: list[Parcel]) -> None:
        self.has_asked = False
        if self.is_stopping:
            return
        for owner, key, start, function, batch, reduction in parcels:
            span = Span(
                owner,
                batch,
                batch.star,
                self.send_outcomes,
                function_payload=forwarded(function),
                reduction_payload=None if reduction is None else forwarded(reduction),
                key=key,
                base=start,
            )
            self.ready[span] = None

    def _share(self, thieves: tuple[int, ...], keep: int) -> list[Send]:
        sends = []
        unserved = []
        version = self._constants_version()
        for thief, parcels in zip(thieves, self._parcels(len(thieves), keep), strict=True):
            if parcels:
                sends.append(Send(thief, Work(version, parcels)))
            else:
                unserved.append(thief)
        if unserved:
            self.has_offered = False
            sends.append(Send(BROKER_RANK, StealFailed(tuple(unserved))))
        return sends

    def _parcels(self, thieves: int, keep: int) -> list[list[Parcel]]:
        """Take the oldest work for some thieves; return what each of them gets."""
        singles: list[Task] = []
        for task in [*self.elsewhere, *self.ready]:
            if isinstance(task, Future) or task.spare == 1:
                singles.append(task)
            elif (spare := task.spare) > 1:
                if singles:
                    keep = 0  # there is this one left
                    break
                counts = policy.shares(spare, thieves, keep)
                return [self._wrap_calls(task, count) for count in counts]
        hands = policy.deal(singles, thieves, keep)
        return [self._wrap_tasks(hand) for hand in hands]

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
        return [Parcel(span.owner, span.key, start, function, batch, reduction)]

    def _seal_functions(self, span: Span) -> tuple[Payload, Payload | None]:
        if span.function_payload is None:
            if span.function is None:
                raise RuntimeError(f"{span!r} has no function")
            if span.reduction is not None:
                span.reduction_payload = self.codec.seal(span.reduction)
            span.function_payload = self.codec.seal(span.function)
        return span.function_payload, span.reduction_payload

    def _wrap_tasks(self, tasks: Iterable[Task]) -> list[Parcel]:
        """Claim single tasks; return them as parcels, futures of one function in one."""
        parcels: list[Parcel] = []
        groups: defaultdict[tuple[int, int], list[Future]] = defaultdict(list)
        for task in tasks:
            if isinstance(task, Span):
                parcels += self._wrap_calls(task, 1)
            elif self.claim(task):
                function, arguments = task.call
                groups[id(function), len(arguments)].append(task)
        for futures in groups.values():
            parcels += self._wrap_futures(futures)
        return parcels

    def _wrap_futures(self, futures: list[Future]) -> list[Parcel]:
        function = futures[0].call[0]
        try:
            payload = self.codec.seal(function)
        except SerializationError as error:
            for future in futures:
                future.complete(None, error)
            return []
        key = next(self._keys)
        self.given[key] = FutureGroup(futures)
        batch = seal_calls([future.call[1] for future in futures], star=True)
        return [Parcel(self.rank, key, 0, payload, batch, None)]

    # ------------------------------------------------------------ helpers

    def claim(self, task: Task) -> bool:
        """Take a task out of the queues, to run it or give it away; False if somebody else has."""
        return self.ready.pop(task, self) is None or self.elsewhere.pop(task, self) is None

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
        column = seal(values) if isinstance(values, Sequence) else values
        return Segment(key, outcomes.start, outcomes.length, column, failures)


class ImportGuard(dict[Any, None]):
    """Stands in for the queues while a worker imports the program: nothing may be submitted."""

    def __setitem__(self, task: Any, value: None) -> None:
        raise NotStartedProperly(f"futures: {UNGUARDED}")
