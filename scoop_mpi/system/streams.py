"""A rank's standard output and standard error: whole lines, and an end that nothing can spoil.

The program may have closed them, or put objects of its own in their place, which may raise
anything. What is done here happens as a job ends, so it never raises.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any

_STDERR = 2


def buffer_lines() -> None:
    """Have standard output and error write each line when it is complete, in one piece.

    A launcher reads them through pipes. Python would keep what is written into a pipe until there
    is a lot of it, so it would come late, and not at all if the rank is killed; and without
    any buffer (``python -u``) each piece of a line is written by itself, and those of several ranks
    get mixed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)


def flush() -> None:
    """Write what the program has left in the buffers of standard output and error.

    What can't be written is not reported here: where a job ends in order, Python tries again as it
    ends, says what is wrong, and exits with status 120; where it is aborted, there is a failure
    already that is worth more.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except BaseException:  # an object of the program's may raise anything
                continue


def write_error(text: str, stream: IO[Any] | None = None) -> None:
    """Write to standard error, in one piece; if the program has made it unusable, to what it was.

    Args:
        text: what to write.
        stream: where to, if not to `sys.stderr`.
    """
    try:
        target = stream or sys.stderr
        target.write(text)
        target.flush()
    except BaseException:  # as above; and `sys.stderr` may be None
        try:
            os.write(_STDERR, text.encode(errors="backslashreplace"))
        except OSError:  # it is closed: there is nobody to tell
            return
