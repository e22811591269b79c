r"""The future: the handle on one task, and the task itself until it is done.

A future is what waits in a rank's ready queue: making one, putting it there and running it where
it is joined is the path that every nested task takes, so this file counts attribute accesses.
It must not know how a rank waits, nor what crosses ranks.

    waiting --(claimed: out of the ready queue)--> running ------> done: value or exception
       |                                      \--> given away ---> done
       '--(cancelled: out of the ready queue)-------------------> done: CancelledError

There is no field that names the state. A future is done once `_function` is gone; it waits while
it is in a ready queue; a claim is a `dict.pop` from that queue, which one thread alone can win.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Protocol

from scoop_mpi import current
from scoop_mpi.current import HotPath
from scoop_mpi.errors import (
    AWAIT_TASKS,
    BY_SIGNAL,
    FUTURE_CANT_TRAVEL,
    WAIT_OTHERWISE,
    CallableWrapper,
    CancelledError,
    describe_callable,
    name_and_label,
)
from scoop_mpi.tasks.notes import describe_arguments, note_call

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

CallbackType = Literal["standard", "universal"]

# The methods of a future that are for programs; the others are for the runtime.
_PUBLIC = frozenset(
    ("add_done_callback", "cancel", "cancelled", "done", "exception", "result", "running")
)


class Watcher(Protocol):
    """Whoever wants to know that a future is done. `notify` may be called from any thread."""

    def notify(self) -> None: ...


class Unopened(ABC):
    """An outcome that came from another rank, and has not been looked at yet.

    To open it may run code of the user's, so it is left to the thread that asks for it.
    """

    __slots__ = ()

    @abstractmethod
    def open(self) -> tuple[Any, BaseException | None]:
        """Return the value and the exception of the call; one of them is None."""


class KeywordCall(partial[Any]):
    """A function with the keyword arguments of one call: what `futures.submit` makes of them."""

    __slots__ = ()


class Future(Generic[T_co]):
    """The handle on one task: what `futures.submit` returns (PEP 3148).

    Only `scoop_mpi.futures` makes futures. To a type checker, a `Future[int]` is one whose result
    is an int.
    """

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_callbacks",
        "_context",
        "_exception",
        "_function",
        "_hub",
        "_value",
        "_watchers",
    )

    _function: Callable[..., Any] | None
    _arguments: tuple[Any, ...] | None
    _context: Context | None  # the call's own: who submits it has copied theirs
    _value: T_co
    _exception: BaseException | Unopened | None
    _watchers: list[Watcher] | None
    _callbacks: list[Callable[[Future], object]]  # there if there are watchers
    _hub: HotPath  # likewise

    # There is no __init__: calling one would take as long as all the rest of `futures.submit`,
    # which sets the fields itself, as `of` does.

    @classmethod
    def of(cls, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future:
        """Return a new future of a call."""
        future = cls()
        future._function = function
        future._arguments = arguments
        future._context = copy_context()
        future._watchers = None
        return future

    # ------------------------------------------------------------ the public face

    def result(self, timeout: float | None = None) -> T_co:
        """Return what the call returned, waiting for it if need be.

        A call that has not begun runs here and now, on the caller's own stack.

        Args:
            timeout: seconds to wait at the most; None or infinity: no limit; 0 or less: don't wait.
                A call that this rank has begun can't be interrupted, so it may take longer until
                the error is raised.

        Raises:
            TimeoutError: the call was not done in time.
            ValueError: `timeout` is nan.
            CancelledError: the future was cancelled.
            BaseException: whatever the call raised. If it ran on another rank, the traceback
                from there is its ``__cause__``.
        """
        if self._function is not None:
            hub = current.hub
            if timeout is None and hub is not None and (depth := hub.depth) < hub.depth_limit:
                try:
                    del hub.ready[self]  # claims it: faster than `pop`, if nobody else has
                except KeyError:
                    pass
                else:
                    # Restored, not counted down: so a thread of the program's own that comes by
                    # here as well puts it out for a moment only.
                    hub.depth = depth + 1
                    try:
                        function = self._function  # now: `ready` may have rung, and replaced it
                        context: Any = self._context
                        value: Any
                        # To unpack arguments behind another takes as long as all the rest.
                        match self._arguments:
                            case (first,):
                                value = context.run(function, first)
                            case (first, second):
                                value = context.run(function, first, second)
                            case arguments:
                                value = context.run(function, *arguments)  # type: ignore[misc]
                        if type(value) is Future:
                            value = value.result()
                        self._value = value
                    except BaseException as error:
                        hub.depth = depth
                        self._fail(error)
                        self.call_back()
                        # The error holds this frame: nothing here is to be kept by it, or to
                        # hold it in turn.
                        value = first = second = arguments = context = None
                        del self
                        raise
                    hub.depth = depth
                    self._exception = self._context = self._arguments = self._function = None
                    if self._watchers is not None:
                        self._announce()
                        self.call_back()
                    return value  # type: ignore[no-any-return] # whose type is not looked at
            current.running_hub().join(self, timeout)
        elif timeout is not None:
            check_timeout(timeout)
        if self._watchers is not None:
            self.call_back()
        if self._exception is None:
            return self._value
        failure = self.failure
        if failure is None:
            return self._value
        try:
            raise failure
        finally:
            del self, failure

    def __await__(self) -> Generator[Any, None, T_co]:
        """Wait in a coroutine of asyncio's: ``await future`` is what `result` returns or raises.

        The event loop goes on meanwhile, and makes no calls itself: other ranks do or, on one rank
        and in tasks, another thread.

        Raises:
            asyncio.CancelledError: the future was cancelled. Or the coroutine is: that cancels the
                call too, as with `asyncio.wrap_future`, unless it runs or was sent to another rank.
            RuntimeError: no event loop of asyncio's runs.
            BaseException: whatever the call raised; see `result`.
        """
        try:
            yield from current.running_hub().awaiting(self)
            return self.result()
        finally:
            del self  # see `exception`

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised, or None if it returned; wait as `result` does.

        Raises:
            TimeoutError: the call was not done in time.
            ValueError: `timeout` is nan.
            CancelledError: the future was cancelled.
        """
        if self._function is not None:
            current.running_hub().join(self, timeout)
        else:
            check_timeout(timeout)
        self.call_back()
        error = self.failure
        try:
            if isinstance(error, CancelledError):
                raise error
            return error
        finally:
            del self, error  # the error holds this frame: a cycle would keep both for long

    def done(self) -> bool:
        """Say whether the call has ended or was cancelled.

        This moves messages along, and has the call run in the end: a loop that does nothing but
        ask ``done()`` gets there.
        """
        if self._function is not None:
            hub = current.hub
            if hub is None:
                hub = current.running_hub()
            hub.poll(self)
            if self._function is not None:
                return False
        if self._watchers is not None:
            self.call_back()
        del self  # see `exception`
        return True

    def running(self) -> bool:
        """Say whether the call has begun, or was sent to another rank, and is not done."""
        return self._function is not None and not current.running_hub().is_waiting(self)

    def cancel(self) -> bool:
        """Cancel the call, unless it runs, was sent to another rank or is done.

        Returns:
            Whether the future is cancelled now.
        """
        if self._function is not None and current.running_hub().withdraw(self):
            self.complete(None, CancelledError())
            self.call_back()
        return self.cancelled()

    def cancelled(self) -> bool:
        """Say whether the future was cancelled."""
        return self._function is None and isinstance(self.failure, CancelledError)

    def add_done_callback(
        self,
        callable_: Callable[[Future[T_co]], object],
        inCallbackType: CallbackType = "standard",
        inCallbackGroup: object = None,
    ) -> None:
        """Have `callable_` called with this future once it is done, or now if it is.

        Callbacks run in the order in which they were added. What one of them raises is logged and
        ignored.

        Args:
            callable_: what to call.
            inCallbackType: "standard": called on this rank, by a thread of the program; if the
                task ran elsewhere, when the program next waits for something of scoop_mpi's.
                "universal": called on the rank that runs the task, right after it, with a future
                of its own, if the task was not yet sent away, and waits for no other future;
                otherwise like "standard".
            inCallbackGroup: accepted for SCOOP's sake, and without effect.

        Raises:
            ValueError: `inCallbackType` is neither of the two.
            TypeError: it is `asyncio.wait` that would wait for this future.
        """
        if inCallbackType not in ("standard", "universal"):
            raise ValueError(
                f"inCallbackType must be 'standard' or 'universal', not {inCallbackType!r}"
            )
        if getattr(callable_, "__module__", None) == "asyncio.tasks":
            raise TypeError(AWAIT_TASKS)  # of asyncio.wait, whose loop would not be woken
        hub = current.running_hub()
        if inCallbackType == "universal" and self._function is not None and hub.claim(self):
            if not isinstance(self._function, CallbackCarrier):
                self._function = CallbackCarrier(self._function)
            self._function.callbacks.append(callable_)
            hub.put_back(self)
            return
        with hub.watch_lock:
            self._expect_watchers(hub)
            self._callbacks.append(callable_)
        if self._function is None:
            self.call_back()

    # What `concurrent.futures` looks for in a future that it is given. It would go on with futures
    # of its own alone, and say so in words that help nobody.

    @property
    def _condition(self) -> NoReturn:
        raise TypeError(WAIT_OTHERWISE)

    def __dir__(self) -> list[str]:
        """Return the public names, which tab completion shows."""
        return [name for name in super().__dir__() if name.startswith("_") or name in _PUBLIC]

    def __reduce__(self) -> Any:
        raise TypeError(FUTURE_CANT_TRAVEL)

    def __repr__(self) -> str:
        function, arguments = self._function, self._arguments
        if function is not None and arguments is not None:
            name, label = name_and_label(function)
            return f"<Future {name}{describe_arguments(function, arguments)}{label} not done>"
        error = self.failure
        if isinstance(error, CancelledError):
            return "<Future cancelled>"
        if error is not None:
            return f"<Future raised {error!r}>"
        return f"<Future returned {self._value!r}>"

    # ------------------------------------------------------------ for the runtime

    @property
    def is_done(self) -> bool:
        """Whether there is an outcome. Unlike `done`, this only looks."""
        return self._function is None

    @property
    def value(self) -> Any:
        """What the call of a future returned that is done, and has no `failure`."""
        return self._value

    @property
    def failure(self) -> BaseException | None:
        """What the call of a future that is done raised."""
        error = self._exception
        if isinstance(error, Unopened):
            # In this order: whoever sees that there is no exception takes the value.
            self._value, error = error.open()
            self._exception = error
        return error

    @property
    def known_function(self) -> Callable[..., Any] | None:
        """What is called, if it is known and not done."""
        return self._function

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function and arguments of a future that is not done."""
        if self._function is None or self._arguments is None:
            raise RuntimeError(f"{self!r} has no call any more")
        return self._function, self._arguments

    @property
    def context(self) -> Context | None:
        """The context in which the call of a future is made that is not done."""
        return self._context

    def replace_arguments(self, arguments: tuple[Any, ...]) -> None:
        """Have other arguments, equal to those that there are."""
        if self._function is not None:
            self._arguments = arguments

    def replace_function(self, function: Callable[..., Any]) -> None:
        """Have another function called that does the same."""
        if self._function is not None:
            self._function = function

    def run(self) -> None:
        """Make the call. The caller has claimed the future."""
        function, arguments = self.call
        context = self._context
        assert context is not None  # there is one until the call has been made
        try:
            value = outcome_of(context.run(function, *arguments))
        except BaseException as error:
            self._fail(error)
            del self, function, arguments, context  # the error holds this frame
        else:
            self.complete(value, None)

    def _fail(self, error: BaseException) -> None:
        """The call has raised `error`."""
        note_call(error, *self.call)
        self.complete(None, error)

    def complete(self, value: Any, exception: BaseException | None) -> None:
        """Record the outcome, and tell the watchers. This runs no callback."""
        self._value = value
        self._exception = exception
        # In this order: `_function` says "done".
        self._context = self._arguments = self._function = None
        if self._watchers is not None:
            self._announce()

    def complete_unopened(self, outcome: Unopened) -> None:
        """Record an outcome that is still to be opened, and tell the watchers."""
        self._exception = outcome
        self._context = self._arguments = self._function = None
        if self._watchers is not None:
            self._announce()

    def wrap_unopened(self, wrap: Callable[[Unopened], Unopened]) -> None:
        """Put something else in the place of an outcome that nobody has looked at yet."""
        outcome = self._exception
        if isinstance(outcome, Unopened):
            self._exception = wrap(outcome)

    @property
    def unopened(self) -> Unopened | None:
        """The outcome, if nobody has looked at it yet."""
        outcome = self._exception if self._function is None else None
        return outcome if isinstance(outcome, Unopened) else None

    def watch(self, watcher: Watcher, hub: HotPath) -> None:
        """Have `watcher` notified when this is done; at once if it is already."""
        with hub.watch_lock:
            self._expect_watchers(hub).append(watcher)
        if self._function is None:
            watcher.notify()

    def _expect_watchers(self, hub: HotPath) -> list[Watcher]:
        """Return the watchers. The lock of the watchers is held."""
        if self._watchers is None:
            self._callbacks = []
            self._hub = hub
            self._watchers = []
        return self._watchers

    def unwatch(self, watcher: Watcher) -> None:
        """Take back `watch`."""
        if self._watchers is not None and watcher in self._watchers:
            self._watchers.remove(watcher)

    def _announce(self) -> None:
        for watcher in list(self._watchers or ()):
            watcher.notify()
        if self._callbacks:
            self._hub.callbacks_due.append(self)

    def call_back(self) -> None:
        """Have the callbacks called that have not been called yet."""
        if self._watchers is not None and self._callbacks:
            self._hub.call_back(self)

    def run_callbacks(self) -> None:
        """Call the callbacks that have not been called yet, in order, on this stack."""
        if self._watchers is None or not self._callbacks:
            return
        with self._hub.watch_lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            call_back(callback, self)


def differ(context: Context, other: Context) -> bool:
    """Say whether a variable has another value in the one than in the other, or has none.

    Values are not compared: they are the same, or not.
    """
    return len(context) != len(other) or any(
        variable not in other or other[variable] is not value for variable, value in context.items()
    )


def outcome_of(value: Any) -> Any:
    """Return what a call ends with that has returned `value`: of a future its result.

    Just as if the function had waited for it itself, at its end.
    """
    if type(value) is not Future:
        return value
    try:
        return value.result()
    finally:
        del value  # see `Future.exception`


def check_timeout(timeout: float | None) -> None:
    """Refuse a time limit that no moment is before or after.

    Raises:
        ValueError: it is nan.
    """
    if timeout != timeout:
        raise ValueError(f"timeout must be a number of seconds or None, not {timeout}")


class CallbackCarrier(CallableWrapper):
    """A function that takes its future's universal callbacks along to wherever it runs."""

    __slots__ = ("callbacks",)

    def __init__(self, func: Callable[..., Any]) -> None:
        super().__init__(func)
        self.callbacks: list[Callable[[Future], object]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_carrier, (self.func, self.callbacks)

    def __call__(self, *arguments: Any) -> Any:
        future = Future.of(self.func, arguments)
        future.run()
        for callback in self.callbacks:
            call_back(callback, future)
        return future.result()


def _restore_carrier(
    func: Callable[..., Any], callbacks: list[Callable[[Future], object]]
) -> CallbackCarrier:
    carrier = CallbackCarrier(func)
    carrier.callbacks = callbacks
    return carrier


def call_back(callback: Callable[[Future], object], future: Future) -> None:
    """Call a callback; what it raises is logged and ignored, as PEP 3148 asks.

    Context variables that it sets are its own, as a task's are. SystemExit is ignored, too: a
    callback may run on any stack, and there is no telling whom it would end.
    """
    try:
        copy_context().run(callback, future)
    except BY_SIGNAL:
        raise
    except BaseException:
        current.running_hub().logger.exception(
            "The callback %s of %r failed.", describe_callable(callback), future
        )
