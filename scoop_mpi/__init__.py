"""SCOOP's futures on MPI: tasks that spawn tasks, at the speed of the fabric.

    from scoop_mpi import futures

    if __name__ == "__main__":
        print(sum(futures.map(abs, range(-1000, 1000))))

Started with ``python -m scoop_mpi -n 4 prog.py``. The names below describe the running
job, as SCOOP's do:

    IS_ORIGIN    whether this rank is the root, which runs the program
    IS_RUNNING   whether the program was started with ``-m scoop_mpi``
    SIZE         the number of ranks
    worker       this rank: the tuple (rank, host)
    LOCAL_RANK   the number of this rank among those of its node, from 0 on
    NODE         the number of this rank's node, from 0 on
    NODES        the number of nodes
    BROKER       the rank that is broker: the tuple (rank, host), the host known on that rank alone
    DEBUG        whether ``--debug`` was given
    MAIN_MODULE  the name under which this rank has imported the program
    logger       the log, each line with time, rank, host and module

`MPIPoolExecutor` is the ranks as an executor of `concurrent.futures`, `Pool` as a pool of
`multiprocessing`.
"""

from __future__ import annotations

from scoop_mpi._version import __version__

# Nothing else is imported here before it is asked for: `python -m scoop_mpi` comes by on its way,
# and may start Python again (`hash_seed`).
TYPE_CHECKING = False  # typing's; type checkers know it by its name
if TYPE_CHECKING:
    from logging import Logger
    from typing import Any

    from scoop_mpi.current import RankInfo
    from scoop_mpi.errors import (
        Draining,
        NotStartedProperly,
        RemoteTraceback,
        SerializationError,
        TaskCrashed,
        TaskTimeLimit,
        Terminated,
    )
    from scoop_mpi.fronts.executor import MPIPoolExecutor
    from scoop_mpi.fronts.pool import Pool

    IS_ORIGIN: bool
    IS_RUNNING: bool
    SIZE: int
    DEBUG: bool
    MAIN_MODULE: str
    LOCAL_RANK: int
    NODE: int
    NODES: int
    worker: RankInfo
    BROKER: RankInfo
    logger: Logger

__all__ = [
    "BROKER",
    "DEBUG",
    "IS_ORIGIN",
    "IS_RUNNING",
    "LOCAL_RANK",
    "MAIN_MODULE",
    "NODE",
    "NODES",
    "SIZE",
    "Draining",
    "MPIPoolExecutor",
    "NotStartedProperly",
    "Pool",
    "RemoteTraceback",
    "SerializationError",
    "TaskCrashed",
    "TaskTimeLimit",
    "Terminated",
    "__version__",
    "logger",
    "worker",
]

_MODULES = ("futures", "joblib", "shared")  # that are for programs


def __dir__() -> list[str]:
    """Return the public names, which tab completion shows, with the modules that are imported."""
    return [*__all__, *(name for name in _MODULES if name in globals())]


_FRONTS = {
    "MPIPoolExecutor": "scoop_mpi.fronts.executor",
    "Pool": "scoop_mpi.fronts.pool",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _FRONTS:
        from importlib import import_module

        return getattr(import_module(_FRONTS[name]), name)
    import logging

    from scoop_mpi import current, errors
    from scoop_mpi.observe import log

    hub = None
    if current.hub is not None:
        from scoop_mpi.engine.hub import running

        hub = running()
    transport = hub.runtime.transport if hub is not None else None
    rank = transport.rank if transport is not None else 0
    host = transport.host if transport is not None else ""
    leaders = transport.leaders if transport is not None else [0]  # of each rank's node
    match name:
        case "IS_ORIGIN":
            return rank == 0
        case "IS_RUNNING":
            return hub is not None
        case "SIZE":
            return transport.size if transport is not None else 1
        case "DEBUG":
            return hub is not None and hub.is_debug
        case "MAIN_MODULE":
            return "__main__" if rank == 0 else "__mp_main__"
        case "LOCAL_RANK":
            return leaders[:rank].count(leaders[rank])
        case "NODE":
            return sorted(set(leaders)).index(leaders[rank])
        case "NODES":
            return len(set(leaders))
        case "worker":
            return current.RankInfo(rank, host)
        case "BROKER":
            return current.RankInfo(0, host if rank == 0 else "")
        case "logger":
            return logging.getLogger(log.NAME)
        case _:
            return getattr(errors, name)
