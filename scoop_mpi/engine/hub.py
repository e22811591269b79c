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

The program's other threads don't park (see `threads`). The hub never starts what they submitted.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

from scoop_mpi import current
from scoop_mpi.engine import event_loops
from scoop_mpi.engine.awaiting import EventLoops
from scoop_mpi.engine.bell import Bell
from scoop_mpi.engine.callbacks import Callbacks, taken_from
from scoop_mpi.engine.greenlets import Greenlets, GreenletWaiter
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.signals import Gate
from scoop_mpi.engine.special_calls import SpecialCalls
from scoop_mpi.engine.task_limits import TaskLimits
from scoop_mpi.engine.threads import ProgramThreads
from scoop_mpi.engine.time_limits import OVERDUE, Idle, TimeLimits
from scoop_mpi.engine.waiting import PATIENCE, WAITING_WHILE_PICKLING, ThreadWaiter, Waiter
from scoop_mpi.errors import BY_SIGNAL, CancelledError, SerializationError, TimeoutError
from scoop_mpi.state.agenda import Agenda
from scoop_mpi.state.policy import MOST_SUSPENDED
from scoop_mpi.state.queues import ImportGuard
from scoop_mpi.tasks.dependencies import Awaited, arguments_of, futures_among
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span, Task, Window
from scoop_mpi.tasks.stolen import LoneCall, StolenCall
from scoop_mpi.tasks.terms import Termed
from scoop_mpi.wire.holds import Holds

if TYPE_CHECKING:
    from scoop_mpi.engine.program_calls import ProgramCalls

# Tasks that may lie upon each other on a stack before it is looked at how deep it is: then each of
# them may use 30 frames of its own, at the default recursion limit of 1,000. With fewer, a tree of
# tasks would have more of its tasks at a level where it is looked, which takes longer than a task.
_LEVELS = 24
_SHORT_PATIENCE = 0.005


