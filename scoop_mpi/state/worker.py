"""The worker: what one rank knows of tasks, and how it takes in what others say of them.

A state machine without I/O, clock or greenlets, of several rooms:

    queues        tasks that nobody has begun, and who gets each
    sharing       what is given to other ranks, and when it is offered; `giving`: in which form
    ledger        what this rank owns and has given away
    reports       outcomes and values for others, and requests for work
    calling_off   what nobody wants any more

`handle` (a message came) and the methods that are named for what happened return what to send.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from scoop_mpi.errors import CancelledError, UnexpectedMessage
from scoop_mpi.observe import log
from scoop_mpi.state import policy
from scoop_mpi.state.calling_off import CallingOff, WindDown, tell_followers
from scoop_mpi.state.experience import Experience
from scoop_mpi.state.ledger import Ledger
from scoop_mpi.state.queues import Queues
from scoop_mpi.state.reports import Reports
from scoop_mpi.state.sharing import Errands, Sharing
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.outcomes import FutureGroup
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.tasks.stolen import LoneCall, StolenCall
from scoop_mpi.tasks.strict import StrictQueue
from scoop_mpi.wire.columns import Batch
from scoop_mpi.wire.functions import (
    FunctionName,
    Functions,
    LargeFunction,
    OwnFunction,
    SealedFunction,
)
from scoop_mpi.wire.messages import (
    Call,
    CalledOff,
    FunctionSent,
    FunctionWanted,
    Message,
    Parcel,
    Results,
    Returned,
    Send,
    Steal,
    Work,
)
from scoop_mpi.wire.values import Sealer


class Worker:
    """The state of one rank's tasks.

    Args:
        rank: this rank.
        size: the number of ranks.
        host: the name of this rank's host, for error messages.
        constants_version: tells the newest version of the constants that this rank has heard of.
        warn: called with a text for the user; None: the log gets it.
        root: what rank 0 does; see `policy.only_serves`.

    Attributes:
        discarded: what may be let go of where finalizers of the user's may run.
    """

    TAKES: ClassVar[tuple[type[Message], ...]] = (
        Call,
        Returned,
        Results,
        Work,
        Steal,
        FunctionWanted,
        FunctionSent,
        CalledOff,
    )

    def __init__(
        self,
        rank: int,
        size: int,
        host: str,
        constants_version: Callable[[], int],
        warn: Callable[[str], object] | None = None,
        root: policy.RootsPart = "auto",
    ) -> None:
        self.rank = rank
        self.size = size
        self.is_stopping = False
        self.runs_tasks = not policy.only_serves(rank, size, root)
        self.functions = Functions(rank, warn or logging.getLogger(log.NAME).warning)
        self.sealer = Sealer(rank, host)
        self.discarded: deque[object] = deque()
        self.queues = Queues()
        self.experience = Experience()
        self.ledger = Ledger(self.discarded, self.experience)
        self.reports = Reports(size, self.queues, self.sealer, constants_version)
        self.sharing = Sharing(
            rank,
            size,
            self.queues,
            self.ledger,
            self.reports,
            self.functions,
            constants_version,
            self.runs_tasks,
        )
        self._calling_off = CallingOff(
            rank, size, self.queues, self.ledger, self.reports, self.discarded
        )
        self._waiting_work: list[Work] = []  # for large functions
        self._wanted: set[FunctionName] = set()
        self._arrived: list[LargeFunction] = []  # held until the work that waits has what it needs

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {number}" for name, number in self.statistics().items() if number)
        return f"<Worker of rank {self.rank}: {told or 'nothing to do'}>"

    def statistics(self) -> dict[str, int]:
        """Return how many there are of all that a worker holds."""
        return {
            "ready": len(self.queues.ready),
            "elsewhere": len(self.queues.elsewhere),
            "deferred": len(self.queues.deferred),
            "given": len(self.ledger.given),
            "outbox": len(self.reports.outbox) + len(self.reports.returned),
            "waiting_work": len(self._waiting_work),
            "has_asked": int(self.reports.has_asked),
            "has_offered": int(self.reports.has_offered),
        }

    def check(self) -> None:
        """See that what must always hold does.

        Raises:
            InvariantBroken: it does not.
        """
        self.queues.check()
        self.ledger.check()

    # ------------------------------------------------------------ what the rank itself does

    def open_queues(self, is_strict: bool = False) -> None:
        """Let tasks be submitted: the program has been imported, or is about to run as root.

        Args:
            is_strict: whether also the calls that stay here get and return copies (see `strict`).
        """
        self.queues.open(partial(StrictQueue, self.sealer) if is_strict else dict)
        self.reports.may_ask = self.runs_tasks and self.size > 1 and not self.is_stopping

    def send_errands(self, errands: Errands) -> list[Send]:
        """Give a call to each of some ranks, which they are to make themselves."""
        if self.is_stopping:
            for future in errands.group.futures:
                self._cancel(future)
            return []
        return self.sharing.send_errands(errands)

    def call_off(self, span: Span) -> list[Send]:
        """Have the calls of a span of this rank's dropped that nobody has begun, on all ranks."""
        return [] if self.is_stopping else self._calling_off.call_off(span)

    def wind_down(self, asked: WindDown) -> list[Send]:
        """Have calls of the program's dropped that nobody has begun, on all ranks."""
        return [] if self.is_stopping else self._calling_off.wind_down(asked)

    def stop(self, on_closed: Callable[[], None]) -> None:
        """The program has ended: cancel what nobody has begun, and what others have.

        Nobody reports to a rank that has stopped, and who polls for a future must see its end too.

        Args:
            on_closed: called when the queues take nothing more, and before they are emptied.
        """
        self.is_stopping = True
        self.reports.may_ask = False
        self._waiting_work.clear()
        left = self.queues.close()
        on_closed()
        for future in left:
            self._cancel(future)
        for future in self.ledger.close():
            self._cancel(future)

    def _cancel(self, future: Future) -> None:
        self.discarded += (future, future.call)
        future.complete(None, CancelledError("the program has ended"))

    def let_go(self) -> None:
        """The job has ended: refer to nothing of the program's. Its objects end as Python ends."""
        self.functions.forget()
        self.ledger.close()
        self.queues.clear()
        self.discarded.clear()

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
            UnexpectedMessage: the message is none that a worker understands, or of calls or
                functions that this rank knows nothing of.
        """
        match message:
            case Call():
                self.take_call(message)
                return []
            case Returned():
                self.take_value(source, message)
                return []
            case Results():
                if not all(self.ledger.has_had(key) for key, *_ in message.segments):
                    raise self._unexpected(source, message)
                if not self.is_stopping:
                    self.ledger.settle(message.segments, may_pickle)
                return []
            case Work():
                own = (key for owner, key, *_ in message.parcels if owner == self.rank)
                if not (self.is_stopping or all(key in self.ledger.given for key in own)):
                    raise self._unexpected(source, message)
                return self._take_in(message, keep, may_pickle)
            case Steal():
                return self.sharing.share(message.thieves, keep, may_pickle)
            case FunctionWanted():
                if self.is_stopping:
                    return []  # its calls are cancelled
                try:
                    payload = self.functions.payload_of(message.number)
                except KeyError as error:
                    raise self._unexpected(source, message) from error
                return [Send(source, FunctionSent(message.number, payload))]
            case FunctionSent():
                return self._take_function(source, message, keep, may_pickle)
            case CalledOff():
                if not self.is_stopping:
                    self._calling_off.drop(message.owner, message.key)
                return tell_followers(message) if message.followers else []
            case _:
                raise UnexpectedMessage(self.rank, source, message, "it is not for a worker")

    def _unexpected(self, source: int, message: Message) -> UnexpectedMessage:
        reason = "it knows nothing of these calls, or this function"
        return UnexpectedMessage(self.rank, source, message, reason)

    def take_call(self, call: Call) -> None:
        """Take in a call that another rank has given away."""
        reports = self.reports
        reports.has_asked = False
        if not self.is_stopping:
            task = LoneCall.of_call(
                call, self.functions, self.sealer, reports.outbox, reports.returned
            )
            self.queues.ready[task] = None

    def take_value(self, source: int, returned: Returned, may_pickle: bool = False) -> None:
        """Take in what a call has returned that this rank has given away.

        Args:
            source: the rank that has made it.
            returned: the message.
            may_pickle: whether code of the user's may run: what ends with the call, ends at once.
        """
        if not self.is_stopping and not self.ledger.settle_value(
            returned.key, returned.value, may_pickle
        ):
            raise self._unexpected(source, returned)

    def _take_in(self, work: Work, keep: int, may_pickle: bool) -> list[Send]:
        """Take in work; or if large functions of it aren't here, ask their owners for them."""
        missing = self._missing(work)
        if missing and not self.is_stopping:
            self._waiting_work.append(work)
            asked = missing - self._wanted
            self._wanted |= asked
            return [Send(name.owner, FunctionWanted(name.number)) for name in sorted(asked)]
        if not work.is_errand:
            self.reports.has_asked = False
        if not self.is_stopping:
            for parcel in work.parcels:
                owner, key, start, _, _, length, *_ = parcel
                if owner == self.rank:
                    self.ledger.note_given(key, start, length, self.rank)  # they have come home
                if not self._calling_off.drop_arrived(owner, key, start, length):
                    for task in self._tasks_of(parcel):
                        if work.is_errand and isinstance(task, Future):
                            self.queues.urgent.append(task)
                        else:
                            self.queues.ready[task] = None
        return self.sharing.share(work.followers, keep, may_pickle) if work.followers else []

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
            raise self._unexpected(source, message)
        self._wanted.discard(name)
        self._arrived.append(self.functions.take_in(name, message.payload))
        waiting, self._waiting_work = self._waiting_work, []
        sends = []
        for work in waiting:
            sends += self._take_in(work, keep, may_pickle)
        if not self._waiting_work:
            self._arrived.clear()
        return sends

    def _tasks_of(self, parcel: Parcel) -> list[Task]:
        """Return what a parcel brings: one task, as a rule.

        Of calls that come home the function itself is here, and the context in which it was
        submitted. What was submitted in several contexts comes as several tasks.
        """
        owner, key, start, function, reduction, length, columns, star = parcel
        sealed: SealedFunction | None = self.functions.find(function)
        own = self.ledger.given[key] if owner == self.rank else None
        context = None
        if own is not None:
            called = own.call[0] if isinstance(own, Future) else own.function
            assert called is not None
            sealed = OwnFunction(called, function)
            context = own.context_of(start, length) if isinstance(own, FutureGroup) else own.context
            if context is None and length > 1:
                batch = Batch(length, columns, star)
                singles = [
                    (owner, key, start + n, function, reduction, *batch.part(n, n + 1))
                    for n in range(length)
                ]
                return [task for single in singles for task in self._tasks_of(single)]
        if length == 1:
            assert sealed is not None
            outbox = self.reports.outbox
            return [
                StolenCall.of_parcel(
                    parcel,
                    sealed,
                    self.functions,
                    self.sealer,
                    outbox,
                    None if context is None else context.copy(),
                )
            ]
        span = Span(
            owner,
            Batch(length, columns, star),
            star,
            self.reports.add,
            function_payload=sealed,
            reduction_payload=None if reduction is None else self.functions.find(reduction),
            sealer=self.sealer,
            context=context,
            key=key,
            base=start,
        )
        if isinstance(own, Span) and reduction is not None and own.reduction is not None:
            span.reduction_payload = OwnFunction(own.reduction, reduction)
        return [span]
