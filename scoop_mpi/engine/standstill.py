"""Standstill: the main thread waits for a thread, and that for a task which only the main one has.

A task that has begun in the main thread and waits can go on there only, when the main thread next
waits for something of scoop_mpi's. If that waits in ``Thread.join`` instead, for a thread that
waits for the task, nothing can go on. No thread can take over another's stack; but it can be said.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import FrameType

from scoop_mpi.engine.greenlets import Greenlets
from scoop_mpi.engine.waiting import ThreadWaiter
from scoop_mpi.errors import describe_callable, place_in_program
from scoop_mpi.tasks.future import Future

SECONDS = 10  # that the main thread has been at one place
_INTERVAL = 1.0  # seconds between two looks


class Standstill:
    """Looks whether a rank stands still, and says so once. For the pump.

    Args:
        greenlets: the rank's.
        logger: gets the warning.
    """

    def __init__(self, greenlets: Greenlets, logger: logging.Logger) -> None:
        self._greenlets = greenlets
        self._logger = logger
        self._next_look = 0.0
        self._since = 0.0
        self._seen: object = None  # where the main thread was, and how many jobs had begun
        self._has_warned = False

    def look(self, now: float) -> None:
        """Look, if it is time.

        Args:
            now: the time, in seconds.
        """
        if now < self._next_look or self._has_warned:
            return
        self._next_look = now + _INTERVAL
        found = self._waiting_thread()
        if found is None:
            self._seen = None
            return
        # The frames are let go of at once: this one is among them, and would be a cycle.
        frames = sys._current_frames()
        try:
            main = frames[self._greenlets.thread]
            seen = id(main), main.f_lasti, self._greenlets.jobs_begun
            if seen != self._seen:
                self._seen, self._since = seen, now
            elif now - self._since >= SECONDS:
                self._has_warned = True
                self._warn(main, frames, *found)
            del main
        finally:
            frames.clear()

    def _waiting_thread(self) -> tuple[ThreadWaiter, Future] | None:
        """Return a thread that waits for a task that is suspended here, and the task."""
        if self._greenlets.serves_event_loop:
            return None  # each turn of that lets tasks go on that have begun
        begun = set(self._greenlets.running.values())
        for waiter in list(self._greenlets.waiting_threads):
            for future in waiter.awaited:
                if future in begun and not future.is_done:
                    return waiter, future
        return None

    def _warn(
        self, main: FrameType, frames: dict[int, FrameType], waiter: ThreadWaiter, future: Future
    ) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        self._logger.warning(
            "Nothing can go on: for %d s the main thread has been at %s. Meanwhile the thread %s "
            "waits, at %s, for a task of %s, which has begun in the main thread and can go on "
            "there only. Have the main thread wait for the task first: by its result(), or by "
            "futures.wait.",
            SECONDS,
            place_in_program(main),
            names.get(waiter.thread, waiter.thread),
            place_in_program(frames[waiter.thread]) if waiter.thread in frames else "its end",
            describe_callable(future.call[0]) if not future.is_done else "the program",
        )
