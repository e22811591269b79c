"""Awaiting: how coroutines of asyncio's wait for futures, while their event loop goes on.

    await future          the coroutine waits for a stand-in, a future of asyncio's own
    whoever completes it  in any thread: has the loop wake the coroutine (`call_soon_threadsafe`)
    a turn of the loop    every few milliseconds: what its thread alone can do for this rank
    the helper            a thread that makes the calls, where it is not left to other ranks

The loop sleeps in a call of the system's, and its thread must not wait for anything else. So calls
that are awaited are made by other ranks or, where these may have no time or there are none, by the
helper. The main thread does no more than the hub would before it begins a task: it moves messages,
and lets those go on who can go on there only.

It must not know how calls are made, nor what the hub does in a turn.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from scoop_mpi.current import HotPath
from scoop_mpi.engine.threads import Helper, ProgramThreads
from scoop_mpi.tasks.future import Future

if TYPE_CHECKING:  # and imported by who awaits: no rank needs it at its start
    from asyncio import AbstractEventLoop, Handle

# Seconds between two turns, as for the pump.
_SHORTEST_PAUSE = 1e-3
_LONGEST_PAUSE = 8e-3


class Host(Protocol):
    """The rank, as far as an event loop needs it."""

    def begin_awaiting(self) -> bool:
        """Somebody awaits in the event loop of this thread; return whether it needs a helper."""
        ...

    def take_turn(self, is_helped: bool) -> bool:
        """Do what this thread alone can do; return whether anything has moved."""
        ...

    def end_awaiting(self, is_helped: bool) -> None:
        """Nobody awaits in that event loop any more."""
        ...

    @property
    def threads(self) -> ProgramThreads:
        """The program's other threads, and those that help out."""
        ...


class EventLoops:
    """The event loops of this rank in which somebody awaits a future.

    Args:
        host: the rank.
        path: it has the lock of the watchers.
    """

    def __init__(self, host: Host, path: HotPath) -> None:
        self._host = host
        self._path = path
        self._served: dict[AbstractEventLoop, ServedLoop] = {}

    def are_served_by(self, thread: int) -> bool:
        """Say whether a thread runs a loop in which somebody awaits."""
        return any(served.thread == thread for served in list(self._served.values()))

    def wait(self, future: Future) -> Generator[Any, None, None]:
        """Return once `future` is done: a part of a coroutine.

        Raises:
            asyncio.CancelledError: the coroutine is cancelled, and so is the call if nobody has
                begun it; or the future was cancelled.
            RuntimeError: no event loop of asyncio's runs here.
        """
        import asyncio  # see above

        try:
            if not future.is_done:
                loop = asyncio.get_running_loop()
                awaiter = _Awaiter(loop)
                served = self._served.get(loop)
                if served is None:
                    served = self._served[loop] = ServedLoop(loop, self._host)
                try:
                    served.add(awaiter, future)
                    future.watch(awaiter, self._path)
                    yield from awaiter.stand_in.__await__()
                except asyncio.CancelledError:
                    future.cancel()
                    raise
                finally:
                    future.unwatch(awaiter)
                    if served.remove(awaiter):
                        del self._served[loop]
            if future.cancelled():
                raise asyncio.CancelledError(*future.failure.args if future.failure else ())
        finally:
            del future  # its error may hold this frame


class _Awaiter:
    """A coroutine that awaits a future: the future's watcher.

    Args:
        loop: the one that runs the coroutine.

    Attributes:
        stand_in: what the coroutine waits for.
    """

    __slots__ = ("_loop", "stand_in")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.stand_in = loop.create_future()

    def notify(self) -> None:
        """See `Watcher`."""
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            if not self._loop.is_closed():  # or else nobody goes on there
                raise

    def _wake(self) -> None:
        if not self.stand_in.done():
            self.stand_in.set_result(None)


class ServedLoop:
    """An event loop in which somebody awaits. Its own thread makes and uses it.

    Args:
        loop: which one.
        host: the rank.
    """

    def __init__(self, loop: AbstractEventLoop, host: Host) -> None:
        self.thread = threading.get_ident()
        self._loop = loop
        self._host = host
        self._awaiters: dict[_Awaiter, None] = {}
        self._helper: Helper | None = None
        if host.begin_awaiting():
            self._helper = Helper(host.threads, "scoop_mpi-helper")
        self._next_turn: Handle | None = None
        self._pause = _SHORTEST_PAUSE

    def add(self, awaiter: _Awaiter, future: Future) -> None:
        """Somebody more awaits, a future that is not done.

        Raises:
            RuntimeError: the helper can't be started.
        """
        self._awaiters[awaiter] = None
        if self._helper is not None:
            self._helper.take(future)
        self._pause = _SHORTEST_PAUSE
        if self._next_turn is not None:
            self._next_turn.cancel()
        # Not now: of many that begin to await together, all are there by then.
        self._next_turn = self._loop.call_soon(self._take_turn)

    def remove(self, awaiter: _Awaiter) -> bool:
        """Somebody awaits no longer; return whether nobody does."""
        self._awaiters.pop(awaiter, None)
        if self._awaiters:
            return False
        if self._next_turn is not None:
            self._next_turn.cancel()
        if self._helper is not None:
            self._helper.end()
        self._host.end_awaiting(self._helper is not None)
        return True

    def _take_turn(self) -> None:
        moved = False
        try:
            moved = self._host.take_turn(self._helper is not None)
        finally:  # also after Ctrl-C: who is cancelled by it may await something else
            if self._awaiters:
                self._pause = _SHORTEST_PAUSE if moved else min(1.5 * self._pause, _LONGEST_PAUSE)
                self._next_turn = self._loop.call_later(self._pause, self._take_turn)
