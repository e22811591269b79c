"""`scoop.futures`: what `scoop_mpi.futures` has, and SCOOP's indulgence.

SCOOP's maps took any keyword argument and ignored it, and programs rely on that. These do so too,
with a warning. All else is scoop_mpi's own, the same object by either name.

A module of its own, and no flag in `scoop_mpi.futures`, so that each function has one name, by
which it travels, and one behaviour, whoever calls it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from scoop_mpi import futures
from scoop_mpi.errors import users_stacklevel
from scoop_mpi.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    CancelledError,
    DependencyError,
    DoneAndNotDoneFutures,
    Future,
    NotStartedProperly,
    Options,
    TimeoutError,
    as_completed,
    on_every_rank,
    options,
    shutdown,
    submit,
    wait,
)

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "CancelledError",
    "DependencyError",
    "DoneAndNotDoneFutures",
    "Future",
    "NotStartedProperly",
    "Options",
    "TimeoutError",
    "as_completed",
    "map",
    "mapReduce",
    "mapScan",
    "map_as_completed",
    "on_every_rank",
    "options",
    "shutdown",
    "submit",
    "wait",
]


def __dir__() -> list[str]:
    """Return the public names, which tab completion shows."""
    return list(__all__)


def map(
    func: Callable[..., Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
    buffersize: int | None = None,
    chunksize: int | None = None,
    **ignored: Any,
) -> Iterator[Any]:
    """See `scoop_mpi.futures.map`. Other keyword arguments have no effect, but for a warning."""
    _warn_of("map", ignored)
    return futures.map(
        func, *iterables, timeout=timeout, buffersize=buffersize, chunksize=chunksize
    )


def map_as_completed(
    func: Callable[..., Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
    **ignored: Any,
) -> Iterator[Any]:
    """See `scoop_mpi.futures.map_as_completed`, and `map` for other keyword arguments."""
    _warn_of("map_as_completed", ignored)
    return futures.map_as_completed(func, *iterables, timeout=timeout)


def mapReduce(
    mapFunc: Callable[..., Any],
    reductionFunc: Callable[[Any, Any], Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
    **ignored: Any,
) -> Any:
    """See `scoop_mpi.futures.mapReduce`, and `map` for other keyword arguments."""
    _warn_of("mapReduce", ignored)
    return futures.mapReduce(mapFunc, reductionFunc, *iterables, timeout=timeout)


def mapScan(
    mapFunc: Callable[..., Any],
    reductionFunc: Callable[[Any, Any], Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
    **ignored: Any,
) -> list[Any]:
    """See `scoop_mpi.futures.mapScan`, and `map` for other keyword arguments."""
    _warn_of("mapScan", ignored)
    return futures.mapScan(mapFunc, reductionFunc, *iterables, timeout=timeout)


def _warn_of(name: str, ignored: dict[str, Any]) -> None:
    if ignored:
        warnings.warn(
            f"scoop.futures.{name}() ignores the keyword arguments {', '.join(ignored)}, as SCOOP "
            "does: the function is not called with them. functools.partial would give it some",
            RuntimeWarning,
            stacklevel=users_stacklevel(),
        )
