"""How the program's end is told: what Python itself would print of it, and its exit status.

After ``Py_HandleSystemExit`` and ``PyErr_Print`` in CPython's pythonrun.c, which cannot be called
from here without ending the process. Nothing that the program has done to `sys` may keep its end
from being told: its own hooks and streams are used as Python uses them, and what they raise is
printed as Python prints it.
"""

from __future__ import annotations

import signal
import sys

from scoop_mpi.errors import hide_our_frames
from scoop_mpi.job.program import ProgramError
from scoop_mpi.launch.request import CANT_FOLLOW
from scoop_mpi.system.streams import write_error

INTERRUPTED = 128 + signal.SIGINT
# Python's own, whatever the program puts in its place.
_display_exception = sys.__excepthook__
_set_traceback = BaseException.__dict__["__traceback__"].__set__
_LONGEST = 1 << 63  # the first number that a C long can't hold


def report(error: BaseException) -> int:
    """Print what Python prints of an exception that nobody has caught; return the exit status."""
    if isinstance(error, SystemExit):
        return _report_exit(error)
    if isinstance(error, ProgramError):
        write_error(f"scoop_mpi: {error}\n")
        return status_of(error)
    ended_by_hook = show(error)
    if ended_by_hook is not None:
        return _report_exit(ended_by_hook)
    return status_of(error)


def status_of(error: BaseException) -> int:
    """Return the exit status of a program that ends with this exception, which is no SystemExit."""
    if isinstance(error, ProgramError):
        return CANT_FOLLOW
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def show(error: BaseException) -> SystemExit | None:
    """Print an exception as Python does; return the SystemExit that the program's hook raised."""
    traceback = hide_our_frames(error)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
    try:
        hook = sys.excepthook
    except AttributeError:
        write_error("sys.excepthook is missing\n")
        _display(error)
        return None
    try:
        hook(type(error), error, traceback)
    except SystemExit as ending:
        return ending
    except BaseException as failure:
        _set_traceback(failure, failure.__traceback__ and failure.__traceback__.tb_next)
        write_error("Error in sys.excepthook:\n")
        _display(failure)
        write_error("\nOriginal exception was:\n")
        _display(error)
    return None


def _report_exit(ending: SystemExit) -> int:
    """Return the status of a `SystemExit`, printing what Python would print."""
    try:
        code: object = ending.code
    except BaseException:  # a subclass's own
        code = ending
    if code is None:
        return 0
    if isinstance(code, int):
        number = int.__index__(code)
        return number & 0xFF if -_LONGEST <= number < _LONGEST else 0xFF
    try:
        text = str(code)
    except BaseException:
        text = ""  # as Python does
    write_error(f"{text}\n")
    return 1


def _display(error: BaseException) -> None:
    _display_exception(type(error), error, error.__traceback__)
