"""A profile of each rank, for ``--profile``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from scoop_mpi.errors import StartError


def make_folder(folder: str) -> None:
    """Make the folder for the profiles, before the ranks depend on each other.

    Raises:
        StartError: it can't be made, or not be written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        problem = f"--profile: can't make the folder {folder}: {error.strerror}"
        raise StartError(problem, on_this_host=True) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        problem = f"--profile: can't write to the folder {folder}"
        raise StartError(problem, on_this_host=True)


@contextlib.contextmanager
def profiled(folder: str | None, rank: int) -> Iterator[None]:
    """Profile what is done within, and write it to ``<folder>/rank<rank>.prof`` at its end.

    Also if it ends with an error. Tasks run on greenlets, between which the profiler doesn't
    distinguish: the times within functions are right, and so are the numbers of calls; cumulative
    times also hold what ran while a function waited for other tasks.

    Args:
        folder: where to write, a folder that is there; None: nothing is profiled.
        rank: this rank.
    """
    if folder is None:
        yield
        return
    import cProfile  # not above: it takes a while, on each rank

    path = os.path.join(os.path.abspath(folder), f"rank{rank}.prof")
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)
