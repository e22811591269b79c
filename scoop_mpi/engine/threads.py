"""Threads: which calls the program's other threads make while they wait.

    its own future or map    if nobody has begun it, and it is the thread's turn (see `turns`)
    any call                 where a task waits in a way of its own, beside a thread that helps out
    a call that was left     one of another rank's that the main thread does not come to

The main thread leaves to them what they have submitted: a task that has begun on a greenlet can go
on there only, and the main thread may be waiting for the very thread (``join``).

It must not know how the main thread waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextvars import Context
from queue import SimpleQueue
from typing import Any, Protocol

from scoop_mpi.current import HotPath
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.turns import Turns
from scoop_mpi.engine.waiting import ThreadWaiter, Waiter, WaitingThreads
from scoop_mpi.errors import CancelledError
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span, Task, Window


class Host(Protocol):
    """The hub, as far as threads need it."""

    queue: dict[Task, None]
    elsewhere: dict[Any, None]
    program_context: Context
    waiting_threads: WaitingThreads

    def claim(self, future: Any) -> bool:
        """Take a waiting future out of the queues; False if somebody else was faster."""
        ...

    def is_waiting(self, future: Any) -> bool:
        """Say whether nobody has begun this future."""
        ...

    def run_here(self, future: Future, deadline: float | None = None) -> bool:
        """Run a future if it is waiting, and return whether it is done."""
        ...

    def run_noting(self, future: Future, run: Callable[[Callable[[], object]], object]) -> None:
        """Run a future, and note how long it takes, if anybody wants to know."""
        ...

    def run_window(self, window: Window) -> None:
        """Make the calls of a window."""
        ...

    def left_call(self) -> Task | None:
        """Return a call of another rank's that the hub has left for long."""
        ...


class ProgramThreads:
    """The program's other threads, as far as they make calls.

    Args:
        hub: the rank's.
        path: the same; it has the lock of the watchers.
        runtime: the rank's.

    Attributes:
        turns: of these threads.
    """

    __slots__ = ("_helpers", "_hub", "_path", "_runtime", "turns")

    def __init__(self, hub: Host, path: HotPath, runtime: Runtime) -> None:
        self.turns = Turns(runtime.clock)
        self._hub = hub
        self._path = path
        self._runtime = runtime
        self._helpers: dict[Waiter, None] = {}  # threads of ours that help out

    def waiter(self, awaited: Collection[Future] = (), news: int | None = None) -> ThreadWaiter:
        """Return a waiter for the calling thread; see `ThreadWaiter`."""
        waiting = self._hub.waiting_threads
        return ThreadWaiter(self._runtime, self.turns, waiting, self.make_left_call, awaited, news)

    # ------------------------------------------------------------ what a thread waits for itself

    def run(self, future: Future) -> bool:
        """Run `future`, if it's this thread's turn and no other rank takes it.

        Returns:
            Whether it is done.
        """
        hub = self._hub
        if not hub.is_waiting(future) or not self._may_begin():
            return future.is_done
        try:
            if not hub.claim(future):
                return future.is_done
            hub.run_noting(future, _call)
        finally:
            self._end()
            del future
        return True

    def run_some_of(self, span: Span) -> bool:
        """Run a window of a span, if it's this thread's turn; return whether it has."""
        if not span.unclaimed or not self._may_begin():
            return False
        try:
            if (window := span.claim()) is not None:
                self._hub.run_window(window)
        finally:
            self._end()
        return window is not None

    def _may_begin(self) -> bool:
        """Say whether this thread is to make a call itself; then it must leave its turn."""
        if self._runtime.size == 1 or self.turns.is_mine():
            return self.turns.enter(at_once=True)
        if self.turns.should_offer():
            self._runtime.step()
        if self.turns.enter():
            return True
        self._runtime.step()  # who has nothing to do gets it, without waiting for the pump
        return False

    def _end(self) -> None:
        """This thread has made the call."""
        self.turns.leave()
        if not self.turns.is_mine():
            self._runtime.step_if_due(self._runtime.clock())

    # ------------------------------------------------------------ what others wait for

    def help(self, future: Future) -> None:
        """Return once `future` is done; meanwhile make whatever calls wait here.

        For a thread beside a task that waits for this future in a way of its own, such as a lock.
        What lies in the main thread's queue then, another rank may wait for just so.

        Raises:
            CancelledError: the program has ended.
        """
        waiter = self.waiter((future,))
        future.watch(waiter, self._path)
        self._helpers[waiter] = None
        try:
            while not (future.is_done or self._hub.run_here(future)):
                if not self._make_any_call():
                    waiter.wait(None)
        finally:
            del self._helpers[waiter]
            future.unwatch(waiter)
            del future, waiter

    def call_helpers(self) -> None:
        """Have those look again who help out, if there is something to do."""
        if self._helpers and (self._hub.elsewhere or self._hub.queue):
            for waiter in list(self._helpers):
                waiter.notify()

    @property
    def is_helper_idle(self) -> bool:
        """Whether a thread that helps out has nothing to do."""
        return any(waiter in self._hub.waiting_threads for waiter in list(self._helpers))

    def make_left_call(self) -> None:
        """Make a call that the hub has left for long, if there is one. For a thread that waits.

        So nobody waits for ever for a call that has come to a rank whose main thread finds all its
        work on its own stack.
        """
        task = self._hub.left_call()
        try:
            if task is not None:
                self._make_calls_of(task)
        finally:
            del task

    def _make_any_call(self) -> bool:
        """Make calls of a task that waits here, whoever has submitted it; return whether it has.

        Of the threads' tasks the oldest, or else of the main thread's the newest.
        """
        if not self._runtime.worker.runs_tasks:
            return False
        hub = self._hub
        try:
            task: Task | None
            task = next(iter(hub.elsewhere), None) or next(reversed(hub.queue), None)
        except RuntimeError:  # another thread has changed it just now
            return True
        try:
            return task is not None and self._make_calls_of(task)
        finally:
            del task

    def _make_calls_of(self, task: Task) -> bool:
        """Make a future's call, or some of a span's, in this thread; return whether it has."""
        worker = self._runtime.worker
        try:
            context = self._hub.program_context.copy()
            if not isinstance(task, Span):
                return context.run(self.run, task)
            if not task.unclaimed:
                worker.queues.forget(task)
                return True
            task.open(worker.functions)
            return context.run(self.run_some_of, task)
        finally:
            del task


class Helper:
    """A thread that makes the calls that it is given, and others that wait here.

    Args:
        threads: of the rank.
        name: the thread's.

    Attributes:
        thread: the thread.
    """

    def __init__(self, threads: ProgramThreads, name: str) -> None:
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads = threads
        self._futures: SimpleQueue[Future | None] = SimpleQueue()

    def take(self, future: Future) -> None:
        """Have the call of a future made, if nobody else makes it.

        Raises:
            RuntimeError: there can't be another thread.
        """
        if self.thread.ident is None:
            self.thread.start()
        self._futures.put(future)
        self._threads.call_helpers()

    def end(self) -> None:
        """There is nothing more to do."""
        self._futures.put(None)

    def _run(self) -> None:
        while (future := self._futures.get()) is not None:
            try:
                self._threads.help(future)
            except CancelledError:
                return  # the program has ended
            del future


def _call(function: Callable[[], object]) -> object:
    try:
        return function()
    finally:
        del function
