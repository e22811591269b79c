"""The hub: decides what a rank does next.

Every rank has one hub. It is a greenlet of the main thread beside the *main* greenlet, in which
the user's program runs (on a worker: the wait for the job's end), and the *job* greenlets, in
which it starts tasks. Whoever has to wait for something that nobody can do on its own stack
parks, that is, switches to the hub, which

    1. resumes who has been notified,           4. expires deadlines,
    2. runs callbacks and urgent futures,       5. starts the newest ready task on a job greenlet,
    3. does the rank's duties (`Runtime.step`), 6. or pauses, if there is nothing to do.

       main ----- result() ---> hub ----> job greenlet 1: a task ---- result() ---> hub ...
         ^                      | ^                        (runs a waiting future inline instead,
         '---- it is done ------' '---- the task ended ----  as long as its stack is not too deep)

A stack thus only ever holds a chain of tasks, each waiting for the one above it. Unrelated work
starts from the hub alone, on a stack of its own, so nothing that is done can be buried under
something that is not.

The program's other threads don't park: they run waiting futures of their own inline, one thread at
a time (see `turns`), and otherwise sleep until notified. The hub never
starts what they submitted: a task that has begun on a greenlet can go on in the main thread only,
and that may be waiting for the very thread (``join``).
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from threading import get_ident
from typing import Protocol

from scoop_mpi import event_loops
from scoop_mpi.errors import CancelledError, Interrupt, TimeoutError
from scoop_mpi.future import Future, check_timeout
from scoop_mpi.greenlets import Greenlets, GreenletWaiter
from scoop_mpi.policy import MOST_SUSPENDED
from scoop_mpi.runtime import Runtime
from scoop_mpi.span import Span, Task, Window
from scoop_mpi.turns import Turns
from scoop_mpi.waiting import ThreadWaiter, Waiter
from scoop_mpi.worker_state import ImportGuard

# A call with a time limit can't be interrupted once this rank has begun it. So others get this
# many seconds to take it first (at most half of the limit). If they had no time, they are not asked
# again for a while.
_GRACE = 0.1
_GRACE_HOLIDAY = 0.5
# A time limit of so many seconds, or infinitely many, is none. Threads can't wait for longer.
_CENTURIES = threading.TIMEOUT_MAX / 2
# Seconds in which nothing has moved, after which a future that is polled runs where it is polled.
_POLLING_PATIENCE = 1.0
# Seconds within which a task ends for which it isn't worth while to ask ahead.
_BRISK = 20e-6
# Bytes of results and arguments that may wait to be sent while new tasks are begun.
MOST_BYTES_PENDING = 64 << 20
# Tasks that may lie upon each other on a stack before it is looked at how deep it is: then each of
# them may use 30 frames of its own, at the default recursion limit of 1,000. With fewer, a tree of
# tasks would have more of its tasks at a level where it is looked, which takes longer than a task.
_LEVELS = 24


class Idle(Protocol):
    """What to do while there is nothing to do: `idle.Backoff`, or a test's own."""

    looks: int  # how many times in a row to look for a message

    def reset(self) -> None: ...

    def pause(self, limit: float | None) -> None: ...


class Doorbell(dict[Task, None]):
    """Stands before the queue of tasks, and rings when the program puts one in or takes one out.

    So the hot path need not ask each time whether somebody wants something of it.

    Args:
        queue: the tasks of the main thread.
        ring: called before a task is taken out, and after one was put in.
    """

    def __init__(self, queue: dict[Task, None], ring: Callable[[], None]) -> None:
        super().__init__()
        self._queue = queue
        self._ring = ring

    def __setitem__(self, task: Task, value: None) -> None:
        self._queue[task] = value
        self._ring()

    def __delitem__(self, task: Task) -> None:
        self._ring()
        del self._queue[task]


