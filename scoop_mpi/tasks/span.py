"""The span: a batch of calls to one function, claimed from the front and given away from the back.

Responsible for handing out the calls of one span, each exactly once, to whoever runs them here
and to thieves. It must not know who asks, nor how results travel.

A span never has to be cut into chunks beforehand, because its calls are claimed one by one:

    calls   |<- ended ->|<----- window ------>|<------------- bulk ------------>|
                        r r r  c  p p p p p p   . . . . . . . . . . . . . . . .
                        |      |  claimed one by one           next        stop
                   values  running   from the left       <-- thieves take from the right,
                                                             the bulk first, windows last

`Window` is the stretch that one greenlet works off. Its calls lie in a deque, and a loop claims
each as it gets to it. (A loop in C, ``values.extend(map(function, ...))``, takes longer, and
swallows a StopIteration that a call raises.) So a thief may still take what the loop has not
reached, from the other end, although the loop runs in another thread or is suspended amid a call:
each pop of a deque is atomic. Windows grow until one takes about a millisecond; a long call's
window is one call.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from itertools import repeat, starmap
from typing import Any

from scoop_mpi.errors import (
    BY_SIGNAL,
    CallableWrapper,
    InvariantBroken,
    SerializationError,
    describe_callable,
)
from scoop_mpi.tasks import reduction
from scoop_mpi.tasks.future import Future, Watcher, differ, outcome_of
from scoop_mpi.tasks.intervals import Intervals
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.wire.columns import Batch, Sealed, are_unchangeable, pack_calls
from scoop_mpi.wire.functions import Functions, OwnFunction, SealedFunction
from scoop_mpi.wire.messages import Segment
from scoop_mpi.wire.serializer import PLAIN, EncodedError
from scoop_mpi.wire.values import Sealer, column_of, open_values

LARGEST_WINDOW = 1 << 16  # calls; bounds how much of a range is made into objects at once


class Window:
    """The stretch of a span's calls that one greenlet works off."""

    __slots__ = (
        "failures",
        "given",
        "pending",
        "reported",
        "reported_at",
        "sealed",
        "size",
        "span",
        "start",
        "values",
    )

    def __init__(self, span: Span, start: int, items: Sequence[Any]) -> None:
        self.span = span
        self.start = start
        self.pending = deque(items)
        self.size = len(self.pending)
        self.given = 0
        self.reported = 0
        self.reported_at = 0.0  # for the runtime's use
        self.values: list[Any] = []
        self.sealed = False  # whether any of them may be: this first, then the value
        self.failures: dict[int, BaseException | EncodedError] = {}

    def run(self) -> None:
        """Make the calls that are left, until none is; raises only what signals do.

        Nor what the handler of a signal raises between two calls.
        """
        function, former = self.span.function, self.span.context
        if function is None:
            raise RuntimeError("the span has not been opened")
        if former is None:
            former = copy_context()
        try:
            while True:
                context = former.copy()
                try:
                    context.run(self._make_calls, function, context, former)
                except BaseException as error:
                    if not self._has_begun_call():
                        if isinstance(error, IndexError) and not self.pending:
                            return  # there are none left
                        if isinstance(error, Exception) and differ(context, former):
                            continue  # by values that can't be compared
                        raise
                    self._fail(error)
                    if isinstance(error, BY_SIGNAL):
                        raise
        finally:
            del self  # errors hold this frame: a cycle would keep what calls had in their locals

    def _make_calls(self, function: Callable[..., Any], context: Context, former: Context) -> None:
        """Make calls until one raises, or there is none left to claim, which raises IndexError.

        Or until one leaves context variables changed: what a call sets is its own. A value of a
        stolen span's is sealed before the next call begins: that may change it.

        Args:
            function: what to call.
            context: the one that this runs in.
            former: what that was a copy of. To compare the two takes no time, unless a variable
                was set: then it may raise whatever comparing the values does.
        """
        pending, values, star, sealer = self.pending, self.values, self.span.star, self.span.sealer
        if sealer is not None:
            # As a rule all values are of one type, and to compare takes less time than to look up.
            last_plain: type = type(None)
            while context == former:
                value = function(*pending.popleft()) if star else function(pending.popleft())
                if type(value) is last_plain:
                    values.append(value)
                elif type(value) in PLAIN:
                    last_plain = type(value)
                    values.append(value)
                else:
                    holder = [outcome_of(value)]
                    value = None
                    self.sealed = True
                    values.append(sealer.take(holder))
            return
        del self  # see `run`
        if star:
            while context == former:
                values.append(function(*pending.popleft()))
            return
        while context == former:
            values.append(function(pending.popleft()))

    def _fail(self, error: BaseException) -> None:
        sealer = self.span.sealer
        # First this: a harvest goes by `values`.
        self.failures[len(self.values)] = error if sealer is None else sealer.failure(error)
        self.values.append(None)

    def _has_begun_call(self) -> bool:
        """Say whether a call has been claimed that has not ended: what was raised is its error."""
        with self.span.lock:
            return len(self.values) + len(self.pending) + self.given < self.size


