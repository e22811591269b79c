"""Retries: a call that fails is made again, on another rank if one has nothing to do.

The rank that makes the call first goes on with it until it has returned, or has failed for the
last time; each further attempt is a task of its own. So the owner knows of nothing but the outcome.

It must not know how a task comes to another rank.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from scoop_mpi import current
from scoop_mpi.errors import (
    BY_SIGNAL,
    CancelledError,
    TaskCrashed,
    describe_callable,
    describe_error,
)
from scoop_mpi.tasks.future import KeywordCall, outcome_of
from scoop_mpi.tasks.notes import add_note, place_of

# After these it would be of no use: the program is to end, or has ended.
_FINAL = (CancelledError, *BY_SIGNAL)
_MOST_TOLD = 10  # attempts that the last error tells of
_MOST_DOUBLINGS = 20  # of the pause: what is longer than a million times the first is for ever
_LONGEST = 200  # characters that it tells of each


def call(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    retries: int,
    retry_on: type[BaseException] | tuple[type[BaseException], ...],
    backoff: float,
    max_deaths: int,
) -> Any:
    """Call a function, and call it again if it fails.

    Without a job, in a program that was started without ``-m scoop_mpi``, here and now.

    Args:
        function: what to call.
        arguments: its positional arguments. What an attempt changes in them, the next one finds
            changed, unless it runs on another rank.
        keywords: its keyword arguments.
        retries: how often to call it again, at the most.
        retry_on: the errors after which to.
        backoff: seconds to wait before the second attempt; twice as many before each further one.
        max_deaths: after how many crashes of its process it is not called again.

    Raises:
        BaseException: what the last attempt raised, with a note that tells of those before.
    """
    hub = current.hub
    failed: list[str] = []
    deaths = 0
    while True:
        try:
            if not failed or hub is None:
                return outcome_of(function(*arguments, **keywords))
            again = KeywordCall(function, **keywords) if keywords else function
            return outcome_of(hub.special_calls.again(again, arguments))
        except retry_on as error:
            deaths += isinstance(error, TaskCrashed)
            if isinstance(error, _FINAL) or len(failed) == retries or deaths == max_deaths:
                if failed:
                    attempts = len(failed) + 1
                    add_note(error, "\n".join([f"{attempts} attempts:", *failed[-_MOST_TOLD:]]))
                raise
            number = len(failed) + 1
            text = " ".join(describe_error(error).split())[:_LONGEST]
            told = f"attempt {number}: {text}, {place_of(error)}"
        failed.append(told)
        seconds = backoff * 2.0 ** min(number - 1, _MOST_DOUBLINGS)
        if hub is None:
            time.sleep(seconds)
        else:
            name = describe_callable(function)
            hub.special_calls.await_retry(
                f"a call has failed, and is made again: {name}, {told}", seconds
            )
