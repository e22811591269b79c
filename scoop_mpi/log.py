"""The log: one line per record, which says when, on which rank and host, and in which module."""

from __future__ import annotations

import logging
import sys

NAME = "scoop_mpi"


def configure(rank: int, host: str, level: int) -> logging.Logger:
    """Set up the logger that programs know as `scoop_mpi.logger`, and return it.

    Args:
        rank: this rank.
        host: the name of its host.
        level: what to let through, as a level of `logging`.
    """
    logger = logging.getLogger(NAME)
    handler = logging.StreamHandler(sys.stderr)
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
