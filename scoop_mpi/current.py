"""The runtime of this process: the one piece of module-level state that the public API needs.

`scoop_mpi.futures` and `scoop_mpi.shared` are modules of functions, and a future is met anywhere.
So they have to find the runtime somewhere. Everything else is handed what it needs.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

from scoop_mpi.errors import NotStartedProperly, not_started


class RankInfo(NamedTuple):
    """A rank of the job, and the name of its host ("" where that is not known)."""

    rank: int
    host: str


class SpecialCalls(Protocol):
    """How calls are made whose terms ask for something."""

    def await_retry(self, told: str, seconds: float) -> None:
        """A call has failed, and is to be made again after some seconds: log it, and wait."""
        ...

    def again(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Make a call as a task, on another rank if one has nothing to do; return its result."""
        ...

    def isolated(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        time_limit: float | None,
    ) -> Any:
        """Make a call in a process of its own, and return what it returns."""
        ...

    def limited(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        time_limit: float,
    ) -> Any:
        """Make a call here that must end within some seconds, and return what it returns."""
        ...


class HotPath(ABC):
    """What a future knows of the hub, and what submitting and joining a local task touches.

    In slots, which are the fastest to get at.

    Attributes:
        ready: the tasks of the main thread that nobody has begun, oldest first.
        elsewhere: those of the program's other threads.
        thread: the main thread.
        is_alone: whether the program has started no other thread so far.
        depth: the number of tasks on the current stack of the main thread, each waiting for the
            one above.
        depth_limit: the depth at which to look how much of the stack these tasks have used.
        here: this rank.
        watch_lock: of the lists of watchers of all futures.
        callbacks_due: futures that other ranks have completed, and whose callbacks are to run.
        logger: where failures of callbacks go.
        special_calls: see there.
    """

    __slots__ = (
        "callbacks_due",
        "depth",
        "depth_limit",
        "elsewhere",
        "here",
        "is_alone",
        "logger",
        "ready",
        "special_calls",
        "thread",
        "watch_lock",
    )

    ready: dict[Any, None]
    elsewhere: dict[Any, None]
    thread: int
    is_alone: bool
    depth: int
    depth_limit: int
    here: RankInfo
    watch_lock: threading.Lock
    callbacks_due: deque[Any]
    logger: logging.Logger
    special_calls: SpecialCalls

    @abstractmethod
    def enqueue(self, task: Any) -> None:
        """Put a task into the queue of the calling thread."""

    @abstractmethod
    def put_back(self, task: Any) -> None:
        """Put a task that was claimed, and not begun, into the queue of the calling thread."""

    @abstractmethod
    def claim(self, future: Any) -> bool:
        """Take a waiting future out of the queues; False if somebody else was faster."""

    @abstractmethod
    def withdraw(self, future: Any) -> bool:
        """Take back a future that nobody has begun; False if somebody has."""

    @abstractmethod
    def is_waiting(self, future: Any) -> bool:
        """Say whether nobody has begun this future."""

    @abstractmethod
    def join(self, future: Any, timeout: float | None) -> None:
        """Return once a future is done, running it here if nobody else does."""

    @abstractmethod
    def awaiting(self, future: Any) -> Generator[Any, None, None]:
        """Return once a future is done: a part of a coroutine."""

    @abstractmethod
    def poll(self, future: Any) -> None:
        """Do what brings a future nearer to its end without waiting for it."""

    @abstractmethod
    def call_back(self, future: Any) -> None:
        """Run the callbacks of a future that is done."""

    @property
    @abstractmethod
    def holds(self) -> Any:
        """This rank's holds on constants."""


hub: HotPath | None = None  # None: not started with `-m scoop_mpi`


def running_hub() -> HotPath:
    """Return the hub of this process.

    Raises:
        NotStartedProperly: there is none.
    """
    if hub is None:
        raise NotStartedProperly(not_started())
    return hub
