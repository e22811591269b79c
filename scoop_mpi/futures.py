"""The futures API: SCOOP's functions, after PEP 3148.

Thin by intent: what a call does is decided in `hub` and `span`, and what a map returns in `maps`.
"""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from itertools import islice
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from scoop_mpi import current
from scoop_mpi.engine.hub import Hub, running
from scoop_mpi.errors import (
    CancelledError,
    DependencyError,
    NotStartedProperly,
    TimeoutError,
    from_call,
    users_stacklevel,
)
from scoop_mpi.results.arrivals import Arrivals
from scoop_mpi.results.maps import buffered_map, check_sizes, submitted
from scoop_mpi.tasks.dependencies import HOLDERS
from scoop_mpi.tasks.future import Future, KeywordCall, check_timeout
from scoop_mpi.tasks.rebound import warn_of
from scoop_mpi.tasks.reduction import Tree
from scoop_mpi.tasks.terms import Termed, Terms

if TYPE_CHECKING:
    from typing import ParamSpec, TypedDict, TypeVar

    from typing_extensions import Unpack

    class MapOptions(TypedDict, total=False):
        """The keyword arguments of `map`."""

        timeout: float | None
        buffersize: int | None
        chunksize: int | None

    P = ParamSpec("P")
    MayHoldFutures = Future[Any] | list[Any] | tuple[Any, ...] | dict[Any, Any]
    R = TypeVar("R")  # what a function returns
    A = TypeVar("A")  # the items of iterables
    B = TypeVar("B")
    C = TypeVar("C")
    D = TypeVar("D")
    E = TypeVar("E")

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


FIRST_COMPLETED = "FIRST_COMPLETED"
FIRST_EXCEPTION = "FIRST_EXCEPTION"
ALL_COMPLETED = "ALL_COMPLETED"


