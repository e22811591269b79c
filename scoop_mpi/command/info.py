"""What ``--info`` tells: the versions, the MPI and the ranks, on one page, for a bug report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import scoop_mpi
from scoop_mpi._version import __version__
from scoop_mpi.errors import StartError
from scoop_mpi.job.config import Config
from scoop_mpi.job.numerical_threads import OPENMP, VARIABLES, settings
from scoop_mpi.job.rank import connect
from scoop_mpi.launch import hash_seed, launchers, mpi_library, mpiexec
from scoop_mpi.system import cores
from scoop_mpi.transport import mpi, node_memory
from scoop_mpi.transport.protocol import Transport

_PACKAGES = ("mpi4py", "greenlet", "numpy", "cloudpickle")
# What begins so sets up an MPI, its network or its launcher.
_SETTINGS = ("FI_", "I_MPI_", "MPI4PY_", "MPICH_", "MPIR_CVAR_", "OMPI_MCA_", "PRTE_MCA_", "UCX_")
# These do not: the launchers note here what they have found out.
_NOTES = ("I_MPI_INFO_", "I_MPI_INTERNAL_", "OMPI_MCA_PREFIXES")


class Rank(NamedTuple):
    """What one rank tells of itself."""

    host: str
    cores: frozenset[int]
    python: str
    numerical_threads: str


def run(config: Config) -> int:
    """Print the page, on rank 0; return the exit status. Collective.

    Args:
        config: what the ranks were to do otherwise.

    Raises:
        StartError: the ranks don't find each other.
    """
    given = _settings(os.environ)
    transport = connect()
    ranks = transport.gather(_this_rank(transport, config))
    if transport.rank == 0:
        for name, text in _page(transport, ranks, given):
            print(f"{name:<12} {text}".rstrip())
    return 0


def _this_rank(transport: Transport, config: Config) -> Rank:
    usable = cores.usable()
    ranks_per_core = transport.ranks_per_core
    os.environ.update(settings(config.threads, len(usable), ranks_per_core, os.environ))
    numerical_threads = os.environ.get(OPENMP, "as many as their libraries choose")
    return Rank(transport.host, usable, platform.python_version(), numerical_threads)


def _page(
    transport: Transport, ranks: Sequence[Rank], given: Sequence[str]
) -> list[tuple[str, str]]:
    launcher = launchers.launcher(os.environ)
    library = mpi_library.loaded()
    pump = "a thread keeps messages moving" if transport.is_thread_safe else "no thread allowed"
    return [
        ("scoop_mpi", f"{__version__} in {os.path.dirname(scoop_mpi.__file__)}"),
        ("Python", f"{' '.join(sys.version.split())} at {sys.executable}"),
        ("system", platform.platform()),
        ("packages", ", ".join(_versions(_PACKAGES))),
        ("MPI", mpi.library_description()),
        ("libraries", ", ".join(library.files)),
        ("threads", f"{mpi.thread_level()}: {pump}"),
        ("hashes", hash_seed.description(transport.hashes_agree, os.environ)),
        ("constants", node_memory.kind()),
        ("launcher", launcher.name if launcher else f"none; own: {_own_launcher(library)}"),
        ("settings", ", ".join(given) or "none"),
        ("ranks", str(len(ranks))),
        *(("host", line) for line in _hosts(ranks)),
    ]


def _versions(packages: Iterable[str]) -> list[str]:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} (not installed by a packager)")
    return found


def _own_launcher(library: mpi_library.MPILibrary) -> str:
    try:
        return mpiexec.find(library, sys.executable, os.environ.get("PATH", os.defpath))
    except StartError as error:
        return str(error)


def _settings(environment: Mapping[str, str]) -> list[str]:
    return sorted(f"{name}={value}" for name, value in environment.items() if _is_setting(name))


def _is_setting(name: str) -> bool:
    return (name.startswith(_SETTINGS) or name in VARIABLES) and not name.startswith(_NOTES)


def _hosts(ranks: Sequence[Rank]) -> list[str]:
    """Return a line for each host: how many ranks it has, and what each of them may use."""
    lines = []
    for host in dict.fromkeys(rank.host for rank in ranks):
        here = [rank for rank in ranks if rank.host == host]
        cores = len(frozenset().union(*(rank.cores for rank in here)))
        lines.append(
            f"{host} has ranks: {len(here)}, cores: {cores}; and each rank "
            f"cores: {_each(len(rank.cores) for rank in here)}, "
            f"numerical threads: {_each(rank.numerical_threads for rank in here)}, "
            f"Python {_each(rank.python for rank in here)}"
        )
    return lines


def _each(facts: Iterable[object]) -> str:
    return " or ".join(dict.fromkeys(map(str, facts)))
