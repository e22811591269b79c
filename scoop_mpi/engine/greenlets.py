"""Greenlets: who runs, who is suspended, and until when; the only file that imports greenlet.

Every rank has its *main* greenlet, in which the user's program runs, the hub's beside it, and the
*job* greenlets, in which the hub starts tasks. They all belong to the main thread.

Responsible for switching between them; must not know what is worth doing next (see `hub`).
"""

from __future__ import annotations

import heapq
import itertools
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from threading import get_ident

from greenlet import getcurrent, greenlet

from scoop_mpi.current import HotPath, RankInfo
from scoop_mpi.engine import event_loops
from scoop_mpi.engine.pump import Pump
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.waiting import WAITING_WHILE_PICKLING, WaitingThreads
from scoop_mpi.errors import BY_SIGNAL, CancelledError
from scoop_mpi.tasks.span import Task

Job = Callable[[], object]


class Greenlets(HotPath):
    """The greenlets of one rank; made in the one that becomes the main one.

    A subclass is the hub: `_loop` is its code, which the hub's greenlet runs.

    Args:
        runtime: this rank's state and messages.
        levels: the depth limit of a stack on which nothing runs yet.

    Attributes:
        runtime: see above.
        pump: what does the rank's duties while the hub isn't in charge, if anything does.
        is_in_charge: whether the hub is, rather than user code.
        program_context: the program's context variables, as they were when it last waited.
        running: what has begun on each job greenlet, and not ended.
        waiting_threads: the waiters of the program's other threads.
    """

    # In slots, as the hot path's: Python shares the keys of instances with fewer than 30 attributes
    # only, and gets at others more slowly.
    __slots__ = (
        "_busy_at",
        "_deadlines",
        "_for_main",
        "_hub",
        "_is_task_running",
        "_job_seconds",
        "_levels",
        "_main",
        "_notified",
        "_parked",
        "_pool",
        "_program_has_ended",
        "_sequence",
        "is_in_charge",
        "jobs_begun",
        "program_context",
        "pump",
        "queue",
        "running",
        "runtime",
        "waiting_threads",
    )

    def __init__(self, runtime: Runtime, levels: int) -> None:
        self.runtime = runtime
        self.here = RankInfo(runtime.rank, runtime.transport.host)
        self.thread = get_ident()
        self.is_alone = False
        self.depth = 0
        self.depth_limit = self._levels = levels
        self.pump: Pump | None = None
        self.is_in_charge = False
        self.running: dict[greenlet, Task] = {}
        self.waiting_threads = WaitingThreads()
        self._main = getcurrent()
        self.program_context = copy_context()
        self._pool: list[greenlet] = []  # job greenlets without a job
        self._parked: dict[GreenletWaiter, None] = {}
        self._notified: deque[GreenletWaiter] = deque()
        self._deadlines: list[tuple[float, int, GreenletWaiter]] = []  # a heap
        self._sequence = itertools.count()
        self._for_main: BaseException | None = None  # what is to be raised there
        self._program_has_ended = False
        self._is_task_running = False  # or else the user's program, while the hub isn't in charge
        self.jobs_begun = 0
        self._busy_at = 0.0  # when a task has last run here
        self._job_seconds = math.inf  # about how long the last job took until it ended, or waited

    @abstractmethod
    def _loop(self) -> None:
        """Decide what comes next, for ever."""

    @property
    @abstractmethod
    def serves_event_loop(self) -> bool:
        """Whether the main thread runs an event loop, in which somebody awaits a future."""

    @property
    @abstractmethod
    def is_in_task(self) -> bool:
        """Whether the calling thread is within a task, rather than in the program's own lines."""

    @abstractmethod
    def _send_values(self) -> None:
        """Send what calls of other ranks have returned."""

    def _start_hub(self) -> None:
        """Start the hub's greenlet, at once: where a greenlet starts, so deep its stack begins."""
        self._pool.clear()
        self._hub = greenlet(self._loop, self._main)
        self._hub.switch()

    def park(
        self, waiter: GreenletWaiter, deadline: float | None, *, is_users: bool = True
    ) -> None:
        """Suspend the current greenlet until `waiter` is notified or `deadline` is over.

        Args:
            waiter: who waits.
            deadline: when to go on all the same, by the runtime's clock; None: never.
            is_users: whether it is the user's code that waits, and not the end of the job.

        Raises:
            CancelledError: the program has ended, and nothing that the user's code could wait for
                is to come.
        """
        if self.runtime.is_stepping_here:
            raise RuntimeError(WAITING_WHILE_PICKLING)
        depth, limit = self.depth, self.depth_limit
        waiter.greenlet = getcurrent()
        if waiter.greenlet is self._main:
            self.program_context = copy_context()
        self._parked[waiter] = None
        if is_users and self.runtime.is_stopping:  # only now: `cancel_parked` goes by who is there
            del self._parked[waiter]
            raise CancelledError(self.runtime.ended)
        if deadline is not None:
            self._set_deadline(waiter, deadline)
        if self._hub.dead:  # of an error of ours, which the main greenlet got
            self._start_hub()
        loop = event_loops.take_away()
        try:
            self._hub.switch()
        finally:
            event_loops.put_back(loop)
            self._parked.pop(waiter, None)
            self.depth, self.depth_limit = depth, limit
        if waiter.error is not None:
            error, waiter.error = waiter.error, None
            raise error

    def cancel_parked(self) -> None:
        """The program has ended: nobody who waits will get what they wait for. Any thread may."""
        for waiter in list(self._parked):
            waiter.is_cancelled = True
            self._notified.append(waiter)
        self.waiting_threads.notify_all()

    def place(self) -> object:
        """Return the stack that the main thread is on."""
        return getcurrent()

    def raise_at(self, place: object, error: BaseException) -> bool:
        """Have an error raised in who waits on a stack; say whether anybody does.

        For the main thread.
        """
        for waiter in self._parked:
            if waiter.greenlet is place:
                waiter.error = error
                waiter.notify()
                return True
        return False

    @property
    def is_at_rest(self) -> bool:
        """Whether no task has begun and not ended."""
        return not self.running and not self._notified

    def interrupt(self, make_error: Callable[[], BaseException]) -> None:
        """Have the error of a signal raised in the user's program. For the signal's handler."""
        if getcurrent() is not self._main:
            self.raise_in_main(make_error())
            if self.is_in_charge:
                return
        # In the main greenlet, or first in the task that runs, which ends with it.
        raise make_error()

    def raise_in_main(self, error: BaseException) -> None:
        """Have `error` raised in the user's program when it waits, or at once if it does."""
        self._for_main = error

    # ------------------------------------------------------------ for the hub

    def _start(self, job: Job, task: Task) -> None:
        """Have a job greenlet run `job`, which is for `task`, until that ends or waits."""
        place = self._pool.pop() if self._pool else self._new_place()
        place.gr_context = self.program_context.copy()
        self.running[place] = task
        self.depth, self.depth_limit = 0, self._levels
        self.jobs_begun += 1
        started = self.runtime.last_step  # a moment ago
        self._switch(place, job)
        self._busy_at = self.runtime.clock()
        self._job_seconds = self._busy_at - started

    def _new_place(self) -> greenlet:
        """Return a greenlet that waits for its first job.

        It is not started with the job: greenlet would hold on to that as long as it lives.
        """
        place = greenlet(self._run_jobs, self._hub)
        place.switch()
        return place

    def _run_jobs(self) -> None:
        """The code of a job greenlet: runs one job after the other."""
        current = getcurrent()
        returned = self.runtime.worker.reports.returned
        while True:
            job = self._hub.switch()
            try:
                job()
            except BY_SIGNAL:
                pass  # `interrupt` has had it raised in the program, too
            except BaseException as error:
                # What the handler of a signal has raised between two calls; or a fault of ours.
                if self._program_has_ended:
                    raise
                self.raise_in_main(error)
            del self.running[current], job  # and what they have held: this place may wait for long
            if returned:
                self._send_values()  # before all else: somebody waits for them
            self._pool.append(current)

    def _switch(
        self, place: greenlet, job: Job | None = None, *, error: BaseException | None = None
    ) -> None:
        """Leave the charge to user code, until it parks or ends.

        Args:
            place: the greenlet.
            job: what a pooled greenlet is to run.
            error: what to raise there.
        """
        self._is_task_running = place is not self._main
        self.is_in_charge = False
        pump = self.pump
        if pump is not None and pump.is_asleep:
            pump.wake()
        if error is None:
            place.switch(job)
        else:
            place.throw(error)
        self.is_in_charge = True

    def _set_deadline(self, waiter: GreenletWaiter, deadline: float) -> None:
        if len(self._deadlines) > 2 * len(self._parked) + 64:  # most are of waits long over
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self._parked]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, next(self._sequence), waiter))

    def _expire_deadlines(self) -> None:
        now = self.runtime.clock() if self._deadlines else 0.0
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, waiter = heapq.heappop(self._deadlines)
            if waiter in self._parked:
                waiter.is_expired = True
                self._notified.append(waiter)

    def _ready_by(self) -> float | None:
        """Return when the first of those who wait here with a time limit is to go on."""
        while self._deadlines and self._deadlines[0][2] not in self._parked:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None


class GreenletWaiter:
    """Waits by parking. Made and used in the main thread; `notify` may come from any."""

    __slots__ = ("_greenlets", "error", "greenlet", "is_cancelled", "is_due", "is_expired")

    def __init__(self, greenlets: Greenlets) -> None:
        self._greenlets = greenlets
        self.greenlet = getcurrent()
        self.is_due = False
        self.is_cancelled = False
        self.is_expired = False
        self.error: BaseException | None = None  # to be raised where this waits

    def notify(self) -> None:
        """See `Waiter`."""
        if not self.is_due:
            self.is_due = True
            self._greenlets._notified.append(self)

    def wait(self, deadline: float | None) -> bool:
        """See `Waiter`."""
        if self.is_due:
            self.is_due = False
            return True
        self.is_expired = False
        self._greenlets.park(self, deadline)
        if self.is_cancelled:
            raise CancelledError(self._greenlets.runtime.ended)
        return not self.is_expired
