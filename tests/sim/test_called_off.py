"""Maps that are left: what nobody wants any more is dropped, everywhere, and nothing else is."""

from __future__ import annotations

import itertools
import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.engine.hub import running
from scoop_mpi.errors import TimeoutError
from scoop_mpi.tasks.span import Span
from tests.sim.simulation import compute
from tests.sim.test_jobs import run_everywhere, simulation_of, square

times_run: Counter[int] = Counter()
SECONDS = 0.01  # that a call takes


def count(x: int) -> int:
    times_run[x] += 1
    compute(SECONDS)
    return x


def fail_at_3(x: int) -> int:
    if count(x) == 3:
        raise ValueError("three")
    return x


def count_and_map(x: int) -> int:
    times_run[x] += 1
    return sum(futures.map(square, range(3)))


class Box:
    """No plain object: it has to be pickled."""

    def __init__(self, number: int) -> None:
        self.number = number


def count_boxed(box: Box) -> int:
    return count(box.number)


def take_one(results: Any) -> None:
    next(results)
    results.close()


def break_off(results: Any) -> None:
    for _ in results:
        break


def meet_failure(results: Any) -> None:
    with pytest.raises(ValueError, match="three"):
        list(results)


def run_out_of_time(results: Any) -> None:
    with pytest.raises(TimeoutError):
        list(results)


def take_one_of_several(results: Any) -> None:
    results.__next__()
    del results


LEFT: dict[str, Callable[[], None]] = {
    "closed": lambda: take_one(futures.map(count, range(300))),
    "broken off": lambda: break_off(futures.map(count, list(range(300)))),
    "not plain": lambda: break_off(futures.map(count_boxed, list(map(Box, range(300))))),
    "several iterables": lambda: take_one(futures.map(max, map(count, [1]), [0])),
    "failed": lambda: meet_failure(futures.map(fail_at_3, range(300))),
    "out of time": lambda: run_out_of_time(futures.map(count, range(300), timeout=0.05)),
    "as completed": lambda: take_one_of_several(futures.map_as_completed(count, range(300))),
    "with a buffer": lambda: break_off(futures.map(count, range(300), buffersize=100)),
    "tasks that map": lambda: break_off(futures.map(count_and_map, range(300))),
}


def no_call_is_owed() -> bool:
    """Say whether this rank has heard of all calls of what it has called off."""
    owed = running().runtime.worker.ledger.given.values()
    return not any(isinstance(thing, Span) and thing.is_called_off for thing in owed)


def leave_in_task(name: str) -> None:
    LEFT[name]()
    wait_until_settled()


def wait_until_settled() -> None:
    """Wait until all calls of what this rank has called off are accounted for."""
    for _ in range(1000):
        running().runtime.step()
        if no_call_is_owed():
            return
        compute(0.01)
    raise AssertionError(running().runtime.worker.ledger.given)


def wait_until_quiet() -> None:
    """Wait for what had begun, and see that nothing more begins."""
    compute(30 * SECONDS)
    begun = times_run.total()
    compute(100 * SECONDS)
    assert times_run.total() == begun


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_is_dropped_by_all(name: str) -> None:
    def program() -> None:
        times_run.clear()
        LEFT[name]()
        wait_until_quiet()
        assert max(times_run.values()) == 1
        assert times_run.total() < 250
        assert list(futures.map(square, range(20))) == [x * x for x in range(20)]
        wait_until_settled()

    run_everywhere(program)


@pytest.mark.parametrize("name", ["broken off", "not plain", "failed", "as completed"])
def test_tasks_may_leave_maps_too(name: str) -> None:
    def program() -> None:
        times_run.clear()
        list(futures.map(leave_in_task, [name] * 5))
        wait_until_quiet()
        assert max(times_run.values()) <= 5
        assert list(futures.map(square, range(20))) == [x * x for x in range(20)]

    run_everywhere(program)


def test_a_reduction_that_runs_out_of_time_is_called_off() -> None:
    def program() -> None:
        times_run.clear()
        with pytest.raises(TimeoutError):
            futures.mapReduce(count, operator.add, range(300), timeout=0.05)
        wait_until_quiet()
        assert times_run.total() < 250
        assert futures.mapReduce(square, operator.add, range(20)) == sum(x * x for x in range(20))

    run_everywhere(program)


def test_a_map_whose_results_nobody_has_begun_to_take_goes_on() -> None:
    """As with `concurrent.futures`: the program may want what the calls do, not their results.

    On one rank nobody would make them meanwhile.
    """

    def program() -> None:
        times_run.clear()
        futures.map(count, range(40))
        compute(60 * SECONDS)
        assert times_run == Counter(range(40))

    for size, seed in itertools.product((2, 3, 5), range(6)):
        simulation_of(size, seed).run(program)


def test_maps_that_are_left_one_after_the_other_leave_nothing_behind() -> None:
    def program() -> None:
        for number in range(30):
            results = futures.map(square, range(number, number + 50))
            assert next(results) == number**2
            results.close()  # type: ignore[attr-defined]
        wait_until_settled()
        assert list(futures.map(square, range(30))) == [x * x for x in range(30)]

    run_everywhere(program)
