"""How the ranks are started, where no launcher has: by the MPI's own mpiexec.

    python -m scoop_mpi -n 4 prog.py   -->   mpiexec -n 4 python -m scoop_mpi prog.py

What is decided here is how many ranks, on which hosts, and by which mpiexec.
"""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from scoop_mpi.errors import StartError
from scoop_mpi.launch import hosts, launchers, mpi_library, mpiexec
from scoop_mpi.launch.hosts import Host
from scoop_mpi.launch.request import Start
from scoop_mpi.system.interpreter import Invocation

# Measured: four for each rank, and some twenty, for MPICH's, Open MPI's and Intel MPI's.
_FILES_FOR_EACH = 6
_FILES_OF_MPIEXEC = 64


class Plan(NamedTuple):
    """How many ranks to start, and where.

    Attributes:
        ranks: how many.
        hosts: on which hosts; none: where mpiexec chooses.
        has_room: whether a scheduler has given as many slots.
        needs_mpiexec: whether it takes more than this process.
    """

    ranks: int
    hosts: tuple[Host, ...]
    has_room: bool
    needs_mpiexec: bool


def plan(start: Start, environment: Mapping[str, str], cores: int) -> Plan:
    """Decide how many ranks to start, and where.

    Args:
        start: what the command line says.
        environment: the process's environment variables.
        cores: how many cores this process may use.

    Raises:
        StartError: a host file can't be read or understood.
    """
    given: list[Host] = []
    if start.host_file is not None:
        given = hosts.from_file(_read(start.host_file), start.host_file, cores)
    elif start.host_names:
        given = hosts.from_names(start.host_names)
    if given:
        ranks = start.ranks or sum(host.ranks for host in given)
        return Plan(ranks, tuple(hosts.share(given, ranks)), has_room=False, needs_mpiexec=True)
    node_file = environment.get("PBS_NODEFILE") or environment.get("PE_HOSTFILE")
    allocation = hosts.allocation(environment, _read(node_file) if node_file else "")
    if allocation is None:
        ranks = start.ranks or cores
        return Plan(ranks, (), has_room=False, needs_mpiexec=ranks > 1)
    ranks = start.ranks or allocation.ranks
    places = hosts.share(allocation.hosts, ranks) if allocation.hosts else ()
    return Plan(ranks, tuple(places), ranks <= allocation.ranks, needs_mpiexec=ranks > 1)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"can't read the host file {path}: {error}") from error


def command(
    start: Start,
    plan: Plan,
    before: Sequence[str],
    words: Sequence[str],
    environment: Mapping[str, str],
    library_of: Callable[[str, Sequence[str]], mpi_library.MPILibrary] = mpi_library.used_by,
) -> list[str]:
    """Return the command that starts the ranks.

    Args:
        start: what the command line says.
        plan: how many ranks, and where.
        before: what each rank's Python gets before the command line: its options, -m scoop_mpi.
        words: the command line for the ranks.
        environment: the process's environment variables.
        library_of: tells which MPI library a Python with such options uses.

    Raises:
        StartError: the MPI or its mpiexec can't be found.
    """
    python = start.python or sys.executable
    if not plan.needs_mpiexec:
        return [python, *before, "-n", "1", *words]
    library = library_of(python, Invocation(list(before)).options)
    family = library.family
    launcher = mpiexec.find(library, python, environment.get("PATH", os.defpath))
    refusal = mpiexec.refusal_of_root(family, os.geteuid(), start.mpiexec_options, environment)
    if refusal is not None and not start.is_dry_run:
        raise StartError(refusal)
    # Under a scheduler's job MPICH and its relatives know the hosts, and better how to reach them.
    # Open MPI knows only those schedulers that it was built for.
    is_users_choice = start.host_file is not None or bool(start.host_names)
    places = plan.hosts if is_users_choice or family.is_open_mpi else ()
    each = [python, *before, *mpiexec.protected(words)]
    if family is mpi_library.Family.INTEL and places:
        return [launcher, *start.mpiexec_options, *mpiexec.by_host(places, each)]
    options = mpiexec.options(
        family, plan.ranks, places, start.mpiexec_options, plan.has_room, environment
    )
    return [launcher, *options, *each]


def variables(environment: Mapping[str, str], is_nested: bool = False) -> dict[str, str]:
    """Return the variables that mpiexec needs besides those that are set.

    Args:
        environment: the process's environment variables.
        is_nested: whether a rank of another job has started this process.
    """
    if launchers.is_slurm_shell(environment) or (is_nested and "SLURM_JOB_ID" in environment):
        # mpiexec has srun start its helpers, as another step. That of the shell, or of the rank,
        # holds the CPUs, and srun would wait for them for ever.
        return {"SLURM_OVERLAP": "1"}
    return {}


def allow_open_files(ranks: int) -> str | None:
    """Let mpiexec have as many open files as it needs, where the system's limit can be raised.

    Args:
        ranks: how many ranks it is to start.

    Returns:
        What may go wrong if the limit can't be raised so far; None if nothing.
    """
    needed = _FILES_OF_MPIEXEC + _FILES_FOR_EACH * ranks
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    # No further than that: some programs close, or look at, as many as there could be.
    reachable = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable == needed:
        return None
    return (
        f"mpiexec may have {hard} open files (ulimit -Hn), and needs about {needed} for {ranks} "
        "ranks on one host. Start fewer ranks there, or have the limit raised"
    )


def become(command: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become another Python, with `variables` added to the environment.

    Raises:
        StartError: it can't be run.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    try:
        os.execve(command[0], list(command), {**os.environ, **variables})
    except OSError as error:
        raise StartError(f"can't run {shlex.join(command)}: {error}") from error