class Hub(Greenlets):
    """The hub of one rank; made in the greenlet that becomes the main one.

    Args:
        runtime: this rank's state and messages.
        idle: how to pause.
        logger: where failures of callbacks go.
    """

    def __init__(self, runtime: Runtime, idle: Idle, logger: logging.Logger) -> None:
        self._runs_tasks = runtime.worker.runs_tasks
        # No levels: results are waited for in `join`.
        super().__init__(runtime, _LEVELS if self._runs_tasks else 0)
        self.logger = logger
        self.queue = self.ready = runtime.worker.ready
        self.elsewhere = runtime.worker.elsewhere
        self.turns = Turns(runtime.clock)  # of the program's other threads
        self.watch_lock = threading.Lock()  # of the lists of watchers of all futures
        self.callbacks_due: deque[Future] = deque()
        self.is_debug = False
        self._idle = idle
        self._urgent: deque[Future] = deque()
        self._program_has_ended = False
        self._is_over: Callable[[], bool] | None = None
        self._polling_since: float | None = None
        self._yielding: list[GreenletWaiter] = []  # who polls, and lets a task run
        self._asked_ahead_in = 0  # the number of the job, for work to follow it
        self._no_grace_before = 0.0
        runtime.ask_program = self.ask_program
        runtime.on_stop = self._stop
        self._start_hub()

    def open_queues(self) -> None:
        """Let tasks be submitted."""
        worker = self.runtime.worker
        worker.open_queues()
        self.queue = self.ready = worker.ready
        self.elsewhere = worker.elsewhere

    def _stop(self) -> None:
        """The program has ended: nothing more can be submitted, or waited for. Any thread may."""
        worker = self.runtime.worker
        self.queue = self.ready = worker.ready
        self.elsewhere = worker.elsewhere
        self.cancel_parked()

    def forget_all(self) -> None:
        """Forget who is due: in a forked child, where nobody else is to go on."""
        for due in (self._notified, self.callbacks_due, self._urgent):
            due.clear()
        self._for_main = self._is_over = None

    # ------------------------------------------------------------ submitting and claiming

    def enqueue(self, task: Task) -> None:
        """Put a task into the queue of the calling thread."""
        if get_ident() == self.thread:
            self.queue[task] = None
            return
        worker = self.runtime.worker
        if isinstance(task, Future):
            worker.seal_elsewhere(task)
        worker.put_elsewhere(task)

    def ask_program(self) -> None:
        """Have the program do the rank's duties when it next submits a task or asks for a result.

        For the pump, which has been asked for tasks that only the program's thread can seal.
        """
        self.ready = Doorbell(self.queue, self.answer_pump)

    def answer_pump(self) -> None:
        """Do the rank's duties if the pump has asked for it and this is the program's thread."""
        if self.ready is not self.queue and get_ident() == self.thread:
            self.ready = self.queue
            self.runtime.step()

    def adopt(self, task: Task) -> None:
        """Put a task that another thread has submitted, and this one waits for, into its queue."""
        others = self.elsewhere if get_ident() == self.thread else self.queue
        if others.pop(task, self) is None:
            self.enqueue(task)

    def is_waiting(self, future: Future) -> bool:
        """Say whether nobody has begun this future."""
        return self.runtime.worker.is_waiting(future)

    def claim(self, future: Future) -> bool:
        """Take a waiting future out of the queues; False if somebody else was faster."""
        return self.runtime.worker.claim(future)

    # ------------------------------------------------------------ waiting

    def waiter(self, former: Waiter | None = None) -> Waiter:
        """Return a waiter for the calling thread: `former`, if it is, or else a new one.

        Raises:
            CancelledError: the program has ended. So hears also an object's ``__del__`` that runs
                while Python shuts down, when greenlets can't be had any more.
        """
        runtime = self.runtime
        if runtime.is_stopping and not isinstance(runtime.worker.ready, ImportGuard):
            raise CancelledError(runtime.ended)  # that one says better what is wrong
        kind = GreenletWaiter if get_ident() == self.thread else ThreadWaiter
        return former if isinstance(former, kind) else kind(self)

    def join(self, future: Future, timeout: float | None) -> None:
        """Return once `future` is done, running it here if nobody else does.

        Raises:
            TimeoutError: it was not done within `timeout` seconds.
            ValueError: `timeout` is not a number.
        """
        deadline = self.deadline(timeout)
        if self.callbacks_due:
            self.run_due_callbacks()
        self.answer_pump()
        if deadline is not None:
            self.leave_to_others([future], deadline)
        if self.run_here(future):
            self.check(deadline)
            return
        waiter = self.waiter()
        future.watch(waiter, self)
        try:
            while not future.is_done:
                if not waiter.wait(deadline) and not future.is_done:
                    if timeout is None or timeout <= 0:
                        raise TimeoutError(f"{future!r} at once")
                    raise TimeoutError(f"{future!r} within {timeout} s")
                if isinstance(waiter, ThreadWaiter):
                    self.run_here(future)
        finally:
            future.unwatch(waiter)

    def poll(self, future: Future) -> None:
        """Do what brings `future` nearer to its end without waiting for it."""
        runtime = self.runtime
        moved = runtime.step()
        if self._notified and not self._is_elsewhere_thread():
            self._give_way()  # to one who may poll as well, and so is no sign of progress
        if self.callbacks_due:
            self.run_due_callbacks()
        if moved or self._polling_since is None:
            self._polling_since = runtime.last_step
        if runtime.size == 1 or runtime.last_step - self._polling_since > _POLLING_PATIENCE:
            is_done = self.run_here(future)
            if not is_done and self.queue and not self._is_elsewhere_thread():
                self._let_task_run()
        if not self.queue and not self.elsewhere:
            self._polling_since = None  # a future to come gets its own time

    def run_here(self, future: Future) -> bool:
        """Run `future` on this stack if it is waiting, and return whether it is done.

        On a stack that is too deep the hub runs it, before all else, while the caller waits.
        A rank that only serves leaves it to the others.
        """
        if not self._runs_tasks:
            return future.is_done
        if self._is_elsewhere_thread():
            return self._run_in_thread(future)
        if not self.claim(future):
            return future.is_done
        if self._is_stack_deep():
            self._urgent.append(future)
            return False
        self._run_on_this_stack(future.run)
        if isinstance(future.failure, Interrupt):
            raise future.failure  # Ctrl-C is for the program, not for the task that it met
        return True

    def _run_in_thread(self, future: Future) -> bool:
        """Run `future` in this thread, if it's its turn and no other rank takes it."""
        if not self.is_waiting(future) or not self._may_begin_in_thread():
            return future.is_done
        try:
            if not self.claim(future):
                return future.is_done
            future.run()
        finally:
            self._end_in_thread()
        return True

    def _may_begin_in_thread(self) -> bool:
        """Say whether this thread is to make a call itself; then it must leave its turn."""
        if self.runtime.size == 1 or self.turns.is_mine():
            return self.turns.enter(at_once=True)
        if self.turns.should_offer():
            self.runtime.step()
        if self.turns.enter():
            return True
        self.runtime.step()  # who has nothing to do gets it, without waiting for the pump
        return False

    def _end_in_thread(self) -> None:
        """This thread has made the call."""
        self.turns.leave()
        if not self.turns.is_mine():
            self.runtime.step_if_due(self.runtime.clock())

    def _is_stack_deep(self) -> bool:
        """Say whether the chain of tasks on this stack must go on on another one.

        It must once there are a fifth as many frames as Python's recursion limit allows: calls
        through C code, as in a map, use up more of the limit than they show as frames. Looking
        takes time, so it is done every few levels only.
        """
        if self.depth < self.depth_limit:
            return False
        try:
            sys._getframe(sys.getrecursionlimit() // 5)
        except ValueError:  # there are not so many frames
            return False
        return True

    def _run_on_this_stack(self, run: Callable[[], object]) -> None:
        """Run one task more on this stack.

        Context variables that it sets stay its own, as does an event loop.
        """
        depth, limit = self.depth, self.depth_limit
        self.depth = depth + 1
        if depth >= limit:  # it has been looked at
            self.depth_limit = depth + _LEVELS
        loop = event_loops.take_away()
        try:
            copy_context().run(run)
        finally:
            event_loops.put_back(loop)
            self.depth, self.depth_limit = depth, limit

    def run_due_callbacks(self) -> None:
        """Run the callbacks of futures that were completed by other ranks, on this stack."""
        while self.callbacks_due:
            try:
                future = self.callbacks_due.popleft()
            except IndexError:
                return  # another thread of the program took the last one
            future.run_callbacks()

    def leave_to_others(self, futures: Iterable[Future], deadline: float) -> None:
        """Give other ranks a moment to take futures that are waited for with a time limit."""
        runtime = self.runtime
        now = runtime.clock()
        if runtime.size == 1 or now < self._no_grace_before:
            return
        until = now + min(_GRACE, (deadline - now) / 2)
        self._idle.reset()
        while any(map(self.is_waiting, futures)):
            if now >= until:
                self._no_grace_before = until + _GRACE_HOLIDAY
                return
            if not runtime.step():
                self._idle.pause(until - now)
            now = runtime.clock()

    def deadline(self, timeout: float | None) -> float | None:
        """Return the time at which `timeout` seconds from now are over; None: never.

        Raises:
            ValueError: `timeout` is not a number.
        """
        check_timeout(timeout)
        if timeout is None or timeout > _CENTURIES:
            return None
        return self.runtime.clock() + timeout

    def check(self, deadline: float | None) -> None:
        """Raise TimeoutError if `deadline` is over."""
        if deadline is not None and self.runtime.clock() > deadline:
            raise TimeoutError("the time limit is over")

    # ------------------------------------------------------------ working off spans

    def advance(self, span: Span, waiter: Waiter, deadline: float | None) -> None:
        """Bring a span of this rank's nearer to its end: run some of its calls, or else wait.

        Raises:
            TimeoutError: `deadline` was over.
            CancelledError: the program has ended.
        """
        self.run_due_callbacks()
        self.answer_pump()
        self.check(deadline)
        if self.runtime.is_stopping:
            raise CancelledError(self.runtime.ended)
        if self._runs_tasks and self._run_some_of(span):
            return
        if not waiter.wait(deadline):
            raise TimeoutError("the time limit is over")

    def _run_some_of(self, span: Span) -> bool:
        """Run a window of a span on this stack, if it may; return whether it has."""
        if self._is_elsewhere_thread():
            if not span.unclaimed or not self._may_begin_in_thread():
                return False
            try:
                if (window := span.claim()) is not None:
                    self._run_window(window)
            finally:
                self._end_in_thread()
            return window is not None
        if self._is_stack_deep() or (window := span.claim()) is None:
            return False
        self._run_on_this_stack(partial(self._run_window, window))
        return True

    def _run_window(self, window: Window) -> None:
        runtime = self.runtime
        span = window.span
        if len(self.queue) <= 1 and not span.has_bulk and not self._is_elsewhere_thread():
            self._ask_ahead()
        window.reported_at = started = runtime.clock()
        runtime.windows[window] = None
        try:
            window.run()
        finally:
            del runtime.windows[window]
            span.retire(window)
        ended = runtime.clock()
        span.resize_window(ended - started)
        runtime.step_if_due(ended)

    def _ask_ahead(self) -> None:
        """Ask for more work before the last calls here begin, so that it is there when they end."""
        worker = self.runtime.worker
        if worker.size > 1 and not worker.has_asked and len(self._parked) < MOST_SUSPENDED:
            self.runtime.step(keep=1, is_low=True)

    def _work_off(self, span: Span) -> None:
        """Run the calls of a span until none is left: a job."""
        span.open(self.runtime.worker.functions)
        while (window := span.claim()) is not None:
            self._run_window(window)
            self._expire_deadlines()
            if self._is_somebody_due or self._is_congested or self.runtime.is_stopping:
                break  # to the hub, which comes back to the span when it can
        if not span.unclaimed:
            self.runtime.worker.forget(span)

    # ------------------------------------------------------------ what comes next

    def serve_until(self, is_over: Callable[[], bool]) -> None:
        """Leave the main greenlet to the hub until `is_over`; run whatever comes meanwhile."""
        if is_over():
            return
        self._is_over = is_over
        waiter = GreenletWaiter(self)
        while not is_over():
            self.park(waiter, None, is_users=False)
        self._is_over = None

    def _let_task_run(self) -> None:
        """Let the hub begin a task that is ready here.

        It may be the one that another rank polls for, in a task of its own: if all ranks that could
        run it poll, somebody has to.
        """
        waiter = GreenletWaiter(self)
        self._yielding.append(waiter)
        waiter.wait(None)

    def _give_way(self) -> None:
        """Let those run who have been notified already."""
        waiter = GreenletWaiter(self)
        waiter.notify()
        self.park(waiter, None, is_users=False)

    def end_program(self) -> None:
        """The program has ended: what is to be raised in it comes too late."""
        self._program_has_ended = True

    def _loop(self) -> None:
        """The hub's own code. It never ends."""
        runtime = self.runtime
        idle = self._idle
        keep = int(self._runs_tasks)
        self._main.switch()
        self.is_in_charge = True
        while True:
            if self._for_main is not None and not self._program_has_ended:
                error, self._for_main = self._for_main, None
                self._switch(self._main, error=error)
            if self._is_over is not None and self._is_over():
                self._is_over = None
                self._switch(self._main)
                continue
            if self._notified or self.callbacks_due or self._urgent:
                self._serve_next_due()
                idle.reset()
                continue
            looks = 1 if self.queue else idle.looks
            moved = runtime.step(keep=keep, is_low=self._is_low(), looks=looks)
            if self._deadlines:
                self._expire_deadlines()
            if self._notified:
                continue
            if self.queue and self._begin_newest():
                idle.reset()
                while self._yielding:
                    self._yielding.pop().notify()
            elif self._yielding:
                self._yielding.pop().notify()  # there is none to begin, or not now
            elif moved:
                idle.reset()
            else:
                if runtime.transport.is_receiving:
                    idle.reset()  # a message comes in piece by piece, as MPI is called
                idle.pause(self._seconds_to_deadline())

    @property
    def _is_somebody_due(self) -> bool:
        """Whether somebody comes before the tasks that are ready."""
        return bool(
            self._notified
            or self._urgent
            or self.callbacks_due
            or self._yielding
            or self._for_main is not None
        )

    @property
    def _is_congested(self) -> bool:
        """Whether so much waits to be sent that nothing should be begun that makes more of it.

        Somebody takes its time to receive. Who waits for a task of this rank's still gets its
        result: messages move on meanwhile, and who is in a task may begin others inline.
        """
        return self.runtime.transport.bytes_pending > MOST_BYTES_PENDING

    @property
    def has_urgent(self) -> bool:
        """Whether the hub has futures to run for stacks that are too deep."""
        return bool(self._urgent)

    def _serve_next_due(self) -> None:
        """Serve one who is due: a waiter, a callback, or an urgent future. There is one."""
        if self._notified:
            waiter = self._notified.popleft()
            waiter.is_due = False
            if waiter in self._parked:
                self._switch(waiter.greenlet)
        elif self.callbacks_due:
            future = self.callbacks_due.popleft()
            self._start(future.run_callbacks, future)
        else:
            future = self._urgent.popleft()
            self._start(future.run, future)

    def _next_task(self) -> Task | None:
        """Return the newest ready task, without claiming it, if this rank is to run any."""
        while self.queue and self._runs_tasks:
            try:
                task = next(reversed(self.queue))
            except (StopIteration, RuntimeError):
                continue  # another thread was changing the queue
            if isinstance(task, Future) or task.unclaimed:
                return task
            self.runtime.worker.forget(task)
        return None

    def _is_low(self) -> bool:
        """Say whether to ask for more work before the last ready task begins, or if there is none.

        If tasks end within microseconds the answer would come too late all the same, so the request
        can go with the results. A call of a span that is long is asked for when the last window of
        the span begins; if the last task takes long against expectation, by the pump.
        """
        ready = self.queue
        if len(ready) > 1 or len(self._parked) >= MOST_SUSPENDED:
            return False
        return not ready or not (self._job_seconds < _BRISK or isinstance(self._next_task(), Span))

    def should_ask_ahead(self) -> bool:
        """Say whether what runs is the last that there is to run here, once a task. For the pump.

        If it were said again, two ranks that are busy could go on stealing the same call from each
        other: the one that has it offers it, and the other has none to follow.
        """
        if (
            self._asked_ahead_in == self._jobs_begun
            or not self._is_task_running
            or len(self._parked) >= MOST_SUSPENDED
            or self._next_task() is not None
        ):
            return False
        self._asked_ahead_in = self._jobs_begun
        return True

    def _begin_newest(self) -> bool:
        """Begin the newest ready task; return False if there is none to begin, or not now."""
        task = self._next_task()
        if task is None or self._is_congested:
            return False
        if isinstance(task, Span):
            self._start(lambda: self._work_off(task), task)
        elif self._take_newest(task):
            self._start(task.run, task)
        return True

    def _take_newest(self, future: Future) -> bool:
        """Claim the newest ready task; False if another thread has been faster.

        Taken off the end, it leaves no place in the dictionary that the next look goes over.
        """
        try:
            task, _ = self.queue.popitem()
        except KeyError:
            return False
        if task is not future:
            self.queue[task] = None
        return task is future

    def _send_values(self) -> None:
        self.runtime.step(keep=1, is_low=self._is_low())

    def _is_elsewhere_thread(self) -> bool:
        return get_ident() != self.thread
