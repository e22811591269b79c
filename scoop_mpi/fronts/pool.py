"""Pool: the ranks of the job as a pool of `multiprocessing`, for what asks for one.

It has the names and rules of `multiprocessing.pool.Pool`, and what schwimmbad's pools add for
programs of MPI. Each call goes through a `MPIPoolExecutor`, or, where the caller waits for all of
them anyhow, through `futures.map`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future as ConcurrentFuture
from multiprocessing import TimeoutError as PoolTimeoutError
from typing import Any

from scoop_mpi.fronts import waits
from scoop_mpi.fronts.executor import MPIPoolExecutor, Starred

NOT_RUNNING = "Pool not running"
STILL_RUNNING = "Pool is still running"


class Pool:
    """The ranks of the job as a pool of `multiprocessing`.

    A pool that travels to another rank, as an attribute of what is mapped, is one of that rank's
    there, of the same ranks.

    Args:
        processes: the number of calls that are made at a time, at most; None: as many as there are
            ranks for them.
        initializer: called once on each rank that makes calls of this pool, before the first.
        initargs: its arguments.
        maxtasksperchild: accepted for compatibility, and without effect: ranks stay.

    Raises:
        ValueError: `processes` is less than 1.
        TypeError: `initializer` is not callable.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        self._arguments = processes, initializer, tuple(initargs)
        self._executor = MPIPoolExecutor(*self._arguments)
        self._is_closed = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Pool, self._arguments

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "running"
        return f"<Pool of {self.size} ranks, {state}>"

    def __enter__(self) -> Pool:
        self._check()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    # ------------------------------------------------------------ calls

    def apply(
        self, func: Callable[..., Any], args: Iterable[Any] = (), kwds: dict[str, Any] | None = None
    ) -> Any:
        """Return what ``func(*args, **kwds)`` returns, on some rank."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """Have ``func(*args, **kwds)`` called, and return what will have its result."""
        self._check()
        calls = [self._executor.submit(func, *args, **(kwds or {}))]
        return AsyncResult(calls, callback, error_callback, is_single=True)

    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """Return the results of `func` for the items, in their order."""
        self._check()
        return list(self._executor.map(func, iterable))

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """Return the results of ``func(*item)`` for the items, in their order."""
        return self.map(Starred(func), iterable)

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """Have `func` called for the items, and return what will have the list of results."""
        self._check()
        calls = [self._executor.submit(func, item) for item in iterable]
        return AsyncResult(calls, callback, error_callback)

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """Have ``func(*item)`` called, and return what will have the list of results."""
        return self.map_async(Starred(func), iterable, chunksize, callback, error_callback)

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> Iterator[Any]:
        """Return an iterator over the results of `func` for the items, in their order."""
        self._check()
        return self._executor.map(func, iterable)

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> Iterator[Any]:
        """Return an iterator over the results of `func` for the items, in any order."""
        self._check()
        return self._executor.map(func, iterable, unordered=True)

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """Take no more calls."""
        self._is_closed = True
        self._executor.shutdown(wait=False)

    def terminate(self) -> None:
        """Take no more calls, and cancel those that nobody has begun."""
        self._is_closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Wait until all calls have ended.

        Raises:
            ValueError: the pool has not been closed.
        """
        if not self._is_closed:
            raise ValueError(STILL_RUNNING)
        self._executor.shutdown()

    def _check(self) -> None:
        if self._is_closed:
            raise ValueError(NOT_RUNNING)

    # ------------------------------------------------------------ schwimmbad's

    @property
    def size(self) -> int:
        """The number of ranks that make calls (schwimmbad)."""
        return self._executor.num_workers

    def is_master(self) -> bool:
        """Say that this is the program's rank: no other comes by here (schwimmbad)."""
        return True

    def wait(self) -> None:
        """Do nothing: the other ranks wait for calls by themselves (schwimmbad)."""


class AsyncResult:
    """What will have the results of some calls: see `multiprocessing.pool.AsyncResult`.

    Args:
        calls: the calls.
        callback: called with the result.
        error_callback: called with what was raised.
        is_single: whether the result is that of the only call, rather than a list.
    """

    def __init__(
        self,
        calls: Sequence[ConcurrentFuture[Any]],
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
        is_single: bool = False,
    ) -> None:
        self._calls = calls
        self._is_single = is_single
        self._callback = callback
        self._error_callback = error_callback
        self._error: BaseException | None = None
        self._left = len(calls)
        self._lock = threading.Lock()
        self._done = threading.Event()
        if not calls:
            self._end()
        for call in calls:
            call.add_done_callback(self._note)

    def _note(self, call: ConcurrentFuture[Any]) -> None:
        """A call is done: if it has failed, so have all; if it is the last, this is done."""
        with self._lock:
            self._left -= 1
            is_last = not self._left
        if is_last:
            self._end()

    def _end(self) -> None:
        for call in self._calls:
            error = CancelledCall(NOT_RUNNING) if call.cancelled() else call.exception()
            if error is not None:
                self._error = error
                break
        try:
            if self._error is None:
                if self._callback is not None:
                    self._callback(self._value)
            elif self._error_callback is not None:
                self._error_callback(self._error)
        finally:
            self._done.set()

    @property
    def _value(self) -> Any:
        values = [call.result() for call in self._calls]
        return values[0] if self._is_single else values

    def get(self, timeout: float | None = None) -> Any:
        """Return the result, or raise what the first call to fail has raised.

        Raises:
            multiprocessing.TimeoutError: it was not there within `timeout` seconds.
        """
        if not waits.wait(self._done, timeout):
            raise PoolTimeoutError
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the result, at most `timeout` seconds."""
        waits.wait(self._done, timeout)

    def ready(self) -> bool:
        """Say whether the result is there."""
        return self._done.is_set()

    def successful(self) -> bool:
        """Say whether no call has raised.

        Raises:
            ValueError: the result is not there.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error is None


class CancelledCall(RuntimeError):
    """The pool was terminated before the call began."""
