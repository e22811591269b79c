"""Threads make their calls one at a time, and whatever these do, none waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from scoop_mpi import futures
from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.turns import Turns

T = TypeVar("T")


class Thread:
    """A thread that does what it is told, one thing after the other."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.notified = 0
        self._executor = ThreadPoolExecutor(1)

    def notify(self) -> None:
        self.notified += 1

    def do(self, something: Callable[[], T]) -> T:
        return self._executor.submit(something).result(10)

    def enter(self) -> bool:
        return self.do(self.turns.enter)

    def leave(self) -> None:
        self.do(self.turns.leave)

    def begin_to_wait(self) -> float | None:
        self.waiting = self.turns.waiting(self)
        return self.do(self.waiting.__enter__)

    def end_to_wait(self) -> None:
        self.do(lambda: self.waiting.__exit__(None, None, None))

    def close(self) -> None:
        self._executor.shutdown()


class Scene:
    """Turns, and clocks that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.computed = 0.0
        self.turns = Turns(lambda: self.now, lambda: self.computed)
        self.threads = [Thread(self.turns) for _ in range(12)]

    def pass_time(self, seconds: float, busy: bool) -> None:
        self.now += seconds
        self.computed += seconds * busy


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for thread in made.threads:
        thread.close()


def test_one_thread_at_a_time_has_a_turn(scene: Scene) -> None:
    first, second, *_ = scene.threads
    assert first.enter()
    assert not second.enter()
    first.leave()
    assert second.enter()


def test_a_thread_with_a_turn_makes_calls_within_calls(scene: Scene) -> None:
    first, second, *_ = scene.threads
    assert not first.do(scene.turns.is_mine)
    assert first.enter()
    assert first.enter()
    assert first.do(scene.turns.is_mine)
    first.leave()
    assert not second.enter()
    first.leave()
    assert second.enter()


def test_who_waits_longest_is_next(scene: Scene) -> None:
    first, second, third, *_ = scene.threads
    assert first.enter()
    for thread in (second, third):
        assert not thread.enter()
        thread.begin_to_wait()
    first.leave()
    assert (second.notified, third.notified) == (1, 0)
    assert not first.enter()  # though nobody has a turn
    second.end_to_wait()
    assert third.notified  # in case that the second doesn't want to any more
    assert second.enter()
    third.end_to_wait()
    assert not third.enter()


def test_of_long_calls_every_other_is_offered_to_others_first(scene: Scene) -> None:
    first, *_ = scene.threads
    offered = []
    for seconds in (0.001, 0.0, 0.01, 1.0, 1.0, 1.0, 0.001, 0.001):
        offered.append(first.do(scene.turns.should_offer))
        assert first.enter()
        scene.pass_time(seconds, busy=True)
        first.leave()
    assert offered == [False, False, False, True, False, True, False, False]


def test_who_does_not_want_its_turn_any_more_has_the_next_one_try(scene: Scene) -> None:
    first, second, third, *_ = scene.threads
    assert first.enter()
    for thread in (second, third):
        assert not thread.enter()
        thread.begin_to_wait()
    first.leave()
    second.end_to_wait()  # what it has waited for was done elsewhere
    assert third.notified
    third.end_to_wait()
    assert third.enter()


def test_a_thread_lets_others_go_first_for_a_moment_only(scene: Scene) -> None:
    first, second, *_ = scene.threads
    assert first.enter()
    assert not second.enter()
    second.begin_to_wait()
    first.leave()
    assert not first.enter()
    scene.pass_time(0.025, busy=True)
    assert first.enter()


def test_who_becomes_free_to_go_before_it_waits_does_not_wait(scene: Scene) -> None:
    first, second, *_ = scene.threads
    assert first.enter()
    assert not second.enter()
    first.leave()
    assert second.begin_to_wait() == 0


def test_who_waits_within_its_turn_lends_it(scene: Scene) -> None:
    first, second, third, *_ = scene.threads
    assert first.enter()
    assert not second.enter()
    second.begin_to_wait()
    assert first.begin_to_wait() is None
    assert second.notified
    second.end_to_wait()
    assert second.enter()
    first.end_to_wait()  # it goes on, for what it waited for is there
    second.leave()
    assert not third.enter()
    first.leave()
    assert third.enter()


def test_where_calls_sleep_ever_more_threads_get_a_turn(scene: Scene) -> None:
    waiting = scene.threads
    begun = []
    for _ in range(5):
        scene.pass_time(0.025, busy=False)
        waiting = [thread for thread in waiting if not thread.enter()]
        begun.append(len(scene.threads) - len(waiting))
    assert begun == [1, 2, 4, 8, 12]


def test_where_calls_compute_no_other_thread_gets_a_turn_for_a_while(scene: Scene) -> None:
    first, *others = scene.threads
    assert first.enter()
    for _ in range(50):
        scene.pass_time(0.025, busy=True)
        assert not any(thread.enter() for thread in others)


def test_who_computes_on_and_on_is_joined_by_others_now_and_then(scene: Scene) -> None:
    first, *others = scene.threads
    assert first.enter()
    begun_after: list[int] = []
    for number in range(100):
        scene.pass_time(1.0, busy=True)
        if others[len(begun_after)].enter():
            begun_after.append(number)
    assert begun_after == [2, 7, 16, 33, 66]


# ------------------------------------------------------------ with a hub


def call_in_threads(count: int, function: Callable[[], Any]) -> list[Any]:
    """Have each of `count` threads call `function`; return what they returned."""
    with ThreadPoolExecutor(count) as executor:
        return [each.result(30) for each in [executor.submit(function) for _ in range(count)]]


WAYS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "result": lambda task: futures.submit(task).result(),
    "exception": lambda task: futures.submit(task).exception(),
    "wait": lambda task: len(futures.wait([futures.submit(task)]).done),
    "as_completed": lambda task: len(list(futures.as_completed([futures.submit(task)]))),
    "map": lambda task: list(futures.map(lambda _: task(), [0])),
    "map_as_completed": lambda task: list(futures.map_as_completed(lambda _: task(), [0])),
    "mapReduce": lambda task: futures.mapReduce(lambda _: task(), max, [0]),
}


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_threads_whose_tasks_wait_for_each_other_get_there(
    way: Callable[[Callable[[], Any]], Any],
) -> None:
    barrier = threading.Barrier(10)

    def meet() -> int:
        barrier.wait(20)
        return 1

    outcomes = call_in_threads(10, lambda: way(meet))
    assert len(outcomes) == 10
    assert not barrier.broken


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_threads_whose_tasks_compute_make_one_call_at_a_time(
    way: Callable[[Callable[[], Any]], Any], hub: Hub
) -> None:
    hub.threads.turns = Turns(time.perf_counter, time.perf_counter)  # however busy the machine is
    running = [0]
    most = []

    def count() -> int:
        running[0] += 1
        most.append(running[0])
        sum(range(200_000))
        most.append(running[0])
        running[0] -= 1
        return 1

    call_in_threads(10, lambda: way(count))
    assert len(most) == 20
    assert max(most) == 1


@pytest.mark.usefixtures("hub")
def test_tasks_of_a_threads_task_run_within_its_turn() -> None:
    def fib(n: int) -> int:
        if n < 2:
            return n
        left, right = futures.submit(fib, n - 1), futures.submit(fib, n - 2)
        return int(left.result() + sum(futures.map(lambda _: right.result(), [0])))

    assert call_in_threads(5, lambda: futures.submit(fib, 10).result()) == [55] * 5
