"""A job within a job: whether the launcher's variables are this process's own, or inherited.

A program or a task may start another job: ``python -m scoop_mpi -n 2 ...``, by itself or by a
script. That process inherits the variables by which a launcher tells a rank its place, and would
take itself for the rank, and MPI for its connection to the launcher. So each rank leaves a mark in
its environment, which says by which launcher's connection it has come:

    mpiexec --> rank: marks itself --> its child: the same connection, and marked; it is no rank
                                   --> mpiexec --> rank: another connection than the mark's

A child forgets the launcher's variables, and the mark. Other programs that a rank starts keep them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, MutableMapping

from scoop_mpi.launch import launchers

_MARK = "SCOOP_MPI_RANK_OF"
_NO_SOCKET = "socket:none"
# What launchers tell a rank of its job and how to reach them. What users set for their jobs is not
# here: OMPI_MCA_pml, PMIX_MCA_psec, SLURM_MPI_TYPE, I_MPI_PIN.
_LAUNCHERS_OWN = (
    # MPICH, Intel MPI, MVAPICH, and others that speak PMI
    "PMI2?_(FD|PORT|ID|RANK|SIZE|SPAWNED|HOSTNAME|JOBID|APPNUM|UNIVERSE_SIZE|CONTROL_.*|LOCAL_.*)"
    "|HYDI_.*|HYDRA_BSTRAP_.*|HYDRA_LAUNCH_TYPE|MPI_LOCAL(NRANKS|RANKID)|MV2_COMM_WORLD_.*"
    "|I_MPI_(HYDRA_UUID|INFO_.*|INTERNAL_.*|PIN_INFO|PIN_MAPPING)"
    # Open MPI, and others that speak PMIx
    "|PMIX_(?!MCA_).*|PRTE_LAUNCHED|OPAL_USER_PARAMS_GIVEN|OMPI_MCA_(ess|orte_|pmix_|PREFIXES$).*"
    "|OMPI_MCA_(num_procs|initial_wdir|cpu_type)|OMPI_(COMM_WORLD|WORLD)_.*"
    "|OMPI_(ARGV|COMMAND|FILE_LOCATION|(FIRST|NUM|APP)_.*|UNIVERSE_SIZE|TOOL_NAME)"
    # Slurm's steps: what it tells of the job stays. Then Cray's, IBM's and Flux's, and PBS's
    "|SLURM_(STEP.*|STEPID|PROCID|LOCALID|NODEID|GTIDS|TASK_PID|SRUN_.*|PTY_.*|LAUNCH_.*)"
    "|PALS_.*|ALPS_APP_.*|JSM_.*|FLUX_(JOB|TASK)_.*|PBS_TASKNUM"
)


# By these a launcher's connections are told apart: no two ranks have all of them alike, whatever
# launcher has started them, and within which job. Two of MPICH's may, but for the socket itself.
_PLACES = (
    *("PMIX_NAMESPACE", "PMIX_RANK", "PMI_FD", "PMI_PORT", "PMI_ID", "PMI_RANK", "PMI_JOBID"),
    *("OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "SLURM_JOB_ID", "SLURM_STEP_ID"),
    *("SLURM_PROCID", "PALS_APID", "PALS_RANKID", "ALPS_APP_ID", "ALPS_APP_PE"),
    *("JSM_NAMESPACE_RANK", "FLUX_JOB_ID", "FLUX_TASK_RANK", "PBS_TASKNUM"),
)


def leave_outer_job(environment: MutableMapping[str, str]) -> bool:
    """Forget the launcher that has started the rank that has started this process.

    Args:
        environment: the process's environment variables, which are changed.

    Returns:
        Whether there was such a rank. If not, nothing is changed.
    """
    outer = environment.get(_MARK, "").split()
    here = _connection(environment)
    # A script may have removed some of the variables. The socket is closed in most children.
    if not outer or not {word for word in here if word != _NO_SOCKET} <= set(outer):
        return False
    for name in list(environment):
        if name == _MARK or re.fullmatch(_LAUNCHERS_OWN, name):
            del environment[name]
    return True


def mark(environment: MutableMapping[str, str]) -> None:
    """Mark this process's environment as that of a rank, for what it starts."""
    if launchers.launcher(environment) is None:
        environment.pop(_MARK, None)  # a rank by itself: nothing is inherited
    else:
        environment[_MARK] = " ".join(_connection(environment))


def _connection(environment: Mapping[str, str]) -> list[str]:
    """Return words that tell this process's connection to its launcher."""
    told = [f"{name}={environment[name]}" for name in _PLACES if name in environment]
    return ["".join(word.split()) for word in (*told, _socket(environment.get("PMI_FD", "")))]


def _socket(descriptor: str) -> str:
    """Return what tells the socket that has this descriptor from others."""
    try:
        status = os.fstat(int(descriptor))
    except (ValueError, OverflowError, OSError):  # it names none, or is closed
        return _NO_SOCKET
    return f"socket:{status.st_ino}" if stat.S_ISSOCK(status.st_mode) else _NO_SOCKET
