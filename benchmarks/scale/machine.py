"""A simulated machine: virtual time, the network, and many ranks.

Each rank has the real `Runtime`, and with it the real state machines; its messages cross the
network as the bytes that they really are. What is modelled is what `Hub`, `Pump` and `Backoff` do
around them, and the user's code:

    user code    a job, written as a generator that yields what it does (`Job`)
    the hub      `_hub_turn`, which does what one turn of `Hub._loop` does
    the pump     looks for messages while user code runs, at the moments that `rhythms` tells
    idling       the same for a rank that has nothing to do

An event is the moment at which a rank goes on. All that the rank does at it, it does at once; its
own clock runs ahead by what that costs, and what it sends leaves at that time.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from benchmarks.scale.costs import Costs, Kind
from benchmarks.scale.costs import task as task_function
from benchmarks.scale.loads import Load
from benchmarks.scale.rhythms import idling, pumping
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.state.agenda import Agenda
from scoop_mpi.state.policy import MOST_SUSPENDED
from scoop_mpi.state.routing import ROOT_RANK
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span, Window
from scoop_mpi.tasks.stolen import StolenCall
from scoop_mpi.transport.frames import Frames
from scoop_mpi.wire import messages
from scoop_mpi.wire.columns import Sealed
from scoop_mpi.wire.messages import Call, Results, Returned, Work, WorkWanted

Letter = tuple[int, Frames, Kind]
_ASLEEP = -1.0  # instead of the moment since when the pump has been counting its pauses


@dataclass
class Statistics:
    """What is counted while a load runs.

    Attributes:
        messages: how many were sent, by kind.
        root_seconds: what the root's processor spent on messages, by kind.
        latencies: of each request for work, the seconds until work came.
        computed: the seconds that user code took, of all ranks together.
    """

    messages: Counter[Kind] = field(default_factory=Counter)
    root_seconds: defaultdict[Kind, float] = field(default_factory=lambda: defaultdict(float))
    latencies: list[float] = field(default_factory=list)
    computed: float = 0.0


class Machine:
    """Runs one load on `size` ranks.

    Args:
        size: the number of ranks.
        load: the program.
        costs: what everything takes.
        warm_up: seconds before the program's first map, in which the ranks get idle.
        seed: decides the moment at which each rank begins.
    """

    def __init__(
        self, size: int, load: Load, costs: Costs, *, warm_up: float = 1.0, seed: int = 0
    ) -> None:
        self.size = size
        self.load = load
        self.costs = costs
        self.statistics = Statistics()
        self.times_run = bytearray(load.count)
        self.idling = idling(costs)
        self.pumping = pumping(costs)
        self.warm_up = warm_up
        self.memory = NodeMemory(logging.getLogger(__name__))  # there are no constants: never used
        self.has_ended = False
        self.ended_at = 0.0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self.ranks = [SimulatedRank(self, rank) for rank in range(size)]
        rng = random.Random(seed)
        for rank in self.ranks:
            self.at(rng.uniform(0.0, 0.01), rank.begin)

    def at(self, when: float, action: Callable[[float], None]) -> None:
        """Have `action` called with the time, once it is `when`."""
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def run(self) -> float:
        """Run the program; return the seconds from its first map to its end.

        Raises:
            AssertionError: a task did not run exactly once, or nothing can move any more.
        """
        events = self._events
        while not self.has_ended:
            if not events:
                raise AssertionError("nothing can move any more")
            when, _, action = heapq.heappop(events)
            action(when)
        if self.times_run.count(1) != self.load.count:
            raise AssertionError("not every task ran exactly once")
        return self.ended_at - self.warm_up

    def transmit(self, sender: SimulatedRank, destination: int, frames: Frames) -> None:
        """Send a message on its way."""
        message = messages.decode(frames)
        kind = type(message)
        size = sum(map(len, frames))
        sender.charge(self.costs.send[kind] + size * self.costs.byte, kind)
        self.statistics.messages[kind] += 1
        arrives = sender.clock + self.costs.latency + size / self.costs.bandwidth
        receiver = self.ranks[destination]
        letter = (sender.rank, frames, kind)
        if kind is WorkWanted or (isinstance(message, Results | Returned) and message.wants_work):
            sender.asked_at = sender.clock
        self.at(arrives, lambda now: receiver.take_letter(now, letter))


class Waiter:
    """A job that waits for a span: see `greenlets.GreenletWaiter`."""

    __slots__ = ("is_due", "job", "rank")

    def __init__(self, rank: SimulatedRank) -> None:
        self.rank = rank
        self.is_due = False
        self.job: Job | None = None  # which is parked

    def notify(self) -> None:
        """See `waiting.Waiter`."""
        if not self.is_due:
            self.is_due = True
            self.rank.notified.append(self)


# A job yields the seconds that it computes, or the waiter with which it parks.
Job = Generator[float | Waiter, None, None]


class SimulatedRank:
    """One rank: also the `Transport` of its own runtime."""

    is_thread_safe = True
    is_sending = False
    is_receiving = False
    bytes_pending = 0

    def __init__(self, machine: Machine, rank: int) -> None:
        self.machine = machine
        self.costs = machine.costs
        self.rank = rank
        self.size = machine.size
        self.leaders: Sequence[int] = range(self.size)  # each rank is alone on its node
        self.host = "simulated"
        self.clock = 0.0
        self.asked_at = 0.0
        self.mailbox: deque[Letter] = deque()
        self.notified: deque[Waiter] = deque()
        self.parked = 0
        self._job: Job | None = None  # which computes
        self._busy_until = 0.0
        self._idle_since: float | None = None
        self._pump_since = 0.0
        self._looks_at: float | None = None  # when the idle rank, or the pump, sees its mail
        self.runtime = Runtime(self, lambda: self.clock, self._import_failed, machine.memory)
        self.worker = self.runtime.worker
        self.worker.open_queues()
        self.ready = self.worker.queues.ready
        self.only_serves = not self.worker.runs_tasks
        self.agenda = Agenda(
            self.worker.queues, self.worker.experience, self.size, self.worker.runs_tasks
        )
        self._job_began = 0.0
        self._job_seconds = math.inf  # see `Greenlets`

    # ------------------------------------------------------------ the transport

    def send(self, destination: int, frames: Frames) -> None:
        """See `Transport`."""
        self.machine.transmit(self, destination, frames)

    def receive(self) -> tuple[int, Frames] | None:
        """See `Transport`."""
        if not self.mailbox:
            self.clock += self.costs.step
            return None
        source, frames, kind = self.mailbox.popleft()
        size = sum(map(len, frames))
        self.charge(self.costs.receive[kind] + size * self.costs.byte, kind)
        if kind in (Work, Call) and self.asked_at > self.machine.warm_up:
            self.machine.statistics.latencies.append(self.clock - self.asked_at)
        return source, frames

    def progress(self) -> None:
        """See `Transport`."""

    def abort(self, status: int) -> None:
        """See `Transport`."""
        raise AssertionError(f"rank {self.rank} aborted the job with status {status}")

    def _import_failed(self, report: str) -> None:
        raise AssertionError(report)

    def charge(self, seconds: float, kind: Kind) -> None:
        """Spend processor time on a message."""
        self.clock += seconds
        if self.rank == ROOT_RANK and self.clock > self.machine.warm_up:
            self.machine.statistics.root_seconds[kind] += seconds

    # ------------------------------------------------------------ events

    def begin(self, now: float) -> None:
        """The job begins. The root's program computes something first; the others ask for work."""
        self.clock = now
        if self.rank == ROOT_RANK:
            self._resume(self._program())
        else:
            self._hub_turn(now)

    def take_letter(self, now: float, letter: Letter) -> None:
        """A message has arrived. It is seen when this rank next looks."""
        self.mailbox.append(letter)
        now = max(now, self.clock)
        if self._looks_at is not None:
            return
        if self._idle_since is not None:
            since = self._idle_since
            self._looks_at = since + self.machine.idling.next_after(now - since)
            self.machine.at(self._looks_at, self._hub_turn)
        elif self._job is not None:
            self._call_pump(now)

    def _call_pump(self, now: float) -> None:
        since = self._pump_since
        self._looks_at = since + self.machine.pumping.next_after(now - since)
        self.machine.at(self._looks_at, self._pump)

    def _pump(self, now: float) -> None:
        """The pump does the rank's duties, unless user code has ended meanwhile."""
        if self._looks_at != now or self._job is None:
            return
        self._looks_at = None
        self.clock = now
        if self.runtime.step():
            self._pump_since = now
        self._busy_until += self.clock - now
        if self._has_duties:
            self._call_pump(self.clock + 1e-9)  # not at this very moment again

    @property
    def _has_duties(self) -> bool:
        """Whether there is something to do for the pump."""
        worker = self.worker
        broker = self.runtime.broker
        may_give = not worker.reports.has_offered if broker is None else bool(broker.hungry)
        return bool(
            self.mailbox
            or (self.ready and may_give and worker.sharing.has_spare(0))
            or any(len(window.values) > window.reported for window in self.runtime.windows)
        )

    def _computed(self, now: float) -> None:
        """User code has computed, unless it was held up."""
        if now < self._busy_until:
            self.machine.at(self._busy_until, self._computed)
            return
        self.clock = now
        self._looks_at = None
        job, self._job = self._job, None
        assert job is not None
        self._resume(job)

    # ------------------------------------------------------------ the hub

    def _hub_turn(self, now: float) -> None:
        """One turn of `Hub._loop`."""
        self.clock = max(now, self.clock)
        self._leave_idle()
        if self._serve_due():
            return
        moved = self.runtime.step(
            keep=0 if self.only_serves else 1,
            is_low=self.agenda.is_low(self.parked, self._job_seconds),
        )
        task = self.agenda.next_task()
        if not self.notified and task is not None:
            self._job_began = self.clock
            self.clock += self.costs.span
            self._resume(self._work_off(task) if isinstance(task, Span) else self._run(task))
        elif moved or self.notified:
            self.machine.at(self.clock, self._hub_turn)
        else:
            self._idle_since = self.clock
            if self.mailbox:
                raise AssertionError("an idle rank has mail")

    def _leave_idle(self) -> None:
        since = self._idle_since
        if since is not None:
            self._idle_since = None
            self._looks_at = None
            pump = self.machine.pumping
            if self._pump_since + pump.next_after(since - self._pump_since) <= self.clock:
                self._pump_since = _ASLEEP  # it has found the hub in charge, and sleeps

    def _serve_due(self) -> bool:
        """`Hub._serve_next_due`, for as long as it takes to find one who waits still."""
        while self.notified:
            waiter = self.notified.popleft()
            waiter.is_due = False
            if waiter.job is not None:
                job, waiter.job = waiter.job, None
                self.parked -= 1
                self.clock += self.costs.switch
                self._resume(job)
                return True
        return False

    def _resume(self, job: Job) -> None:
        """Go on with a job until it computes, parks or ends."""
        command = next(job, None)
        if isinstance(command, Waiter):
            command.job = job
            self.parked += 1
        elif command is not None:
            self._compute(job, command)
            return
        self._job_seconds = self.clock - self._job_began
        self.machine.at(self.clock, self._hub_turn)

    def _compute(self, job: Job, seconds: float) -> None:
        machine = self.machine
        now = self.clock
        if self._pump_since == _ASLEEP:
            self._pump_since = now
        since = now - self._pump_since
        pumping = machine.pumping
        wakes = pumping.count(since + seconds) - pumping.count(since)
        self._job = job
        self._busy_until = now + seconds + wakes * self.costs.pump
        if now >= machine.warm_up:
            machine.statistics.computed += seconds
        machine.at(self._busy_until, self._computed)
        if self._has_duties:
            self._call_pump(now)

    # ------------------------------------------------------------ user code

    def _program(self) -> Job:
        """The root's program."""
        machine = self.machine
        yield machine.warm_up - self.clock
        for calls in machine.load.maps():
            yield from self._map(calls)
        machine.has_ended = True
        machine.ended_at = self.clock

    def _map(self, calls: range) -> Job:
        """`futures.map`, and taking all its results."""
        self.clock += self.costs.span
        worker = self.worker
        span = Span(self.rank, calls, False, worker.ledger.deliver, function=task_function)
        waiter = Waiter(self)
        span.watcher = waiter
        self.ready[span] = None
        self.runtime.step()
        left = span.count
        while left:
            while span.inbox:
                left -= span.inbox.popleft().length
            if left:
                yield from self._advance(span, waiter)
        worker.queues.forget(span)

    def _advance(self, span: Span, waiter: Waiter) -> Job:
        """`Hub.advance`."""
        window = None if self.only_serves else span.claim()
        if window is not None:
            yield from self._run_window(window)
        elif waiter.is_due:
            waiter.is_due = False
        else:
            yield waiter

    def _run(self, call: Future) -> Job:
        """A single stolen call."""
        assert isinstance(call, StolenCall)
        self.worker.queues.claim(call)
        column = call.parcel[6][0]
        assert not isinstance(column, Sealed)  # but a number
        yield from self._call(column[0])
        call.run()

    def _call(self, number: int) -> Job:
        """The user's function."""
        load = self.machine.load
        self.machine.times_run[number] += 1
        yield load.seconds(number)
        children = load.children(number)
        if children:
            yield from self._map(children)

    def _work_off(self, span: Span) -> Job:
        """`Hub._work_off`."""
        span.open(self.worker.functions)
        while (window := span.claim()) is not None:
            yield from self._run_window(window)
            if self.notified:
                break
        if not span.unclaimed:
            self.worker.queues.forget(span)

    def _run_window(self, window: Window) -> Job:
        """`Hub._run_window`, with `Window.run` call by call."""
        runtime = self.runtime
        span = window.span
        if len(self.ready) <= 1 and not span.has_bulk:
            self._ask_ahead()
        self.clock += self.costs.window
        window.reported_at = started = self.clock
        runtime.take_in_hand(span, started)
        runtime.windows[window] = None
        while window.pending:
            yield from self._call(window.pending.popleft())
            window.values.append(None)
        del runtime.windows[window]
        span.retire(window)
        span.resize_window(self.clock - started, len(window.values))
        runtime.step_if_due(self.clock)

    def _ask_ahead(self) -> None:
        worker = self.worker
        if worker.size > 1 and not worker.reports.has_asked and self.parked < MOST_SUSPENDED:
            self.runtime.step(keep=1, is_low=True)
