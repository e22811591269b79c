"""The exceptions that scoop_mpi raises of its own, and the text that they carry.

`TimeoutError` and `CancelledError` are those of `concurrent.futures`, so that a program that
catches these keeps working when it moves here.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import os
import reprlib
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, TimeoutError
from types import FrameType, TracebackType
from typing import Any, ClassVar

__all__ = [
    "CancelledError",
    "DependencyError",
    "Draining",
    "NotStartedProperly",
    "RemoteTraceback",
    "SerializationError",
    "TaskCrashed",
    "TaskTimeLimit",
    "Terminated",
    "TimeoutError",
    "describe_callable",
]

# Files whose frames in a traceback are none of the program's. Python's import system is where the
# program was loaded, and nobody else's business either.
_OURS = (os.path.dirname(__file__) + os.sep, "<frozen importlib", "<frozen zipimport")
# The fields of an exception, whatever its class has put in their place.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_traceback_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__[
    "__traceback__"
].__get__
_group: Any = getattr(builtins, "BaseExceptionGroup", None)  # new in Python 3.11
_set_traceback = BaseException.__dict__["__traceback__"].__set__

NOT_STARTED = (
    "scoop_mpi is not running, so there are no ranks to run this on. Start the program with\n"
    "    python -m scoop_mpi -n 4 prog.py\n"
    "instead of `python prog.py`."
)
_FOR_NOTEBOOKS = (
    "\nA notebook needs a kernel that is started so: install it with\n"
    "    python -m scoop_mpi --install-kernel -n 4\n"
    "and choose it for this notebook."
)
UNGUARDED = (
    "a worker came upon this call while it was importing the program. Every rank imports the\n"
    "program, but only rank 0 runs it: put the code that starts the work under\n"
    '    if __name__ == "__main__":'
)

DRAINED = 75  # the exit status of a job that has drained: EX_TEMPFAIL of sysexits.h

FORKED = (
    "this process was forked from a rank, and is none itself: futures and constants are for the\n"
    "ranks of a job. Have the task that forked it use them."
)


ISOLATED = (
    "an isolated call is made in a process of its own, which is no rank: it can't submit calls,\n"
    "or set constants. Have a task that is not isolated do that, and the isolated call the rest."
)

FUTURE_CANT_TRAVEL = (
    "a future can't be sent to another rank. Where it is an argument itself, or in a list, tuple "
    "or dict that is one, the call gets its result; anywhere else, hand over its result()"
)
WAIT_OTHERWISE = (
    "concurrent.futures can't wait for a future of scoop_mpi: wait for it with "
    "scoop_mpi.futures.wait or as_completed, or call its result()"
)
AWAIT_TASKS = (
    "asyncio.wait can't wait for a future of scoop_mpi itself: "
    "give it asyncio.ensure_future(future)"
)


def not_started() -> str:
    """Return what to say where there is no job: in a notebook, how it gets one."""
    return NOT_STARTED + (_FOR_NOTEBOOKS if "ipykernel" in sys.modules else "")


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


class Terminated(SystemExit):
    """A signal asks the job to end. Raised in the program, on the root, where it runs or waits.

    The signal is SIGTERM, which schedulers send at a job's time limit, or SIGUSR1 or SIGUSR2, which
    they can be asked to send some time before. ``finally`` and ``with`` blocks run, and may still
    save what there is. If nobody catches it, the exit status is 128 and the signal's number: 143
    for SIGTERM.

    Args:
        signum: the number of the signal.

    Attributes:
        signum: the same.
        code: the exit status.
    """

    def __init__(self, signum: int = signal.SIGTERM) -> None:
        self.signum = signal.Signals(signum)
        super().__init__(self.signum)
        self.code = 128 + signum

    def __str__(self) -> str:
        return self.signum.name


class Draining(SystemExit):
    """No further call is begun, and those that ran have ended. Raised in the program, on the root.

    A signal asks for it, or the end of the scheduler's allocation is near (see ``--drain-signal``
    and ``--stop-before``). If nobody catches it, the job ends with the exit status 75, which tells
    the job scripts to have it started again.
    """

    def __init__(self, code: int = DRAINED) -> None:
        super().__init__(code)

    def __str__(self) -> str:
        return "the job is to be started again, and goes on then"


class Drained(Draining):
    """A `Draining` that the job has raised. It is for the program, as an `Interrupt` is."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Draining, self.args


