"""What the environment tells of how this process was started.

Pure functions of the environment: they neither start nor ask anything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

from scoop_mpi.launch.mpi_library import Family, family_of


class Launcher(NamedTuple):
    """Something that starts the processes of a job, and the variables by which it is known.

    Attributes:
        name: what users call it.
        size: the variable with the number of processes it started; "" if none tells.
        rank: the variable with the number of this one among them.
        local_rank: the variable with its number among those on this host; "" if none tells.
        sign: another variable that has to be there; "" if none.
    """

    name: str
    size: str
    rank: str
    local_rank: str = ""
    sign: str = ""

    def has_started_us(self, environment: Mapping[str, str]) -> bool:
        """Say whether this process is one of those that it started."""
        return {self.size or self.rank, self.sign or self.rank} <= environment.keys()

    def processes(self, environment: Mapping[str, str]) -> int | None:
        """Return how many processes it started; None if it doesn't tell."""
        value = environment.get(self.size, "")
        return int(value) if value.isdecimal() else None


_SRUN = Launcher("Slurm's srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID")
_PBSDSH = Launcher("PBS's pbsdsh", "", "PBS_TASKNUM")
# The nearest first: under Slurm an mpiexec has srun start its helpers, one on each node, and the
# ranks see srun's variables too. `PMI_SIZE` alone may come from srun as well.
_LAUNCHERS = (
    Launcher(
        "Open MPI's mpiexec",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    Launcher(
        "MPICH's or Intel MPI's mpiexec",
        "PMI_SIZE",
        "PMI_RANK",
        "MPI_LOCALRANKID",
        sign="MPI_LOCALNRANKS",
    ),
    Launcher(
        "MVAPICH's mpirun",
        "MV2_COMM_WORLD_SIZE",
        "MV2_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_LOCAL_RANK",
    ),
    Launcher("Cray's mpiexec", "PALS_SIZE", "PALS_RANKID", "PALS_LOCAL_RANKID"),
    Launcher(
        "LSF's jsrun",
        "JSM_NAMESPACE_SIZE",
        "JSM_NAMESPACE_RANK",
        "JSM_NAMESPACE_LOCAL_RANK",
    ),
    Launcher("Flux", "FLUX_JOB_SIZE", "FLUX_TASK_RANK", "FLUX_TASK_LOCAL_ID"),
    _SRUN,
    Launcher("MPICH's or Intel MPI's mpiexec", "PMI_SIZE", "PMI_RANK"),
    Launcher("Cray's aprun", "", "ALPS_APP_PE"),
    Launcher("a PMIx launcher", "", "PMIX_RANK"),
    _PBSDSH,
)
# The plugin of srun's that speaks an MPI's protocol.
_PLUGINS = {
    Family.OPEN_MPI: "pmix",
    Family.SPECTRUM: "pmix",
    Family.CRAY: "cray_shasta",
    Family.MPICH: "pmi2",
    Family.INTEL: "pmi2",
    Family.MVAPICH: "pmi2",
}
# Slurm numbers the steps of a job from 0; these are not steps that srun started.
_FIRST_SPECIAL_STEP = 0xFFFFFFF0


def launcher(environment: Mapping[str, str]) -> Launcher | None:
    """Return what has started this process as one of the ranks of a job; None if nothing has.

    A scheduler's job script, or a shell that it opened, is no rank.
    """
    for candidate in _LAUNCHERS:
        if not candidate.has_started_us(environment):
            continue
        if candidate is _SRUN and is_slurm_shell(environment):
            continue
        if candidate is _PBSDSH and environment[_PBSDSH.rank] in ("0", "1"):
            continue  # the job script itself is the first task of a PBS job
        return candidate
    return None


def is_slurm_shell(environment: Mapping[str, str]) -> bool:
    """Say whether this process was started in a shell that Slurm opened: a step, but no rank."""
    step = environment.get("SLURM_STEP_ID", "")
    is_special = step.isdecimal() and int(step) >= _FIRST_SPECIAL_STEP
    return is_special or "SLURM_PTY_PORT" in environment  # srun --pty bash


def is_first(environment: Mapping[str, str]) -> bool:
    """Say whether a message that concerns all processes is for this one to print.

    It is for each of them where they may not know of all the others.
    """
    found = launcher(environment)
    return found is None or not found.size or environment.get(found.rank, "0") == "0"


def is_first_on_host(environment: Mapping[str, str]) -> bool:
    """Say whether a message that concerns this host is for this process to print."""
    found = launcher(environment)
    return found is None or environment.get(found.local_rank, "0") == "0"


def mismatch(environment: Mapping[str, str], world_size: int, library: str) -> str | None:
    """Tell whether a launcher started several processes that don't know of each other.

    Such a job would run the whole program in each of them, and end as if all were well.

    Args:
        environment: the process's environment variables.
        world_size: the size of COMM_WORLD.
        library: what the MPI library says of itself.

    Returns:
        What is wrong and how to mend it; None if nothing is.
    """
    found = launcher(environment)
    if world_size != 1 or found is None:
        return None
    processes = found.processes(environment)
    if processes is None:
        place = environment[found.rank]
        # Without a number of processes, only a later one shows that there are several.
        if not place.isdecimal() or int(place) == 0:
            return None
        started = f"several processes (this is number {place})"
    elif processes > 1:
        started = f"{processes} processes"
    else:
        return None
    return (
        f"{found.name} started {started}, but each of them is alone in its MPI world: the launcher "
        f"and this MPI ({textwrap.shorten(library, 50, placeholder=' ...')}) do not speak the same "
        "protocol. "
        f"{_cure(found, family_of(library))}."
    )


def _cure(found: Launcher, family: Family) -> str:
    own = (
        f"the mpiexec that belongs to {family.value}, or let scoop_mpi find it: "
        "python -m scoop_mpi -n N prog.py"
    )
    if found is not _SRUN:
        return f"Start it with {own}"
    plugin = _PLUGINS.get(family)
    option = (
        f"`srun --mpi={plugin}`, which {family.value} understands"
        if plugin
        else "`srun --mpi=pmix` or `srun --mpi=pmi2`, whichever this MPI understands"
    )
    return f"Start it with {option} (`srun --mpi=list` shows what there is); or with {own}"
