"""Dependencies: futures among the arguments of a call, which is made once they are done.

A future that is an argument stands for its result, and so does one in a list, a tuple or a
dictionary that is an argument: there, among the values. What holds futures in another way is passed
on as it is. Nobody waits for such a call: the last of its futures makes it ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from scoop_mpi.current import HotPath
from scoop_mpi.errors import CancelledError, DependencyError, describe_callable, describe_error
from scoop_mpi.tasks.future import Future, KeywordCall

# The types of arguments that have to be looked at: exactly these, and no subclasses.
HOLDERS: frozenset[type] = frozenset((Future, list, tuple, dict))


def futures_among(arguments: Iterable[Any]) -> list[Future]:
    """Return the futures among the arguments of a call, in their order."""
    found: list[Future] = []
    for argument in arguments:
        kind = type(argument)
        if kind is Future:
            found.append(argument)
        elif kind in HOLDERS:
            items = argument.values() if kind is dict else argument
            if Future in set(map(type, items)):
                found += [item for item in items if type(item) is Future]
    return found


def are_futures_among(calls: Sequence[Any], star: bool) -> bool:
    """Say whether any call of a map has futures among its arguments.

    Args:
        calls: one argument for each call or, with `star`, one tuple of them.
        star: whether `calls` holds tuples.
    """
    if type(calls) is range:
        return False
    arguments = list(chain.from_iterable(calls)) if star else calls
    kinds = HOLDERS.intersection(map(type, arguments))
    return bool(kinds) and (Future in kinds or bool(futures_among(arguments)))


def arguments_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterable[Any]:
    """Return the arguments of a future's call, those that are given by keyword as well."""
    if type(function) is KeywordCall:
        return chain(arguments, function.keywords.values())
    return arguments


def with_results(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a call with the results of futures, all of which are done, in their place.

    What comes from another rank is opened for it, which may run code of the user's.

    Raises:
        CancelledError: one of them was cancelled.
        DependencyError: one of them failed. What it raised is the cause.
    """
    known: dict[int, Any] = {}  # by its identity, what stands for an argument: once for each

    def with_result(thing: Any) -> Any:
        if type(thing) is not Future:
            return thing
        failure = thing.failure
        if failure is not None:
            raise _not_called(function, failure)
        return thing.value

    def replaced(argument: Any) -> Any:
        kind = type(argument)
        if kind is Future:
            return with_result(argument)
        if kind not in HOLDERS or not futures_among((argument,)):
            return argument
        if id(argument) not in known:
            if kind is dict:
                known[id(argument)] = {key: with_result(each) for key, each in argument.items()}
            else:
                known[id(argument)] = kind(map(with_result, argument))
        return known[id(argument)]

    if type(function) is KeywordCall:
        keywords = {name: replaced(argument) for name, argument in function.keywords.items()}
        return KeywordCall(function.func, **keywords), tuple(map(replaced, arguments))
    return function, tuple(map(replaced, arguments))


def _not_called(function: Callable[..., Any], failure: BaseException) -> Exception:
    """Return what comes of a call, if `failure` is what came of a future that it was given.

    Its cause is where it all began, and no chain of as many errors as there are calls.
    """
    name = describe_callable(function)
    error: Exception
    if isinstance(failure, CancelledError):
        error = CancelledError(f"{name} was not called, as a future that it was given is cancelled")
    else:
        began = failure
        if isinstance(failure, DependencyError) and failure.__cause__ is not None:
            began = failure.__cause__
        error = DependencyError(
            f"{name} was not called, as a future that it was given failed: {describe_error(began)}"
        )
    is_passed_on = isinstance(failure, CancelledError | DependencyError)
    error.__cause__ = (is_passed_on and failure.__cause__) or failure
    return error


class Awaited:
    """The futures that a call waits for. It watches one after the other.

    Args:
        future: that of the call.
        dependencies: what it waits for.
        hub: the rank's.
        on_done: called with `future` once all are done, by any thread, perhaps more than once.

    Attributes:
        is_for_main: whether the main thread is to have the call, or else another one.
    """

    __slots__ = ("_future", "_hub", "_on_done", "_place", "_watched", "dependencies", "is_for_main")

    def __init__(
        self,
        future: Future,
        dependencies: Sequence[Future],
        hub: HotPath,
        on_done: Callable[[Future], object],
    ) -> None:
        self.dependencies = dependencies
        self.is_for_main = True
        self._future: Future | None = future
        self._hub = hub
        self._on_done = on_done
        self._place = 0  # all before are done
        self._watched = -1

    def notify(self) -> None:
        """Look how far the futures are. See `Watcher`: it may be called more often than need be."""
        dependencies = self.dependencies
        place = self._place
        while place < len(dependencies) and dependencies[place].is_done:
            place += 1
        self._place = place
        if place < len(dependencies):
            if self._watched != place:
                self._watched = place
                dependencies[place].watch(self, self._hub)
        elif (future := self._future) is not None:
            # The futures that are done keep their watchers, and these are to keep nothing.
            self._future = None
            self.dependencies = ()
            self._on_done(future)
