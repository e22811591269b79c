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
from collections import deque
from collections.abc import Callable
from threading import get_ident

from scoop_mpi import messages
from scoop_mpi.broker import Broker
from scoop_mpi.constants import Constants, Proposal, sendable
from scoop_mpi.errors import describe_error
from scoop_mpi.messages import (
    Call,
    ConstantsDeleted,
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsProposed,
    ConstantsPublished,
    ConstantsRefused,
    Frames,
    FunctionSent,
    FunctionWanted,
    HoldReleased,
    ImportFailed,
    Leave,
    Message,
    Results,
    Returned,
    Send,
    Steal,
    StealFailed,
    Stop,
    Stopped,
    Work,
    WorkOffered,
    WorkWanted,
)
from scoop_mpi.node_memory import NodeMemory
from scoop_mpi.policy import MATCHING_PATIENCE
from scoop_mpi.serializer import Payload
from scoop_mpi.span import Window
from scoop_mpi.transport import Transport
from scoop_mpi.worker_state import BROKER_RANK, Worker

ROOT_RANK = 0
STEP_INTERVAL = 5e-4  # seconds between two steps of a rank that works
LONGEST_DELAY = 2e-3  # seconds that a value stays with its window while other calls of it run
_COMPACTING_INTERVAL = 0.01  # seconds between two looks whether a queue should be compacted
_MESSAGES_PER_STEP = 64  # then whoever called gets on with its work
_NO_THREAD = -1


