"""Calls that are made once on each rank, whatever else the ranks do."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import scoop_mpi
from scoop_mpi import futures
from tests.sim.simulation import compute
from tests.sim.test_jobs import run_everywhere, square

CALLS: Counter[int] = Counter()  # one process has all ranks


def where(*arguments: Any, **keywords: Any) -> tuple[int, tuple[Any, ...], dict[str, Any]]:
    compute(0.002)
    rank = scoop_mpi.worker.rank
    CALLS[rank] += 1
    return rank, arguments, keywords


def fail_on(ranks: tuple[int, ...]) -> int:
    rank: int = scoop_mpi.worker.rank
    if rank in ranks:
        raise LookupError(f"on rank {rank}")
    return rank


def busy(seconds: float) -> float:
    compute(seconds)
    return seconds


def from_a_task(number: int) -> list[int]:
    return [rank for rank, *_ in futures.on_every_rank(where, number)]


def of_tasks() -> int:
    return sum(futures.map(square, range(10)))


def everywhere() -> list[int]:
    return list(range(scoop_mpi.SIZE))


def test_each_rank_makes_it_once() -> None:
    def program() -> None:
        CALLS.clear()
        assert futures.on_every_rank(where) == [(rank, (), {}) for rank in everywhere()]
        told = futures.on_every_rank(where, 1, [2], three=(3, "x"))
        assert told == [(rank, (1, [2]), {"three": (3, "x")}) for rank in everywhere()]
        assert dict(CALLS) == dict.fromkeys(everywhere(), 2)

    run_everywhere(program)


def test_also_where_all_are_busy() -> None:
    def program() -> None:
        CALLS.clear()
        tasks = [futures.submit(busy, 0.05) for _ in range(40)]
        mapped = futures.map(square, range(500))
        assert [rank for rank, *_ in futures.on_every_rank(where)] == everywhere()
        assert dict(CALLS) == dict.fromkeys(everywhere(), 1)
        assert [task.result() for task in tasks] == [0.05] * 40
        assert list(mapped) == [x * x for x in range(500)]

    run_everywhere(program)


def test_tasks_ask_for_it_too_several_at_a_time() -> None:
    def program() -> None:
        CALLS.clear()
        assert list(futures.map(from_a_task, range(8))) == [everywhere()] * 8
        assert dict(CALLS) == dict.fromkeys(everywhere(), 8)
        assert futures.submit(from_a_task, 1).result() == everywhere()

    run_everywhere(program)


def test_it_may_use_tasks_itself() -> None:
    def program() -> None:
        assert futures.on_every_rank(of_tasks) == [285] * scoop_mpi.SIZE
        assert futures.on_every_rank(futures.submit, square, 3) == [9] * scoop_mpi.SIZE

    run_everywhere(program)


def test_the_lowest_rank_s_error_is_raised() -> None:
    def program() -> None:
        size = scoop_mpi.SIZE
        with pytest.raises(LookupError, match=f"on rank {size - 1}"):
            futures.on_every_rank(fail_on, (size - 1,))
        with pytest.raises(LookupError, match="on rank 0"):
            futures.on_every_rank(fail_on, tuple(range(size)))
        assert futures.on_every_rank(fail_on, ()) == everywhere()

    run_everywhere(program)
