"""Giving: from tasks that nobody has begun to what is sent to thieves.

Responsible for what is taken, how much of it, and in which form it leaves. It must not know who
asks, nor what becomes of it.

Sealing an argument may run code of the user's, its `__reduce__` for one, and finds the argument as
it is at that moment. So this is for the thread of the program alone, while it is within a call of
scoop_mpi's: never for the pump, which comes amid the user's own lines. What the pump can give is
plain and can't change, or has been sealed ahead by the thread of the program.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from scoop_mpi.errors import CallableWrapper, SerializationError
from scoop_mpi.state import policy
from scoop_mpi.state.ledger import Ledger
from scoop_mpi.state.queues import Queues
from scoop_mpi.tasks.future import Future, KeywordCall
from scoop_mpi.tasks.outcomes import FutureGroup, Outcomes
from scoop_mpi.tasks.span import Span, Task
from scoop_mpi.tasks.stolen import StolenCall
from scoop_mpi.wire.columns import Batch, Sealed, are_unchangeable, pack_calls, seal_calls
from scoop_mpi.wire.functions import Functions, SealedFunction, on_wire
from scoop_mpi.wire.messages import Parcel
from scoop_mpi.wire.serializer import PLAIN


class KeywordsFirst(CallableWrapper):
    """A function that takes the keyword arguments of its call as the first positional one.

    So they are sealed with the other arguments: what is one object in both stays one.
    """

    __slots__ = ()

    def __call__(self, keywords: dict[str, Any], *arguments: Any) -> Any:
        return self.func(*arguments, **keywords)


class SealedAhead(tuple[Any, ...]):
    """The arguments of a future that has been sealed ahead.

    Attributes:
        function: its function, sealed.
        column: what is sent of the arguments.
    """

    function: SealedFunction
    column: Sealed


class Giver:
    """Takes a rank's tasks for others.

    Args:
        rank: this rank.
        runs_tasks: whether it takes part in the work itself.
        functions: seals functions.
        queues: the rank's.
        ledger: gets what is given away.
    """

    def __init__(
        self,
        rank: int,
        runs_tasks: bool,
        functions: Functions,
        queues: Queues,
        ledger: Ledger,
    ) -> None:
        self._rank = rank
        self._runs_tasks = runs_tasks
        self._functions = functions
        self._queues = queues
        self._ledger = ledger

    def spare(self, task: Task, may_pickle: bool) -> int:
        """Return how many calls of a task could be given away now.

        Args:
            task: a future or span of this rank's, or a stolen one.
            may_pickle: whether code of the user's may run.
        """
        if isinstance(task, Span):
            if task.is_in_hand and task.seconds_left < policy.WORTH_GIVING:
                return 0
            if may_pickle or task.is_stolen or self._is_function_ready(task):
                return task.spare(may_pickle)
            return 0
        return int(may_pickle or self._is_ready(task))

    def _is_ready(self, future: Future) -> bool:
        """Say whether a future can be given away without running code of the user's."""
        if type(future) is not Future:
            return True
        try:
            function, arguments = future.call
        except RuntimeError:
            return False  # another thread has just made it
        if type(arguments) is SealedAhead:
            return True
        return self._functions.is_simple(function) and are_unchangeable(arguments)

    def _is_function_ready(self, span: Span) -> bool:
        if span.function_payload is not None:
            return True
        functions = (span.function, span.reduction)
        return all(f is None or self._functions.is_simple(f) for f in functions)

    # ------------------------------------------------------------ sealing ahead

    def seal_ahead(self, tasks: Iterable[Task]) -> bool:
        """Seal what is first to be given away, so that it can be at any time.

        Args:
            tasks: the oldest ones.

        Returns:
            Whether any of them has to be sealed ahead.
        """
        unsealed: dict[tuple[int, int], list[Future]] = {}
        is_needed = False
        for task in tasks:
            if isinstance(task, Span):
                is_needed |= self._seal_span_ahead(task)
            elif not self._is_ready(task):
                function, arguments = task.call
                if type(function) is KeywordCall:
                    function = function.func
                unsealed.setdefault((id(function), len(arguments)), []).append(task)
            else:
                is_needed |= type(task) is Future and type(task.call[1]) is SealedAhead
        for futures in unsealed.values():
            # What can't be sealed is said when one is given away, or they run here.
            with suppress(SerializationError):
                self.seal_futures_ahead(futures)
        return is_needed or bool(unsealed)

    def seal_futures_ahead(self, futures: list[Future]) -> None:
        """Seal futures of one function. Who has claimed one meanwhile is not disturbed.

        Raises:
            SerializationError: the function can't be sent.
        """
        calls = [_call_to_send(future.call) for future in futures]
        sealed = self._functions.seal(calls[0][0])
        column = pack_calls([arguments for _, arguments in calls], star=True)
        for place, future in enumerate(futures):
            if not future.is_done:
                arguments = SealedAhead(future.call[1])
                arguments.function = sealed
                arguments.column = column[place : place + 1]
                future.replace_arguments(arguments)

    def _seal_span_ahead(self, span: Span) -> bool:
        if span.is_stolen or span.has_short_calls:
            return False  # the program's thread comes by between two windows
        is_needed = not self._is_function_ready(span)
        try:
            self._seal_functions(span)
        except SerializationError:
            return False  # it will be said when calls are given away, or they run here
        return span.seal_ahead(policy.SEALED_AHEAD) or is_needed

    # ------------------------------------------------------------ giving

    def lone_call(
        self, task: Task, thief: int, may_pickle: bool
    ) -> tuple[int, bytes, tuple[Any, ...]] | None:
        """Give away a future in short form, if it can go so.

        Returns:
            Its key, its function, sealed, and its arguments.
        """
        if type(task) is not Future or not (may_pickle or self._is_ready(task)):
            return None
        try:
            function, arguments = task.call
        except RuntimeError:
            return None  # another thread has just made it
        if type(function) is KeywordCall or not PLAIN.issuperset(map(type, arguments)):
            return None
        try:
            if type(arguments) is SealedAhead:
                sealed, arguments = arguments.function, tuple(arguments)
            else:
                sealed = self._functions.seal(function)
        except SerializationError as error:
            if self._queues.claim(task):
                task.complete(None, error)
            return None
        if type(sealed) is not tuple:
            return None
        data, buffers = sealed
        if type(data) is not bytes or buffers or not self._queues.claim(task):
            return None
        return self._ledger.enter(task, thief), data, arguments

    def parcels(
        self, tasks: Iterable[Task], thieves: int, keep: int, may_pickle: bool
    ) -> list[list[Parcel]]:
        """Take the oldest work for some thieves; return what each team of them gets.

        Args:
            tasks: what there is, oldest first.
            thieves: how many ranks want some.
            keep: how many calls must stay here.
            may_pickle: see `spare`.
        """
        # Of very many futures the oldest are enough to look at.
        most = policy.FUTURES_PER_THIEF * (thieves + 1) + keep
        if not may_pickle:
            most = min(most, policy.MOST_LOOKED_AT + keep)
        singles: list[Task] = []
        for task in list(itertools.islice(tasks, most)):
            if may_pickle and type(task) is Future:  # of these there may be very many
                singles.append(task)
                continue
            spare = self.spare(task, may_pickle)
            if spare == 1:
                singles.append(task)
            elif spare > 1 and isinstance(task, Span):
                if singles:
                    keep = 0  # there is this one left
                    break
                counts = policy.shares(spare, thieves, keep, self._runs_tasks)
                teams = policy.teams(counts)
                return [self._wrap_calls(task, sum(team), may_pickle) for team in teams]
        hands = policy.deal(singles, thieves, keep, self._runs_tasks)
        return [self._wrap_tasks(policy.merged(team), may_pickle) for team in policy.teams(hands)]

    def _wrap_calls(self, span: Span, count: int, may_pickle: bool) -> list[Parcel]:
        """Take calls off a span; return the parcel, or none if there is nothing to send."""
        gift = span.give(count, may_pickle) if count else None
        if gift is None:
            return []
        start, calls = gift
        if not span.unclaimed:
            self._queues.forget(span)
        try:
            function, reduction = self._seal_functions(span)
        except SerializationError as error:
            length = calls.length if isinstance(calls, Batch) else len(calls)
            failures = dict.fromkeys(range(length), error)
            span.outlet(span, Outcomes(start, length, [None] * length, failures))
            return []
        if span.owner == self._rank and not span.is_stolen and not span.key:
            span.key = self._ledger.enter(span)
        batch = calls if isinstance(calls, Batch) else seal_calls(calls, span.star)
        sealed_reduction = None if reduction is None else on_wire(reduction)
        return [(span.owner, span.key, start, on_wire(function), sealed_reduction, *batch)]

    def _seal_functions(self, span: Span) -> tuple[SealedFunction, SealedFunction | None]:
        if span.function_payload is None:
            if span.function is None:
                raise RuntimeError(f"{span!r} has no function")
            if span.reduction is not None:
                span.reduction_payload = self._functions.seal(span.reduction)
            span.function_payload = self._functions.seal(span.function)
        return span.function_payload, span.reduction_payload

    def _wrap_tasks(self, tasks: list[Task], may_pickle: bool) -> list[Parcel]:
        """Claim single tasks; return them as parcels, futures of one function in one."""
        parcels: list[Parcel] = []
        groups: dict[tuple[int, int], tuple[list[Future], list[AnyCall]]] = {}
        claim = self._queues.claim
        for task in tasks:
            if isinstance(task, Span):
                parcels += self._wrap_calls(task, 1, may_pickle)
            elif not claim(task):
                continue
            elif isinstance(task, StolenCall):
                parcels.append(task.parcel)
            else:
                function, arguments = call = task.call
                if type(function) is KeywordCall:
                    function = function.func
                kind = id(function), len(arguments)
                if (group := groups.get(kind)) is None:
                    group = groups[kind] = [], []
                futures, calls = group
                futures.append(task)
                calls.append(call)
        for futures, calls in groups.values():
            parcels += self._wrap_futures(futures, calls)
        return parcels

    def seal_call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> tuple[Callable[..., Any], SealedFunction, Batch]:
        """Return what is called in the end, that sealed, and the arguments, sealed.

        Raises:
            SerializationError: the function can't be sent.
        """
        called, arguments = _call_to_send((function, arguments))
        return called, self._functions.seal(called), seal_calls([arguments], star=True)

    def _wrap_futures(self, futures: list[Future], calls: list[AnyCall]) -> list[Parcel]:
        function, _ = _call_to_send(calls[0])
        arguments = calls[0][1]
        try:
            if type(arguments) is SealedAhead:
                sealed = arguments.function
            else:
                sealed = self._functions.seal(function)
        except SerializationError as error:
            for future in futures:
                future.complete(None, error)
            return []
        key = self._ledger.enter(FutureGroup(futures, function, sealed))
        return [(self._rank, key, 0, on_wire(sealed), None, *_seal_futures(calls))]


# A function and its arguments.
AnyCall = tuple[Callable[..., Any], tuple[Any, ...]]


def _call_to_send(call: AnyCall) -> AnyCall:
    """Return function and arguments of a future as they are to be sealed."""
    function, arguments = call
    if type(function) is KeywordCall:
        return KeywordsFirst(function.func), (function.keywords, *arguments)
    return call


def _seal_futures(calls: list[AnyCall]) -> Batch:
    """Return the arguments of futures as a batch, with what has been sealed ahead."""
    if SealedAhead not in {type(arguments) for _, arguments in calls}:
        return seal_calls([_call_to_send(call)[1] for call in calls], star=True)
    column = Sealed([])
    for is_ahead, group in itertools.groupby(calls, key=lambda call: type(call[1]) is SealedAhead):
        if is_ahead:
            for _, arguments in group:
                assert isinstance(arguments, SealedAhead)
                column += arguments.column
        else:
            column += pack_calls([_call_to_send(call)[1] for call in group], star=True)
    return Batch(len(calls), (column,), star=True)
