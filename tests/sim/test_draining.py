"""Jobs that drain: nothing more begins, on any rank, and nothing that has begun is lost."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.engine.draining import Draining
from scoop_mpi.engine.hub import running
from scoop_mpi.engine.program_calls import ProgramCalls
from scoop_mpi.errors import Draining as DrainingError
from tests.sim.simulation import compute
from tests.sim.test_jobs import run_everywhere, simulation_of, square

begun: Counter[int] = Counter()
ended: Counter[int] = Counter()
SECONDS = 0.01  # that a call takes


def count(x: int) -> int:
    begun[x] += 1
    compute(SECONDS)
    ended[x] += 1
    return x


def count_and_map(x: int) -> int:
    begun[x] += 1
    total = sum(futures.map(square, range(6)))
    total += sum(future.result() for future in [futures.submit(square, y) for y in range(6)])
    ended[x] += 1
    return x if total else -1


class Box:
    """No plain object: it has to be pickled."""

    def __init__(self, number: int) -> None:
        self.number = number


def count_boxed(box: Box) -> int:
    return count(box.number)


def add(x: int, y: int) -> int:
    return x + y


def submit(function: Callable[[Any], int], calls: Any) -> Iterator[Any]:
    return futures.as_completed([futures.submit(function, call) for call in calls])


def submit_pairs(calls: range) -> list[Any]:
    """Submit calls of which every other waits for the one before."""
    submitted: list[Any] = []
    for number in calls[::2]:
        submitted.append(futures.submit(count, number))
        submitted.append(futures.submit(add, submitted[-1], number + 1))
    return submitted


WORK: dict[str, Callable[[], Any]] = {
    "map": lambda: futures.map(count, range(300)),
    "map of boxes": lambda: futures.map(count_boxed, list(map(Box, range(300)))),
    "as completed": lambda: futures.map_as_completed(count, range(300)),
    "submits": lambda: submit(count, range(300)),
    "submits of boxes": lambda: submit(count_boxed, list(map(Box, range(300)))),
    "several maps": lambda: [futures.map(count, range(n, n + 100)) for n in (0, 100, 200)],
    "tasks that have tasks": lambda: futures.map(count_and_map, range(300)),
    "submits of tasks that have tasks": lambda: submit(count_and_map, range(300)),
    "calls that wait for others": lambda: submit_pairs(range(300)),
    "with a buffer": lambda: futures.map(count, range(300), buffersize=100),
}


def drain(draining: Draining) -> None:
    draining.begin()
    for _ in range(2000):
        running().runtime.step()
        if draining.is_over:
            return
        compute(0.01)
    raise AssertionError(running().runtime.worker.ledger.given)


def draining_job(seconds: float = 15.0) -> Draining:
    begun.clear()
    ended.clear()
    hub = running()
    draining = Draining(hub, hub.runtime, seconds)
    hub.watch_program(ProgramCalls(hub, None, draining))
    return draining


@pytest.mark.parametrize("name", WORK)
def test_nothing_more_begins_and_what_has_begun_ends(name: str) -> None:
    def program() -> tuple[int, int]:
        draining = draining_job()
        work = WORK[name]()
        compute(7 * SECONDS)
        drain(draining)
        at_end = begun.copy()
        assert begun == ended
        assert max(begun.values(), default=1) == 1
        compute(50 * SECONDS)
        assert begun == at_end
        with pytest.raises(DrainingError):
            futures.submit(count, 1).result()
        with pytest.raises(DrainingError):
            list(futures.map(count, range(3)))
        assert begun == at_end
        del work
        return begun.total(), draining.left

    for made, left in run_everywhere(program, is_quick=True):
        assert made < 250
        assert left > 0


@pytest.mark.parametrize("is_map", [True, False])
def test_outcomes_of_what_has_begun_come_in(is_map: bool) -> None:
    def program() -> None:
        draining = draining_job()
        if is_map:
            results = futures.map_as_completed(count, range(300))
            found = [next(results) for _ in range(3)]
        else:
            submitted = [futures.submit(count, x) for x in range(300)]
            found = []
            submitted[0].result()
        drain(draining)
        if is_map:
            with pytest.raises(DrainingError):
                found.extend(results)
        else:
            found = [future.result() for future in submitted if future.is_done]
        assert sorted(found) == sorted(ended)
        assert len(found) + draining.left == 300

    for size, seed in itertools.product((1, 2, 3, 5), range(8)):
        simulation_of(size, seed).run(program)


def test_who_waits_gets_the_exception() -> None:
    def program() -> str:
        draining = draining_job()
        results = futures.map(count, range(300))
        next(results)
        draining.begin()
        try:
            while True:
                next(results)
        except DrainingError:
            assert begun == ended
            return "drained"

    # Of a real job a thread notices, and a signal comes; here the program's next wait has to do.
    for size, seed in itertools.product((1,), range(8)):
        assert simulation_of(size, seed).run(program) == "drained"


def test_a_job_that_is_done_has_nothing_left() -> None:
    def program() -> None:
        draining = draining_job()
        assert list(futures.map(count, range(30))) == list(range(30))
        assert [futures.submit(count, x).result() for x in range(30, 40)] == list(range(30, 40))
        drain(draining)
        assert draining.left == 0

    run_everywhere(program, is_quick=True)


def test_calls_that_take_too_long_are_not_waited_for() -> None:
    def long(x: int) -> int:
        compute(100.0)
        return x

    def program() -> None:
        draining = draining_job(0.5)
        futures.map(long, range(20))
        compute(1.0)
        drain(draining)
        assert draining.left == 20

    for size, seed in itertools.product((2, 3), range(4)):
        simulation_of(size, seed).run(program)
