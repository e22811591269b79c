"""The futures API: SCOOP's functions, after PEP 3148.

Thin by intent: what a call does is decided in `hub` and `span`, and what a map returns in `maps`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from threading import get_ident
from typing import Any, NamedTuple

from scoop_mpi import current
from scoop_mpi.errors import (
    CancelledError,
    NotStartedProperly,
    TimeoutError,
    from_call,
    users_stacklevel,
)
from scoop_mpi.future import Future, KeywordCall, check_timeout
from scoop_mpi.hub import Hub
from scoop_mpi.maps import SubmittedMap, buffered_map
from scoop_mpi.rebound import warn_of
from scoop_mpi.reduction import Tree
from scoop_mpi.waiting import Arrivals

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "CancelledError",
    "DoneAndNotDoneFutures",
    "Future",
    "NotStartedProperly",
    "TimeoutError",
    "as_completed",
    "map",
    "mapReduce",
    "mapScan",
    "map_as_completed",
    "shutdown",
    "submit",
    "wait",
]

FIRST_COMPLETED = "FIRST_COMPLETED"
FIRST_EXCEPTION = "FIRST_EXCEPTION"
ALL_COMPLETED = "ALL_COMPLETED"

_builtin_map = map


class DoneAndNotDoneFutures(NamedTuple):
    """What `wait` returns."""

    done: set[Future]
    not_done: set[Future]


def submit(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
    """Have ``func(*args, **kwargs)`` called, here or on another rank, and return its future.

    Args:
        func: anything callable. What every rank can import is sent by its name; lambdas,
            closures and the like are sent whole.
        args: positional arguments; they are pickled only if the call goes to another rank.
        kwargs: keyword arguments.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TypeError: `func` is not callable.
    """
    hub = current.hub
    if hub is None:
        hub = current.running_hub()
    if not callable(func):
        raise TypeError(f"submit() needs something callable, not {func!r}")
    if kwargs:
        func = KeywordCall(func, **kwargs)
    future = Future()  # `Future.of`, written out: this is the path of every nested task
    future._function = func
    future._arguments = args
    future._watchers = None
    if get_ident() == hub.thread:
        hub.ready[future] = None
    else:
        hub.enqueue(future)
    return future


def map(
    func: Callable[..., Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
    buffersize: int | None = None,
    chunksize: int | None = None,
) -> Iterator[Any]:
    """Apply `func` to the items of `iterables` in parallel, and return the results in order.

    The calls are submitted at once. Where the program was not started with ``-m scoop_mpi``, this
    is the built-in `map`, with a RuntimeWarning.

    Args:
        func: anything callable; see `submit`.
        iterables: several are zipped, up to the shortest.
        timeout: seconds from now after which waiting for a result raises; None or infinity: no
            limit.
        buffersize: if given, at the most so many calls are submitted whose results have not been
            taken, and the iterables are drawn as the results are taken, some items at a time. So
            they may be endless.
        chunksize: accepted for compatibility with `concurrent.futures`, and without effect: calls
            are handed out one by one, at no cost to speak of.

    Returns:
        An iterator. Where a call raised, taking its result raises the same.

    Raises:
        TimeoutError: (from the iterator) a result was not there in time.
        TypeError: `func` is not callable, there are no iterables, or one can't be iterated.
        ValueError: `buffersize` or `chunksize` is less than 1, or `timeout` is nan.
    """
    _check(func, iterables, "map")
    for name, value in (("buffersize", buffersize), ("chunksize", chunksize)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    check_timeout(timeout)
    hub = current.hub
    if hub is None:
        warnings.warn(
            "scoop_mpi was not started with `python -m scoop_mpi`: futures.map runs serially, "
            "as the built-in map does",
            RuntimeWarning,
            stacklevel=users_stacklevel(),
        )
        return iter(_builtin_map(func, *iterables))
    deadline = hub.deadline(timeout)
    if buffersize is not None:
        return buffered_map(hub, func, iterables, buffersize, deadline)
    return SubmittedMap.of_all(hub, func, iterables).in_order(deadline)


def map_as_completed(
    func: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None
) -> Iterator[Any]:
    """Apply `func` to the items of `iterables` in parallel, and return results as they come in.

    Args:
        func: anything callable; see `submit`.
        iterables: several are zipped, up to the shortest.
        timeout: seconds from now after which waiting for a result raises; None or infinity: no
            limit.

    Returns:
        An iterator over the results, in no particular order. Where a call raised, so does the
        iterator, which can go on after that.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TimeoutError: (from the iterator) not all results were there in time.
        TypeError: `func` is not callable, there are no iterables, or one can't be iterated.
        ValueError: `timeout` is nan.
    """
    _check(func, iterables, "map_as_completed")
    hub = current.running_hub()
    deadline = hub.deadline(timeout)
    return SubmittedMap.of_all(hub, func, iterables).as_completed(deadline)


def mapReduce(
    mapFunc: Callable[..., Any],
    reductionFunc: Callable[[Any, Any], Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
) -> Any:
    """Apply `mapFunc` in parallel and combine the results, pair by pair, to a single value.

    Results are combined on the ranks that computed them as far as possible. Which pairs are
    combined depends on the number of items alone, and order is kept: `reductionFunc` has to be
    associative, not commutative, and a result in floating point is the same to the bit on any
    number of ranks.

    Args:
        mapFunc: anything callable; see `submit`.
        reductionFunc: takes two results, or combined results, and returns one.
        iterables: several are zipped, up to the shortest.
        timeout: seconds to wait at the most; None or infinity: no limit.

    Returns:
        The combined value; of a single item just what `mapFunc` returned.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TimeoutError: the value was not there in time.
        TypeError: there are no items, as with `functools.reduce`; or see `map`.
        BaseException: what the first call to fail, in the order of the items, raised; if none did,
            what `reductionFunc` raised for the first results, in that order, that it failed to
            combine. A StopIteration is the cause of a RuntimeError, here and in all maps.
        ValueError: `timeout` is nan.
    """
    _check(mapFunc, iterables, "mapReduce")
    if not callable(reductionFunc):
        raise TypeError(f"mapReduce() needs a reduction function, not {reductionFunc!r}")
    hub = current.running_hub()
    deadline = hub.deadline(timeout)
    submitted = SubmittedMap.of_all(hub, mapFunc, iterables, reductionFunc)
    if not submitted.count:
        raise TypeError("mapReduce() of no items, and so of no value")
    tree = Tree(reductionFunc, submitted.count)
    for outcomes in submitted.outcomes(deadline):
        values, failures = outcomes.open()
        tree.add(outcomes.start, outcomes.length, values, failures)
        del values, failures
    return tree.result(mapFunc)


def mapScan(
    mapFunc: Callable[..., Any],
    reductionFunc: Callable[[Any, Any], Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
) -> list[Any]:
    """Apply `mapFunc` in parallel, and return all the running combinations of the results.

    This is what `itertools.accumulate` gives, to the bit: results are combined here, one after
    the other from the left, while further ones are computed.

    Args:
        mapFunc: anything callable; see `submit`.
        reductionFunc: takes the combination so far and the next result, and returns their
            combination. It need not be associative.
        iterables: several are zipped, up to the shortest.
        timeout: seconds to wait at the most; None or infinity: no limit.

    Returns:
        One value for each item; an empty list if there are none.

    Raises:
        NotStartedProperly: the program was not started with ``-m scoop_mpi``.
        TimeoutError: the values were not there in time.
        TypeError: see `map`.
        BaseException: what the first call to fail raised, of either function, in the order of the
            items.
        ValueError: `timeout` is nan.
    """
    _check(mapFunc, iterables, "mapScan")
    if not callable(reductionFunc):
        raise TypeError(f"mapScan() needs a reduction function, not {reductionFunc!r}")
    hub = current.running_hub()
    deadline = hub.deadline(timeout)
    results = SubmittedMap.of_all(hub, mapFunc, iterables).in_order(deadline)
    combined = list(islice(results, 1))
    try:
        # No `itertools.accumulate`: to it, a StopIteration of the function's would be the end.
        for value in results:
            combined.append(reductionFunc(combined[-1], value))
    except StopIteration as stop:
        raise from_call(stop, reductionFunc) from stop
    return combined


def as_completed(fs: Iterable[Future], timeout: float | None = None) -> Iterator[Future]:
    """Return an iterator over futures that yields each as soon as it is done.

    Args:
        fs: the futures; one that occurs more than once is yielded once.
        timeout: seconds from now to wait at the most; None or infinity: no limit.

    Raises:
        TimeoutError: (from the iterator) not all of them were done in time.
        ValueError: `timeout` is nan.
    """
    hub = current.running_hub()
    futures = _distinct(fs)
    return _as_completed(hub, futures, hub.deadline(timeout))


def wait(
    fs: Iterable[Future], timeout: float | None = -1, return_when: str = ALL_COMPLETED
) -> DoneAndNotDoneFutures:
    """Wait for futures.

    Args:
        fs: the futures.
        timeout: seconds to wait at the most; negative, None or infinity: no limit; 0: don't wait,
            but move messages along and look.
        return_when: FIRST_COMPLETED: when any of them is done; FIRST_EXCEPTION: when any has
            raised, or all are done; ALL_COMPLETED: when all are done.

    Returns:
        The named tuple (done, not_done) of two sets.

    Raises:
        ValueError: `return_when` is none of the three, or `timeout` is nan.
    """
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(
            "return_when must be FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, "
            f"not {return_when!r}"
        )
    hub = current.running_hub()
    futures = _distinct(fs)
    if timeout == 0:
        for future in futures:
            if not future.is_done:
                hub.poll(future)
                break
    else:
        _wait(hub, futures, timeout, return_when)
    done = {future for future in futures if future.is_done}
    for future in done:
        future.run_callbacks()
    return DoneAndNotDoneFutures(done, set(futures) - done)


def shutdown(wait: bool = True) -> None:
    """Do nothing: the pool ends with the program. Here for programs that call it."""


# ---------------------------------------------------------------- how they are done


def _check(func: object, iterables: tuple[Iterable[Any], ...], name: str) -> None:
    if not callable(func):
        raise TypeError(f"{name}() needs something callable, not {func!r}")
    if not iterables:
        raise TypeError(f"{name}() needs at least one iterable")
    hub = current.hub
    if hub is not None and hub.runtime.size > 1:
        warn_of(func)


def _distinct(fs: Iterable[Future]) -> list[Future]:
    futures = list(dict.fromkeys(fs))
    for future in futures:
        if not isinstance(future, Future):
            raise TypeError(f"not a future of scoop_mpi: {future!r}")
    return futures


def _as_completed(hub: Hub, futures: list[Future], deadline: float | None) -> Iterator[Future]:
    if deadline is not None:
        hub.leave_to_others(futures, deadline)
    arrivals = Arrivals(hub, futures)
    try:
        for done in range(len(futures)):
            while not arrivals.arrived:
                if not arrivals.advance(deadline):
                    raise TimeoutError(f"{len(futures) - done} of {len(futures)} futures not done")
            future = arrivals.arrived.popleft()
            future.run_callbacks()
            yield future
    finally:
        arrivals.close()


def _wait(hub: Hub, futures: list[Future], timeout: float | None, return_when: str) -> None:
    deadline = hub.deadline(None if timeout is None or timeout < 0 else timeout)
    if deadline is not None:
        hub.leave_to_others(futures, deadline)
    arrivals = Arrivals(hub, futures)
    try:
        left = len(futures)
        while left:
            while arrivals.arrived:
                future = arrivals.arrived.popleft()
                left -= 1
                if return_when == FIRST_COMPLETED or (
                    return_when == FIRST_EXCEPTION and future.failure is not None
                ):
                    return
            if left and not arrivals.advance(deadline):
                return
    finally:
        arrivals.close()
