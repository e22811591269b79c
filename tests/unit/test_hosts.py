"""Host lists: SCOOP's, and the schedulers'."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.errors import StartError
from scoop_mpi.hosts import Host, allocation, from_file, from_names, share

HOST_FILE = """\
# the rack by the window
node1 4
node2            # as many as this machine has cores

node-3.example.org 2
10.0.0.7 workers=3
node5 slots=1
node6:2
node1 1
"""


def test_a_host_file() -> None:
    assert from_file(HOST_FILE, "hosts", default_ranks=8) == [
        Host("node1", 5),
        Host("node2", 8),
        Host("node-3.example.org", 2),
        Host("10.0.0.7", 3),
        Host("node5", 1),
        Host("node6", 2),
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


def test_there_may_be_no_scheduler() -> None:
    assert allocation({"PATH": "/bin"}) is None
