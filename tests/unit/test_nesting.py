"""Whether the launcher's variables are a process's own, or those of the rank that started it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from scoop_mpi.launch.launchers import launcher
from scoop_mpi.launch.nesting import leave_outer_job, mark

HYDRA = {"PMI_SIZE": "2", "PMI_RANK": "0", "MPI_LOCALNRANKS": "2", "HYDI_CONTROL_FD": "7"}
PRTERUN = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "0",
    "PMIX_RANK": "0",
    "PMIX_NAMESPACE": "prterun-host-1@1",
    "PMIX_SERVER_URI2": "there",
}
JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_NODELIST": "a"}
SRUN = {**JOB, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}
PALS = {"PALS_SIZE": "2", "PALS_RANKID": "0", "PALS_APID": "an-id"}
USERS = {"OMPI_MCA_pml": "ob1", "PMIX_MCA_psec": "native", "I_MPI_PIN": "off", "PATH": "/bin"}
LAUNCHED = [HYDRA, PRTERUN, SRUN, PALS, {**SRUN, **HYDRA}]


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made = [socket.socket() for _ in range(2)]
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("launched", LAUNCHED)
def test_a_rank_is_a_rank(launched: dict[str, str]) -> None:
    environment = {**launched, **USERS}
    assert not leave_outer_job(environment)
    assert environment == {**launched, **USERS}


@pytest.mark.parametrize("launched", LAUNCHED)
def test_what_a_rank_starts_is_none(launched: dict[str, str]) -> None:
    environment = {**launched, **USERS}
    mark(environment)
    assert leave_outer_job(environment)
    assert launcher(environment) is None
    stays = JOB if "SLURM_JOB_ID" in launched else {}
    assert environment == {**stays, **USERS}


@pytest.mark.parametrize("outer", LAUNCHED)
@pytest.mark.parametrize(
    "inner", [{**PRTERUN, "PMIX_NAMESPACE": "prterun-host-2@1"}, {**SRUN, "SLURM_STEP_ID": "1"}]
)
def test_what_a_launcher_starts_within_a_rank_is_a_rank(
    outer: dict[str, str], inner: dict[str, str]
) -> None:
    environment = dict(outer)
    mark(environment)
    environment.update(inner)
    assert not leave_outer_job(environment)
    assert inner.items() <= environment.items()


def test_mpichs_ranks_are_told_apart_by_their_sockets(sockets: list[socket.socket]) -> None:
    one, other = (str(each.fileno()) for each in sockets)
    rank = {**HYDRA, "PMI_FD": one}
    mark(rank)
    assert leave_outer_job(dict(rank))  # the child has inherited it
    os.dup2(sockets[1].fileno(), sockets[0].fileno())
    assert not leave_outer_job(dict(rank))  # the same number, another launcher's
    sockets[0].close()
    assert leave_outer_job(dict(rank))  # closed, as subprocess does
    assert not leave_outer_job({**rank, "PMI_FD": other})


def test_a_script_may_have_removed_some_of_the_variables() -> None:
    environment = dict(PRTERUN)
    mark(environment)
    for name in ("PMIX_NAMESPACE", "PMIX_RANK"):
        del environment[name]
    assert leave_outer_job(environment)
    assert environment == {}


@pytest.mark.parametrize("descriptor", ["", "none", "-1", "1" * 30, "99999"])
def test_a_strange_descriptor_is_no_socket(descriptor: str) -> None:
    environment = {**HYDRA, "PMI_FD": descriptor}
    mark(environment)
    assert leave_outer_job(environment)


def test_a_rank_by_itself_leaves_no_mark() -> None:
    environment = dict(USERS)
    mark(environment)
    assert environment == USERS