class Unopened:
    """Stands for the item of a call whose arguments could not be unpickled."""

    __slots__ = ("error",)

    def __init__(self, error: SerializationError) -> None:
        self.error = error


class Span:
    """A batch of calls to one function.

    Args:
        owner: the rank that submitted it and gets its outcomes.
        key: its name there, once it has been given away in part; 0 before.
        base: the number, at the owner, of the first of `calls`.
        calls: one argument for each call or, with `star`, one tuple of them; of a stolen span the
            batch that came.
        star: whether `calls` holds tuples of arguments.
        function: what to call; of a stolen span None until `open`.
        function_payload: `function`, sealed; of the owner's None until it is first given away.
        outlet: where outcomes go.
        reduction: of a mapReduce its reduction function.
        reduction_payload: the same, sealed.
        sealer: seals the values of a stolen span; None at its owner, which takes them as they are.
        context: of which each call gets a copy; None: of that in which it is made.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_ahead_from",
        "_is_plain",
        "_next",
        "_stop",
        "_taken",
        "base",
        "calls",
        "context",
        "count",
        "dropped",
        "function",
        "function_payload",
        "inbox",
        "is_called_off",
        "is_in_hand",
        "is_winding_down",
        "key",
        "lock",
        "outlet",
        "owner",
        "pace",
        "reduction",
        "reduction_payload",
        "sealer",
        "star",
        "watcher",
        "window_size",
        "windows",
    )

    def __init__(
        self,
        owner: int,
        calls: Sequence[Any] | Batch,
        star: bool,
        outlet: Callable[[Span, Outcomes], None],
        *,
        function: Callable[..., Any] | None = None,
        function_payload: SealedFunction | None = None,
        reduction: Callable[[Any, Any], Any] | None = None,
        reduction_payload: SealedFunction | None = None,
        sealer: Sealer | None = None,
        context: Context | None = None,
        key: int = 0,
        base: int = 0,
    ) -> None:
        self.owner = owner
        self.key = key
        self.base = base
        self.calls = calls
        self.star = star
        self.function = function
        self.function_payload = function_payload
        self.reduction = reduction
        self.reduction_payload = reduction_payload
        self.sealer = sealer
        self.outlet = outlet
        self.context = context
        self.lock = threading.Lock()  # of the claims; held for moments, never over a user's call
        self.windows: list[Window] = []
        self.window_size = 1
        self.pace = math.inf  # seconds that a call of the last window has taken
        self.is_in_hand = False  # its next window is about to begin here
        self._next = 0
        self._stop = calls.length if isinstance(calls, Batch) else len(calls)
        self.count = self._stop
        self._taken = Intervals()  # the calls whose outcomes are in, at the owner
        self._ahead: Sealed | None = None  # the last calls of the bulk, sealed
        self._ahead_from = self._stop  # the first of them
        self._is_plain: bool | None = True if type(calls) is range else None  # None: not looked at
        self.is_called_off = False  # nobody wants the outcomes any more
        self.is_winding_down = False  # what nobody had begun is dropped
        self.dropped = 0  # so many calls
        self.inbox: deque[Outcomes] = deque()
        self.watcher: Watcher | None = None

    def __repr__(self) -> str:
        name = describe_callable(self.function) if self.function else "(sealed)"
        return (
            f"<Span {name} of rank {self.owner}, {self.unclaimed} calls left of {self.unreported}>"
        )

    @property
    def unclaimed(self) -> int:
        """The number of calls that nobody has begun."""
        windows = self.windows
        if not windows:
            return self._stop - self._next
        return self._stop - self._next + sum(len(window.pending) for window in windows)

    @property
    def unreported(self) -> int:
        """The number of calls whose outcomes are not in yet, at the owner."""
        return self.count - self._taken.count

    @property
    def has_bulk(self) -> bool:
        """Whether there are calls that no window has claimed."""
        return self._next < self._stop

    @property
    def has_short_calls(self) -> bool:
        """Whether its calls so far have ended within far less than a millisecond."""
        return self.window_size > 1

    @property
    def is_stolen(self) -> bool:
        """Whether the calls came from another rank, sealed."""
        return isinstance(self.calls, Batch)

    @property
    def known_function(self) -> Callable[..., Any] | None:
        """What is called; None: it is still sealed."""
        if self.function is None and isinstance(self.function_payload, OwnFunction):
            return self.function_payload.function
        return self.function

    @property
    def is_plain(self) -> bool:
        """Whether all arguments are plain and can't change: to send them runs no user's code."""
        if self._is_plain is None:
            self._is_plain = not isinstance(self.calls, Batch) and are_unchangeable(self.calls)
        return self._is_plain

    @property
    def seconds_left(self) -> float:
        """How long the calls that nobody has begun would take here, by experience; or infinity."""
        return self.unclaimed * self.pace

    def spare(self, may_pickle: bool = True) -> int:
        """Return the number of calls that could be given away.

        Args:
            may_pickle: whether code of the user's may run for it, as of an object's `__reduce__`.
        """
        if may_pickle or self.is_stolen or self.is_plain:
            return self.unclaimed
        return max(self._stop - max(self._ahead_from, self._next), 0)

    # ------------------------------------------------------------ running calls here

    def open(self, functions: Functions) -> None:
        """Unseal the functions of a stolen span. What fails, every call will raise."""
        if self.function is not None or self.function_payload is None:
            return
        try:
            if self.reduction_payload is not None:
                self.reduction = functions.open(self.reduction_payload)
            self.function = functions.open(self.function_payload)
        except SerializationError as error:
            self.function = _raiser(error)

    def claim(self) -> Window | None:
        """Take the next window of calls, for the caller to run; None if there are none left.

        A call that is suspended does not hold up those behind it: once the bulk is used up, the
        calls that another window has not begun are taken over.
        """
        with self.lock:
            if self._next < self._stop:
                first = self._next
                self._next = last = min(first + self.window_size, self._stop)
                items: Sequence[Any] = ()
            else:
                first, items = self._take_from_windows(self.count)
                if not items:
                    return None
                last = first
        if last > first:
            items = self._items(first, last)
        window = Window(self, self.base + first, items)
        with self.lock:
            self.windows.append(window)
        return window

    def resize_window(self, seconds: float, calls: int) -> None:
        """Adapt the size of the next window to how long the last one took.

        Args:
            seconds: that long.
            calls: how many it made.
        """
        self.pace = seconds / calls if calls else math.inf
        if seconds < 0.0005:
            self.window_size = min(2 * self.window_size, LARGEST_WINDOW)
        elif seconds > 0.002:
            self.window_size = max(self.window_size // 2, 1)

    def retire(self, window: Window) -> None:
        """Report what `window` has not reported yet; it has run, or was interrupted."""
        if self.reduction is None:
            self.harvest(window)
            self._drop(window)
        else:
            self._drop(window)
            if window.values:
                values, failures = self._fold(window)
                self.outlet(self, Outcomes(window.start, len(window.values), values, failures))
        window.failures.clear()  # see `Outcomes.open`

    def _fold(self, window: Window) -> tuple[Sequence[Any], dict[int, Any]]:
        """Combine the values of a window as far as the tree allows; see `reduction.fold`."""
        operation, sealer = self.reduction, self.sealer
        assert operation is not None
        _settle_futures(window)
        if window.failures:
            first = min(window.failures)
            return [], {first: window.failures[first]}
        if sealer is None:
            return copy_context().run(reduction.fold, operation, window.start, window.values)
        opened, unopened = open_values(column_of(window.values))
        if unopened:
            first = min(unopened)
            return [], {first: sealer.failure(unopened[first])}
        values, failures = copy_context().run(reduction.fold, operation, window.start, opened)
        del opened
        values.reverse()
        sealed = list(map(sealer.value, starmap(values.pop, repeat((), len(values)))))
        encoded = {offset: sealer.failure(error) for offset, error in failures.items()}
        return column_of(sealed), encoded

    def _drop(self, window: Window) -> None:
        with self.lock:
            if not window.pending:  # what an interrupt has left there is still to be claimed
                self.windows.remove(window)

    def harvest(self, window: Window) -> None:
        """Report the calls of `window` that have ended. Any thread may do it, at any time."""
        if self.reduction is not None:
            return  # partial values are the user's code to make, in the task that made the calls
        with self.lock:
            first, last = window.reported, len(window.values)
            if first == last:
                return
            values: Sequence[Any] = window.values[first:last]
            if window.sealed:
                values = column_of(values)
            # A copy first, which is made at once: the loop itself may run a user's __del__.
            failures = {
                offset - first: error
                for offset, error in window.failures.copy().items()
                if first <= offset < last
            }
            outcomes = Outcomes(window.start + first, last - first, values, failures)
            window.reported = last
        self.outlet(self, outcomes)

    def _items(self, first: int, last: int) -> Sequence[Any]:
        if not isinstance(self.calls, Batch):
            return self.calls[first:last]
        items, unopened = self.calls.part(first, last).open()
        if unopened:
            self._guard_function()
            marked = list(items)
            for offset, error in unopened.items():
                marked[offset] = (Unopened(error),) if self.star else Unopened(error)
            return marked
        return items

    def _guard_function(self) -> None:
        """Have the function raise for the items that could not be opened."""
        function = self.function
        if function is None or isinstance(function, _Guarded):
            return
        self.function = _Guarded(function)

    # ------------------------------------------------------------ giving calls away

    def give(self, count: int, may_pickle: bool = True) -> tuple[int, Sequence[Any] | Batch] | None:
        """Take up to `count` calls off the far end, for another rank.

        Args:
            count: how many at the most.
            may_pickle: see `spare`.

        Returns:
            The number of the first of them, at the owner, and the calls; None if there are none.
        """
        if not may_pickle and not self.is_stolen and not self.is_plain:
            with self.lock:
                return self._give_ahead(count)
        with self.lock:
            if self._next >= self._stop:
                first, items = self._take_from_windows(count)
                if not items:
                    return None
                if isinstance(self.calls, Batch):  # as they came, whatever has become of these
                    return self.base + first, self.calls.part(first, first + len(items))
                return self.base + first, items
            if self._ahead is not None and count <= self._stop - max(self._ahead_from, self._next):
                return self._give_ahead(count)
            last = self._stop
            self._stop = self._ahead_from = first = max(self._next, last - count)
            self._ahead = None
            if isinstance(self.calls, Batch):
                return self.base + first, self.calls.part(first, last)
            return self.base + first, self.calls[first:last]

    def _give_ahead(self, count: int) -> tuple[int, Batch] | None:
        """Give calls that have been sealed ahead. The lock is held."""
        first = max(self._next, self._ahead_from, self._stop - count)
        if self._ahead is None or first >= self._stop:
            return None
        last, self._stop = self._stop, first
        part = self._ahead[first - self._ahead_from : last - self._ahead_from]
        return self.base + first, Batch(last - first, (part,), self.star)

    def seal_ahead(self, count: int) -> bool:
        """Seal the last calls of the bulk, so that they can be given at any time.

        Args:
            count: how many are to lie sealed.

        Returns:
            Whether the calls have to be sealed ahead for that.
        """
        if self.is_stolen or self.is_plain:
            return False
        with self.lock:
            first = max(self._next, self._stop - count)
            last = min(self._ahead_from, self._stop)
        if first < last:
            sealed = pack_calls(self.calls[first:last], self.star)
            with self.lock:
                ahead = self._ahead
                self._ahead = sealed if ahead is None else sealed + ahead
                self._ahead_from = first
        return True

    def _take_from_windows(self, count: int) -> tuple[int, Sequence[Any]]:
        """Take pending calls off the right end of a window. The lock is held.

        The window's own loop may run meanwhile, and win the last of them.
        """
        for window in reversed(self.windows):
            taken: list[Any] = []
            with suppress(IndexError):  # when the window's loop was faster
                taken.extend(starmap(window.pending.pop, repeat((), count)))
            if taken:
                end = window.start + window.size - window.given
                window.given += len(taken)
                taken.reverse()
                return end - len(taken) - self.base, taken
        return 0, ()

    def drop(self) -> tuple[list[tuple[int, int]], list[Any]]:
        """Take all calls that nobody has begun, so that nobody will.

        Returns:
            For each stretch of them the number of the first, at the owner, and how many there are;
            and arguments, to be let go of where the user's finalizers may run.
        """
        stretches: list[tuple[int, int]] = []
        arguments: list[Any] = []
        with self.lock:
            if self._next < self._stop:
                stretches.append((self.base + self._next, self._stop - self._next))
                self._stop = self._next
                self._ahead = None
            for window in self.windows:
                with suppress(IndexError):
                    place = len(arguments)
                    arguments.extend(starmap(window.pending.pop, repeat(())))
                if taken := len(arguments) - place:
                    end = window.start + window.size - window.given
                    window.given += taken
                    stretches.append((end - taken, taken))
        return stretches, arguments

    # ------------------------------------------------------------ outcomes, at the owner

    def call_off(self) -> list[Outcomes]:
        """Take in no more outcomes, but count them; return those that nobody has taken yet."""
        self.is_called_off = True
        self.watcher = None
        untaken = list(self.inbox)
        self.inbox.clear()
        return untaken

    def deliver(self, outcomes: Outcomes) -> None:
        """Take in the outcomes of some calls, at the owner; what is in already changes nothing."""
        start, length, *_ = outcomes
        with self.lock:
            fresh = self._taken.add(start, start + length)
        if not fresh:
            return
        if self.is_winding_down and outcomes.are_dropped:
            self.dropped += sum(last - first for first, last in fresh)
        elif not self.is_called_off:
            if fresh == [(start, start + length)]:
                self.inbox.append(outcomes)
            else:
                self.inbox.extend(outcomes.part(first, last) for first, last in fresh)
        watcher = self.watcher
        if watcher is not None:
            watcher.notify()

    def are_in(self, first: int, last: int) -> bool:
        """Say whether the outcomes of any calls from `first` up to `last` are in, at the owner."""
        return self._taken.overlaps(first, last)

    def check(self) -> None:
        """See that what must always hold does.

        Raises:
            InvariantBroken: it does not.
        """
        with self.lock:
            calls = self.calls.length if isinstance(self.calls, Batch) else len(self.calls)
            holds = 0 <= self._next <= self._stop <= calls == self.count
            holds = holds and 0 <= self._taken.count <= self.count
            for window in self.windows:
                ended, left = len(window.values), len(window.pending)
                # One of them may have been claimed, and not have ended.
                holds = holds and 0 <= window.reported <= ended
                holds = holds and 0 <= window.size - ended - left - window.given <= 1
        if not holds:
            raise InvariantBroken(f"the calls of {self!r} don't add up")

    def settle(self, segment: Segment) -> bool:
        """Take in what another rank reports; return whether all calls are accounted for."""
        _, start, length, values, failures = segment
        self.deliver(Outcomes(start, length, values, failures))
        return self.unreported == 0


Task = Future | Span


def _settle_futures(window: Window) -> None:
    """Put their results in the place of futures that calls have returned."""
    values = window.values
    if Future not in set(map(type, values)):
        return
    for offset, value in enumerate(values):
        try:
            values[offset] = outcome_of(value)
        except BY_SIGNAL:
            raise
        except BaseException as error:
            values[offset] = None
            window.failures[offset] = error


class _Guarded(CallableWrapper):
    """A function that is also applied to items that could not be opened, and then raises."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> Any:
        if arguments and type(arguments[0]) is Unopened:
            raise SerializationError(
                f"a call of {describe_callable(self.func)}: {arguments[0].error}"
            )
        return self.func(*arguments)


def _raiser(error: SerializationError) -> Callable[..., Any]:
    def raise_error(*_: object) -> Any:
        raise error

    return raise_error
