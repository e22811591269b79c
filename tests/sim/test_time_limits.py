"""Time limits are kept, and who waits for the first of several is not held up, on several ranks.

A rank that must be ready by some time begins only what surely ends before. Time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.errors import TimeoutError
from tests.sim import simulation
from tests.sim.simulation import compute
from tests.sim.test_jobs import SEEDS, simulation_of

# What a wait may take beyond its limit; a rank looks for messages now and then only.
LATE = 0.05


def now() -> float:
    return simulation._active[-1].now


def run_on(sizes: tuple[int, ...], program: Callable[[], Any], seeds: int = 8) -> None:
    for size in sizes:
        for seed in SEEDS[:seeds]:
            try:
                simulation_of(size, seed).run(program)
            except BaseException as error:
                error.args = (*error.args, f"(size {size}, seed {seed})")
                raise


def take(seconds: float) -> float:
    compute(seconds)
    return seconds


def take_named(seconds: float) -> float:
    """Another function: of this one nothing is known yet."""
    compute(seconds)
    return seconds


def let_others_ask() -> None:
    """Have the other ranks import the program, and ask for work."""
    with pytest.raises(TimeoutError):
        futures.submit(take_named, 0.2).result(timeout=0.1)
    compute(0.3)


def elapsed(act: Callable[[], Any]) -> float:
    began = now()
    act()
    return now() - began


def wait_in_vain(fs: list[Any], seconds: float) -> None:
    assert len(futures.wait(fs, timeout=seconds).not_done) > 0


def result_in_vain(future: Any, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        future.result(timeout=seconds)


@pytest.mark.parametrize("count", [1, 4, 30])
def test_a_wait_for_long_calls(count: int) -> None:
    def program() -> None:
        fs = [futures.submit(take, 5.0) for _ in range(count)]
        assert elapsed(lambda: wait_in_vain(fs, 0.3)) < 0.3 + LATE

    run_on((2, 3, 5), program)


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.2])
def test_a_result(seconds: float) -> None:
    def program() -> None:
        future = futures.submit(take, 3.0)
        assert elapsed(lambda: result_in_vain(future, seconds)) < seconds + LATE
        assert future.result() == 3.0

    run_on((2, 3, 5), program)


def test_within_tasks() -> None:
    def program() -> None:
        late = list(futures.map(limited, [0.1] * 6))
        assert max(late) < 0.1 + LATE, late

    run_on((2, 3, 5), program, seeds=4)


def limited(seconds: float) -> float:
    future = futures.submit(take, 3.0)
    return elapsed(lambda: result_in_vain(future, seconds))


@pytest.mark.parametrize("kind", ["map", "map_as_completed", "mapReduce", "as_completed"])
def test_maps(kind: str) -> None:
    acts: dict[str, Callable[[], Any]] = {
        "map": lambda: list(futures.map(take, [3.0] * 6, timeout=0.2)),
        "map_as_completed": lambda: list(futures.map_as_completed(take, [3.0] * 6, timeout=0.2)),
        "mapReduce": lambda: futures.mapReduce(take, max, [3.0] * 6, timeout=0.2),
        "as_completed": lambda: list(
            futures.as_completed([futures.submit(take, 3.0) for _ in range(6)], timeout=0.2)
        ),
    }

    def act() -> None:
        with pytest.raises(TimeoutError):
            acts[kind]()

    def program() -> None:
        assert elapsed(act) < 0.2 + LATE

    run_on((2, 3, 5), program, seeds=4)


def test_a_call_that_is_known_to_be_long_is_not_begun() -> None:
    def program() -> None:
        take(0.0)
        futures.submit(take, 1.0).result()
        fs = [futures.submit(take, 1.0) for _ in range(6)]
        assert elapsed(lambda: wait_in_vain(fs, 0.3)) < 0.3 + LATE

    run_on((2, 3), program)


@pytest.mark.parametrize("kind", ["wait", "map", "results"])
def test_a_generous_limit_costs_little(kind: str) -> None:
    """All ranks work along, once it is known how long the calls take."""
    count, seconds = 200, 0.01

    def act() -> None:
        if kind == "wait":
            fs = [futures.submit(take, seconds) for _ in range(count)]
            assert not futures.wait(fs, timeout=1000).not_done
        elif kind == "map":
            assert list(futures.map(take, [seconds] * count, timeout=1000)) == [seconds] * count
        else:
            fs = [futures.submit(take, seconds) for _ in range(count)]
            assert [future.result(timeout=1000) for future in fs] == [seconds] * count

    for size in (2, 3):
        for seed in SEEDS[:4]:

            def program(size: int = size) -> None:
                let_others_ask()
                assert elapsed(act) < 1.25 * count * seconds / size

            simulation_of(size, seed).run(program)


def test_the_first_of_several_is_not_held_up() -> None:
    def program() -> None:
        let_others_ask()
        for order in ([3.0, 0.05], [0.05, 3.0], [3.0, 3.0, 0.05]):
            fs = [futures.submit(take, seconds) for seconds in order]
            began = now()
            done, _ = futures.wait(fs, return_when=futures.FIRST_COMPLETED)
            assert now() - began < 0.05 + LATE
            assert [future.result() for future in done] == [0.05]
            futures.wait(fs)

    run_on((5, 16), program, seeds=4)


@pytest.mark.parametrize("kind", ["as_completed", "map_as_completed"])
def test_what_is_done_first_comes_first(kind: str) -> None:
    def program() -> None:
        let_others_ask()
        began = now()
        if kind == "as_completed":
            fs = [futures.submit(take, seconds) for seconds in (3.0, 2.0, 0.05)]
            first: Any = next(iter(futures.as_completed(fs))).result()
        else:
            first = next(futures.map_as_completed(take, (3.0, 2.0, 0.05)))
        assert first == 0.05
        assert now() - began < 0.05 + LATE

    run_on((5, 16), program, seeds=4)


def test_as_completed_works_along_if_all_are_busy() -> None:
    count, seconds = 120, 0.05

    def act() -> None:
        fs = [futures.submit(take, seconds) for _ in range(count)]
        assert sum(1 for _ in futures.as_completed(fs)) == count

    for size in (2, 3):
        for seed in SEEDS[:4]:

            def program(size: int = size) -> None:
                let_others_ask()
                assert elapsed(act) < 1.15 * count * seconds / size

            simulation_of(size, seed).run(program)


def patient(depth: int) -> int:
    """Wait with limits alone, again and again."""
    if depth == 0:
        compute(0.3)
        return 1
    fs = [futures.submit(patient, depth - 1) for _ in range(2)]
    while futures.wait(fs, timeout=0.05).not_done:
        pass
    return sum(future.result() for future in fs)


def test_nobody_starves_if_all_wait_with_limits() -> None:
    def program() -> None:
        assert patient(3) == 8

    run_on((1, 2, 3, 5), program)


def test_nobody_starves_with_long_limits() -> None:
    def program() -> None:
        assert list(futures.map(patient_result, [0.3] * 5, timeout=100)) == [0.3] * 5

    run_on((1, 2, 3, 5), program)


def patient_result(seconds: float) -> Any:
    return futures.submit(take, seconds).result(timeout=50)
