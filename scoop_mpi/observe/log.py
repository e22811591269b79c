"""The log: one line per record, which says when, on which rank and host, and in which module."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TextIO

from scoop_mpi.system import streams

NAME = "scoop_mpi"


class _Handler(logging.Handler):
    """Writes to a stream, or where that can't be done any more, to standard error; never raises.

    A program may close `sys.stderr`, and what is logged by a rank's duties must not end them.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            text = self.format(record)
        except Exception:  # the arguments don't fit the message
            text = f"can't log {record.msg!r}\n{traceback.format_exc()}"
        streams.write_error(f"{text}\n", self._stream)


def configure(rank: int, host: str, level: int) -> logging.Logger:
    """Set up the logger that programs know as `scoop_mpi.logger`, and return it.

    Args:
        rank: this rank.
        host: the name of its host.
        level: what to let through, as a level of `logging`.
    """
    logger = logging.getLogger(NAME)
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(
            f"[%(asctime)s.%(msecs)03d] rank {rank} ({host}) %(module)s %(levelname)s: %(message)s",
            datefmt="%Y-%m-%d %H:%M:%S",
        )
    )
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    return logger
