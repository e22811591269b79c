"""Whole jobs in one process: N ranks on the in-memory fabric, under a test's control.

Each rank is a greenlet with the real runtime, hub and state machines; only MPI, the clock, the
pump thread and the pauses are stood in for. A scheduler switches between ranks wherever a rank
looks for messages, pauses or computes (`compute`), in an order that the seed decides,
and plays the pump of ranks that compute. Time is virtual: it jumps when nobody has anything to do.
If nothing can move any more, `Deadlock` is raised at once, with the state of each rank.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

from benchmarks.cluster import FunctionProgram
from scoop_mpi import current
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import STEP_INTERVAL
from scoop_mpi.job.program import Program
from scoop_mpi.job.rank import Rank
from scoop_mpi.transport.fabric import Endpoint, Fabric
from scoop_mpi.transport.frames import Frames
from scoop_mpi.wire.messages import ConstantsPlaced, ConstantsPublished

_SWITCH_PROBABILITY = 0.3  # at each look for messages
_PATIENCE = 3  # times that every idle rank may look again before the job counts as dead


_active: list[Simulation] = []


def compute(seconds: float, holds_gil: bool = False) -> None:
    """Make the calling task of the running simulation take `seconds` of virtual time.

    Args:
        seconds: how long.
        holds_gil: whether the rank's pump can do nothing meanwhile.
    """
    _active[-1].compute(seconds, holds_gil)


def is_pump_at_work() -> bool:
    """Say whether what runs now is what the pump of a rank does."""
    return _active[-1].is_pump_at_work


class Deadlock(AssertionError):
    """Nothing can move any more."""


class Simulation:
    """A job of `size` ranks.

    Args:
        size: the number of ranks.
        seed: decides all that is left to chance.
        ranks_per_node: of how many ranks a node consists.
        memory_failures: how likely it is that a rank can't place or map a large constant.
    """

    def __init__(
        self, size: int, seed: int, ranks_per_node: int = 1, memory_failures: float = 0.0
    ) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.fabric = Fabric(size, self.rng, ranks_per_node)
        self.memory_failures = memory_failures
        self._scheduler = getcurrent()
        self._ranks: list[_SimulatedRank] = []
        self._running: _SimulatedRank | None = None
        self._value: Any = None
        self.steps = 0
        self.is_pump_at_work = False

    def run(self, program: Callable[[], Any]) -> Any:
        """Run `program` on the root until all ranks have ended; return what it returned.

        Raises:
            Deadlock: the job can't end.
            BaseException: what `program` raised.
        """
        failure: list[BaseException] = []

        def call() -> None:
            try:
                self._value = program()
            except BaseException as error:
                failure.append(error)

        self._ranks = [
            _SimulatedRank(self, endpoint, FunctionProgram.of(call))
            for endpoint in self.fabric.endpoints
        ]
        before = current.hub
        _active.append(self)
        try:
            self._schedule()
        finally:
            _active.pop()
            current.hub = before
        if failure:
            raise failure[0]
        self.check_invariants()
        return self._value

    @property
    def most_bytes_pending(self) -> int:
        """The most bytes that any rank has had waiting to be sent when it began to compute."""
        return max(rank.most_bytes_pending for rank in self._ranks)

    def compute(self, seconds: float, holds_gil: bool) -> None:
        """See the function `compute`."""
        rank = self._current_rank()
        rank.busy_until = self.now + seconds
        rank.most_bytes_pending = max(rank.most_bytes_pending, rank.endpoint.bytes_pending)
        rank.holds_gil = holds_gil
        rank.awaits_pump = True
        self._leave(rank)

    def check_invariants(self) -> None:
        """Check that nothing is left anywhere once the job has ended."""
        assert self.fabric.is_empty
        for rank in self._ranks:
            worker = rank.job.hub.runtime.worker
            assert rank.greenlet.dead, rank
            assert not worker.reports.outbox, rank
            assert not worker.queues.ready, rank
            assert not rank.job.hub.running, rank

    # ------------------------------------------------------------ the scheduler

    def _schedule(self) -> None:
        patience = _PATIENCE
        while True:
            living = [rank for rank in self._ranks if not rank.greenlet.dead]
            if not living:
                return
            for rank in living:
                if rank.is_computing and self.rng.random() < 0.3:
                    self._pump(rank)
            runnable = [rank for rank in living if rank.is_runnable]
            if runnable:
                patience = _PATIENCE
                self._enter(self.rng.choice(runnable))
                continue
            moved = [self._pump(rank) for rank in living if rank.is_computing]
            if any(moved):
                continue
            wakes_at = min(min(rank.wakes_at, rank.pumped_at) for rank in living)
            if wakes_at < math.inf:
                self.now = max(self.now, wakes_at)
                continue
            patience -= 1
            if not patience:
                raise Deadlock("\n".join(map(repr, living)))
            for rank in living:
                self._enter(rank)

    def _enter(self, rank: _SimulatedRank) -> None:
        self._running = rank
        rank.is_idle = False
        rank.wakes_at = math.inf
        current.hub = rank.job.hub
        self.steps += 1
        rank.place.switch()
        self._running = None

    def _pump(self, rank: _SimulatedRank) -> bool:
        if rank.holds_gil:
            return False
        current.hub = rank.job.hub
        self._running = rank
        self.is_pump_at_work = True
        try:
            return rank.pump()
        finally:
            self._running = None
            self.is_pump_at_work = False

    def _leave(self, rank: _SimulatedRank) -> None:
        rank.place = getcurrent()
        self._scheduler.switch()

    def _current_rank(self) -> _SimulatedRank:
        assert self._running is not None
        return self._running

    def maybe_switch(self) -> None:
        """Go on with another rank, perhaps. Called wherever a rank looks for messages."""
        if getcurrent() is not self._scheduler and self.rng.random() < _SWITCH_PROBABILITY:
            self._leave(self._current_rank())


class _SimulatedRank:
    """One rank: also its `Idle`."""

    def __init__(self, simulation: Simulation, endpoint: Endpoint, program: Program) -> None:
        self._simulation = simulation
        self.endpoint = endpoint
        self.looks = 1
        self.is_idle = False
        self.wakes_at = math.inf
        self.busy_until = -math.inf
        self.holds_gil = False
        self.awaits_pump = False  # which has not had its turn since the rank began to compute
        self.most_bytes_pending = 0
        self.status: int | None = None
        self._program = program
        self.job: Rank = self._make()

    def _make(self) -> Rank:
        made: list[Rank] = []

        def make() -> None:  # in the rank's own greenlet, which becomes its hub's main one
            made.append(
                Rank(
                    self._program,
                    _Transport(self.endpoint, self._simulation),
                    self,
                    lambda: self._simulation.now,
                    logging.getLogger("scoop_mpi"),
                )
            )
            runtime = made[0].hub.runtime
            runtime.memory = _Memory(self._simulation)
            runtime.after_message = runtime.check
            getcurrent().parent.switch()
            self.status = made[0].run()

        self.greenlet = self.place = greenlet(make)
        self.greenlet.switch()
        return made[0]

    @property
    def pumped_at(self) -> float:
        """When the pump has something to do again, if it has had its turn a moment ago."""
        if not self.is_computing or self.holds_gil:
            return math.inf
        if not (self.awaits_pump or self.endpoint.has_mail) or self._is_step_due:
            return math.inf
        return self.job.hub.runtime.last_step + 2 * STEP_INTERVAL

    @property
    def _is_step_due(self) -> bool:
        return self.job.hub.runtime.is_step_due(self._simulation.now)

    def pump(self) -> bool:
        """Do what the pump does while this rank computes."""
        self.awaits_pump = self.awaits_pump and not self._is_step_due
        return self.job.duties()

    @property
    def is_computing(self) -> bool:
        return self.busy_until > self._simulation.now

    @property
    def is_runnable(self) -> bool:
        if self.is_computing:
            self.wakes_at = self.busy_until
            return False
        if not self.is_idle:
            return True
        has_letters = bool(self.job.hub.runtime._letters)  # as a real pause ends before long
        return self.endpoint.has_mail or has_letters or self.wakes_at <= self._simulation.now

    def reset(self) -> None:
        """See `scoop_mpi.engine.hub.Idle`."""

    def pause(self, limit: float | None) -> None:
        """See `scoop_mpi.engine.hub.Idle`."""
        self.is_idle = True
        if limit is not None:
            # A pause of no length must take some time, or time would stand still in a loop.
            self.wakes_at = self._simulation.now + max(limit, 1e-6)
        self._simulation._leave(self)

    def __repr__(self) -> str:
        worker = self.job.hub.runtime.worker
        broker = self.job.hub.runtime.broker
        return (
            f"{worker!r}, parked {len(self.job.hub._parked)}, ready {list(worker.queues.ready)}, "
            f"given {worker.ledger.given}, "
            f"computing {self.is_computing}, idle {self.is_idle}"
            + (f", offering {broker.offering}, hungry {broker.hungry}" if broker else "")
        )


class _Memory(NodeMemory):
    """Memory that may fail. It is real: all ranks are in one process, and map from themselves."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(logging.getLogger("scoop_mpi"))
        self._simulation = simulation

    def place(self, message: ConstantsPublished) -> ConstantsPlaced | None:
        return None if self._fails() else super().place(message)

    def open(self, placed: ConstantsPlaced) -> ConstantsPublished:
        if self._fails():
            raise OSError("simulated")
        return super().open(placed)

    def _fails(self) -> bool:
        return self._simulation.rng.random() < self._simulation.memory_failures


class _Transport:
    """An endpoint whose every look for messages may lead to another rank."""

    is_thread_safe = True

    def __init__(self, endpoint: Endpoint, simulation: Simulation) -> None:
        self.rank = endpoint.rank
        self.size = endpoint.size
        self.leaders = endpoint.leaders
        self.host = f"host{endpoint.rank}"
        self._endpoint = endpoint
        self._simulation = simulation

    def send(self, destination: int, frames: Frames) -> None:
        self._endpoint.send(destination, frames)

    def receive(self) -> tuple[int, Frames] | None:
        self._simulation.maybe_switch()
        return self._endpoint.receive()

    @property
    def is_sending(self) -> bool:
        return self._endpoint.is_sending

    @property
    def is_receiving(self) -> bool:
        return self._endpoint.is_receiving

    @property
    def bytes_pending(self) -> int:
        return self._endpoint.bytes_pending

    def progress(self) -> None:
        self._endpoint.progress()

    def abort(self, status: int) -> None:
        raise AssertionError(f"rank {self.rank} aborted the job with status {status}")
