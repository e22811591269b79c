"""The exceptions that scoop_mpi raises of its own, and the text that they carry.

`TimeoutError` and `CancelledError` are those of `concurrent.futures`, so that a program that
catches these keeps working when it moves here.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, TimeoutError
from types import TracebackType
from typing import Any

__all__ = [
    "CancelledError",
    "NotStartedProperly",
    "RemoteTraceback",
    "SerializationError",
    "TimeoutError",
    "describe_callable",
]

PACKAGE = os.path.dirname(__file__) + os.sep

NOT_STARTED = (
    "scoop_mpi is not running, so there are no ranks to run this on. Start the program with\n"
    "    mpiexec -n 4 python -m scoop_mpi prog.py\n"
    "instead of `python prog.py`."
)
UNGUARDED = (
    "a worker came upon this call while it was importing the program. Every rank imports the\n"
    "program, but only rank 0 runs it: put the code that starts the work under\n"
    '    if __name__ == "__main__":'
)

FORKED = (
    "this process was forked from a rank, and is none itself: futures and constants are for the\n"
    "ranks of a job. Have the task that forked it use them."
)


class NotStartedProperly(RuntimeError):
    """The call needs a running job: start with ``-m scoop_mpi``, and under the main guard."""


class Interrupt(KeyboardInterrupt):
    """Ctrl-C, met by the program or by a task of the root's.

    Unlike a KeyboardInterrupt that a task raises by itself, and that is this task's outcome, it is
    for the program, whatever it has met. To the program it looks like any other, and to other ranks
    too.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyboardInterrupt, self.args


Interrupt.__name__ = Interrupt.__qualname__ = "KeyboardInterrupt"  # in tracebacks
Interrupt.__module__ = "builtins"


class StartError(Exception):
    """The ranks can't be started as the command line asks.

    Args:
        text: says why, and the way out.
        on_this_host: whether it may be possible on other hosts.
    """

    def __init__(self, text: str, *, on_this_host: bool = False) -> None:
        super().__init__(text)
        self.on_this_host = on_this_host


class SerializationError(Exception):
    """A function, an argument, a result or an exception could not travel between two ranks."""


class RemoteTraceback(Exception):
    """The traceback of a task that failed on another rank: the ``__cause__`` of its exception.

    Args:
        text: what `traceback` printed on the rank that ran the task.
        rank: the rank that ran it.
        host: the name of that rank's host.
    """

    def __init__(self, text: str, rank: int, host: str) -> None:
        super().__init__(text, rank, host)
        self.text = text
        self.rank = rank
        self.host = host

    def __str__(self) -> str:
        return f"\n\nOn rank {self.rank} ({self.host}):\n{self.text.rstrip()}"


class CallableWrapper:
    """A callable of ours around one of the user's, which is its attribute `func`."""

    __slots__ = ("func",)

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func


def describe_callable(function: object) -> str:
    """Return the name by which a user knows `function`, also of a partial, method or object."""
    while isinstance(function, functools.partial | CallableWrapper):
        function = function.func  # these have no names of their own
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def describe_error(error: BaseException) -> str:
    """Return the type and text of `error`, whatever the user's own ``__str__`` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def from_call(error: BaseException, function: object) -> BaseException:
    """Return what a call of `function` has raised in the form in which a map raises it.

    An iterator that raised StopIteration would seem to have come to its end. So it is the cause of
    a RuntimeError, as where a generator raises one (PEP 479).
    """
    if not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(f"{describe_callable(function)} raised StopIteration")
    raised.__cause__ = error
    return raised


def users_traceback(error: BaseException) -> TracebackType | None:
    """Return `error`'s traceback without the frames of ours that called the user's code."""
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename.startswith(PACKAGE):
        found = found.tb_next
    return found or error.__traceback__


def format_exception(error: BaseException) -> str:
    """Return `error`'s traceback as text, whatever the user's own ``__str__`` does."""
    found = users_traceback(error)
    try:
        return "".join(traceback.format_exception(type(error), error, found))
    except Exception:
        return "".join(traceback.format_tb(found)) + f"{describe_error(error)}\n"


# The modules that call tasks; those of the program that are called by others are no tasks.
_CALLERS = tuple(PACKAGE + name for name in ("future.py", "span.py"))


def task_of_exit(error: SystemExit) -> str | None:
    """Return the traceback of the task that raised `error`; None if it was the program itself."""
    if isinstance(error.__cause__, RemoteTraceback):
        return str(error.__cause__)
    found = error.__traceback__
    while found is not None:
        if found.tb_next is not None and found.tb_frame.f_code.co_filename.startswith(_CALLERS):
            return "".join(traceback.format_exception(type(error), error, found.tb_next))
        found = found.tb_next
    return None
