"""Futures as arguments: each stands for its result, and nobody waits until all are done."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.engine.hub import running
from scoop_mpi.errors import CancelledError, DependencyError, TimeoutError
from scoop_mpi.futures import Future
from tests.sim.simulation import compute
from tests.sim.test_jobs import SEEDS, SIZES, add, run_everywhere, simulation_of, square

times_run: Counter[str] = Counter()


def total(numbers: list[int]) -> int:
    compute(0.001)
    return sum(numbers)


def total_of_values(numbers: dict[str, int], more: tuple[int, ...] = (), extra: int = 0) -> int:
    return sum(numbers.values()) + sum(more) + extra


class Box:
    """No plain object: it has to be pickled."""

    def __init__(self, number: int) -> None:
        self.number = number


def box(x: int) -> Box:
    compute(0.001 * (x % 3))
    return Box(x)


def unbox(each: Box) -> int:
    return each.number


def fail(x: int) -> int:
    compute(0.001)
    raise ValueError(f"no {x}")


def note(x: object) -> str:
    times_run["note"] += 1
    return repr(x)


def submit_square(x: int) -> Future[int]:
    return futures.submit(square, x)


def countdown(n: int) -> Any:
    return futures.submit(countdown, n - 1) if n else "lift-off"


def returned_failure(x: int) -> Any:
    return futures.submit(fail, x)


def test_a_future_stands_for_its_result() -> None:
    def program() -> None:
        first, second = futures.submit(square, 3), futures.submit(square, 4)
        assert futures.submit(add, first, second).result() == 25
        assert futures.submit(add, first, y=second).result() == 25
        assert futures.submit(add, x=1, y=second).result() == 17  # type: ignore[call-overload]
        assert futures.submit(total, [first, 1, second]).result() == 26
        assert (
            futures.submit(total_of_values, {"a": first}, (second, 2), extra=first).result() == 36
        )
        assert futures.submit(unbox, futures.submit(box, 7)).result() == 7

    run_everywhere(program)


def test_what_was_given_is_not_changed() -> None:
    def program() -> None:
        first = futures.submit(square, 3)
        given = [first, 1]
        by_name = {"a": first}
        assert futures.submit(total, given).result() == 10
        assert futures.submit(total_of_values, by_name).result() == 9
        assert given == [first, 1]
        assert by_name == {"a": first}

    run_everywhere(program)


def test_one_list_given_twice_is_one_list() -> None:
    def program() -> None:
        given = [futures.submit(square, 3)]
        assert futures.submit(is_same, given, given).result()

    run_everywhere(program)


def is_same(x: object, y: object) -> bool:
    return x is y


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_a_reduction_tree(count: int) -> None:
    def program() -> int:
        level = [futures.submit(square, x) for x in range(count)]
        while len(level) > 1:
            pairs = itertools.zip_longest(level[::2], level[1::2], fillvalue=0)
            level = [futures.submit(add, left, right) for left, right in pairs]
        return int(level[0].result())

    assert set(run_everywhere(program)) == {sum(x * x for x in range(count))}


def test_a_stencil() -> None:
    def program() -> list[int]:
        row: list[Any] = [futures.submit(square, x) for x in range(6)]
        for _ in range(4):
            row = [
                futures.submit(total, [row[place - 1], row[place], row[(place + 1) % len(row)]])
                for place in range(len(row))
            ]
        return [future.result() for future in row]

    expected = [x * x for x in range(6)]
    for _ in range(4):
        expected = [expected[p - 1] + expected[p] + expected[(p + 1) % 6] for p in range(6)]
    assert all(result == expected for result in run_everywhere(program))


def test_within_tasks_too() -> None:
    def program() -> None:
        assert list(futures.map(sum_by_graph, range(8))) == [3 * x * x for x in range(8)]

    run_everywhere(program)


def sum_by_graph(x: int) -> int:
    leaves = [futures.submit(square, x) for _ in range(3)]
    return int(futures.submit(total, leaves).result())


@pytest.mark.parametrize("take", ["wait", "as_completed", "poll", "exception", "callback"])
def test_whatever_waits_for_it(take: str) -> None:
    def program() -> None:
        later = futures.submit(add, futures.submit(square, 3), futures.submit(square, 4))
        seen: list[Any] = []
        if take == "wait":
            assert futures.wait([later]).done == {later}
        elif take == "as_completed":
            assert list(futures.as_completed([later])) == [later]
        elif take == "poll":
            while not later.done():
                compute(0.001)
        elif take == "exception":
            assert later.exception() is None
        else:
            later.add_done_callback(lambda future: seen.append(future.result()))
            assert list(futures.map(square, range(9))) == [x * x for x in range(9)]
        assert later.result() == 25
        assert seen == ([25] if take == "callback" else [])

    run_everywhere(program)


def test_nobody_need_wait_for_what_it_waits_for() -> None:
    """Other ranks take it as soon as it is ready, while the program computes."""

    def program() -> None:
        later = futures.submit(unbox, futures.submit(box, 5))
        assert list(futures.map(square, range(30))) == [x * x for x in range(30)]
        assert later.result() == 5

    run_everywhere(program)


def test_the_first_failure_is_the_cause_of_all() -> None:
    def program() -> None:
        failing = futures.submit(fail, 1)
        chain = [futures.submit(note, failing)]
        for _ in range(20):
            chain.append(futures.submit(note, chain[-1]))
        for future in reversed(chain):
            error = future.exception()
            assert isinstance(error, DependencyError)
            assert type(error.__cause__) is ValueError
            assert str(error) == (
                "note was not called, as a future that it was given failed: ValueError: no 1"
            )
        with pytest.raises(DependencyError):
            chain[3].result()

    times_run.clear()
    run_everywhere(program)
    assert not times_run


def test_of_a_cancelled_future_the_call_is_cancelled() -> None:
    def program() -> None:
        last = futures.submit(square, 3)
        later = futures.submit(note, [last, futures.submit(square, 2)])
        even_later = futures.submit(note, later)
        if last.cancel():
            for future in (even_later, later):
                with pytest.raises(CancelledError) as caught:
                    future.result()
                assert isinstance(caught.value.__cause__, CancelledError)
                assert future.cancelled()
        else:
            assert even_later.result() == repr(repr([9, 4]))

    run_everywhere(program)


def test_a_call_that_waits_can_be_cancelled() -> None:
    def program() -> None:
        first = futures.submit(square, 3)
        later = futures.submit(note, first)
        after = futures.submit(note, later)
        assert not later.running()
        assert later.cancel()
        assert later.cancelled()
        assert later.done()
        assert first.result() == 9
        with pytest.raises(CancelledError):
            after.result()
        futures.wait([futures.submit(square, 1)])
        assert not later.cancel() or later.cancelled()

    times_run.clear()
    run_everywhere(program)
    assert not times_run


def test_a_time_limit_holds_for_what_it_waits_for() -> None:
    def program() -> None:
        slow = [futures.submit(long_task) for _ in range(6)]
        later = futures.submit(note, slow)
        with pytest.raises(TimeoutError):
            later.result(timeout=0.5)
        assert later.result() == repr([1] * 6)

    run_everywhere(program, is_quick=True)


def long_task() -> int:
    for _ in range(10):
        compute(0.1)
    return 1


@pytest.mark.parametrize("kind", ["map", "map_as_completed", "mapReduce", "mapScan", "buffered"])
def test_among_the_items_of_a_map(kind: str) -> None:
    numbers = [x * x for x in range(12)]

    def program() -> None:
        items = [x * x if x % 3 == 2 else futures.submit(square, x) for x in range(12)]
        if kind == "map":
            assert list(futures.map(square, items)) == [n * n for n in numbers]
            assert list(futures.map(add, items, range(12))) == [
                n + x for x, n in enumerate(numbers)
            ]
        elif kind == "buffered":
            assert list(futures.map(square, items, buffersize=5)) == [n * n for n in numbers]
        elif kind == "map_as_completed":
            results = sorted(futures.map_as_completed(square, items))
            assert results == sorted(n * n for n in numbers)
        elif kind == "mapReduce":
            assert futures.mapReduce(square, add, items) == sum(n * n for n in numbers)
        else:
            expected = list(itertools.accumulate(n * n for n in numbers))
            assert futures.mapScan(square, add, items) == expected

    run_everywhere(program)


def test_a_map_over_lists_of_futures() -> None:
    def program() -> None:
        leaves = [futures.submit(square, x) for x in range(6)]
        assert list(futures.map(total, [leaves[:3], leaves[3:]])) == [5, 50]
        assert list(futures.map(total, [[1, 2], leaves[3:]])) == [3, 50]

    run_everywhere(program)


def test_a_map_over_a_failed_future() -> None:
    def program() -> None:
        items = [futures.submit(square, 1), futures.submit(fail, 2), futures.submit(square, 3)]
        results = futures.map(note, items)
        assert next(results) == "1"
        with pytest.raises(DependencyError):
            next(results)
        left = futures.map_as_completed(note, items)
        seen: list[str] = []
        failed = 0
        while True:
            try:
                seen.append(next(left))
            except StopIteration:
                break
            except DependencyError:
                failed += 1
        assert (sorted(seen), failed) == (["1", "9"], 1)

    run_everywhere(program)


def test_a_map_over_futures_that_is_left_is_called_off() -> None:
    def program() -> None:
        items = [futures.submit(square, x) for x in range(20)]
        results = futures.map(note, items)
        next(results)
        results.close()  # type: ignore[attr-defined]
        assert [future.result() for future in items] == [x * x for x in range(20)]
        assert not running().runtime.worker.queues.deferred

    run_everywhere(program)


def test_a_returned_future_is_its_result() -> None:
    def program() -> None:
        assert futures.submit(submit_square, 5).result() == 25
        assert list(futures.map(submit_square, range(12))) == [x * x for x in range(12)]
        assert sorted(futures.map_as_completed(submit_square, range(6))) == [0, 1, 4, 9, 16, 25]
        assert futures.mapReduce(submit_square, add, range(12)) == sum(x * x for x in range(12))
        assert futures.mapScan(submit_square, add, range(4)) == [0, 1, 5, 14]
        assert futures.submit(countdown, 40).result() == "lift-off"
        error = futures.submit(returned_failure, 3).exception()
        assert isinstance(error, ValueError)
        with pytest.raises(ValueError, match="no 0"):
            list(futures.map(returned_failure, range(5)))
        with pytest.raises(ValueError, match="no 0"):
            futures.mapReduce(returned_failure, add, range(5))

    run_everywhere(program)


def test_a_future_that_is_returned_and_given() -> None:
    def program() -> None:
        assert futures.submit(add, futures.submit(submit_square, 3), 1).result() == 10

    run_everywhere(program)


@pytest.mark.parametrize("shape", ["chain", "fan", "layers"])
def test_large_graphs(shape: str) -> None:
    def program() -> None:
        last: Any = 0
        if shape == "chain":
            for _ in range(2000):
                last = futures.submit(plus_one, last)
            assert last.result() == 2000
        elif shape == "fan":
            leaves = [futures.submit(plus_one, x) for x in range(2000)]
            assert futures.submit(sum, leaves).result() == sum(range(1, 2001))
        else:
            row = [futures.submit(plus_one, 0) for _ in range(20)]
            for _ in range(20):
                row = [futures.submit(sum, row[-5:]) for _ in row]
            assert row[0].result() == 5**20

    for size, seed in itertools.product(SIZES[:3], SEEDS[:1]):
        simulation_of(size, seed).run(program)


def plus_one(x: int) -> int:
    return x + 1


def test_a_graph_that_fails_at_its_root() -> None:
    def program() -> None:
        last = futures.submit(fail, 0)
        for _ in range(2000):
            last = futures.submit(plus_one, last)
        assert isinstance(last.exception(), DependencyError)

    for size, seed in itertools.product(SIZES[:3], SEEDS[:1]):
        simulation_of(size, seed).run(program)


@pytest.mark.parametrize("joins", [True, False])
@pytest.mark.parametrize("submits", [True, False])
def test_in_a_thread_of_the_programs(submits: bool, joins: bool) -> None:
    """One thread submits, and one waits: it may be the same, or not."""

    def program() -> None:
        made: list[Future] = []

        def submit() -> None:
            first = futures.submit(plus_one, 1)
            made.append(futures.submit(sum, [first, futures.submit(plus_one, first)]))

        def join() -> None:
            assert made[0].result() == 5
            results.append(made[0].result())

        results: list[int] = []
        for act, is_in_thread in ((submit, submits), (join, joins)):
            if is_in_thread:
                thread = threading.Thread(target=act)
                thread.start()
                thread.join()
            else:
                act()
        assert results == [5]

    simulation_of(1, 0).run(program)


def test_the_end_cancels_what_waits() -> None:
    kept: list[Future] = []

    def program() -> None:
        slow = [futures.submit(long_task) for _ in range(8)]
        kept[:] = [futures.submit(note, slow)]

    times_run.clear()
    run_everywhere(program, is_quick=True)
    assert not times_run
    assert kept[0].cancelled()
