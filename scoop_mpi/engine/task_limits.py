"""Task limits: calls that a rank makes in its main thread, and that must end within some time.

Once its time is up, `TaskTimeLimit` is raised in the call, where lines of the user's run: as the
handler of a signal would, and by the same gate. Code in C that doesn't return can't be reached so;
the log says that the rank is stuck in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from scoop_mpi.errors import TaskTimeLimit, describe_callable

_SECONDS_OF_A_TRY = 0.05  # after which it is tried again: the rank may be within another task
_TRIES_UNTIL_STUCK = 200


class Host(Protocol):
    """The hub, as far as this needs it."""

    thread: int

    def place(self) -> object:
        """Return the stack that the main thread is on."""
        ...

    def raise_at(self, place: object, error: BaseException) -> bool:
        """Have an error raised in who waits on a stack; say whether anybody does."""
        ...


class TaskLimits:
    """The time limits of one rank's calls.

    Args:
        hub: the rank's.
        interrupt: has a function called in the main thread, where lines of the user's run.
        warn: called with a text.
    """

    def __init__(
        self,
        hub: Host,
        interrupt: Callable[[Callable[[], None]], object],
        warn: Callable[[str], object],
    ) -> None:
        self._hub = hub
        self._interrupt = interrupt
        self._warn = warn

    def call(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        seconds: float,
    ) -> Any:
        """Make a call, and return what it returns.

        In another thread than the main one it has no limit: nothing can be raised there.

        Args:
            function: what to call.
            arguments: its positional arguments.
            keywords: its keyword arguments.
            seconds: that it may take.

        Raises:
            TaskTimeLimit: it was not done in time.
            BaseException: what the call raised.
        """
        if threading.get_ident() != self._hub.thread:
            return function(*arguments, **keywords)
        limit = _Limit(self._hub.place(), describe_callable(function), seconds)
        watch = threading.Thread(target=self._watch, args=(limit,), name="time limit", daemon=True)
        watch.start()
        try:
            return function(*arguments, **keywords)
        finally:
            limit.ended.set()

    def _watch(self, limit: _Limit) -> None:
        """The thread of one call: sees that it ends."""
        if limit.ended.wait(limit.seconds):
            return
        strike = partial(self._strike, limit)
        tries = 0
        while not limit.ended.is_set():
            self._interrupt(strike)
            limit.ended.wait(_SECONDS_OF_A_TRY)
            tries += 1
            if tries == _TRIES_UNTIL_STUCK:
                self._warn(
                    f"a call of {limit.name} was to end within {limit.seconds:g} s, and can't be "
                    "reached: it is in C code that doesn't return"
                )

    def _strike(self, limit: _Limit) -> None:
        """The time of a call is up. In the main thread, amid whatever runs there."""
        if limit.ended.is_set():
            return
        error = TaskTimeLimit(f"{limit.name} has not ended within {limit.seconds:g} s")
        if self._hub.place() is limit.place:
            limit.ended.set()
            raise error
        if self._hub.raise_at(limit.place, error):  # it waits for other tasks
            limit.ended.set()


class _Limit:
    """The time limit of one call.

    Args:
        place: the stack that it is on.
        name: of the function.
        seconds: that it may take.

    Attributes:
        ended: set once the call has, or was told to.
    """

    __slots__ = ("ended", "name", "place", "seconds")

    def __init__(self, place: object, name: str, seconds: float) -> None:
        self.place = place
        self.name = name
        self.seconds = seconds
        self.ended = threading.Event()
