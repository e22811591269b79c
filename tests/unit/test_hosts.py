"""Host lists: SCOOP's, and the schedulers'."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.errors import StartError
from scoop_mpi.launch.hosts import Host, allocation, from_file, from_names, share, unused_cores

HOST_FILE = """\
# the rack by the window
node1 4
node2            # as many as this machine has cores

node-3.example.org 2
10.0.0.7 workers=3
node5 slots=1
node6:2
node7 slots=2 max_slots=4
node8 max-slots=3
node9 slots = 1 slots_max = 1
node1 1
node7 max_slots=1
"""


def test_a_host_file() -> None:
    assert from_file(HOST_FILE, "hosts", default_ranks=8) == [
        Host("node1", 5),
        Host("node2", 8),
        Host("node-3.example.org", 2),
        Host("10.0.0.7", 3),
        Host("node5", 1),
        Host("node6", 2),
        Host("node7", 3, 5),
        Host("node8", 3, 3),
        Host("node9", 1, 1),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names no host"),
        ("# nothing\n\n", "names no host"),
        ("node1 four", "line 1: can't understand 'node1 four'"),
        ("node1 2\nnode2 0", "line 2: can't understand"),
        ("node1 node2", "line 1: can't understand"),
        ("node[1-4] 2", "line 1: can't understand"),
        ("node1 slots=4 max_slots=2", "line 1: can't understand"),
        ("node1 slots=4 slots=2", "line 1: can't understand"),
        ("node1:4 slots=2", "line 1: can't understand"),
        ("node1 slots=4 boards=2", "line 1: can't understand"),
        ("node1 max_slots=none", "line 1: can't understand"),
        ("node1 2 3", "line 1: can't understand"),
        ("=", "line 1: can't understand"),
    ],
)
def test_what_a_host_file_can_not_hold(text: str, problem: str) -> None:
    with pytest.raises(StartError, match="the-file") as caught:
        from_file(text, "the-file", default_ranks=1)
    assert problem in str(caught.value)


def test_a_list_of_hosts() -> None:
    assert from_names(["a", "b", "a"]) == [Host("a", 2), Host("b", 1)]


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        (1, [1]),
        (4, [4]),
        (5, [4, 1]),
        (7, [4, 1, 2]),
        (8, [5, 1, 2]),
        (9, [5, 2, 2]),
        (10, [5, 2, 3]),
        (13, [6, 3, 4]),
    ],
)
def test_fewer_ranks_fill_the_hosts_in_order_and_more_go_round(
    ranks: int, expected: list[int]
) -> None:
    shares = share([Host("a", 4), Host("b", 1), Host("c", 2)], ranks)
    assert [host.ranks for host in shares] == expected
    assert [host.name for host in shares] == ["a", "b", "c"][: len(expected)]


@pytest.mark.parametrize(
    ("ranks", "expected"), [(3, [2, 1]), (4, [2, 1, 1]), (5, [3, 1, 1]), (9, [4, 1, 4])]
)
def test_no_host_gets_more_than_it_may_take(ranks: int, expected: list[int]) -> None:
    shares = share([Host("a", 2, 4), Host("b", 1, 1), Host("c", 1)], ranks)
    assert [host.ranks for host in shares] == expected


def test_more_than_all_hosts_may_take() -> None:
    hosts = [Host("a", 2, 4), Host("b", 1, 1)]
    assert [host.ranks for host in share(hosts, 5)] == [4, 1]
    with pytest.raises(StartError, match=r"-n 6 is more than the 5 that the hosts may take"):
        share(hosts, 6)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=9).map(
        lambda counts: [Host(f"node{number}", count) for number, count in enumerate(counts)]
    ),
    st.integers(1, 99),
)
def test_each_rank_gets_a_host(hosts: list[Host], ranks: int) -> None:
    shares = share(hosts, ranks)
    assert sum(host.ranks for host in shares) == ranks
    assert [host.name for host in shares] == [host.name for host in hosts[: len(shares)]]


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({"SLURM_NTASKS": "12"}, 12),
        ({"SLURM_NTASKS": "12", "SLURM_TASKS_PER_NODE": "16"}, 12),
        ({"SLURM_TASKS_PER_NODE": "4"}, 4),
        ({"SLURM_TASKS_PER_NODE": "4(x3),2"}, 14),
        ({"SLURM_TASKS_PER_NODE": "1,2(x2),10(x10)"}, 105),
        ({}, 1),
    ],
)
def test_slurm(environment: dict[str, str], ranks: int) -> None:
    assert allocation({"SLURM_JOB_ID": "7", **environment}) == ("Slurm", ranks, ())


def test_pbs_has_a_line_for_each_rank() -> None:
    found = allocation({"PBS_NODEFILE": "path"}, "node1\nnode1\nnode2\nnode1\n")
    assert found == ("PBS", 4, (Host("node1", 3), Host("node2", 1)))


def test_grid_engine_may_list_a_host_for_each_queue() -> None:
    lines = "node1 2 all.q@node1 UNDEFINED\nnode2 1 all.q@node2 <NULL>\nnode1 3 long.q@node1 x\n"
    found = allocation({"PE_HOSTFILE": "path"}, lines)
    assert found == ("Grid Engine", 6, (Host("node1", 5), Host("node2", 1)))


def test_lsf() -> None:
    found = allocation({"LSB_MCPU_HOSTS": "node1 16 node2 8"})
    assert found == ("LSF", 24, (Host("node1", 16), Host("node2", 8)))


@pytest.mark.parametrize("value", ["node1", "node1 2 node2", "node1 two", "2 node1", "node1 -2"])
def test_what_lsf_does_not_write(value: str) -> None:
    with pytest.raises(StartError, match=r"can't understand what LSF tells by \$LSB_MCPU_HOSTS"):
        allocation({"LSB_MCPU_HOSTS": value})


@pytest.mark.parametrize("lines", ["node1", "node1 x q y", "node1 2 q\nnode2\n", "node1 ² q"])
def test_what_grid_engine_does_not_write(lines: str) -> None:
    with pytest.raises(StartError, match=r"can't understand what Grid Engine .*\$PE_HOSTFILE"):
        allocation({"PE_HOSTFILE": "path"}, lines)


@pytest.mark.parametrize("text", ["", "\n \n"])
@pytest.mark.parametrize("variable", ["PBS_NODEFILE", "PE_HOSTFILE"])
def test_a_scheduler_that_names_no_host(variable: str, text: str) -> None:
    with pytest.raises(StartError, match=rf"names no host by \${variable}"):
        allocation({variable: "path"}, text)


def test_lsf_may_list_a_host_without_slots() -> None:
    assert allocation({"LSB_MCPU_HOSTS": "login 0 node1 2"}) == ("LSF", 2, (Host("node1", 2),))


@pytest.mark.parametrize(
    "environment",
    [
        {"PATH": "/bin"},
        {"PBS_NODEFILE": "", "PE_HOSTFILE": "", "LSB_MCPU_HOSTS": "", "SLURM_JOB_ID": ""},
    ],
)
def test_there_may_be_no_scheduler(environment: dict[str, str]) -> None:
    assert allocation(environment) is None


def test_an_empty_variable_does_not_hide_another() -> None:
    found = allocation({"PBS_NODEFILE": "", "PE_HOSTFILE": "path"}, "node1 2 q x\n")
    assert found == ("Grid Engine", 2, (Host("node1", 2),))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "16"}, "sbatch -n 16;"),
        (
            {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8", "SLURM_JOB_NUM_NODES": "1"},
            "give -n 8",
        ),
        ({"PBS_NODEFILE": "path", "NCPUS": "4"}, "ncpus=4:mpiprocs=4;"),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1"}, None),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "many"}, None),
        ({"SLURM_JOB_ID": "7"}, None),
        ({"SLURM_CPUS_PER_TASK": "16"}, None),
        ({"NCPUS": "4"}, None),
        ({}, None),
    ],
)
def test_cores_that_would_be_left_unused(environment: dict[str, str], words: str | None) -> None:
    text = unused_cores(environment)
    assert (text is None) == (words is None)
    assert (words or "") in (text or "")