class Options:
    """The functions of this module that make calls, for calls with terms: what `options` returns.

    Args:
        terms: of the calls.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._termed: Termed | None = None  # the last function: calls of one go together

    def __repr__(self) -> str:
        return f"<Options {self._terms}>" if str(self._terms) else "<Options>"

    def _with_terms(self, func: Callable[..., R]) -> Callable[..., R]:
        termed = self._termed
        if termed is None or termed.func is not func:
            if not callable(func):
                return func  # which the function that gets it says better
            termed = self._termed = Termed(func, self._terms)
        return termed

    def submit(self, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """See `submit`."""
        return submit(self._with_terms(func), *args, **kwargs)

    def map(self, func: Callable[..., R], *iterables: Iterable[Any], **options: Any) -> Iterator[R]:
        """See `map`."""
        mapped: Callable[..., Iterator[R]] = map
        return mapped(self._with_terms(func), *iterables, **options)

    def map_as_completed(
        self, func: Callable[..., R], *iterables: Iterable[Any], timeout: float | None = None
    ) -> Iterator[R]:
        """See `map_as_completed`."""
        mapped: Callable[..., Iterator[R]] = map_as_completed
        return mapped(self._with_terms(func), *iterables, timeout=timeout)

    def mapReduce(
        self,
        mapFunc: Callable[..., Any],
        reductionFunc: Callable[[R, R], R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
    ) -> R:
        """See `mapReduce`. The terms are those of the calls of `mapFunc`."""
        return mapReduce(self._with_terms(mapFunc), reductionFunc, *iterables, timeout=timeout)

    def mapScan(
        self,
        mapFunc: Callable[..., Any],
        reductionFunc: Callable[[R, R], R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
    ) -> list[R]:
        """See `mapScan`. The terms are those of the calls of `mapFunc`."""
        return mapScan(self._with_terms(mapFunc), reductionFunc, *iterables, timeout=timeout)


class DoneAndNotDoneFutures(NamedTuple):
    """What `wait` returns."""

    done: set[Future]
    not_done: set[Future]


def options(**terms: Any) -> Options:
    """Return `submit`, `map`, `map_as_completed`, `mapReduce` and `mapScan` for calls with terms.

    So ``futures.options(name="first run").submit(func, x)`` is ``futures.submit(func, x)``, and
    more is said of it.

    Args:
        terms: what is said of the calls.

            ``name``: a text by which errors and the log call them, besides the name of the
            function.

            ``retries``: how often each is made again if it fails, on another rank if one has
            nothing to do; 0 unless told. The last error is raised, and tells of those before.

            ``retry_on``: the type of exceptions, or a tuple of types, after which it is made again;
            `Exception` unless told.

            ``journal``: False: their results are not kept in the job's journal, if there is one; a
            text: they are, and a call is known by this text and its arguments, whatever becomes of
            its function.

            ``isolated``: True: each is made in a process of its own, which may crash. Then it fails
            with `TaskCrashed`, and nothing else.

            ``time_limit``: seconds that each may take; after that it fails with `TaskTimeLimit`.

            ``max_deaths``: after how many crashes an isolated call is not made again, whatever
            ``retries`` says; 3 unless told.

            ``backoff``: seconds until it is made again the first time, twice as many the next, and
            so on; 0 unless told. Other tasks run meanwhile.

    Raises:
        TypeError: a term is unknown, or is none of its kind.
        ValueError: ``retries``, ``backoff`` or ``time_limit`` is negative, or not finite;
            ``max_deaths`` is less than 1.
    """
    return Options(Terms.of(terms))


# Futures among the arguments stand for their results, and so does one that a function returns.
@overload
def submit(
    func: Callable[..., R], first: MayHoldFutures, /, *args: Any, **kwargs: Any
) -> Future[R]: ...
@overload
def submit(
    func: Callable[..., R], first: Any, second: MayHoldFutures, /, *args: Any, **kwargs: Any
) -> Future[R]: ...
@overload
def submit(func: Callable[P, Future[R]], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
@overload
def submit(func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
def submit(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Have ``func(*args, **kwargs)`` called, here or on another rank, and return its future.

    A future among the arguments stands for its result, and so does one in a list, a tuple, or as
    a value in a dictionary, that is an argument. The call is made once all of them are done, and
    nobody waits for it until then.

    Args:
        func: anything callable. What every rank can import is sent by its name; lambdas,
            closures and the like are sent whole. If it returns a future, its result is that of
            the call.
        args: positional arguments; they are pickled only if the call goes to another rank.
        kwargs: keyword arguments.

    Returns:
        The future. If one among the arguments fails, so does this, with a `DependencyError` that
        has its error as the cause; if one is cancelled, so is this.

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
        if not HOLDERS.isdisjoint(builtins.map(type, kwargs.values())):
            return running().submit(func, args)
    match args:  # the same in each case, in the least time
        case (first,):
            may_hold_futures = type(first) in HOLDERS
        case (first, second):
            may_hold_futures = type(first) in HOLDERS or type(second) in HOLDERS
        case _:
            may_hold_futures = not HOLDERS.isdisjoint(builtins.map(type, args))
    if may_hold_futures:
        return running().submit(func, args)
    future = Future()  # `Future.of`, written out: this is the path of every nested task
    future._function = func
    future._arguments = args
    future._context = copy_context()
    future._watchers = None
    if hub.is_alone or get_ident() == hub.thread:
        hub.ready[future] = None
    else:
        hub.enqueue(future)
    return future


@overload
def map(
    func: Callable[..., Future[R]],
    *iterables: Iterable[Any],
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[..., R],
    a: Iterable[MayHoldFutures],
    /,
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[[A], R],
    a: Iterable[A | Future[A]],
    /,
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[[A, B], R],
    a: Iterable[A | Future[A]],
    b: Iterable[B | Future[B]],
    /,
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[[A, B, C], R],
    a: Iterable[A | Future[A]],
    b: Iterable[B | Future[B]],
    c: Iterable[C | Future[C]],
    /,
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[[A, B, C, D], R],
    a: Iterable[A | Future[A]],
    b: Iterable[B | Future[B]],
    c: Iterable[C | Future[C]],
    d: Iterable[D | Future[D]],
    /,
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[[A, B, C, D, E], R],
    a: Iterable[A | Future[A]],
    b: Iterable[B | Future[B]],
    c: Iterable[C | Future[C]],
    d: Iterable[D | Future[D]],
    e: Iterable[E | Future[E]],
    /,
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
@overload
def map(
    func: Callable[..., R],
    a: Iterable[Any],
    b: Iterable[Any],
    c: Iterable[Any],
    d: Iterable[Any],
    e: Iterable[Any],
    f: Iterable[Any],
    /,
    *iterables: Iterable[Any],
    **options: Unpack[MapOptions],
) -> Iterator[R]: ...
def map(
    func: Callable[..., Any],
    *iterables: Iterable[Any],
    timeout: float | None = None,
    buffersize: int | None = None,
    chunksize: int | None = None,
) -> Iterator[Any]:
    """Apply `func` to the items of `iterables` in parallel, and return the results in order.

    The calls are submitted at once. Futures among the items stand for their results, as among the
    arguments of `submit`. Where the program was not started with ``-m scoop_mpi``, this
    is the built-in `map`, with a RuntimeWarning.

    Args:
        func: anything callable; see `submit`.
        iterables: several are zipped, up to the shortest.
        timeout: seconds from now after which waiting for a result raises; None or infinity: no
            limit.
        buffersize: if given, at most that many calls are submitted whose results have not been
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
    check_sizes(buffersize=buffersize, chunksize=chunksize)
    check_timeout(timeout)
    if current.hub is None:
        warnings.warn(
            "scoop_mpi was not started with `python -m scoop_mpi`: futures.map runs serially, "
            "as the built-in map does",
            RuntimeWarning,
            stacklevel=users_stacklevel(),
        )
        return iter(builtins.map(func, *iterables))
    hub = running()
    deadline = hub.time_limits.deadline(timeout)
    if buffersize is not None:
        return buffered_map(hub, func, iterables, buffersize, deadline)
    return submitted(hub, func, iterables).in_order(deadline)


