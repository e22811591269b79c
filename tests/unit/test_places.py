"""What a program can ask about where a rank runs."""

from __future__ import annotations

import random

import pytest

import scoop_mpi
from scoop_mpi import current
from scoop_mpi.transport.fabric import Fabric


def places(leaders: list[int], monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Return of each rank its number on its node, its node, and the number of nodes."""
    fabric = Fabric(len(leaders), random.Random(0))
    found = []
    for endpoint in fabric.endpoints:
        endpoint.leaders = leaders

        class FakeHub:
            class runtime:  # noqa: N801 # as the hub's attribute
                transport = endpoint

        monkeypatch.setattr(current, "hub", FakeHub)
        found.append((scoop_mpi.LOCAL_RANK, scoop_mpi.NODE, scoop_mpi.NODES))
    return found


@pytest.mark.parametrize(
    ("leaders", "expected"),
    [
        ([0], [(0, 0, 1)]),
        ([0, 0, 0], [(0, 0, 1), (1, 0, 1), (2, 0, 1)]),
        ([0, 0, 2, 2], [(0, 0, 2), (1, 0, 2), (0, 1, 2), (1, 1, 2)]),
        ([0, 1, 0, 1, 1], [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2), (2, 1, 2)]),
        ([0, 1, 2], [(0, 0, 3), (0, 1, 3), (0, 2, 3)]),
    ],
)
def test_ranks_of_nodes(
    leaders: list[int], expected: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places(leaders, monkeypatch) == expected


def test_without_a_job_there_is_one() -> None:
    assert (scoop_mpi.LOCAL_RANK, scoop_mpi.NODE, scoop_mpi.NODES) == (0, 0, 1)