class Runtime:
    """What a rank is made of, but for its greenlets.

    Args:
        transport: reaches the other ranks.
        clock: tells the time, in seconds.
        on_import_failed: called on the root with a worker's report that it can't import the
            program.
        memory: shares large constants with the other ranks of the node.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float],
        on_import_failed: Callable[[str], None],
        memory: NodeMemory,
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
        self.worker = Worker(self.rank, self.size, transport.host, lambda: self.constants.news)
        self.broker = Broker() if self.rank == ROOT_RANK else None
        self.windows: dict[Window, None] = {}  # those whose calls are being made
        self.last_step = 0.0
        self.is_stopping = False  # the program has ended
        self.ended = "the program has ended"  # what those are told who wait all the same
        self.may_leave = False  # every rank has stopped
        self.stopped_ranks = 0
        self.on_stop: Callable[[], None] = _do_nothing  # called as the worker stops, by any thread
        self._drops_outcomes = False  # nothing runs here any more
        self._proposals: deque[tuple[dict[str, Payload], Proposal]] = deque()
        self._letters: deque[Send] = deque()  # to be sent by the next step
        self._on_import_failed = on_import_failed
        self._lock = threading.Lock()
        self._stepping_thread = 0
        self._keep = 0
        self._may_pickle = False
        self._program_thread = get_ident()
        # Called when only the thread of the program could give what thieves have asked for.
        self.ask_program: Callable[[], None] = lambda: None
        self._matched_at = 0.0
        self._harvest_at = 0.0
        self._compact_at = 0.0
        self._patience = MATCHING_PATIENCE * self.size
        # Unless MPI allows calls of several threads at once, ours must not meet those of the
        # program's main thread. Then nobody but that thread steps.
        self._only_thread = None if transport.is_thread_safe else get_ident()

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
            return False
        if not self._lock.acquire(False):
            time.sleep(0)  # lets go of the GIL: who comes by again and again would hold them up
            return False
        self._stepping_thread = thread
        try:
            self._keep = keep
            self._may_pickle = may_pickle = not is_pump and thread == self._program_thread
            worker = self.worker
            if may_pickle and worker.discarded:
                worker.discarded.clear()
            if self._letters or self._proposals:
                self._send_what_was_asked_for()
            self.last_step = now = self.clock()
            if self.windows and now >= self._harvest_at:
                self._harvest(now)
            if now >= self._compact_at:
                self._compact_at = now + _COMPACTING_INTERVAL
                worker.compact(may_pickle)
            if self._drops_outcomes:
                worker.drop_outcomes()
            while worker.returned:
                destination, message = worker.next_value(is_low)
                self.transport.send(destination, messages.encode(message))
            if worker.outbox or (is_low and not worker.has_asked):
                self._send_all(worker.report(is_low, now))
            broker = self.broker
            if is_sated and broker is not None and self.rank in broker.hungry:
                broker.served(self.rank)
                worker.has_asked = False
            if broker is not None and broker.hungry and not keep and len(worker.ready) == 1:
                self._give_lone_call(broker)
            received = self.transport.receive()
            while received is None and looks > 1:
                looks -= 1
                received = self.transport.receive()
            has_heard_all = received is None or self._take_in(received)
            if broker is None:
                if (worker.ready or worker.elsewhere) and worker.offer(keep, may_pickle):
                    self._send_all([Send(BROKER_RANK, WorkOffered())])
            elif has_heard_all or now - self._matched_at > self._patience:
                self._matched_at = now
                if broker.hungry and (broker.offering or worker.ready or worker.elsewhere):
                    self._match(broker, keep)
            if worker.should_seal_ahead and (worker.ready or worker.elsewhere):
                if may_pickle:
                    worker.seal_ahead()
                else:
                    self.ask_program()
            if self.transport.is_sending:
                self.transport.progress()
            return received is not None
        finally:
            self._stepping_thread = 0
            self._lock.release()

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
            sends = self._handle(source, messages.decode(frames))
            if sends:
                self._send_all(sends)
            if len(frames) > 1:
                return False
            following = self.transport.receive() if left else None
            if following is None:
                break
            received = following
        return left > 0

    def _send_what_was_asked_for(self) -> None:
        while self._proposals:
            self._send_all(self.constants.propose(*self._proposals.popleft()))
        while self._letters:
            self._send_all([self._letters.popleft()])

    def _give_lone_call(self, broker: Broker) -> None:
        """Send the only task there is to who has waited for one longest: it may be waited for."""
        thief = broker.first_hungry(besides=self.rank)
        if thief is not None and (call := self.worker.lone_call(self._may_pickle)) is not None:
            broker.served(thief)
            self.transport.send(thief, messages.encode(call))

    def _match(self, broker: Broker, keep: int) -> None:
        """Send thieves to victims. What rank 0 says to itself, as either, is no message."""
        worker = self.worker
        if self.is_stopping:
            return
        if not broker.offering and self.rank not in broker.hungry:
            if worker.has_spare(keep, self._may_pickle):  # nobody else has
                self._send_all(worker.share(broker.take_hungry(), keep, self._may_pickle))
            return
        if worker.offer(keep, self._may_pickle):
            broker.handle(self.rank, WorkOffered())
        while sends := broker.match():  # again, if this very rank had nothing
            self._send_all(sends)
        if worker.has_offered and not worker.ready and not worker.elsewhere:
            broker.exhausted_by(self.rank)
            worker.has_offered = False

    def _harvest(self, now: float) -> None:
        """Report what has ended of windows that take long.

        Not in each step: where many windows were suspended once, it takes a while to go over the
        places that these have left in the dictionary.
        """
        self._harvest_at = now + STEP_INTERVAL
        for window in list(self.windows):
            if now - window.reported_at > LONGEST_DELAY:
                window.reported_at = now
                window.span.harvest(window)

    def _handle(self, source: int, message: Message) -> list[Send]:
        match message:
            case Call():
                self.constants.hear_of(message.version)
                self.worker.take_call(message)
            case Returned():
                self.constants.hear_of(message.version)
                if message.wants_work:
                    self._tell_broker(source, message)
                self.worker.take_value(source, message)
            case Work():
                self.constants.hear_of(message.version)
                return self.worker.handle(source, message, self._keep, self._may_pickle)
            case Results():
                self.constants.hear_of(message.version)
                if message.wants_work:
                    self._tell_broker(source, message)
                return self.worker.handle(source, message, self._keep, self._may_pickle)
            case Steal() | FunctionWanted() | FunctionSent():
                return self.worker.handle(source, message, self._keep, self._may_pickle)
            case WorkWanted() | WorkOffered() | StealFailed():
                self._tell_broker(source, message)
            case (
                ConstantsProposed()
                | ConstantsRefused()
                | ConstantsDeleted()
                | ConstantsPublished()
                | ConstantsPlaced()
                | ConstantsMapped()
                | HoldReleased()
            ):
                if not self.is_stopping:  # else nobody reads them, and who sent them may be gone
                    return self._handle_constants(source, message)
            case ImportFailed(report):
                self._on_import_failed(report)
            case Stop():
                self.stop()
            case Stopped():
                self.stopped_ranks += 1
            case Leave():
                self.may_leave = True
        return []

    def _tell_broker(self, source: int, message: Message) -> None:
        if self.broker is None:
            raise TypeError(f"rank {self.rank} is no broker, but got {message!r}")
        if not self.is_stopping:
            self.broker.handle(source, message)

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
                self.transport.send(destination, messages.encode(message))
        for message in own:
            self._send_all(self._handle(self.rank, message))

    # ------------------------------------------------------------ what others ask for

    def stop(self) -> None:
        """The program has ended: drop what nobody has begun, and neither ask nor offer more."""
        self.is_stopping = True
        self.worker.stop(self.on_stop)

    def close(self) -> None:
        """Do nothing any more, whoever asks: the job has ended, or this is a forked child."""
        self._only_thread = _NO_THREAD
        self.worker.let_go()

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

    def _post_until_stop(self, destination: int, message: Message) -> None:
        if not self.is_stopping:  # else it might come after all had left
            self.post(destination, message)


def _do_nothing() -> None:
    """Stand for the hub, where there is none."""