class Hub(Greenlets):
    """The hub of one rank; made in the greenlet that becomes the main one.

    Args:
        runtime: this rank's state and messages.
        idle: how to pause.
        logger: where failures of callbacks go.
    """

    special_calls: SpecialCalls

    def __init__(self, runtime: Runtime, idle: Idle, logger: logging.Logger) -> None:
        self._runs_tasks = runtime.worker.runs_tasks
        self._queues = runtime.worker.queues
        # No levels: results are waited for in `join`.
        super().__init__(runtime, _LEVELS if self._runs_tasks else 0)
        self._queues.on_ready_elsewhere = self.waiting_threads.notify_all
        self.logger = logger
        self.bell = Bell(self, runtime, self._queues.ready, self._attend_when_rung)
        self._use_queues()
        self.threads = ProgramThreads(self, self, runtime)
        self.callbacks = Callbacks(self)
        self.watch_lock = threading.Lock()
        self.callbacks_due = self.callbacks.due
        self.is_debug = False
        self.is_strict = False  # set before the queues are opened
        self.program_calls: ProgramCalls | None = None  # on the root, if anybody asks about them
        self._idle = idle
        self._urgent = self._queues.urgent
        self._is_over: Callable[[], bool] | None = None
        self._polling_since: float | None = None
        self._patience = PATIENCE  # seconds after which it has left for long what lies here
        self._came_at = 0.0  # when the hub last looked for a task to begin
        self._yielding: list[GreenletWaiter] = []  # who polls, and lets a task run
        self._event_loops = EventLoops(self, self)
        self._experience = runtime.worker.experience
        self._agenda = Agenda(self._queues, self._experience, runtime.size, self._runs_tasks)
        self.time_limits = TimeLimits(runtime, self._agenda, idle)
        self.gate = Gate(
            self._is_amid_change,
            self.bell.ask,
            (
                *(Future.result, Future.run, StolenCall.run, LoneCall.run, Window._make_calls),
                *(Termed.__call__, TaskLimits.call),
            ),
        )
        self.special_calls = SpecialCalls(self)
        runtime.ask_program = self.bell.ask
        runtime.on_stop = self._stop
        self._start_hub()

    def open_queues(self) -> None:
        """Let tasks be submitted."""
        self.runtime.worker.open_queues(self.is_strict)
        self._use_queues()

    def watch_program(self, calls: ProgramCalls) -> None:
        """Have something done about each call of the program's. To be called before it runs."""
        self.program_calls = calls
        self._queues.on_due = calls.take_ready
        self.bell.on_submit = calls.take
        self._use_queues()

    def _use_queues(self) -> None:
        self.queue = self._queues.ready
        self.elsewhere = self._queues.elsewhere
        self.bell.hang_before(self.queue)

    def _stop(self) -> None:
        """The program has ended: nothing more can be submitted, or waited for. Any thread may."""
        self._use_queues()
        self.cancel_parked()

    def forget_all(self) -> None:
        """Forget who is due: in a forked child, where nobody else is to go on."""
        for due in (self._notified, self.callbacks_due, self._urgent):
            due.clear()
        self._for_main = self._is_over = None

    @property
    def holds(self) -> Holds:
        """See `HotPath`."""
        return self.runtime.constants.holds

    # ------------------------------------------------------------ submitting and claiming

    def enqueue(self, task: Task) -> None:
        """Put a new task into the queue of the calling thread."""
        calls = self.program_calls
        if calls is None or not calls.take(task):
            self.put_back(task)

    def put_back(self, task: Task) -> None:
        """See `HotPath`."""
        if get_ident() == self.thread:
            self.queue[task] = None
            return
        if isinstance(task, Future):
            self.bell.has_futures = True
            with suppress(SerializationError):  # it can still be made here
                self.runtime.worker.sharing.seal_elsewhere(task)
        self._queues.put_elsewhere(task)

    def leave_to_others(self, future: Future) -> None:
        """Submit a new future whose call the main thread is not to make.

        The other ranks may, and here who waits for it in another thread. So it has to be such that
        it can be sent; futures among its arguments stand for nothing.

        Raises:
            SerializationError: there are other ranks, and its function can't be sent to them.
            CancelledError: the program has ended.
        """
        self.bell.has_futures = True
        if self.program_calls is not None and self.program_calls.take(future):
            return
        self.runtime.worker.sharing.seal_elsewhere(future)
        self._queues.put_elsewhere(future)

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future:
        """Return the future of a new call, which is ready once the futures among its arguments are.

        `futures.submit` itself does this for calls whose arguments can't hold any.
        """
        future = Future.of(function, arguments)
        dependencies = futures_among(arguments_of(function, arguments))
        is_main = not self._is_elsewhere_thread()
        if dependencies:
            awaited = Awaited(future, dependencies, self, self._become_due)
            awaited.is_for_main = is_main
            if self.program_calls is not None and self.program_calls.defer(future):
                return future
            self._queues.defer(future, awaited)
        elif is_main:
            self.ready[future] = None
        else:
            self.enqueue(future)
        return future

    def _become_due(self, future: Future) -> None:
        """The futures that a call waits for are done. Any thread may say so."""
        self._queues.due.append(future)
        self.waiting_threads.notify_all()  # one of them may wait for it, and have to make it

    def adopt(self, task: Task) -> None:
        """Put a task that another thread has submitted, and this one waits for, into its queue."""
        others = self.elsewhere if get_ident() == self.thread else self.queue
        if others.pop(task, self) is None:
            self.put_back(task)

    def is_waiting(self, future: Future) -> bool:
        """Say whether nobody has begun this future."""
        return self._queues.is_waiting(future)

    def withdraw(self, future: Future) -> bool:
        """Take back a future that nobody has begun; False if somebody has."""
        return self._queues.withdraw(future)

    def claim(self, future: Future) -> bool:
        """Take a waiting future out of the queues; False if somebody else was faster."""
        return self._queues.claim(future)

    # ------------------------------------------------------------ waiting

    def waiter(
        self,
        former: Waiter | None = None,
        awaited: Collection[Future] = (),
        news: int | None = None,
    ) -> Waiter:
        """Return a waiter for the calling thread: `former`, if it is, or else a new one.

        Args:
            former: one that there is already.
            awaited: the futures that are to be waited for, if it is futures.
            news: see `ThreadWaiter`.

        Raises:
            CancelledError: the program has ended. So hears also an object's ``__del__`` that runs
                while Python shuts down, when greenlets can't be had any more.
        """
        runtime = self.runtime
        if runtime.is_stopping and not isinstance(self._queues.ready, ImportGuard):
            raise CancelledError(runtime.ended)  # that one says better what is wrong
        if self.program_calls is not None:
            self.program_calls.check()
        if get_ident() == self.thread:
            return former if isinstance(former, GreenletWaiter) else GreenletWaiter(self)
        if isinstance(former, ThreadWaiter):
            return former
        return self.threads.waiter(awaited, news)

    def join(self, future: Future, timeout: float | None) -> None:
        """Return once `future` is done, running it here if nobody else does.

        Raises:
            TimeoutError: it was not done within `timeout` seconds.
            ValueError: `timeout` is not a number.
        """
        deadline = self.time_limits.deadline(timeout)
        self.come_by(deadline)
        news = self.waiting_threads.news
        if self.run_here(future, deadline):
            del future  # here and below: its error holds the frames that lead to the call
            self.time_limits.check(deadline)
            return
        waiter = self.waiter(awaited=(future,), news=news)
        future.watch(waiter, self)
        try:
            while not future.is_done:
                if not waiter.wait(deadline) and not future.is_done:
                    if timeout is None or timeout <= 0:
                        raise TimeoutError(f"{future!r} at once")
                    raise TimeoutError(f"{future!r} within {timeout} s")
                if isinstance(waiter, ThreadWaiter):
                    self.run_here(future, deadline)
        finally:
            future.unwatch(waiter)
            del future, waiter

    def poll(self, future: Future) -> None:
        """Do what brings `future` nearer to its end without waiting for it."""
        runtime = self.runtime
        self.bell.answer()
        moved = runtime.step()
        if (self._notified or self._urgent) and not self._is_elsewhere_thread():
            self.give_way()  # to one who may poll as well, and so is no sign of progress
        self.callbacks.run_due()
        if moved or self._polling_since is None:
            self._polling_since = runtime.last_step
        if runtime.size == 1 or runtime.last_step - self._polling_since > PATIENCE:
            is_done = self.run_here(future)
            del future  # see `join`
            if not is_done and self.queue and not self._is_elsewhere_thread():
                self._let_task_run()
        elif runtime.last_step - self._came_at > self._patience:
            del future
            if self._is_elsewhere_thread():
                self.threads.make_left_call()
            else:
                self._relieve()
        if not self.queue and not self.elsewhere:
            self._polling_since = None  # a future to come gets its own time

    def come_by(self, deadline: float | None) -> None:
        """What is done for others by whoever is on the way to wait here, and may not have to.

        Args:
            deadline: when the caller must be ready, by the runtime's clock; None: at no time.
        """
        self.callbacks.run_due()
        self.bell.answer()
        if deadline is None:
            self._relieve()

    def _relieve(self) -> None:
        """Let those go on who are due for long, and the hub begin a call of another rank's.

        The main thread may go on finding all its work on its own stack, and never wait.
        """
        if self.runtime.last_step - self._came_at <= self._patience or self._is_elsewhere_thread():
            return
        if self.runtime.is_stepping_here or self.serves_event_loop:
            return
        if self.may_give_way:
            self.give_way()
        if self.left_call() is not None:
            self._let_task_run()
            # Those that follow need not wait so long again: they get half of the time.
            self._patience = min(max(self._job_seconds, _SHORT_PATIENCE), PATIENCE)
        else:
            self._patience = PATIENCE

    def left_call(self) -> Task | None:
        """Return the oldest call of another rank's that lies here, if the hub has left it for long.

        It is not claimed. To look for it takes a while if much lies here, so that is done now and
        then.
        """
        now = self.runtime.clock()
        if now - self._came_at <= self._patience:
            return None
        task = self._agenda.oldest_stolen()
        if task is None:
            self._came_at = now
        return task

    def run_here(self, future: Future, deadline: float | None = None) -> bool:
        """Run `future` on this stack if it is waiting, and return whether it is done.

        If it waits for others, those first. On a stack that is too deep the hub runs it, before all
        else, while the caller waits. A rank that only serves leaves it to the others.

        Args:
            future: which one.
            deadline: when the caller must be ready, by the runtime's clock; None: at no time. Only
                what surely ends before is begun.
        """
        if not self._runs_tasks:
            return future.is_done
        try:
            if future in self._queues.deferred:
                self._run_dependencies(future, deadline)
            return self._run_ready(future, deadline)
        finally:
            del future

    def _run_ready(self, future: Future, deadline: float | None) -> bool:
        """Run `future` on this stack if it is ready, and return whether it is done."""
        try:
            if deadline is not None and not self.time_limits.may_begin(future, deadline):
                return future.is_done
            if self._is_elsewhere_thread():
                return self.threads.run(future)
            if not self.claim(future):
                return future.is_done
            if self.is_stack_deep():
                self._urgent.append(future)
                return False
            self.run_noting(future, self.run_on_this_stack)
            if isinstance(future.failure, BY_SIGNAL):
                raise future.failure  # it is for the program, not for the task that it met
            return True
        finally:
            del future

    def _run_dependencies(self, future: Future, deadline: float | None) -> None:
        """Run what `future` waits for, as far as it is ready, or becomes so by it."""
        queues = self._queues
        is_main = not self._is_elsewhere_thread()
        seen = {future}
        path = [(future, queues.dependencies_of(future, is_main))]  # each waits for the next
        last = dependency = future
        try:
            while path:
                last, dependencies = path[-1]
                for dependency in dependencies:
                    if not dependency.is_done and dependency not in seen:
                        seen.add(dependency)
                        path.append((dependency, queues.dependencies_of(dependency, is_main)))
                        break
                else:
                    path.pop()
                    queues.enqueue_due()
                    if last is not future:
                        self._run_ready(last, deadline)
                        if is_main and self.has_urgent:
                            return  # this stack is too deep
                        now = self.runtime.clock()
                        if deadline is not None and now > deadline:
                            return
                        self.runtime.step_if_due(now)
        finally:
            del future, seen, path, last, dependency

    def run_noting(self, future: Future, run: Callable[[Callable[[], object]], object]) -> None:
        """Run a future, and note how long it takes, if anybody wants to know.

        Args:
            future: which one.
            run: runs it, as the thread and its stack ask for it.
        """
        try:
            if not self._experience.is_wanted:
                run(future.run)
                return
            function, _ = future.call
            started = self.runtime.clock()
            run(future.run)
            self._busy_at = self.runtime.clock()
            if future.is_done:
                self._experience.note(function, self._busy_at - started)
        finally:
            del future, run

    def is_stack_deep(self) -> bool:
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

    def run_on_this_stack(self, run: Callable[[], object]) -> None:
        """Run one task more on this stack, without the event loop that is there."""
        depth, limit = self.depth, self.depth_limit
        self.depth = depth + 1
        if depth >= limit:  # it has been looked at
            self.depth_limit = depth + _LEVELS
        loop = event_loops.take_away()
        try:
            run()
        finally:
            event_loops.put_back(loop)
            self.depth, self.depth_limit = depth, limit
            del run

    def call_back(self, future: Future) -> None:
        """See `HotPath`."""
        self.callbacks.call(future)

    @property
    def may_give_way(self) -> bool:
        """Whether somebody is due to whom the main thread can give way."""
        is_somebody_due = self.callbacks_due or self._notified or self._urgent
        return bool(is_somebody_due) and not self.runtime.is_stepping_here

    def run_on_own_stack(self, future: Future) -> None:
        """Run a future that is in no queue, here and now."""
        if self._is_elsewhere_thread():
            future.run()
        else:
            self.run_on_this_stack(future.run)

    def outcome(self, future: Future, deadline: float | None) -> tuple[Any, BaseException | None]:
        """Return what the call of a future returned and raised, waiting for it if need be.

        Raises:
            TimeoutError: it was not done by `deadline`.
        """
        error = None
        try:
            if not future.is_done:
                limit = None if deadline is None else max(deadline - self.runtime.clock(), 0.0)
                self.join(future, limit)
            future.call_back()
            error = future.failure
            return (future.value, None) if error is None else (None, error)
        finally:
            del future, error  # see `join`

    # ------------------------------------------------------------ event loops

    def awaiting(self, future: Future) -> Generator[Any, None, None]:
        """See `HotPath`."""
        return self._event_loops.wait(future)

    @property
    def serves_event_loop(self) -> bool:
        """See `Greenlets`."""
        return self._event_loops.are_served_by(self.thread)

    def begin_awaiting(self) -> bool:
        """Somebody awaits in the event loop of this thread; return whether it needs a helper.

        Other ranks make the calls of the root's program, in its main thread. Elsewhere all others
        may wait just so, or the call may lie in a queue that only this rank can get at.
        """
        runtime = self.runtime
        if runtime.is_stepping_here:
            raise RuntimeError(WAITING_WHILE_PICKLING)
        return (
            runtime.size == 1 or runtime.rank != 0 or self._is_elsewhere_thread() or self.is_in_task
        )

    def take_turn(self, is_helped: bool) -> bool:
        """Do what the thread of an event loop alone can do; return whether anything has moved.

        No task is begun: the loop is to go on.

        Args:
            is_helped: whether a helper makes calls here meanwhile.
        """
        runtime = self.runtime
        if self._is_elsewhere_thread():
            moved = runtime.step()
            self._queues.enqueue_due()
            self.callbacks.run_due()
            return moved
        self.bell.answer()
        if not is_helped:
            runtime.reserve(has_calls=False)  # for another rank may wait for this one to begin some
        is_helper_idle = is_helped and self.threads.is_helper_idle
        is_low = is_helper_idle and runtime.size > 1 and not self.queue and self._is_low()
        moved = runtime.step(is_low=is_low)
        if self._deadlines:
            self._expire_deadlines()
        while self._yielding:
            self._yielding.pop().notify()  # there is none to begin
        if not self._is_somebody_due:
            return moved
        self.give_way()
        return True

    def end_awaiting(self, is_helped: bool) -> None:
        """Nobody awaits in that event loop any more."""
        if not is_helped:
            self.runtime.reserve(has_calls=False, is_reserved=False)

    # ------------------------------------------------------------ working off spans

    def advance(self, span: Span, waiter: Waiter, deadline: float | None) -> None:
        """Bring a span of this rank's nearer to its end: run some of its calls, or else wait.

        Raises:
            TimeoutError: `deadline` was over.
            CancelledError: the program has ended.
        """
        self.come_by(deadline)
        self.time_limits.check(deadline)
        if self.runtime.is_stopping:
            raise CancelledError(self.runtime.ended)
        if (
            self._runs_tasks
            and self.time_limits.may_begin(span, deadline)
            and self._run_some_of(span)
        ):
            return
        if not waiter.wait(deadline):
            raise TimeoutError(OVERDUE)

    def _run_some_of(self, span: Span) -> bool:
        """Run a window of a span on this stack, if it may; return whether it has."""
        if self._is_elsewhere_thread():
            return self.threads.run_some_of(span)
        if self.is_stack_deep() or (window := span.claim()) is None:
            return False
        self.run_on_this_stack(partial(self.run_window, window))
        return True

    def run_window(self, window: Window) -> None:
        runtime = self.runtime
        span = window.span
        is_main = not self._is_elsewhere_thread()
        if is_main and len(self.queue) <= 1 and not span.has_bulk:
            self._ask_ahead()
        window.reported_at = started = runtime.clock()
        if is_main:
            runtime.take_in_hand(span, started)
        runtime.windows[window] = None
        try:
            window.run()
        finally:
            del runtime.windows[window]
            span.retire(window)
        ended = runtime.clock()
        self._busy_at = ended
        calls = len(window.values)
        span.resize_window(ended - started, calls)
        if calls and self._experience.is_wanted:
            self._experience.note(span.function, (ended - started) / calls)
        runtime.step_if_due(ended)

    def _ask_ahead(self) -> None:
        """Ask for more work before the last calls here begin, so that it is there when they end."""
        worker = self.runtime.worker
        if worker.size > 1 and not worker.reports.has_asked and len(self._parked) < MOST_SUSPENDED:
            self.runtime.step(keep=1, is_low=True)

    def _work_off(self, span: Span) -> None:
        """Run the calls of a span until none is left: a job."""
        span.open(self.runtime.worker.functions)
        while (window := span.claim()) is not None:
            self.run_window(window)
            self._expire_deadlines()
            if self._is_somebody_due or self._is_congested() or self.runtime.is_stopping:
                break  # to the hub, which comes back to the span when it can
            if not self.time_limits.may_begin(span, self._ready_by()):
                break
        if not span.unclaimed:
            self._queues.forget(span)

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

    def give_way(self) -> None:
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
            if self.gate.pending:
                handlers = Future.of(self._attend_signals, ())
                self._start(handlers.run, handlers)
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
            ready_by = self._ready_by() if self._deadlines else None
            moved = runtime.step(
                keep=keep if ready_by is None else 0,
                is_low=self._is_low(ready_by),
                looks=looks,
            )
            self._came_at = runtime.last_step
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
                idle.pause(None if ready_by is None else self._seconds_to_wait(ready_by))

    def _seconds_to_wait(self, ready_by: float) -> float:
        """Return how long there is nothing to do, as this rank must be ready by some time.

        If it has run nothing for a while for that reason, the broker is told.
        """
        now = self.runtime.clock()
        patient_until = self._busy_at + PATIENCE
        if now >= patient_until:
            self.runtime.reserve(has_calls=bool(self.queue))
            patient_until = ready_by
        return max(min(ready_by, patient_until) - now, 0.0)

    def _attend_signals(self) -> None:
        """Run handlers of signals: a job. What they raise is for the program, where it waits."""
        try:
            self.gate.attend()
        except BaseException as error:
            self.raise_in_main(error)

    def _attend_when_rung(self) -> None:
        """The bell has rung for the program, which may go on for long without waiting."""
        self.gate.attend()
        self._relieve()

    def _is_amid_change(self) -> bool:
        return self.is_in_charge or self.runtime.is_stepping_here

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
    def has_urgent(self) -> bool:
        """Whether the hub has futures to run for stacks that are too deep."""
        return bool(self._urgent)

    def _serve_next_due(self) -> None:
        """Serve one who is due: a waiter, a callback, or an urgent future.

        There was one. Another thread may have taken it since, unless it is a waiter.
        """
        if self.runtime.size > 1:
            self.runtime.reserve(has_calls=False, is_reserved=False)
        if (future := taken_from(self._urgent)) is not None:
            self._start(future.run, future)
        elif (future := taken_from(self.callbacks_due)) is not None:
            self._start(partial(self.callbacks.run, future), future)
        elif self._notified:
            waiter = self._notified.popleft()
            if waiter in self._parked:  # or else it is told when it next waits
                waiter.is_due = False
                self._switch(waiter.greenlet)

    def should_ask_ahead(self) -> bool:
        """Say whether to ask for more work amid a task, as none is left here. For the pump."""
        return self._is_task_running and self._agenda.should_ask_ahead(
            len(self._parked), self.jobs_begun
        )

    def _is_low(self, ready_by: float | None = None) -> bool:
        if ready_by is not None:
            left = ready_by - self.runtime.clock()
            if not self._agenda.may_take_more(left):
                return False
        return self._agenda.is_low(len(self._parked), self._job_seconds)

    def _is_congested(self) -> bool:
        return self._agenda.is_congested(self.runtime.transport.bytes_pending)

    def _begin_newest(self) -> bool:
        """Begin the newest ready task; return False if there is none to begin, or not now.

        If who polls lets a task run, that is the oldest from another rank: the newest may be new
        each time.
        """
        left = self._agenda.oldest_stolen() if self._yielding else None
        task = left or self._agenda.next_task()
        runtime = self.runtime
        if task is None or (runtime.transport.bytes_pending and self._is_congested()):
            return False
        if runtime.begins_all_the_same:
            runtime.begins_all_the_same = False
        elif self._deadlines and not self.time_limits.may_begin(task, self._ready_by()):
            return False
        if isinstance(task, Span):
            self._start(lambda: self._work_off(task), task)
        elif self.claim(task) if task is left else self._take_newest(task):
            if self._experience.is_wanted and type(task) is Future:
                self.run_noting(task, lambda run: self._start(run, task))
            else:
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
        is_low = self._agenda.is_low(len(self._parked), self._job_seconds)
        self.runtime.step(keep=1, is_low=is_low)

    @property
    def is_in_task(self) -> bool:
        """See `Greenlets`."""
        if self._is_elsewhere_thread():
            return self.threads.turns.is_mine()
        return self._is_task_running or self.depth > 0

    def _is_elsewhere_thread(self) -> bool:
        return get_ident() != self.thread


def running() -> Hub:
    """Return the hub of this process.

    Raises:
        NotStartedProperly: there is none.
    """
    return cast(Hub, current.running_hub())
