"""Who has started this process, and whether it speaks this MPI's protocol."""

from __future__ import annotations

import pytest

from scoop_mpi.launch.launchers import is_first, is_first_on_host, launcher, mismatch

OPEN_MPI, MPICH = "Open MPI v5.0.11, package: ...", "MPICH Version: 5.0.2"
INTEL, CRAY = "Intel(R) MPI Library 2021.14", "MPI VERSION : CRAY MPICH version 8.1"

SLURM_JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}
SRUN = {**SLURM_JOB, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8"}
SRUN_PMI2 = {**SRUN, "PMI_SIZE": "8", "PMI_RANK": "0", "PMI_FD": "3"}
SRUN_PMIX = {**SRUN, "PMIX_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.7.0"}
HYDRA = {"PMI_SIZE": "4", "PMI_RANK": "0", "PMI_FD": "9", "MPI_LOCALNRANKS": "4"}
PRTERUN = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0", "PMIX_RANK": "0"}
PBS_JOB = {"PBS_JOBID": "7", "PBS_NODEFILE": "nodes", "PBS_TASKNUM": "1"}
SGE_JOB = {"JOB_ID": "7", "PE_HOSTFILE": "hosts", "NSLOTS": "4", "SGE_TASK_ID": "undefined"}
PALS = {"PALS_SIZE": "16", "PALS_RANKID": "0"}
PMIX = {"PMIX_RANK": "0"}


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        (SLURM_JOB, None),
        (SRUN, "Slurm's srun"),
        (SRUN_PMI2, "Slurm's srun"),
        (SRUN_PMIX, "Slurm's srun"),
        ({**SRUN, "SLURM_PTY_PORT": "40000"}, None),  # srun --pty bash
        ({**SRUN, "SLURM_STEP_ID": str(0xFFFFFFFA)}, None),  # salloc's own shell
        (HYDRA, "MPICH's or Intel MPI's mpiexec"),
        ({**SRUN, **HYDRA}, "MPICH's or Intel MPI's mpiexec"),
        (PRTERUN, "Open MPI's mpiexec"),
        ({**SRUN, **PRTERUN}, "Open MPI's mpiexec"),
        (PBS_JOB, None),
        ({**PBS_JOB, **HYDRA}, "MPICH's or Intel MPI's mpiexec"),
        ({**PBS_JOB, "PBS_TASKNUM": "2"}, "PBS's pbsdsh"),
        (SGE_JOB, None),
        ({**SGE_JOB, **PRTERUN}, "Open MPI's mpiexec"),
        (PALS, "Cray's mpiexec"),
        (PMIX, "a PMIx launcher"),
    ],
)
def test_who_has_started_this_process(environment: dict[str, str], name: str | None) -> None:
    found = launcher(environment)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("environment", "library", "problem", "cure"),
    [
        (SRUN, OPEN_MPI, "Slurm's srun started 8 processes", "`srun --mpi=pmix`"),
        (SRUN_PMI2, OPEN_MPI, "Slurm's srun started 8 processes", "`srun --mpi=pmix`"),
        (SRUN, MPICH, "Slurm's srun started 8 processes", "`srun --mpi=pmi2`"),
        (SRUN, INTEL, "Slurm's srun started 8 processes", "`srun --mpi=pmi2`"),
        (SRUN, CRAY, "Slurm's srun started 8 processes", "`srun --mpi=cray_shasta`"),
        (SRUN, "Some MPI 1.0", "Slurm's srun", "`srun --mpi=list`"),
        (HYDRA, OPEN_MPI, "Intel MPI's mpiexec started 4", "the mpiexec that belongs to Open MPI"),
        ({**SRUN, **HYDRA}, OPEN_MPI, "Intel MPI's mpiexec started 4", "belongs to Open MPI"),
        (PRTERUN, MPICH, "Open MPI's mpiexec started 4", "the mpiexec that belongs to MPICH"),
        ({**PBS_JOB, **HYDRA}, OPEN_MPI, "mpiexec started 4", "belongs to Open MPI"),
        ({**SGE_JOB, **PRTERUN}, MPICH, "mpiexec started 4", "belongs to MPICH"),
        ({**PBS_JOB, "PBS_TASKNUM": "3"}, MPICH, "number 3", "belongs to MPICH"),
        (PALS, MPICH, "Cray's mpiexec started 16", "belongs to MPICH"),
        ({"PMIX_RANK": "2"}, MPICH, "a PMIx launcher started several", "belongs to MPICH"),
    ],
)
def test_a_mismatch_names_the_launcher_the_library_and_the_cure(
    environment: dict[str, str], library: str, problem: str, cure: str
) -> None:
    text = mismatch(environment, 1, library)
    assert text is not None
    for part in (problem, f"({library})", cure):
        assert part in text


def test_a_library_with_much_to_say_is_cut_short() -> None:
    text = mismatch(SRUN, 1, f"{CRAY} {'and so on ' * 100}")
    assert text is not None
    assert "CRAY MPICH version 8.1" in text
    assert "`srun --mpi=cray_shasta`" in text
    assert len(text) < 500


@pytest.mark.parametrize(
    ("environment", "world_size"),
    [
        ({}, 1),
        ({}, 4),
        (SLURM_JOB, 1),
        (SRUN, 8),
        (SRUN, 2),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, 1),
        (HYDRA, 4),
        ({**HYDRA, "PMI_SIZE": "1"}, 1),
        ({**HYDRA, "PMI_SIZE": ""}, 1),
        ({**HYDRA, "PMI_SIZE": "many"}, 1),
        ({**HYDRA, "PMI_SIZE": "-4"}, 1),
        (PMIX, 1),
        (PBS_JOB, 1),
        (SGE_JOB, 1),
    ],
)
def test_any_other_start_is_fine(environment: dict[str, str], world_size: int) -> None:
    assert mismatch(environment, world_size, MPICH) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        (SRUN, True),
        ({**SRUN, "SLURM_PROCID": "3"}, False),
        ({**HYDRA, "PMI_RANK": "1"}, False),
        ({**PRTERUN, "OMPI_COMM_WORLD_RANK": "1"}, False),
        ({"PMIX_RANK": "1"}, True),  # it may not know of the others: nobody else would say it
        ({**PBS_JOB, "PBS_TASKNUM": "3"}, True),
    ],
)
def test_one_process_alone_speaks_for_all(environment: dict[str, str], expected: bool) -> None:
    assert is_first(environment) is expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({**SRUN, "SLURM_PROCID": "3", "SLURM_LOCALID": "0"}, True),
        ({**SRUN, "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, False),
        ({**HYDRA, "PMI_RANK": "2", "MPI_LOCALRANKID": "0"}, True),
        ({**HYDRA, "PMI_RANK": "2", "MPI_LOCALRANKID": "2"}, False),
        ({**PRTERUN, "OMPI_COMM_WORLD_LOCAL_RANK": "1"}, False),
        ({**PALS, "PALS_LOCAL_RANKID": "1"}, False),
        ({"PMIX_RANK": "1"}, True),
    ],
)
def test_one_process_of_each_host_speaks_for_it(
    environment: dict[str, str], expected: bool
) -> None:
    assert is_first_on_host(environment) is expected
