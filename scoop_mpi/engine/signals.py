"""Signals: their handlers run where the program's own lines run, or where it waits.

Python runs a handler between any two instructions of the main thread. What it raises there, as
Ctrl-C's does, would end a change of the rank's state half-way: a lock taken, a call claimed and
never made. So all handlers go through a gate, those that the program sets as well. Where lines of
ours run, a handler is *pending* until

    the hub is in charge    it runs there; what it raises is raised in the program, where it waits
    the program calls us    it runs as that call begins, as by `Bell.answer`
    the pump comes by       it knocks: maybe the program's own lines run by now

The pump knocks with a signal of its own, SIGURG. So no knock is ever taken for one that came from
outside. If the program has set a handler for SIGURG, a knock may call that once more.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from scoop_mpi.errors import is_file_of_ours

Handler = Callable[[int, FrameType | None], Any]

# Hardly anybody uses it, and by default it does nothing.
KNOCK = signal.SIGURG

# What runs the program, or waits for it: parts of Python's library may have been called from there
# alone.
_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_RUNNERS = tuple(
    os.path.join(_PACKAGE, *place)
    for place in (
        ("job", "program.py"),
        ("job", "console.py"),
        ("job", "ending.py"),
        ("fronts", "waits.py"),
    )
)
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_PACKAGES = (os.path.join(_LIBRARY, "site-packages"), os.path.join(_LIBRARY, "dist-packages"))


class Gate:
    """Lets handlers through where they do no harm.

    Args:
        is_amid_change: tells whether the main thread is amid a change of the rank's state, or in
            the hub.
        on_pending: called when a handler has to wait.
        calls: functions of ours that call the user's, by a variable `function`.

    Attributes:
        pending: the handlers that wait, by the number of the signal.
    """

    def __init__(
        self,
        is_amid_change: Callable[[], bool],
        on_pending: Callable[[], None],
        calls: Iterable[Any],
    ) -> None:
        self.pending: dict[int, Handler] = {}
        self._is_amid_change = is_amid_change
        self._on_pending = on_pending
        self._calls = {call.__code__ for call in calls}
        self._is_open = False
        self._at_knock: Any = signal.SIG_DFL  # what the program has set for that signal
        self._set: Callable[[int, Any], Any] = signal.signal
        self._get: Callable[[int], Any] = signal.getsignal
        self._thread = threading.get_ident()  # the main one, which makes this

    def install(self) -> None:
        """Have all handlers that are set from now on go through the gate."""
        names = vars(signal)
        names["signal"], names["getsignal"] = self.signal, self.getsignal
        self._at_knock = self._guarded(self._set(KNOCK, self._knocked))

    def open(self) -> None:
        """Let all handlers through: the job has ended."""
        self._is_open = True
        names = vars(signal)
        names["signal"], names["getsignal"] = self._set, self._get
        self._set(KNOCK, self._at_knock)

    def signal(self, signalnum: int, handler: Any) -> Any:
        """Set the handler of a signal: `signal.signal`, as the program finds it."""
        guarded = self._guarded(handler)
        before = self._set(signalnum, guarded)  # or it raises an error
        if signalnum == KNOCK:
            self._set(KNOCK, self._knocked)
            before, self._at_knock = self._at_knock, guarded
        return _bare(before)

    def _guarded(self, handler: Any) -> Any:
        return _Guarded(self, handler) if callable(handler) else handler

    def getsignal(self, signalnum: int) -> Any:
        """Return the handler of a signal: `signal.getsignal`, as the program finds it."""
        return _bare(self._at_knock if signalnum == KNOCK else self._get(signalnum))

    def attend(self) -> None:
        """Run the handlers that are pending, here; what one of them raises, this raises."""
        if self.pending:
            self._run_pending(_users_frame(sys._getframe(1)))

    def _run_pending(self, frame: FrameType | None) -> None:
        while self.pending:
            number, handler = self.pending.popitem()
            handler(number, frame)

    def interrupt(self, function: Callable[[], None]) -> None:
        """Have a function called where a handler would run, soon; it may raise something.

        Any thread may. If it hasn't been called when it is asked for again, it still waits.
        """
        self.pending[-1 - id(function)] = lambda _number, _frame: function()
        self.knock()

    def knock(self) -> None:
        """Have the handlers that are pending looked at again. For the pump."""
        if self.pending:
            signal.pthread_kill(self._thread, KNOCK)

    def _knocked(self, number: int, frame: FrameType | None) -> None:
        """The pump has knocked, or a SIGURG has come from outside: there is no telling."""
        if isinstance(self._at_knock, _Guarded):
            self._at_knock(number, frame)
        if not self.pending:
            return
        if self.may_pass(frame):
            self._run_pending(frame)
        else:
            self._on_pending()

    def may_pass(self, frame: FrameType | None) -> bool:
        """Say whether a handler may run, and raise, amid the code of this frame."""
        if self._is_open:
            return True
        if self._is_amid_change():
            return False
        while frame is not None and _is_library(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None or _is_users(frame.f_code.co_filename):
            return True
        code = frame.f_code
        return code in self._calls and frame.f_lineno in _lines_of_calls(code)

    def arrived(self, number: int, handler: Handler, frame: FrameType | None) -> None:
        """A signal has arrived amid the code of `frame`."""
        if self.may_pass(frame):
            self.pending.pop(number, None)
            handler(number, frame)
        else:
            self.pending[number] = handler
            self._on_pending()


class _Guarded:
    """A handler behind the gate."""

    __slots__ = ("_gate", "handler")

    def __init__(self, gate: Gate, handler: Handler) -> None:
        self._gate = gate
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._gate.arrived(number, self.handler, frame)


def _bare(handler: Any) -> Any:
    return handler.handler if isinstance(handler, _Guarded) else handler


def _is_library(path: str) -> bool:
    """Say whether a file is one of Python's own library, which anybody calls."""
    return path.startswith((_LIBRARY, "<frozen ")) and not path.startswith(_PACKAGES)


def _is_users(path: str) -> bool:
    """Say whether a file is the program's, or what runs it."""
    return not is_file_of_ours(path) or path.startswith(_RUNNERS)


def _users_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and is_file_of_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


@functools.cache
def _lines_of_calls(code: CodeType) -> frozenset[int]:
    """Return the lines in which a function calls the user's: there a C function may be running."""
    line_at = {
        offset: line for start, stop, line in code.co_lines() for offset in range(start, stop, 2)
    }
    loaded: int | None = None  # the line in which the user's function has been got at
    lines: set[int] = set()
    import dis  # not above: nobody needs it until a signal comes

    for instruction in dis.get_instructions(code):
        line = line_at.get(instruction.offset)
        if line is None:
            continue
        if instruction.opname.startswith("LOAD") and _names(instruction.argval, "function"):
            loaded = line
        elif line == loaded and instruction.opname.startswith("CALL"):
            lines.add(line)
    return frozenset(lines)


def _names(argument: object, variable: str) -> bool:
    """Say whether an instruction's argument is a variable; Python 3.13 loads two in one."""
    return argument == variable or (isinstance(argument, tuple) and variable in argument)
