"""Callbacks that wait: each nests as a task may, however many of them there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.futures import Future
from tests.sim.simulation import compute
from tests.sim.test_jobs import fib, run_everywhere, square

SQUARES = [x * x for x in range(20)]


class Seen:
    """What callbacks have found."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def wait_for_a_task(self, future: Future) -> None:
        self.values.append(future.result() + futures.submit(square, 2).result())

    def map(self, future: Future) -> None:
        self.values.append(sum(futures.map(square, range(future.result() % 5))))

    def wait_for_all(self, future: Future) -> None:
        fs = [futures.submit(square, x) for x in range(5)]
        for done in futures.as_completed(fs):
            self.values.append(done.result())

    def reduce(self, future: Future) -> None:
        self.values.append(futures.mapReduce(square, max, range(6)))

    def poll(self, future: Future) -> None:
        other = futures.submit(square, 3)
        while not other.done():
            compute(0.001)
        self.values.append(other.result())

    def fail(self, future: Future) -> None:
        self.values.append(futures.submit(square, 2).result())
        raise ValueError("a callback may fail")


KINDS = ("wait_for_a_task", "map", "wait_for_all", "reduce", "poll", "fail")


def watched(seen: Seen, kind: str, count: int) -> list[Future]:
    fs = [futures.submit(square, x) for x in range(count)]
    for future in fs:
        future.add_done_callback(getattr(seen, kind))
    return fs


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_meanwhile_is_not_held_up(kind: str) -> None:
    def program() -> None:
        seen = Seen()
        fs = watched(seen, kind, 12)
        assert list(futures.map(square, range(20))) == SQUARES
        assert sorted(f.result() for f in futures.as_completed(fs)) == [x * x for x in range(12)]
        futures.wait(watched(seen, kind, 3))
        assert futures.submit(fib, 6).result() == 8

    run_everywhere(program)


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_may_have_such_callbacks_too(kind: str) -> None:
    def program() -> None:
        assert list(futures.map(task_with_callbacks, [kind] * 6)) == [SQUARES] * 6

    run_everywhere(program)


def task_with_callbacks(kind: str) -> list[int]:
    watched(Seen(), kind, 5)
    return list(futures.map(square, range(20)))


@pytest.mark.parametrize("count", [50, 500])
def test_there_may_be_very_many_of_them(count: int) -> None:
    def program() -> None:
        seen = Seen()
        fs = watched(seen, "wait_for_a_task", count)
        assert list(futures.map(square, range(20))) == SQUARES
        futures.wait(fs)
        while len(seen.values) < count:
            futures.wait([futures.submit(square, 1)])
            compute(0.001)
        assert sorted(seen.values) == [x * x + 4 for x in range(count)]

    run_everywhere(program, is_quick=True)


def test_callbacks_may_make_each_other() -> None:
    def chain(left: int, seen: list[int]) -> Callable[[Future], None]:
        def call(future: Future) -> None:
            seen.append(left)
            if left:
                follower = futures.submit(square, left)
                follower.add_done_callback(chain(left - 1, seen))
                assert follower.result() == left**2

        return call

    def program() -> None:
        seen: list[int] = []
        first = futures.submit(square, 1)
        first.add_done_callback(chain(600, seen))
        assert first.result() == 1
        while len(seen) < 601:
            futures.wait([futures.submit(square, 1)])
        assert seen == list(range(600, -1, -1))

    run_everywhere(program, is_quick=True)


def test_the_job_ends_when_the_callbacks_that_are_due_have_run() -> None:
    values: list[int] = []

    def note(future: Future) -> None:
        value = future.result() + sum(futures.map(square, range(4)))
        compute(0.1)
        values.append(value + futures.submit(square, 2).result())

    def program() -> None:
        values.clear()
        fs = [futures.submit(square, x) for x in range(6)]
        futures.wait(fs)
        for future in fs:
            future.add_done_callback(note)
        late = futures.submit(square, 7)
        late.add_done_callback(note)
        while not late.done():
            compute(0.01)

    run_everywhere(program)
    assert sorted(values) == sorted(x * x + 18 for x in (*range(6), 7))