Drained.__name__ = Drained.__qualname__ = Draining.__name__
Drained.__module__ = Draining.__module__


class Termination(Terminated):
    """A `Terminated` that a signal has raised. It is for the program, as an `Interrupt` is."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Terminated, self.args


Termination.__name__ = Termination.__qualname__ = Terminated.__name__
Termination.__module__ = Terminated.__module__

# What signals raise: it goes to the program, whatever it has met.
BY_SIGNAL = (Interrupt, Termination, Drained)


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


class TaskCrashed(Exception):
    """The process of an isolated call has ended before the call had.

    Args:
        text: says how, and for which rank.
        status: as `subprocess.Popen.returncode` has it: what it has left Python with or, negative,
            the number of the signal that has ended it.
        stack: where it was in Python, as `faulthandler` has it; empty: it could not tell.

    Attributes:
        status: see above.
        stack: see above.
    """

    def __init__(self, text: str, status: int = 0, stack: str = "") -> None:
        super().__init__(text, status, stack)
        self.status = status
        self.stack = stack

    def __str__(self) -> str:
        return f"{self.args[0]}\n{self.stack}" if self.stack else str(self.args[0])


class TaskTimeLimit(Exception):
    """A call has not ended within its time limit: that of ``futures.options(time_limit=...)``."""


class DependencyError(Exception):
    """A call was not made, as a future among its arguments failed: what that raised is the cause.

    Of a chain of such calls each has as its cause what the first to fail has raised.
    """


class UnexpectedMessage(Exception):
    """A rank got a message that it can't take: a fault of scoop_mpi. It has changed nothing.

    Args:
        rank: the rank that got it.
        source: who sent it.
        message: the message.
        reason: why it can't be taken.
    """

    def __init__(self, rank: int, source: int, message: object, reason: str) -> None:
        short = reprlib.Repr()
        short.maxother = 200
        text = short.repr(message)
        super().__init__(f"rank {rank} got {text} from rank {source}: {reason}")


class InvariantBroken(Exception):
    """What must always hold of a rank's state does not: a fault of scoop_mpi."""


class RemoteTraceback(Exception):
    """The traceback of a task that failed on another rank: the ``__cause__`` of its exception.

    Args:
        text: what `traceback` printed on the rank that ran the task.
        rank: the rank that ran it.
        host: the name of that rank's host.

    Attributes:
        is_told: whether the error tells which call it was.
    """

    def __init__(self, text: str, rank: int, host: str) -> None:
        super().__init__(text, rank, host)
        self.is_told = False
        self.text = text
        self.rank = rank
        self.host = host

    def __str__(self) -> str:
        return f"\n\nOn rank {self.rank} ({self.host}):\n{self.text.rstrip()}"


# What we raise, or hand on, on purpose: where in our own files tells nobody anything.
_ON_PURPOSE = (
    CancelledError,
    DependencyError,
    Draining,
    KeyboardInterrupt,
    NotStartedProperly,
    SerializationError,
    SyntaxError,
    TaskCrashed,
    TaskTimeLimit,
    Terminated,
    TimeoutError,
)


class CallableWrapper:
    """A callable of ours around one of the user's, which is its attribute `func`.

    Attributes:
        pickles_as_func: whether to pickle it runs just that code which to pickle `func` does.
    """

    __slots__ = ("func",)

    pickles_as_func: ClassVar[bool] = False

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    @property
    def label(self) -> str | None:
        """What the user calls it, besides the name of the function."""
        return None


def describe_callable(function: object) -> str:
    """Return the name by which a user knows `function`, also of a partial, method or object.

    This never fails, whatever the object does when it is asked for its name.
    """
    return "".join(name_and_label(function))


def name_and_label(function: object) -> tuple[str, str]:
    """Return the name of `function` as `describe_callable` has it, and what comes behind."""
    name: object = None
    label = ""
    try:
        while issubclass(type(function), functools.partial | CallableWrapper):
            if isinstance(function, CallableWrapper) and function.label is not None:
                label = f" ({function.label})"
            function = function.func  # type: ignore[attr-defined] # these have no names of their own
        name = getattr(function, "__qualname__", None)
    except BaseException as error:
        raise_interrupt(error)
    return (name if type(name) is str else name_of_type(function)), label


def name_of_type(thing: object) -> str:
    """Return the name of an object's type, whatever its metaclass makes of names."""
    return str(_name_of_class(type(thing)))


