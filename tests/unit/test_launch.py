"""A launcher that doesn't speak this MPI's protocol is found out."""

from __future__ import annotations

import pytest

from scoop_mpi.launch import mismatch

SLURM = {"SLURM_STEP_NUM_TASKS": "8"}


@pytest.mark.parametrize(
    ("environment", "launcher", "cure"),
    [
        (SLURM, "Slurm's srun started 8 processes", "--mpi=pmix"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "Open MPI's mpiexec started 4", "Open MPI"),
        ({"PMI_SIZE": "4"}, "MPICH's or Intel MPI's mpiexec started 4", "MPICH"),
        ({"PALS_SIZE": "16"}, "Cray's mpiexec started 16", "Cray MPICH"),
        ({"PMI_SIZE": "1", **SLURM}, "Slurm's srun", "srun --mpi=list"),
    ],
)
def test_a_mismatch_names_the_launcher_the_library_and_the_cure(
    environment: dict[str, str], launcher: str, cure: str
) -> None:
    problem = mismatch(environment, 1, "Some MPI 5.0")
    assert problem is not None
    for part in (launcher, "(Some MPI 5.0)", cure):
        assert part in problem


@pytest.mark.parametrize(
    ("environment", "world_size"),
    [
        ({}, 1),
        ({}, 4),
        (SLURM, 8),
        (SLURM, 2),
        ({"PMI_SIZE": "4"}, 4),
        ({"PMI_SIZE": "1", "OMPI_COMM_WORLD_SIZE": "1", "SLURM_STEP_NUM_TASKS": "1"}, 1),
        ({"PMI_SIZE": ""}, 1),
        ({"PMI_SIZE": "many"}, 1),
        ({"PMI_SIZE": "-4"}, 1),
        ({"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"}, 1),
    ],
)
def test_any_other_start_is_fine(environment: dict[str, str], world_size: int) -> None:
    assert mismatch(environment, world_size, "Some MPI 5.0") is None
