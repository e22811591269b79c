"""Time limits: until when somebody waits, and which calls may begin here meanwhile.

A call that a rank has begun can't be interrupted. So who must be ready by some time, or waits for
the first of several, begins none of which it isn't known that it ends before long.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from threading import get_ident
from typing import Protocol

from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.errors import TimeoutError
from scoop_mpi.state.agenda import Agenda
from scoop_mpi.tasks.future import check_timeout
from scoop_mpi.tasks.span import Task

# Seconds that ranks without work get to take calls before a rank begins one of which it isn't known
# that it ends before long, while it waits for the first of several. If they had no time, they are
# not waited for again for a while.
_GRACE = 0.01
_GRACE_HOLIDAY = 0.5
# A time limit of so many seconds, or infinitely many, is none. Threads can't wait for longer.
_CENTURIES = threading.TIMEOUT_MAX / 2
OVERDUE = "the time limit is over"


class Idle(Protocol):
    """What to do while there is nothing to do: `idle.Backoff`, or a test's own."""

    looks: int  # how many times in a row to look for a message

    def reset(self) -> None: ...

    def pause(self, limit: float | None) -> None: ...


class TimeLimits:
    """The time limits of one rank; made in its main thread.

    Args:
        runtime: has the clock.
        agenda: knows what may begin.
        idle: how to pause.
    """

    __slots__ = ("_agenda", "_experience", "_idle", "_no_grace_before", "_runtime", "_thread")

    def __init__(self, runtime: Runtime, agenda: Agenda, idle: Idle) -> None:
        self._runtime = runtime
        self._agenda = agenda
        self._idle = idle
        self._experience = runtime.worker.experience
        self._no_grace_before = 0.0
        self._thread = get_ident()

    def deadline(self, timeout: float | None) -> float | None:
        """Return the time at which `timeout` seconds from now are over; None: never.

        Raises:
            ValueError: `timeout` is not a number.
        """
        check_timeout(timeout)
        if timeout is None or timeout > _CENTURIES:
            return None
        self._experience.is_wanted = True
        return self._runtime.clock() + timeout

    def check(self, deadline: float | None) -> None:
        """Raise TimeoutError if `deadline` is over."""
        if deadline is not None and self._runtime.clock() > deadline:
            raise TimeoutError(OVERDUE)

    def may_begin(self, task: Task, deadline: float | None) -> bool:
        """Say whether to begin a call of a task, though this rank must be ready by `deadline`."""
        return deadline is None or self._agenda.may_begin(task, deadline - self._runtime.clock())

    def leave_to_idle_ranks(self, tasks: Collection[Task], *, even_short: bool = False) -> None:
        """Have ranks without work take what they can, before a call is begun here.

        For who waits for the first of several: a long call that is begun here holds it up. The
        program's other threads don't: they take turns with other ranks anyway (see `turns`).

        Args:
            tasks: what might be begun.
            even_short: whether also calls that would hold nobody up.
        """
        runtime = self._runtime
        if runtime.size == 1 or get_ident() != self._thread:
            return
        self._experience.is_wanted = True
        is_worth_it = self._agenda.are_ready if even_short else self._agenda.may_take_long
        if not is_worth_it(tasks):
            return  # they hold nobody up
        runtime.step()
        now = runtime.clock()
        if now < self._no_grace_before:
            return
        until = now + _GRACE
        self._idle.reset()
        while runtime.has_idle_ranks and is_worth_it(tasks):
            if now >= until:
                self._no_grace_before = until + _GRACE_HOLIDAY
                return
            if not runtime.step():
                self._idle.pause(until - now)
            now = runtime.clock()
