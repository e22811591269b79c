"""`mpi4py.futures` by scoop_mpi: what programs that are written for it find with --mpi4py-alias.

Here rank 0 alone runs the program, and the other ranks wait for calls already. So what a program of
mpi4py's does to get there is taken, and has no effect.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    InvalidStateError,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    TimeoutError,
    as_completed,
    wait,
)
from functools import partial
from types import TracebackType
from typing import Any, NoReturn

from scoop_mpi.errors import users_stacklevel
from scoop_mpi.fronts import executor

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "Executor",
    "Future",
    "InvalidStateError",
    "MPICommExecutor",
    "MPIPoolExecutor",
    "ProcessPoolExecutor",
    "ThreadPoolExecutor",
    "TimeoutError",
    "as_completed",
    "collect",
    "compose",
    "get_comm_workers",
    "wait",
]

NAME = "mpi4py.futures"
# What mpi4py's executor needs to know to start workers, and ours does not.
_ABOUT_STARTING = frozenset(
    (
        "backoff",
        "chdir",
        "env",
        "globals",
        "main",
        "mpi_info",
        "path",
        "python_args",
        "python_exe",
        "use_pkl5",
        "wdir",
    )
)


class MPIPoolExecutor(executor.MPIPoolExecutor):
    """See `scoop_mpi.MPIPoolExecutor`. What mpi4py's takes besides is ignored, with a warning.

    Raises:
        TypeError: mpi4py's doesn't take it either.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        **options: Any,
    ) -> None:
        unknown = sorted(options.keys() - _ABOUT_STARTING)
        if unknown:
            raise TypeError(f"MPIPoolExecutor() knows nothing of {', '.join(unknown)}")
        if options:
            warnings.warn(
                f"MPIPoolExecutor: {', '.join(sorted(options))} without effect, as the ranks run "
                "already",
                RuntimeWarning,
                stacklevel=users_stacklevel(),
            )
        super().__init__(max_workers, initializer, initargs)


class MPICommExecutor:
    """A context manager that gives an executor of all ranks.

    Args:
        comm: accepted for compatibility: the ranks are those of the job.
        root: the same: rank 0 runs the program.
        options: those of `MPIPoolExecutor`.
    """

    def __init__(self, comm: Any = None, root: int = 0, **options: Any) -> None:
        self._options = options
        self._executor: MPIPoolExecutor | None = None

    def __enter__(self) -> MPIPoolExecutor:
        if self._executor is not None:
            raise RuntimeError("__enter__")
        self._executor = MPIPoolExecutor(**self._options)
        return self._executor

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        found: TracebackType | None,
    ) -> None:
        given, self._executor = self._executor, None
        if given is not None:
            given.shutdown(wait=True)


def get_comm_workers() -> NoReturn:
    """Refuse to give a communicator of the workers: calls don't run on all of them at once.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(
        "get_comm_workers() gives none under scoop_mpi: its ranks don't make one call together"
    )


def collect(fs: Iterable[Future[Any]]) -> Future[list[Any]]:
    """Return the future of the results of some futures, in their order.

    It fails as the first that fails, and is cancelled if one is. To cancel it cancels them.
    """
    return _Collected(list(fs)).future


class _Collected:
    def __init__(self, futures: list[Future[Any]]) -> None:
        self.future: Future[list[Any]] = Future()
        self._futures = futures
        self._left = set(futures)
        if not futures:
            self.future.set_running_or_notify_cancel()
            self.future.set_result([])
            return
        self.future.add_done_callback(self._cancel_all)
        for future in set(futures):
            future.add_done_callback(self._note)

    def _cancel_all(self, collected: Future[list[Any]]) -> None:
        if collected.cancelled():
            for future in self._futures:
                future.cancel()

    def _note(self, future: Future[Any]) -> None:
        collected = self.future
        self._left.discard(future)
        if collected.done():
            return
        if future.cancelled():
            if collected.cancel():
                collected.set_running_or_notify_cancel()
        elif future.exception() is not None:
            _end(collected, None, future.exception())
        elif not self._left:
            _end(collected, [each.result() for each in self._futures], None)


def compose(
    future: Future[Any],
    resulthook: Callable[[Any], Any] | None = None,
    excepthook: Callable[[BaseException], Any] | None = None,
) -> Future[Any]:
    """Return the future of what hooks make of the outcome of another.

    Args:
        future: that other.
        resulthook: called with its result; returns that of the new future.
        excepthook: called with its exception; returns an exception, which the new future raises,
            or a result.
    """
    composed: Future[Any] = Future()
    composed.add_done_callback(lambda done: future.cancel() if done.cancelled() else None)
    future.add_done_callback(partial(_compose, composed, resulthook, excepthook))
    return composed


def _compose(
    composed: Future[Any],
    resulthook: Callable[[Any], Any] | None,
    excepthook: Callable[[BaseException], Any] | None,
    future: Future[Any],
) -> None:
    if composed.done():
        return
    if future.cancelled():
        if composed.cancel():
            composed.set_running_or_notify_cancel()
        return
    error = future.exception()
    try:
        if error is None:
            value = future.result() if resulthook is None else resulthook(future.result())
        elif excepthook is None:
            raise error
        else:
            value = excepthook(error)
            if isinstance(value, BaseException):
                raise value
    except BaseException as failure:
        _end(composed, None, failure)
    else:
        _end(composed, value, None)


def _end(future: Future[Any], value: Any, error: BaseException | None) -> None:
    if future.set_running_or_notify_cancel():
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def install() -> None:
    """Have ``mpi4py.futures`` give this module, from now on."""
    ours = sys.modules[__name__]
    sys.modules[NAME] = ours
    vars(importlib.import_module("mpi4py"))["futures"] = ours
