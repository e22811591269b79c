"""What the environment tells of how this process was started.

Pure functions of the environment: they neither start nor ask anything.
"""

from __future__ import annotations

from collections.abc import Mapping

# Who sets a variable with the number of processes it started, and what to do if their MPI
# doesn't know of each other.
_LAUNCHERS = (
    (
        "SLURM_STEP_NUM_TASKS",
        "Slurm's srun",
        "Choose the plugin that speaks this MPI's protocol: `srun --mpi=pmi2` for MPICH and Intel "
        "MPI, `srun --mpi=pmix` for Open MPI (`srun --mpi=list` shows what there is). Or start "
        "with this MPI's own mpiexec instead of srun",
    ),
    (
        "OMPI_COMM_WORLD_SIZE",
        "Open MPI's mpiexec",
        "Use the mpiexec of the MPI that mpi4py has loaded, or install mpi4py for Open MPI",
    ),
    (
        "PMI_SIZE",
        "MPICH's or Intel MPI's mpiexec",
        "Use the mpiexec of the MPI that mpi4py has loaded, or install mpi4py for MPICH",
    ),
    (
        "PALS_SIZE",
        "Cray's mpiexec",
        "Install mpi4py for Cray MPICH",
    ),
)


def mismatch(environment: Mapping[str, str], world_size: int, library: str) -> str | None:
    """Tell whether a launcher started several processes that don't know of each other.

    Such a job would run the whole program in each of them, and end as if all were well.

    Args:
        environment: the process's environment variables.
        world_size: the size of COMM_WORLD.
        library: the MPI library's own name for itself.

    Returns:
        What is wrong and how to mend it; None if nothing is.
    """
    if world_size != 1:
        return None
    for variable, launcher, cure in _LAUNCHERS:
        started = environment.get(variable, "")
        if started.isdecimal() and int(started) > 1:
            return (
                f"{launcher} started {started} processes, but each of them is alone in its MPI "
                f"world: the launcher and this MPI ({library}) do not speak the same protocol. "
                f"{cure}."
            )
    return None
