"""MPIPoolExecutor: the ranks of the job as an executor of `concurrent.futures`.

Its futures are real ones of `concurrent.futures`, so whatever takes those takes these. Each is set,
and its callbacks run, as soon as the call is done, whatever the program's threads do meanwhile:

    a thread of the program   submit ---> a task in the queue `elsewhere`, which other ranks get
    the pump                              hears that it is done, and says so to
    the thread that settles               which opens the outcome, and sets it in the future

On two ranks and more the root only drives, so that it is always there for its program. The calls of
an executor that is made in a task, or on the only rank there is, have a second thread here: the
helper, which makes those that nobody else has taken.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import itertools
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any

from scoop_mpi import current, futures
from scoop_mpi.engine.hub import Hub, running
from scoop_mpi.engine.threads import Helper
from scoop_mpi.errors import (
    CallableWrapper,
    CancelledError,
    SerializationError,
    describe_callable,
    describe_error,
    raise_interrupt,
    users_stacklevel,
)
from scoop_mpi.fronts import waits
from scoop_mpi.results.maps import check_sizes
from scoop_mpi.shared import SharedElementEncapsulation
from scoop_mpi.tasks.future import Future, KeywordCall

AFTER_SHUTDOWN = "cannot schedule new futures after shutdown"


class MPIPoolExecutor(concurrent.futures.Executor):
    """The ranks of the job as an executor, with mpi4py.futures' additions to its interface.

    Executors share the ranks: there may be several at a time, and tasks may make their own. Where
    the program was not started with ``-m scoop_mpi``, each call is made as it is submitted, and a
    RuntimeWarning says so.

    Args:
        max_workers: the number of calls that are made at a time, at most; None: as many as there
            are ranks for them.
        initializer: called once on each rank that makes calls of this executor, before the first.
            If it fails, so do all calls, with `BrokenExecutor`.
        initargs: its arguments.
        root_works: whether the root makes calls too, in another thread than the program's. Then
            its callbacks have to wait for Python's lock, while a call computes.

    Raises:
        ValueError: `max_workers` is less than 1.
        TypeError: `initializer` is not callable.
        SerializationError: `initializer` or `initargs` can't be sent to other ranks.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        root_works: bool = False,
    ) -> None:
        check_sizes(max_workers=max_workers)
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be callable, not {initializer!r}")
        self._initializer = None if initializer is None else _Initializer(initializer, initargs)
        self._prepared: _Prepared | None = None  # the last function: it is sealed only once
        self._calls: _Calls | _SerialCalls
        if current.hub is None:
            self._calls = _SerialCalls()
            self._max_workers = 1
            self._is_limited = True
            warnings.warn(
                "scoop_mpi was not started with `python -m scoop_mpi`: MPIPoolExecutor makes each "
                "call as it is submitted, one after the other",
                RuntimeWarning,
                stacklevel=users_stacklevel(),
            )
        else:
            hub = running()
            ranks = hub.runtime.size if root_works else max(hub.runtime.size - 1, 1)
            self._is_limited = max_workers is not None and max_workers < ranks
            self._max_workers = min(max_workers or ranks, ranks)
            self._calls = _Calls(hub, max_workers if self._is_limited else None, root_works)
            # Its threads hold the calls, not the executor.
            weakref.finalize(self, self._calls.close)

    @property
    def num_workers(self) -> int:
        """The number of ranks that make calls while the program drives them (mpi4py)."""
        return self._max_workers

    def __repr__(self) -> str:
        return f"<MPIPoolExecutor of {self._max_workers} workers>"

    def bootup(self, wait: bool = True) -> MPIPoolExecutor:
        """Return this executor: its ranks run already (mpi4py).

        Raises:
            RuntimeError: it has been shut down.
        """
        self._calls.check()
        return self

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        """Have ``fn(*args, **kwargs)`` called, and return its future. See `Executor.submit`.

        Raises:
            RuntimeError: the executor has been shut down.
            BrokenExecutor: its initializer has failed.
            TypeError: `fn` is not callable.
        """
        if not callable(fn):
            raise TypeError(f"submit() needs something callable, not {fn!r}")
        function = self._with_initializer(fn)
        if kwargs:
            function = KeywordCall(function, **kwargs)
        return self._calls.submit(function, args)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        unordered: bool = False,
    ) -> Iterator[Any]:
        """Return an iterator over the results of `fn` for the items. See `Executor.map`.

        This is `futures.map`, and who waits for the results works along; unless `max_workers` is
        less than there are ranks, and then as if each call were submitted.

        Args:
            fn: what to call.
            iterables: several are zipped, up to the shortest.
            timeout: seconds from now after which waiting for a result raises.
            chunksize: accepted for compatibility: calls are handed out one by one, at no cost.
            buffersize: the number of calls that are submitted before their results are taken.
            unordered: whether the results may come in any order (mpi4py).

        Raises:
            RuntimeError: the executor has been shut down.
            BrokenExecutor: its initializer has failed.
            ValueError: `chunksize` or `buffersize` is less than 1.
            TimeoutError: (from the iterator) a result was not there in time.
        """
        check_sizes(chunksize=chunksize, buffersize=buffersize)
        self._calls.check()
        if self._is_limited:
            return self._submitted_map(fn, iterables, timeout, buffersize)
        function = self._with_initializer(fn)
        results = (
            futures.map_as_completed(function, *iterables, timeout=timeout)
            if unordered
            else futures.map(function, *iterables, timeout=timeout, buffersize=buffersize)
        )
        return self._calls.watched(results)

    def starmap(
        self,
        fn: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        unordered: bool = False,
    ) -> Iterator[Any]:
        """Like `map`, of a function whose arguments are zipped already: ``fn(*item)`` (mpi4py)."""
        return self.map(
            Starred(fn),
            iterable,
            timeout=timeout,
            chunksize=chunksize,
            buffersize=buffersize,
            unordered=unordered,
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. See `Executor.shutdown`.

        Args:
            wait: whether to return only when all calls are done.
            cancel_futures: whether to cancel those that nobody has begun.
        """
        self._calls.close(cancel_futures=cancel_futures)
        if wait:
            self._calls.join()

    def _submitted_map(
        self,
        fn: Callable[..., Any],
        iterables: tuple[Iterable[Any], ...],
        timeout: float | None,
        buffersize: int | None,
    ) -> Iterator[Any]:
        deadline = None if timeout is None else time.monotonic() + timeout
        calls = zip(*iterables)  # noqa: B905 # up to the shortest, as `map` does
        submitted = deque(self.submit(fn, *call) for call in itertools.islice(calls, buffersize))

        def results() -> Iterator[Any]:
            try:
                while submitted:
                    future = submitted.popleft()
                    left = None if deadline is None else deadline - time.monotonic()
                    result = future.result(left)
                    submitted.extend(self.submit(fn, *call) for call in itertools.islice(calls, 1))
                    yield result
            finally:
                for future in submitted:
                    future.cancel()

        return results()

    def _with_initializer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self._initializer is None or not callable(function):
            return function
        prepared = self._prepared
        if prepared is None or prepared.func is not function:
            prepared = self._prepared = _Prepared(function, self._initializer)
        return prepared


# ---------------------------------------------------------------- calls and their futures


class PoolFuture(concurrent.futures.Future[Any]):
    """The future of one call of an executor."""

    def __init__(self) -> None:
        super().__init__()
        self._task: Future | None = None  # once it is in a queue, until it is done

    def running(self) -> bool:
        """Say whether the call has begun, or was sent to another rank, and is not done."""
        task = self._task
        return task is not None and not self.done() and task.running()

    def cancel(self) -> bool:
        """Cancel the call, unless it runs, was sent to another rank or is done."""
        task = self._task
        if task is not None and not task.cancel():
            return self.cancelled()
        return super().cancel()


class _Completion:
    """Tells who settles futures that a call is done."""

    __slots__ = ("_done", "_future")

    def __init__(self, future: PoolFuture, done: SimpleQueue[PoolFuture | None]) -> None:
        self._future = future
        self._done = done

    def notify(self) -> None:
        self._done.put(self._future)


class _Calls:
    """The calls of one executor, and the threads that see to them.

    Args:
        hub: the rank's.
        limit: the number of calls that are under way at a time; None: no limit.
        works: whether this rank makes calls too, if it needn't.
    """

    def __init__(self, hub: Hub, limit: int | None, works: bool) -> None:
        runtime = hub.runtime
        self._hub = hub
        self._limit = limit
        self._helper: Helper | None = None
        if works or runtime.size == 1 or runtime.transport.rank != 0 or hub.is_in_task:
            self._helper = Helper(hub.threads, "scoop_mpi executor: helper")
        self._lock = threading.RLock()
        self._pending: dict[PoolFuture, None] = {}  # whoever takes a future out settles it
        self._backlog: deque[tuple[PoolFuture, Callable[..., Any], tuple[Any, ...]]] = deque()
        self._under_way = 0
        self._is_closed = False
        self._failure: str | None = None  # of the initializer
        self._done: SimpleQueue[PoolFuture | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        _open.add(self)

    def check(self) -> None:
        """See whether calls can be submitted.

        Raises:
            RuntimeError: no more.
            BrokenExecutor: the initializer has failed.
        """
        if self._failure is not None:
            raise BrokenExecutor(self._failure)
        if self._is_closed:
            raise RuntimeError(AFTER_SHUTDOWN)

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> PoolFuture:
        """Return the future of a new call."""
        future = PoolFuture()
        with self._lock:
            self.check()
            if not self._threads:
                self._start_threads()
            self._pending[future] = None
            if self._limit is not None and self._under_way >= self._limit:
                self._backlog.append((future, function, arguments))
                return future
            self._under_way += 1
        try:
            self._begin(future, function, arguments)
        except BaseException:
            with self._lock:
                del self._pending[future]
                self._under_way -= 1
            raise
        return future

    def _begin(
        self, future: PoolFuture, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        task = future._task = Future.of(function, arguments)
        task.watch(_Completion(future, self._done), self._hub)
        try:
            self._hub.leave_to_others(task)
        except (SerializationError, CancelledError) as error:
            task.complete(None, error.with_traceback(None))
            return
        if self._helper is not None:
            self._helper.take(task)

    def _start_threads(self) -> None:
        name = "scoop_mpi executor: results"
        threads = [threading.Thread(target=self._settle_all, name=name, daemon=True)]
        if self._helper is not None:
            threads.append(self._helper.thread)
        try:
            for thread in threads:
                thread.start()
        except RuntimeError:  # it can't be started: so the other one ends, too
            self._done.put(None)
            raise
        self._threads = threads

    # ------------------------------------------------------------ settling

    def _settle_all(self) -> None:
        while (future := self._done.get()) is not None:
            if future in self._pending:  # a watcher may be told more than once
                with self._lock:
                    is_mine = self._pending.pop(future, self) is None
                if is_mine:
                    self._settle(future)
                    self._go_on()
            del future
            # The main thread, which else does it, may not come by as long as this executor is open.
            self._hub.runtime.let_go()

    def _settle(self, future: PoolFuture) -> None:
        """Set the outcome of a task in its future. This runs the callbacks."""
        task = future._task
        assert task is not None
        error = task.failure
        task.call_back()
        if isinstance(error, _InitializerFailed):
            self._break(str(error))
            error = BrokenExecutor(str(error))
        try:
            if isinstance(error, CancelledError):
                concurrent.futures.Future.cancel(future)
            if future.set_running_or_notify_cancel():
                if error is None:
                    future.set_result(task.value)
                else:
                    future.set_exception(error)
        except BaseException:  # which a callback has raised: it ends nobody here
            self._hub.logger.exception("A callback of %r failed.", future)
        future._task = None
        del error

    def _go_on(self) -> None:
        """A call has ended: begin the next of those that wait, or end if there is none."""
        while True:
            with self._lock:
                if not self._backlog:
                    self._under_way -= 1
                    self._end_if_done()
                    return
                future, function, arguments = self._backlog.popleft()
                if future.cancelled():
                    self._pending.pop(future, None)
                    future.set_running_or_notify_cancel()
                    continue
            self._begin(future, function, arguments)
            return

    def _break(self, failure: str) -> None:
        """The initializer has failed on some rank: no call is of use any more."""
        with self._lock:
            if self._failure is not None:
                return
            self._failure = failure
            backlog, self._backlog = self._backlog, deque()
            for future, _, _ in backlog:
                self._pending.pop(future, None)
        self._hub.logger.critical("%s", failure)
        for future, _, _ in backlog:
            if future.set_running_or_notify_cancel():
                future.set_exception(BrokenExecutor(failure))

    # ------------------------------------------------------------ the end

    def close(self, *, cancel_futures: bool = False) -> None:
        """Take no more calls; end when those that there are have ended."""
        with self._lock:
            self._is_closed = True
            pending = list(self._pending)
        if cancel_futures:
            for future in reversed(pending):  # so that none begins as another is cancelled
                future.cancel()
        with self._lock:
            self._drop_cancelled()
            self._end_if_done()

    def _drop_cancelled(self) -> None:
        backlog, self._backlog = self._backlog, deque()
        for entry in backlog:
            if entry[0].cancelled():
                self._pending.pop(entry[0], None)
                entry[0].set_running_or_notify_cancel()
            else:
                self._backlog.append(entry)

    def _end_if_done(self) -> None:
        """Have the threads end if nothing is left to do. The lock is held."""
        if self._is_closed and not self._pending and not self._under_way:
            self._done.put(None)
            if self._helper is not None:
                self._helper.end()
            _open.discard(self)

    def join(self) -> None:
        """Wait until all calls have ended, of an executor that is closed.

        A callback, which a thread of the executor's runs, doesn't wait: that would never end.
        """
        if threading.current_thread() not in self._threads:
            waits.join(self._threads)

    def watched(self, results: Iterator[Any]) -> Iterator[Any]:
        """Yield the results of a map; what says that the initializer failed breaks the executor."""
        while True:
            try:
                result = next(results)
            except StopIteration:
                return
            except _InitializerFailed as error:
                self._break(str(error))
                raise BrokenExecutor(str(error)) from None
            yield result


class _SerialCalls:
    """Calls that are made as they are submitted, where there is no job."""

    def __init__(self) -> None:
        self._is_closed = False

    def check(self) -> None:
        """See `_Calls`."""
        if self._is_closed:
            raise RuntimeError(AFTER_SHUTDOWN)

    def submit(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> concurrent.futures.Future[Any]:
        """Make a call, and return its future, which is done."""
        self.check()
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            raise_interrupt(error)
            future.set_exception(error)
        return future

    def watched(self, results: Iterator[Any]) -> Iterator[Any]:
        """See `_Calls`."""
        return results

    def close(self, *, cancel_futures: bool = False) -> None:
        """See `_Calls`."""
        self._is_closed = True

    def join(self) -> None:
        """See `_Calls`."""


_open: weakref.WeakSet[_Calls] = weakref.WeakSet()  # that may have something to do


def _finish() -> None:
    """Python ends: let the root's calls end first, as those of all executors do."""
    if current.hub is not None and not running().runtime.is_stopping:
        for calls in list(_open):
            calls.close()
            calls.join()


atexit.register(_finish)


# ---------------------------------------------------------------- functions


class Starred(CallableWrapper):
    """A function of one argument, which holds those of the function that is meant."""

    __slots__ = ()

    pickles_as_func = True

    def __reduce__(self) -> tuple[Any, ...]:
        return Starred, (self.func,)

    def __call__(self, arguments: Iterable[Any]) -> Any:
        return self.func(*arguments)


class _InitializerFailed(Exception):
    """The initializer of an executor has failed on some rank."""


class _Initializer:
    """The initializer of one executor. It travels to each rank once.

    Args:
        function: what to call.
        arguments: what with.
    """

    _numbers = itertools.count()

    def __init__(self, function: Callable[..., object], arguments: Iterable[Any]) -> None:
        call = partial(function, *arguments)
        is_alone = current.hub is None
        self.key = 0 if is_alone else running().runtime.transport.rank, next(self._numbers)
        self.name = describe_callable(function)
        self.call = call if is_alone else SharedElementEncapsulation(call)

    def run_once(self) -> Context:
        """Run it, if it has not been on this rank.

        Returns:
            The context variables as it has left them: the calls begin with a copy.

        Raises:
            _InitializerFailed: it has failed.
        """
        with _initializing:
            if self.key not in _initialized:
                context = copy_context()
                _initialized[self.key] = context  # so that calls which it makes itself go on
                try:
                    context.run(self.call)
                except BaseException as error:
                    raise_interrupt(error)
                    _initialized[self.key] = (
                        f"the initializer {self.name} failed: {describe_error(error)}"
                    )
            outcome = _initialized[self.key]
        if isinstance(outcome, str):
            raise _InitializerFailed(outcome)
        return outcome


_initialized: dict[tuple[int, int], Context | str] = {}  # on this rank: or how it failed
_initializing = threading.RLock()  # several threads of a rank may make calls


class _Prepared(CallableWrapper):
    """A function that is called on ranks on which an initializer has run.

    Args:
        func: the function.
        initializer: the initializer.
    """

    __slots__ = ("_initializer",)

    def __init__(self, func: Callable[..., Any], initializer: _Initializer) -> None:
        super().__init__(func)
        self._initializer = initializer

    def __reduce__(self) -> tuple[Any, ...]:
        return _Prepared, (self.func, self._initializer)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        context = self._initializer.run_once().copy()
        return context.run(self.func, *arguments, **keywords)
