"""Among many ranks the root runs no tasks: whatever a program does, the others do it for it."""

from __future__ import annotations

import operator

import pytest

from scoop_mpi import futures
from scoop_mpi.engine.hub import running
from scoop_mpi.state import policy
from tests.sim.simulation import Simulation, compute


@pytest.fixture(autouse=True)
def root_that_only_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "ROOT_SERVES_FROM", 2)


def rank_of(x: int) -> int:
    compute(0.001 * (x % 5))
    return running().runtime.rank


def tree(depth: int) -> set[int]:
    ranks = {rank_of(depth)}
    for found in futures.map(tree, [depth - 1] * 2 if depth else []):
        ranks |= found
    return ranks


def by_map() -> set[int]:
    return set(futures.map(rank_of, range(30)))


def by_submit() -> set[int]:
    return {futures.submit(rank_of, x).result() for x in range(10)}


def by_submit_at_once() -> set[int]:
    tasks = [futures.submit(rank_of, x) for x in range(10)]
    return {task.result() for task in futures.as_completed(tasks)}


def by_nested_maps() -> set[int]:
    return futures.submit(tree, 4).result()


def by_callback() -> set[int]:
    ranks: set[int] = set()
    tasks = [futures.submit(rank_of, x) for x in range(10)]
    for task in tasks:
        task.add_done_callback(lambda done: ranks.add(done.result()))
    futures.wait(tasks)
    return ranks


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize(
    "program", [by_map, by_submit, by_submit_at_once, by_nested_maps, by_callback]
)
def test_the_others_run_all_tasks(program, size, seed) -> None:  # type: ignore[no-untyped-def]
    ranks = Simulation(size, seed).run(program)
    assert ranks
    assert ranks <= set(range(1, size))


def test_a_reduction() -> None:
    total = Simulation(3, 0).run(lambda: futures.mapReduce(abs, operator.add, range(100)))
    assert total == sum(range(100))
