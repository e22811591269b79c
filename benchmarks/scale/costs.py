"""What each step of a rank takes, in seconds of its processor: the simulation's parameters.

The defaults of `Costs` are more than what `measure` found for the real code; see docs/scale.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.state.broker import Broker
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.span import Span
from scoop_mpi.transport.protocol import Messenger
from scoop_mpi.wire import messages
from scoop_mpi.wire.columns import Batch, seal_calls
from scoop_mpi.wire.messages import (
    Call,
    Message,
    Parcel,
    Results,
    Returned,
    Steal,
    StealFailed,
    Work,
    WorkOffered,
    WorkWanted,
)
from scoop_mpi.wire.serializer import FunctionCodec, Payload

Kind = type[Message]


def task(number: int) -> None:
    """Stand for the user's function: what it takes, and what it starts, is simulated."""


@dataclass(frozen=True)
class Costs:
    """The parameters of a simulated machine. All times are in seconds.

    Attributes:
        send: by kind of message: to decide on it, encode it and start to send it.
        receive: by kind of message: to receive, decode and handle it.
        byte: the same, for each byte of a message, at either end.
        step: a `Runtime.step` in which nothing moves.
        window: to claim, start and retire a window of a span.
        span: to open or submit a span, and start the job or the wait that works it off.
        switch: to resume a task that has waited.
        pump: a wake-up of the pump's thread, beyond the step that it makes.
        gil_wait: how long the pump waits for user code to let go of Python's lock. The default is
            the interpreter's switch interval, for tasks of pure Python; with tasks that leave
            the lock, as numpy's calls do, it is nearly 0.
        timer_slack: how much longer the system sleeps than it was asked to.
        latency: of the network, for a message of no length.
        bandwidth: of the network, in bytes per second.
    """

    send: dict[Kind, float] = field(
        default_factory=lambda: {
            WorkWanted: 1.0e-6,
            WorkOffered: 1.0e-6,
            Steal: 4e-6,
            StealFailed: 1.5e-6,
            Work: 12e-6,
            Call: 12e-6,
            Results: 6e-6,
            Returned: 6e-6,
        }
    )
    receive: dict[Kind, float] = field(
        default_factory=lambda: {
            WorkWanted: 2.5e-6,
            WorkOffered: 2.5e-6,
            StealFailed: 2.5e-6,
            Steal: 2.5e-6,
            Work: 12e-6,
            Call: 12e-6,
            Results: 4e-6,
            Returned: 4e-6,
        }
    )
    byte: float = 4e-9
    step: float = 1e-6
    window: float = 6e-6
    span: float = 10e-6
    switch: float = 1e-6
    pump: float = 10e-6
    gil_wait: float = 5e-3
    timer_slack: float = 75e-6
    latency: float = 2e-6
    bandwidth: float = 10e9

    def slowed(self, factor: float) -> Costs:
        """Return the costs of a machine whose processors take `factor` times as long."""
        return replace(
            self,
            send={kind: factor * seconds for kind, seconds in self.send.items()},
            receive={kind: factor * seconds for kind, seconds in self.receive.items()},
            byte=factor * self.byte,
            step=factor * self.step,
            window=factor * self.window,
            span=factor * self.span,
            switch=factor * self.switch,
            pump=factor * self.pump,
        )


# ---------------------------------------------------------------- measuring


def measure() -> dict[str, float]:
    """Measure the real code on this machine, over MPI from a process to itself.

    Returns:
        Seconds by what they are spent on. The network is not measured.
    """
    from scoop_mpi.transport.mpi import MPITransport  # initialises MPI

    transport = MPITransport()
    runtime = Runtime(transport, time.perf_counter, print, NodeMemory(logging.getLogger(__name__)))
    found = {"step": _seconds(runtime.step)}
    for name, message in _samples().items():
        found[f"send {name}"], found[f"receive {name}"] = _seconds_to_pass(transport, message)
    found |= _measure_handling()
    found["timer slack"] = _seconds(lambda: time.sleep(1e-3), 20) - 1e-3
    return found


def _samples() -> dict[str, Message]:
    parcel: Parcel = (0, 1, 0, _codec_payload(), None, *Batch(20, (range(20),), star=False))
    return {
        "WorkWanted": WorkWanted(),
        "WorkOffered": WorkOffered(),
        "StealFailed": StealFailed((1,)),
        "Steal": Steal((1,)),
        "Steal of 32": Steal(tuple(range(32))),
        "Work": Work(0, [parcel]),
        "Results": Results(0, [(1, 0, 1, [1.0], {})]),
    }


def _codec_payload() -> Payload:
    return FunctionCodec().seal(task)


def _measure_handling() -> dict[str, float]:
    """Measure what the state machines take for what the messages say."""
    broker = Broker(4)

    def broker_cycle() -> None:
        broker.handle(1, WorkOffered())
        broker.handle(2, WorkWanted())
        broker.match()
        broker.handle(1, StealFailed((2,)))

    payload = _codec_payload()
    victim, thief = _worker(1), _worker(2)
    size = 1 << 40  # enough for all thefts to come, each of a call
    span = Span(1, range(size), False, victim.ledger.deliver, function=task)
    victim.queues.ready[span] = None

    def theft() -> None:
        start, calls = span.give(2) or (0, [])
        batch = seal_calls(calls, star=False)
        parcel: Parcel = (1, 1, start, payload, None, *batch)
        thief.handle(1, Work(0, [parcel]), 1)
        stolen = thief.queues.ready.popitem()[0]
        assert isinstance(stolen, Span)
        stolen.open(thief.functions)
        window = stolen.claim()
        assert window is not None
        window.run()
        stolen.retire(window)
        thief.reports.take(is_low=False)

    return {"broker, 3 messages and a match": _seconds(broker_cycle), "theft": _seconds(theft)}


def _worker(rank: int) -> Worker:
    worker = Worker(rank, 4, "host", lambda: 0)
    worker.open_queues()
    return worker


def _seconds(action: Callable[[], object], repetitions: int = 2000, trials: int = 20) -> float:
    """Return what one of many `repetitions` takes, in the best of some trials."""
    best = float("inf")
    for _ in range(trials):
        started = time.perf_counter()
        for _ in range(repetitions):
            action()
        best = min(best, time.perf_counter() - started)
    return best / repetitions


def _seconds_to_pass(transport: Messenger, message: Message) -> tuple[float, float]:
    """Return what it takes to encode and send a message, and to receive and decode it."""
    count, trials = 200, 50
    best_send = best_receive = float("inf")
    for _ in range(trials):
        started = time.perf_counter()
        for _ in range(count):
            transport.send(transport.rank, messages.encode(message))
        sent = time.perf_counter()
        for _ in range(count):
            while (received := transport.receive()) is None:
                pass
            messages.decode(received[1])
        best_receive = min(best_receive, time.perf_counter() - sent)
        best_send = min(best_send, sent - started)
        transport.progress()
    return best_send / count, best_receive / count
