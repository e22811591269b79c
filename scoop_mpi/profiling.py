"""A profile of each rank, for ``--profile``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from scoop_mpi.errors import StartError


@contextlib.contextmanager
def profiled(folder: str | None, rank: int) -> Iterator[None]:
    """Profile what is done within, and write it to ``folder/rank<rank>.prof`` at its end.

    Also if it ends with an error. Tasks run on greenlets, between which the profiler doesn't
    distinguish: the times within functions are right, and so are the numbers of calls; cumulative
    times also hold what ran while a function waited for other tasks.

    Args:
        folder: where to write; None: nothing is profiled.
        rank: this rank.

    Raises:
        StartError: the folder can't be made.
    """
    if folder is None:
        yield
        return
    import cProfile  # not above: it takes a while, on each rank

    path = os.path.join(os.path.abspath(folder), f"rank{rank}.prof")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise StartError(f"--profile: can't make the folder {folder}: {error.strerror}") from error
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)
