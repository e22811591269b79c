"""One rank's runtime: takes in messages, has the state machines decide, sends what they say.

          hub (user code waits)  pump (user code runs)  poll (user code asks)
                      \\                |                /
                       '------------  step()  ---------'
                                        |      one at a time: whoever comes second leaves
        transport.receive -> Worker | Broker | Constants | end of the job -> transport.send

`step` is the only place where the state machines change and MPI is called. It takes the lock
without waiting. So it may be called from anywhere, even from user code that runs within it (an
object's own unpickling), and nobody ever waits for a rank's duties: somebody is doing them.
It knows nothing of greenlets, nor of how the rank waits.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from threading import get_ident

from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.errors import InvariantBroken, UnexpectedMessage, describe_error
from scoop_mpi.observe.event_log import EventLog
from scoop_mpi.state.broker import Broker
from scoop_mpi.state.calling_off import WindDown
from scoop_mpi.state.constants import Constants, Proposal, sendable
from scoop_mpi.state.policy import IN_HAND, MATCHING_PATIENCE, RootsPart
from scoop_mpi.state.routing import BROKER_RANK, ROOT_RANK, Home, homes_of_all
from scoop_mpi.state.sharing import Errands
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.span import Span, Window
from scoop_mpi.transport.frames import Frames
from scoop_mpi.transport.protocol import Messenger
from scoop_mpi.wire import messages
from scoop_mpi.wire.messages import (
    Begin,
    Call,
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsPublished,
    ImportFailed,
    Leave,
    Message,
    Reserved,
    Results,
    Returned,
    Send,
    ShowLog,
    Stop,
    Stopped,
    Work,
    WorkOffered,
)
from scoop_mpi.wire.serializer import Payload

STEP_INTERVAL = 5e-4  # seconds between two steps of a rank that works
LONGEST_DELAY = 2e-3  # seconds that a value stays with its window while other calls of it run
_COMPACTING_INTERVAL = 0.01  # seconds between two looks whether a queue should be compacted
_MESSAGES_PER_STEP = 64  # then whoever called gets on with its work
_NO_THREAD = -1
# What a step raises if it has failed, and what was to be done in it is not done.
_FAULTS = (UnexpectedMessage, InvariantBroken, MemoryError)


class Runtime:
    """What a rank is made of, but for its greenlets.

    Args:
        transport: reaches the other ranks.
        clock: tells the time, in seconds.
        on_import_failed: called on the root with a worker's report that it can't import the
            program.
        memory: shares large constants with the other ranks of the node.
        root: what rank 0 does; see `policy.only_serves`.

    Attributes:
        events: the event log, if one is kept.
        after_message: called after messages have been taken in, within the step; None: nothing.
        on_fault: called with the error if a step has failed.
        show_log: shows the event log, as another rank has met a fault.
        begins_all_the_same: whether this rank is to begin a call though it must be ready by some
            time: or else nothing would go on, on any rank.
        retries: how many calls have failed here, and were made again.
    """

    # See `Greenlets`.
    __slots__ = (
        "__weakref__",
        "_chores_at",
        "_compact_at",
        "_drops_outcomes",
        "_homes",
        "_in_hand",
        "_in_hand_since",
        "_keep",
        "_letters",
        "_lock",
        "_matched_at",
        "_may_pickle",
        "_on_import_failed",
        "_on_refused",
        "_only_thread",
        "_patience",
        "_program_thread",
        "_proposals",
        "_stepping_thread",
        "_told_reserved",
        "after_message",
        "ask_program",
        "begins_all_the_same",
        "broker",
        "clock",
        "constants",
        "ended",
        "events",
        "is_stopping",
        "last_step",
        "may_leave",
        "memory",
        "on_fault",
        "on_stop",
        "rank",
        "retries",
        "show_log",
        "size",
        "stopped",
        "transport",
        "windows",
        "worker",
    )

    def __init__(
        self,
        transport: Messenger,
        clock: Callable[[], float],
        on_import_failed: Callable[[str], None],
        memory: NodeMemory,
        root: RootsPart = "auto",
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.rank = transport.rank
        self.size = transport.size
        self.memory = memory
        self.constants = Constants(
            self.rank,
            transport.leaders,
            self._post_until_stop,
            lambda thing: self.worker.discarded.append(thing),
        )
        self.worker = Worker(
            self.rank, self.size, transport.host, lambda: self.constants.news, root=root
        )
        self.broker = Broker(self.size) if self.rank == ROOT_RANK else None
        self.events: EventLog | None = None
        self.after_message: Callable[[], None] | None = None
        self.on_fault: Callable[[BaseException], object] = _do_nothing
        self.begins_all_the_same = False
        self._told_reserved: Reserved | None = None  # to the broker, last
        self.show_log: Callable[[], None] = _do_nothing
        self.windows: dict[Window, None] = {}  # those whose calls are being made
        self.last_step = 0.0
        # The span that is being worked off here; not held, as it holds the user's objects.
        self._in_hand: Callable[[], Span | None] = _nothing
        self._in_hand_since = 0.0
        self.is_stopping = False  # the program has ended
        self.ended = "the program has ended"  # what those are told who wait all the same
        self.may_leave = False  # every rank has stopped
        self.stopped: set[int] = set()  # the ranks that have
        self.on_stop: Callable[[], None] = _do_nothing  # called as the worker stops, by any thread
        self.retries = 0
        self._drops_outcomes = False  # nothing runs here any more
        self._proposals: deque[tuple[dict[str, Payload], Proposal]] = deque()
        # To be sent by the next step; a span is to be called off.
        self._letters: deque[Send | Span | Errands | WindDown] = deque()
        self._on_import_failed = on_import_failed
        self._lock = threading.Lock()
        self._stepping_thread = 0
        self._keep = 0
        self._may_pickle = False
        self._program_thread = get_ident()
        # Called when only the thread of the program could give what thieves have asked for.
        self.ask_program: Callable[[], None] = lambda: None
        self._matched_at = 0.0
        self._chores_at = 0.0
        self._compact_at = 0.0
        self._patience = MATCHING_PATIENCE * self.size
        # Unless MPI allows calls of several threads at once, ours must not meet those of the
        # program's main thread. Then nobody but that thread steps.
        self._only_thread = None if transport.is_thread_safe else get_ident()
        self._on_refused: Callable[[], object] = _do_nothing
        self._homes = self._homes_of_all()

    @property
    def has_idle_ranks(self) -> bool:
        """Whether others have no work, as far as is known: rank 0 knows, the others can't."""
        return self.broker is None or self.broker.first_hungry(besides=self.rank) is not None

    @property
    def is_stepping_here(self) -> bool:
        """Whether this very thread is within `step`, further up its stack."""
        return self._stepping_thread == get_ident()

    def step(
        self,
        *,
        keep: int = 0,
        is_low: bool = False,
        looks: int = 1,
        is_pump: bool = False,
        is_sated: bool = False,
    ) -> bool:
        """Do the rank's duties once.

        Args:
            keep: how many calls thieves must leave here (see `Worker.handle`).
            is_low: whether the rank is about to run out of work.
            looks: how many times to look for a message, one right after the other.
            is_pump: whether it comes amid the user's own lines. If so, or in another thread than
                the program's main one, no code of the user's is run: nothing is pickled by it.
            is_sated: whether there is new work here, for which no other rank is to be robbed.

        Returns:
            Whether anything has moved.
        """
        thread = get_ident()
        if self._only_thread is not None and self._only_thread != thread:
            self._on_refused()
            return False
        if not self._lock.acquire(False):
            time.sleep(0)  # lets go of the GIL: who comes by again and again would hold them up
            return False
        self._stepping_thread = thread
        try:
            self._keep = keep
            self._may_pickle = may_pickle = not is_pump and thread == self._program_thread
            worker = self.worker
            queues, reports, sharing = worker.queues, worker.reports, worker.sharing
            if may_pickle:
                self.let_go()
            if self._letters or self._proposals:
                self._send_what_was_asked_for()
            self.last_step = worker.ledger.now = now = self.clock()
            if now >= self._chores_at:
                self._do_chores(now)
            if self._drops_outcomes:
                reports.drop()
            while reports.returned:
                destination, value = reports.next_value(is_low)
                self._send(destination, value)
            if reports.outbox or (is_low and not reports.has_asked):
                self._send_all(reports.take(is_low, now))
            broker = self.broker
            if is_sated and broker is not None and self.rank in broker.hungry:
                broker.served(self.rank)
                reports.has_asked = False
            if broker is not None and broker.hungry and not keep and len(queues.ready) == 1:
                self._give_lone_call(broker)
            received = self.transport.receive()
            while received is None and looks > 1:
                looks -= 1
                received = self.transport.receive()
            has_heard_all = received is None or self._take_in(received)
            if received is not None and self.after_message is not None:
                self.after_message()
            if broker is None:
                if (queues.ready or queues.elsewhere) and sharing.offer(keep, may_pickle):
                    self._send_all([Send(BROKER_RANK, WorkOffered())])
            elif has_heard_all or now - self._matched_at > self._patience:
                self._matched_at = now
                if broker.hungry and (broker.offering or queues.ready or queues.elsewhere):
                    self._match(broker, keep)
                if broker.reserved and len(broker.reserved) == self.size:
                    self._have_one_begin(broker)
            if queues.due:
                if may_pickle:
                    queues.enqueue_due()
                else:
                    self.ask_program()
            if sharing.should_seal_ahead and (queues.ready or queues.elsewhere):
                if may_pickle:
                    sharing.seal_ahead()
                else:
                    self.ask_program()
            if self.transport.is_sending:
                self.transport.progress()
            return received is not None
        except _FAULTS as error:
            fault = error
        finally:
            self._stepping_thread = 0
            self._lock.release()
        self.on_fault(fault)  # the job is to end, whatever the program makes of it
        raise fault

    def let_go(self) -> None:
        """Let go of what has ended. Finalizers of the user's may run: where their code may."""
        if self.worker.discarded:
            self.worker.discarded.clear()

    def take_in_hand(self, span: Span, now: float) -> None:
        """The program's thread begins a window of a span: for a moment its rest is spoken for."""
        if span is not self._in_hand():
            self._put_down()
            self._in_hand = weakref.ref(span)
            span.is_in_hand = True
        self._in_hand_since = now

    def _put_down(self) -> None:
        """The span is no longer being worked off here: others may have all that is left of it."""
        span = self._in_hand()
        if span is not None:
            span.is_in_hand = False
        self._in_hand = _nothing

    def step_if_due(self, now: float) -> None:
        """Do the rank's duties, unless they have just been done. For whoever works without pause.

        Args:
            now: the time, by the runtime's clock.
        """
        if self.is_step_due(now):
            self.step()

    def is_step_due(self, now: float) -> bool:
        """Say whether the last step was some time before `now`."""
        return now - self.last_step > STEP_INTERVAL

    def _take_in(self, received: tuple[int, Frames]) -> bool:
        """Handle a message that has arrived, and those after it; return whether it was all.

        One with large buffers is the last: whoever has waited for it gets it, and lets go of the
        memory, before the next comes in.
        """
        for left in reversed(range(_MESSAGES_PER_STEP)):
            source, frames = received
            try:
                message = messages.decode(frames)
            except ValueError as error:
                raise UnexpectedMessage(self.rank, source, frames[0], str(error)) from error
            sends = self._handle(source, message)
            if sends:
                self._send_all(sends)
            if len(frames) > 1:
                return False
            kind = type(message)
            if kind is Call or (kind is Returned and not self.worker.ledger.given):
                break  # somebody waits for it, and as a rule nothing follows
            following = self.transport.receive() if left else None
            if following is None:
                break
            received = following
        return left > 0

    def _send_what_was_asked_for(self) -> None:
        while self._proposals:
            self._send_all(self.constants.propose(*self._proposals.popleft()))
        while self._letters:
            letter = self._letters.popleft()
            if isinstance(letter, Span):
                sends = self.worker.call_off(letter)
            elif isinstance(letter, Errands):
                sends = self.worker.send_errands(letter)
            elif isinstance(letter, WindDown):
                sends = self.worker.wind_down(letter)
            else:
                sends = [letter]
            self._send_all(sends)

    def _give_lone_call(self, broker: Broker) -> None:
        """Send the only task there is to who has waited for one longest: it may be waited for."""
        thief = broker.first_hungry(besides=self.rank)
        if thief is None:
            return
        call = self.worker.sharing.lone_call(thief, self._may_pickle)
        if call is not None:
            broker.served(thief)
            self._send(thief, call)

    def _match(self, broker: Broker, keep: int) -> None:
        """Send thieves to victims. What rank 0 says to itself, as either, is no message."""
        worker = self.worker
        if self.is_stopping:
            return
        if not broker.offering and self.rank not in broker.hungry:
            if worker.sharing.has_spare(keep, self._may_pickle):  # nobody else has
                self._send_all(worker.sharing.share(broker.take_hungry(), keep, self._may_pickle))
            return
        if worker.sharing.offer(keep, self._may_pickle):
            broker.handle(self.rank, WorkOffered())
        while sends := broker.match():  # again, if this very rank had nothing
            self._send_all(sends)
        if worker.reports.has_offered and not worker.queues.ready and not worker.queues.elsewhere:
            broker.exhausted_by(self.rank)
            worker.reports.has_offered = False

    def _have_one_begin(self, broker: Broker) -> None:
        """All ranks are reserved: see to it that one of them goes on all the same."""
        rank = broker.first_to_begin()
        if rank is not None:
            self._send_all([Send(rank, Begin())])

    def reserve(self, has_calls: bool, is_reserved: bool = True) -> None:
        """Tell the broker, with the next step, whether this rank must be ready by some time.

        Args:
            has_calls: whether there are calls here that it doesn't begin for that.
            is_reserved: whether it must.
        """
        if self.size == 1:
            return
        told = Reserved(has_calls, True) if is_reserved else None
        if told is None:
            self.begins_all_the_same = False
        if told != self._told_reserved:
            self._told_reserved = told
            self.post(BROKER_RANK, told or Reserved(False, False))

    def _do_chores(self, now: float) -> None:
        """Do what need not be done in each step.

        To go over the windows takes a while where many were suspended once: these have left places
        in the dictionary.
        """
        self._chores_at = now + STEP_INTERVAL
        if now - self._in_hand_since > IN_HAND:
            self._put_down()
        if now >= self._compact_at:
            self._compact_at = now + _COMPACTING_INTERVAL
            self.worker.queues.compact(self._may_pickle)
        self._harvest(now)

    def _harvest(self, now: float) -> None:
        """Report what has ended of windows that take long."""
        for window in list(self.windows):
            if now - window.reported_at > LONGEST_DELAY:
                window.reported_at = now
                window.span.harvest(window)

    # ------------------------------------------------------------ who takes which message

    def _homes_of_all(self) -> dict[type[Message], Home]:
        return homes_of_all(
            self.rank,
            dict.fromkeys(Worker.TAKES, self._for_worker)
            | {
                Call: self._take_call,
                Returned: self._take_returned,
                Results: self._take_results,
                Work: self._take_work,
            },
            dict.fromkeys(Broker.TAKES, self._for_broker),
            dict.fromkeys(Constants.TAKES, self._for_constants),
            {
                ImportFailed: self._take_import_failed,
                Stop: self._take_stop,
                Stopped: self._take_stopped,
                Begin: self._take_begin,
                Leave: self._take_leave,
                ShowLog: self._take_show_log,
            },
        )

    def _send(self, destination: int, message: Message) -> None:
        if self.events is not None:
            self.events.add(f"to rank {destination}:", message)
        self.transport.send(destination, messages.encode(message))

    def _handle(self, source: int, message: Message) -> list[Send]:
        if self.events is not None:
            self.events.add(f"from rank {source}:", message)
        return self._homes[type(message)](source, message)

    def _for_worker(self, source: int, message: Message) -> list[Send]:
        return self.worker.handle(source, message, self._keep, self._may_pickle)

    def _take_call(self, _: int, message: Call) -> list[Send]:
        self.constants.hear_of(message.version)
        self.worker.take_call(message)
        return []

    def _take_returned(self, source: int, message: Returned) -> list[Send]:
        if message.wants_work:
            self._check_request(source, message)
        self.constants.hear_of(message.version)
        self.worker.take_value(source, message, self._may_pickle)
        if message.wants_work:
            self._take_request(source)
        return []

    def _take_results(self, source: int, message: Results) -> list[Send]:
        if message.wants_work:
            self._check_request(source, message)
        self.constants.hear_of(message.version)
        sends = self._for_worker(source, message)
        if message.wants_work:
            self._take_request(source)
        return sends

    def _take_work(self, source: int, message: Work) -> list[Send]:
        self.constants.hear_of(message.version)
        return self._for_worker(source, message)

    def _check_request(self, source: int, message: Results | Returned) -> None:
        if self.broker is None:
            raise UnexpectedMessage(self.rank, source, message, "it is no broker")

    def _take_request(self, source: int) -> None:
        if self.broker is not None and not self.is_stopping:
            self.broker.ask(source)

    def _for_broker(self, source: int, message: Message) -> list[Send]:
        if self.broker is not None and not self.is_stopping:
            self.broker.handle(source, message)
        return []

    def _take_import_failed(self, _: int, message: ImportFailed) -> list[Send]:
        self._on_import_failed(message.report)
        return []

    def _take_stop(self, _: int, __: Stop) -> list[Send]:
        self.stop()
        return []

    def _take_stopped(self, source: int, _: Stopped) -> list[Send]:
        self.stopped.add(source)
        return []

    def _take_leave(self, _: int, __: Leave) -> list[Send]:
        self.may_leave = True
        return []

    def _take_begin(self, _: int, __: Begin) -> list[Send]:
        self.begins_all_the_same = True
        self._told_reserved = None
        return []

    def _take_show_log(self, source: int, message: ShowLog) -> list[Send]:
        if message.is_answer:
            return []
        self.show_log()
        return [Send(source, ShowLog(is_answer=True))]

    def _for_constants(self, source: int, message: Message) -> list[Send]:
        if self.is_stopping:
            return []  # nobody reads them, and who sent them may be gone
        return self._handle_constants(source, message)

    def _handle_constants(self, source: int, message: Message) -> list[Send]:
        constants, memory = self.constants, self.memory
        match message:
            case ConstantsPublished() if constants.should_place(message):
                return constants.handle(source, message, memory.place(sendable(message)))
            case ConstantsPlaced(version):
                try:
                    constants.take_in(memory.open(message))
                except OSError as error:
                    return [Send(source, ConstantsMapped(version, describe_error(error)))]
                return [Send(source, ConstantsMapped(version, None))]
            case ConstantsMapped(version, problem):
                sends = constants.handle(source, message)
                if not constants.is_mapping(version):
                    memory.release(version)
                if problem is not None:
                    memory.tell(f"rank {source} gets copies of large constants", problem)
                return sends
        return constants.handle(source, message)

    def _send_all(self, sends: list[Send]) -> None:
        """Send what the state machines say; what is for this rank itself is handled at once."""
        own: list[Message] = []
        for destination, message in sends:
            if destination == self.rank:
                own.append(message)
            else:
                self._send(destination, message)
        for message in own:
            self._send_all(self._handle(self.rank, message))

    def statistics(self) -> dict[str, object]:
        """Return a snapshot of this rank: how many there are of all that it holds."""
        broker = self.broker
        return self.worker.statistics() | {
            "bytes_pending": self.transport.bytes_pending,
            "windows": len(self.windows),
            "retries": self.retries,
            "hungry": 0 if broker is None else len(broker.hungry),
            "offering": 0 if broker is None else len(broker.offering),
            "events": {} if self.events is None else dict(self.events.counts),
        }

    def check(self) -> None:
        """See that what must always hold of this rank's state does.

        Raises:
            InvariantBroken: it does not.
        """
        self.worker.check()
        for window in list(self.windows):
            window.span.check()

    def have_logs_shown(self, seconds: float) -> None:
        """Have all other ranks show their event logs: a fault of this rank's ends the job.

        Args:
            seconds: to wait for them, at the most.
        """
        deadline = self.clock() + seconds
        if not self._lock.acquire(timeout=seconds):
            return
        try:
            missing = {rank for rank in range(self.size) if rank != self.rank}
            for rank in missing:
                self.transport.send(rank, messages.encode(ShowLog(is_answer=False)))
            while missing and self.clock() < deadline:
                self.transport.progress()
                received = self.transport.receive()
                if received is None:
                    time.sleep(0)
                elif messages.decode(received[1]) == ShowLog(is_answer=True):
                    missing.discard(received[0])
        finally:
            self._lock.release()

    # ------------------------------------------------------------ what others ask for

    def stop(self) -> None:
        """The program has ended: drop what nobody has begun, and neither ask nor offer more."""
        self.is_stopping = True
        self.worker.stop(self.on_stop)

    def close(self) -> None:
        """Do nothing any more, whoever asks: the job has ended."""
        self._only_thread = _NO_THREAD
        self.worker.let_go()

    def replace_steps(self, instead: Callable[[], object]) -> None:
        """Have another function called by whoever asks for a step: this is a forked child."""
        self._on_refused = instead
        self._only_thread = _NO_THREAD

    def drop_outcomes(self) -> None:
        """Nothing runs here any more: have each step drop what it would still report.

        Not here and now: the pump may be in a step, and about to send it.
        """
        self._drops_outcomes = True

    def propose_constants(self, values: dict[str, Payload], proposal: Proposal) -> None:
        """Have the next step ask rank 0 to publish constants. Any thread may."""
        self._proposals.append((values, proposal))

    def post(self, destination: int, message: Message) -> None:
        """Have the next step send a message. Any thread may, also where an object ends."""
        self._letters.append(Send(destination, message))

    def call_off(self, span: Span) -> None:
        """Have the next step call off a span. Any thread may, also where an object ends."""
        self._letters.append(span)

    def wind_down(self, asked: WindDown) -> None:
        """Have the next step drop calls that nobody has begun. Any thread may."""
        self._letters.append(asked)

    def send_errands(self, errands: Errands) -> None:
        """Have the next step send errands. Any thread may."""
        self._letters.append(errands)

    def _post_until_stop(self, destination: int, message: Message) -> None:
        if not self.is_stopping:  # else it might come after all had left
            self.post(destination, message)


def _nothing() -> None:
    """Stand for a reference where there is none."""


def _do_nothing(*_: object) -> None:
    """Stand for a function where there is none."""
