"""Special calls: those that are made in another way than by whoever has nothing to do.

    on every rank       one errand for each
    again               as a task of its own, after a pause, on an idle rank if there is one
    isolated            in a process beside this rank
    with a time limit   here, and raised at when it is over

What a call's terms ask for is done by this where the call is made. No other call comes by here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from scoop_mpi.engine.bell import Bell
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.engine.signals import Gate
from scoop_mpi.engine.task_limits import TaskLimits
from scoop_mpi.engine.time_limits import TimeLimits
from scoop_mpi.engine.waiting import Waiter
from scoop_mpi.errors import BY_SIGNAL, SerializationError
from scoop_mpi.tasks.future import Future

if TYPE_CHECKING:
    from scoop_mpi.engine.isolation import Isolation


class Host(Protocol):
    """The hub, as far as this needs it."""

    runtime: Runtime
    thread: int
    bell: Bell
    gate: Gate
    time_limits: TimeLimits
    logger: logging.Logger

    def place(self) -> object:
        """Return the stack that the main thread is on."""
        ...

    def raise_at(self, place: object, error: BaseException) -> bool:
        """Have an error raised in who waits on a stack; say whether anybody does."""
        ...

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future:
        """Return the future of a new call."""
        ...

    def waiter(self) -> Waiter:
        """Return a waiter for the calling thread."""
        ...

    def run_on_own_stack(self, future: Future) -> None:
        """Run a future that is in no queue, here and now."""
        ...


class SpecialCalls:
    """The special calls of one rank.

    Args:
        hub: the rank's.

    Attributes:
        make_isolation: makes what isolated calls need. It is set by the rank.
    """

    __slots__ = ("_hub", "_isolation", "_limits", "make_isolation")

    make_isolation: Callable[[], Isolation]

    def __init__(self, hub: Host) -> None:
        self._hub = hub
        self._limits = TaskLimits(hub, hub.gate.interrupt, hub.logger.warning)
        self._isolation: Isolation | None = None  # as soon as a call wants it

    def on_every_rank(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> list[Future]:
        """Have a call made on each rank, on this one here and now; return its futures, by rank.

        Raises:
            SerializationError: there are other ranks, and the function can't be sent to them.
        """
        runtime = self._hub.runtime
        others = [rank for rank in range(runtime.size) if rank != runtime.rank]
        futures: list[Future] = []
        if others:
            self._hub.bell.has_futures = True
            errands = runtime.worker.sharing.errands(function, arguments, others)
            futures += errands.group.futures
            runtime.send_errands(errands)
            runtime.step()
        own = Future.of(function, arguments)
        self._hub.run_on_own_stack(own)
        if isinstance(own.failure, BY_SIGNAL):
            raise own.failure
        futures.insert(runtime.rank, own)
        return futures

    def await_retry(self, told: str, seconds: float) -> None:
        """See `current.SpecialCalls`."""
        runtime = self._hub.runtime
        self._hub.logger.info("%s", told)
        runtime.retries += 1
        if not seconds:
            return
        deadline = runtime.clock() + seconds
        waiter = self._hub.waiter()
        while runtime.clock() < deadline:
            waiter.wait(deadline)

    def again(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """See `current.SpecialCalls`."""
        future = self._hub.submit(function, arguments)
        self._hub.time_limits.leave_to_idle_ranks((future,), even_short=True)
        try:
            with suppress(SerializationError):  # then it can be made here alone
                return future.result()
        finally:
            del future
        return function(*arguments)

    def isolated(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        time_limit: float | None,
    ) -> Any:
        """See `current.SpecialCalls`."""
        if self._isolation is None:
            self._isolation = self.make_isolation()
        return self._isolation.call(function, arguments, keywords, time_limit)

    def limited(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        time_limit: float,
    ) -> Any:
        """See `current.SpecialCalls`."""
        return self._limits.call(function, arguments, keywords, time_limit)

    def close(self) -> None:
        """The job has ended: end processes of ours."""
        if self._isolation is not None:
            self._isolation.close()