@overload
def on_every_rank(
    func: Callable[P, Future[R]], /, *args: P.args, **kwargs: P.kwargs
) -> list[R]: ...
@overload
def on_every_rank(func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> list[R]: ...
def on_every_rank(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> list[Any]:
    """Call ``func(*args, **kwargs)`` once on each rank, and return the results, by rank.

    On this one it is called here and now; on each other one when that is next free, before all
    other calls that wait there: a rank that is within a task comes to it when the task ends, or
    waits for something of scoop_mpi's. Rank 0 makes the call too, whether it runs tasks or not.
    Where the program was not started with ``-m scoop_mpi``, there is one rank, this process.

    Args:
        func: anything callable; see `submit`.
        args: positional arguments.
        kwargs: keyword arguments.

    Raises:
        SerializationError: there are other ranks, and `func` can't be sent to them.
        TypeError: `func` is not callable.
        CancelledError: the program has ended.
        BaseException: what the call raised, on the lowest of the ranks where it did.
    """
    if not callable(func):
        raise TypeError(f"on_every_rank() needs something callable, not {func!r}")
    if current.hub is None:
        return [func(*args, **kwargs)]
    called = KeywordCall(func, **kwargs) if kwargs else func
    return [future.result() for future in running().special_calls.on_every_rank(called, args)]


@overload
def map_as_completed(
    func: Callable[..., Future[R]], *iterables: Iterable[Any], timeout: float | None = None
) -> Iterator[R]: ...
@overload
def map_as_completed(
    func: Callable[..., R],
    a: Iterable[MayHoldFutures],
    /,
    *,
    timeout: float | None = None,
) -> Iterator[R]: ...
@overload
def map_as_completed(
    func: Callable[[A], R], a: Iterable[A | Future[A]], /, *, timeout: float | None = None
) -> Iterator[R]: ...
@overload
def map_as_completed(
    func: Callable[[A, B], R],
    a: Iterable[A | Future[A]],
    b: Iterable[B | Future[B]],
    /,
    *,
    timeout: float | None = None,
) -> Iterator[R]: ...
@overload
def map_as_completed(
    func: Callable[..., R],
    a: Iterable[Any],
    b: Iterable[Any],
    c: Iterable[Any],
    /,
    *iterables: Iterable[Any],
    timeout: float | None = None,
) -> Iterator[R]: ...
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
    hub = running()
    deadline = hub.time_limits.deadline(timeout)
    return submitted(hub, func, iterables).as_completed(deadline)


def mapReduce(
    mapFunc: Callable[..., Any],
    reductionFunc: Callable[[R, R], R],
    *iterables: Iterable[Any],
    timeout: float | None = None,
) -> R:
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
    hub = running()
    deadline = hub.time_limits.deadline(timeout)
    calls = submitted(hub, mapFunc, iterables, reductionFunc)
    if not calls.count:
        raise TypeError("mapReduce() of no items, and so of no value")
    tree = Tree(reductionFunc, calls.count)
    for outcomes in calls.outcomes(deadline):
        values, failures = outcomes.open()
        tree.add(outcomes.start, outcomes.length, values, failures)
        del values, failures
    if tree.failed_call is not None:
        calls.note(tree.failed_call, tree.first_failed)
    combined: R = tree.result(mapFunc)
    return combined


def mapScan(
    mapFunc: Callable[..., Any],
    reductionFunc: Callable[[R, R], R],
    *iterables: Iterable[Any],
    timeout: float | None = None,
) -> list[R]:
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
    hub = running()
    deadline = hub.time_limits.deadline(timeout)
    results = submitted(hub, mapFunc, iterables).in_order(deadline)
    combined = list(islice(results, 1))
    try:
        # No `itertools.accumulate`: to it, a StopIteration of the function's would be the end.
        for value in results:
            combined.append(reductionFunc(combined[-1], value))
    except StopIteration as stop:
        raise from_call(stop, reductionFunc) from stop
    return combined


def as_completed(fs: Iterable[Future[R]], timeout: float | None = None) -> Iterator[Future[R]]:
    """Return an iterator over futures that yields each as soon as it is done.

    Args:
        fs: the futures; one that occurs more than once is yielded once.
        timeout: seconds from now to wait at the most; None or infinity: no limit.

    Raises:
        TimeoutError: (from the iterator) not all of them were done in time.
        ValueError: `timeout` is nan.
    """
    hub = running()
    futures = _distinct(fs)
    return _as_completed(hub, futures, hub.time_limits.deadline(timeout))


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
    hub = running()
    futures = _distinct(fs)
    try:
        if timeout == 0:
            _poll_first(hub, futures)
        else:
            _wait(hub, futures, timeout, return_when)
        return _done_and_not_done(futures)
    finally:
        del fs, futures  # errors of calls that ran here hold this frame


def shutdown(wait: bool = True) -> None:
    """Do nothing: the pool ends with the program. Here for programs that call it."""


# ---------------------------------------------------------------- how they are done


def _check(func: object, iterables: tuple[Iterable[Any], ...], name: str) -> None:
    if not callable(func):
        raise TypeError(f"{name}() needs something callable, not {func!r}")
    if not iterables:
        raise TypeError(f"{name}() needs at least one iterable")
    if current.hub is not None and running().runtime.size > 1:
        warn_of(func)


def _distinct(fs: Iterable[Future]) -> list[Future]:
    futures = list(dict.fromkeys(fs))
    for future in futures:
        if not isinstance(future, Future):
            raise TypeError(f"not a future of scoop_mpi: {future!r}")
    return futures


def _poll_first(hub: Hub, futures: Iterable[Future]) -> None:
    """Poll the first future that is not done."""
    for future in futures:
        if not future.is_done:
            hub.poll(future)
            return


def _done_and_not_done(futures: Iterable[Future]) -> DoneAndNotDoneFutures:
    """Return the futures that are done, whose callbacks are called, and the others."""
    done = {future for future in futures if future.is_done}
    for future in done:
        future.call_back()
    return DoneAndNotDoneFutures(done, set(futures) - done)


def _as_completed(hub: Hub, futures: list[Future], deadline: float | None) -> Iterator[Future]:
    arrivals = Arrivals(hub, futures, is_first_come=True)
    count = len(futures)
    del futures  # and no future in a variable: errors of calls that ran here hold this frame
    try:
        for done in range(count):
            while not arrivals.arrived:
                if not arrivals.advance(deadline):
                    raise TimeoutError(f"{count - done} of {count} futures not done")
            arrivals.arrived[0].call_back()
            yield arrivals.arrived.popleft()
    finally:
        arrivals.close()


def _wait(hub: Hub, futures: list[Future], timeout: float | None, return_when: str) -> None:
    deadline = hub.time_limits.deadline(None if timeout is None or timeout < 0 else timeout)
    arrivals = Arrivals(hub, futures, is_first_come=return_when != ALL_COMPLETED)
    try:
        left = len(futures)
        while left:
            while arrivals.arrived:
                left -= 1
                is_enough = return_when == FIRST_COMPLETED or (
                    return_when == FIRST_EXCEPTION and arrivals.arrived[0].failure is not None
                )
                arrivals.arrived.popleft()
                if is_enough:
                    return
            if left and not arrivals.advance(deadline):
                return
    finally:
        arrivals.close()
        del futures