def describe_error(error: BaseException) -> str:
    """Return the type and text of `error`, whatever the user's own ``__str__`` does."""
    name = str(type.__dict__["__name__"].__get__(type(error)))
    try:
        return f"{name}: {error}"
    except BaseException as failure:
        raise_interrupt(failure)
        return name


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


def hide_our_frames(error: BaseException) -> TracebackType | None:
    """Take the frames of ours out of the traceback of `error`, and return what is left.

    What is left shows the program's own way to its error. Only what may be a fault of ours keeps
    the frames where it was raised. The same goes for the errors that `error` came from.
    """
    seen: set[int] = set()
    left: list[tuple[BaseException | None, bool]] = [(error, False)]
    while left:
        found, is_explained = left.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        was_remote = isinstance(_cause_of(found), RemoteTraceback)  # where it comes from is there
        is_on_purpose = is_explained or was_remote or isinstance(found, _ON_PURPOSE)
        _set_traceback(found, _users_part(_traceback_of(found), is_on_purpose))
        left += [(cause, is_on_purpose) for cause in (_cause_of(found), _context_of(found))]
        if _group is not None and isinstance(found, _group):
            left += [(member, is_on_purpose) for member in _group.exceptions.__get__(found)]
    return _traceback_of(error)


def _users_part(traceback: TracebackType | None, is_on_purpose: bool) -> TracebackType | None:
    found = traceback
    while found is not None and _is_ours(found):
        found = found.tb_next  # our way to the program
    entries: list[TracebackType] = []
    entry = found
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    if not is_on_purpose and (not entries or _is_ours(entries[-1])):
        return found or traceback
    kept = [entry for entry in entries if not _is_ours(entry)]
    if len(kept) == len(entries):
        return found
    result: TracebackType | None = None
    for entry in reversed(kept):
        result = TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result


def is_file_of_ours(path: str) -> bool:
    """Say whether a frame of code from this file is none of the program's."""
    return path.startswith(_OURS)


def _is_ours(entry: TracebackType) -> bool:
    return is_file_of_ours(entry.tb_frame.f_code.co_filename)


def place_in_program(innermost: FrameType) -> str:
    """Return where a thread is: file, line and code, in the program and in what that has called."""
    stack = traceback.extract_stack(innermost)
    ours = itertools.dropwhile(lambda call: not is_file_of_ours(call.filename), stack)
    calls = list(itertools.dropwhile(lambda call: is_file_of_ours(call.filename), ours))
    ends = calls[:1] + calls[1:][-1:]
    return ", in ".join(f"{call.filename}, line {call.lineno}: {call.line}" for call in ends)


def users_stacklevel() -> int:
    """Return the level, for `warnings.warn` in the caller, of the program's line that led there."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
        level += 1
    return level


def format_exception(error: BaseException) -> str:
    """Return `error`'s traceback as text, whatever the user's own ``__str__`` does."""
    found = hide_our_frames(error)
    try:
        return "".join(traceback.format_exception(type(error), error, found))
    except BaseException as failure:
        raise_interrupt(failure)
        return "".join(traceback.format_tb(found)) + f"{describe_error(error)}\n"


def raise_interrupt(error: BaseException) -> None:
    """Raise `error` again if it is a real Ctrl-C, or SIGTERM or its like.

    For who makes what the user's code raises the failure of one call, of whatever type it is. A
    KeyboardInterrupt that a line of the user's has raised itself is such a failure too. Ctrl-C
    comes from the handler of the signal, which is ours or Python's, and so from no such line.
    """
    if isinstance(error, Termination | Drained):
        raise error
    found = _traceback_of(error)
    if not isinstance(error, KeyboardInterrupt) or found is None:
        return
    while found.tb_next is not None:
        found = found.tb_next
    instruction = found.tb_frame.f_code.co_code[found.tb_lasti]
    import opcode  # not above: nobody needs it until then

    if _is_ours(found) or instruction != opcode.opmap["RAISE_VARARGS"]:
        raise error


# What classes of the user's can't redefine.
_name_of_class = type.__dict__["__qualname__"].__get__
# The modules that call tasks; those of the program that are called by others are no tasks.
_CALLERS = tuple(
    os.path.join(os.path.dirname(__file__), name) for name in ("tasks/future.py", "tasks/span.py")
)


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
