"""The runtime of this process: the one piece of module-level state that the public API needs.

`scoop_mpi.futures` and `scoop_mpi.shared` are modules of functions, so they have to find the
runtime somewhere. Everything else is handed what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scoop_mpi.errors import NOT_STARTED, NotStartedProperly

if TYPE_CHECKING:
    from scoop_mpi.hub import Hub


class RankInfo(NamedTuple):
    """A rank of the job, and the name of its host ("" where that is not known)."""

    rank: int
    host: str


hub: Hub | None = None  # None: not started with `-m scoop_mpi`


def running_hub() -> Hub:
    """Return the hub of this process.

    Raises:
        NotStartedProperly: there is none.
    """
    if hub is None:
        raise NotStartedProperly(NOT_STARTED)
    return hub
