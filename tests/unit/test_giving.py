"""Who may pickle what, and when: the program's thread alone, for others to take at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi.state.giving import SealedAhead
from scoop_mpi.state.policy import SEALED_AHEAD
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.future import Future, KeywordCall
from scoop_mpi.tasks.span import Span
from scoop_mpi.wire.messages import Call, Results, Send, Steal, StealFailed, Work
from tests.unit.helpers import Box, Unpicklable, make_future, over_the_wire, parcels_of

pickled: list[Any] = []


class Watched:
    """Notes when it is pickled."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        pickled.append(self.number)
        return Watched, (self.number,)

    def __call__(self, *_: Any) -> int:
        return self.number


@pytest.fixture(autouse=True)
def nothing_pickled() -> None:
    pickled.clear()


def number_of(thing: Any) -> Any:
    return thing.number


def make_worker(rank: int = 1) -> Worker:
    worker = Worker(rank, 4, f"node{rank}", lambda: 0)
    worker.open_queues()
    return worker


def submit(worker: Worker, function: Callable[..., Any], *arguments: Any) -> Future:
    future = make_future(function, *arguments)
    worker.queues.ready[future] = None
    return future


def submit_map(
    worker: Worker, function: Callable[..., Any], calls: Any, star: bool = False
) -> Span:
    span = Span(worker.rank, calls, star, worker.ledger.deliver, function=function)
    worker.queues.ready[span] = None
    return span


def steal_by_pump(worker: Worker, *thieves: int) -> list[Send]:
    return worker.handle(0, Steal(thieves), 0, may_pickle=False)


def work_of(sends: list[Send]) -> Work:
    (send,) = sends
    message = over_the_wire(send.message)
    assert isinstance(message, Work)
    return message


UNSEALED: list[Callable[[Worker], object]] = [
    lambda worker: submit(worker, number_of, Watched(1)),
    lambda worker: submit(worker, Watched(1), 1),
    lambda worker: submit(worker, KeywordCall(number_of, thing=Watched(1))),
    lambda worker: submit(worker, max, [1, 2]),
    lambda worker: submit_map(worker, number_of, [Watched(1), Watched(2)]),
    lambda worker: submit_map(worker, number_of, [(Watched(1),)], star=True),
    lambda worker: submit_map(worker, Watched(1), range(5)),
    lambda worker: submit_map(worker, sum, [[1], [2]]),
]


@pytest.mark.parametrize("add", UNSEALED)
def test_the_pump_pickles_nothing_and_says_that_the_program_should(
    add: Callable[[Worker], object],
) -> None:
    worker = make_worker()
    add(worker)
    worker.sharing.should_seal_ahead = False
    assert not worker.sharing.has_spare(0, may_pickle=False)
    assert worker.sharing.should_seal_ahead
    assert not worker.sharing.offer(0, may_pickle=False)
    assert steal_by_pump(worker, 2) == [Send(0, StealFailed((2,)))]
    assert not pickled


@pytest.mark.parametrize("add", UNSEALED)
def test_what_the_program_has_sealed_the_pump_gives(add: Callable[[Worker], object]) -> None:
    worker = make_worker()
    add(worker)
    worker.sharing.seal_ahead()
    before = len(pickled)
    assert worker.sharing.offer(0, may_pickle=False)
    (send,) = steal_by_pump(worker, 2)
    assert isinstance(send.message, Work | Call)
    assert len(pickled) == before


@pytest.mark.parametrize(
    "add",
    [
        lambda worker: submit(worker, abs, 1),
        lambda worker: submit(worker, number_of, (1, ("two", 3.0))),
        lambda worker: submit_map(worker, abs, range(5)),
        lambda worker: submit_map(worker, abs, [1, (2, "three")]),
        lambda worker: submit_map(worker, max, [(1, 2), (3, 4)], star=True),
    ],
)
def test_the_pump_gives_what_cannot_change_as_it_is(add: Callable[[Worker], object]) -> None:
    worker = make_worker()
    add(worker)
    assert worker.sharing.offer(0, may_pickle=False)
    (send,) = steal_by_pump(worker, 2)
    assert isinstance(send.message, Work | Call)


def test_so_much_is_sealed_ahead_and_no_more() -> None:
    worker = make_worker()
    for number in range(3 * SEALED_AHEAD):
        submit(worker, number_of, Watched(number))
    worker.sharing.seal_ahead()
    assert pickled == list(range(SEALED_AHEAD))
    worker.sharing.seal_ahead()
    assert len(pickled) == SEALED_AHEAD
    span = submit_map(make_worker(), number_of, [Watched(number) for number in range(1000)])
    pickled.clear()
    span.seal_ahead(SEALED_AHEAD)
    span.seal_ahead(SEALED_AHEAD)
    assert pickled == list(range(1000 - SEALED_AHEAD, 1000))


def test_what_takes_a_moment_only_is_not_given_away_while_it_is_in_hand() -> None:
    worker = make_worker()
    span = submit_map(worker, abs, range(16))
    assert worker.sharing.has_spare(0)  # nothing is known of them yet
    span.is_in_hand = True
    assert worker.sharing.has_spare(0)
    span.resize_window(seconds=1e-3, calls=2)
    assert worker.sharing.has_spare(0)
    span.resize_window(seconds=1e-4, calls=2)
    assert not worker.sharing.has_spare(0)
    span.is_in_hand = False  # this rank has turned to something else
    assert worker.sharing.has_spare(0)


def test_calls_that_are_short_are_not_sealed_ahead() -> None:
    """The program's thread comes by between two windows of them, and most would run here."""
    worker = make_worker()
    span = submit_map(worker, number_of, [Watched(number) for number in range(200)])
    span.resize_window(1e-5, 1)
    pickled.clear()
    worker.sharing.should_seal_ahead = True
    worker.sharing.seal_ahead()
    assert not pickled
    assert not worker.sharing.should_seal_ahead
    span.resize_window(1.0, 1)
    worker.sharing.seal_ahead()
    assert len(pickled) == SEALED_AHEAD


def test_what_was_given_of_it_is_sealed_anew() -> None:
    worker = make_worker()
    span = submit_map(worker, number_of, [Watched(number) for number in range(200)])
    worker.sharing.seal_ahead()
    given = work_of(steal_by_pump(worker, 2, 3)[:1])
    assert parcels_of(given)[0].calls[-1].number == 199
    pickled.clear()
    span.seal_ahead(SEALED_AHEAD)
    assert 0 < len(pickled) < SEALED_AHEAD
    assert span.spare(may_pickle=False) == SEALED_AHEAD


def test_the_program_gives_more_than_lies_sealed() -> None:
    worker = make_worker()
    span = submit_map(worker, number_of, [Watched(number) for number in range(1000)])
    worker.sharing.seal_ahead()
    (parcel,) = parcels_of(work_of(worker.handle(0, Steal((2,)), 0)))
    assert [thing.number for thing in parcel.calls] == list(range(500, 1000))
    assert span.spare(may_pickle=False) == 0
    worker.sharing.seal_ahead()
    assert span.spare(may_pickle=False) == SEALED_AHEAD
    gift = span.give(3, may_pickle=False)
    assert gift is not None
    assert gift[0] == 497


def test_calls_that_are_claimed_here_are_not_given_though_they_lie_sealed() -> None:
    span = submit_map(make_worker(), number_of, [Watched(number) for number in range(10)])
    span.seal_ahead(SEALED_AHEAD)
    span.window_size = 7
    assert span.claim() is not None
    assert span.spare(may_pickle=False) == 3
    gift = span.give(9, may_pickle=False)
    assert gift is not None
    assert gift[0] == 7
    assert span.give(1, may_pickle=False) is None


def test_a_sealed_future_runs_here_with_the_very_arguments_that_it_was_given() -> None:
    worker = make_worker()
    box = Box(1)
    future = submit(worker, lambda thing: thing is box, box)
    worker.sharing.seal_ahead()
    assert type(future.call[1]) is SealedAhead
    assert worker.queues.claim(future)
    future.run()
    assert future.result() is True


def test_sealed_and_unsealed_futures_go_together_each_with_its_own_arguments() -> None:
    owner, thief = make_worker(1), make_worker(2)
    futures = [submit(owner, number_of, Watched(number)) for number in range(6)]
    owner.sharing._giver.seal_ahead(futures[1:3])
    owner.sharing._giver.seal_ahead(futures[4:5])
    for _ in range(3):
        sends = owner.handle(0, Steal((2,)), 0)
        thief.handle(1, work_of(sends), 0)
    while thief.queues.ready:
        task, _ = thief.queues.ready.popitem()
        if isinstance(task, Future):
            task.run()
            continue
        task.open(thief.functions)
        while (window := task.claim()) is not None:
            window.run()
            task.retire(window)
    (send,) = thief.reports.take(is_low=False)
    owner.handle(2, over_the_wire(send.message), 0)
    done = [future for future in futures if future.is_done]
    assert len(done) >= 5
    for number, future in enumerate(futures):
        if future.is_done:
            assert future.result() == number


def test_what_cannot_be_sealed_ahead_is_left_as_it_is() -> None:
    worker = make_worker()
    bad, good = submit(worker, Unpicklable().__eq__, [1]), submit(worker, number_of, Watched(2))
    worker.sharing.seal_ahead()
    assert not bad.is_done
    assert type(good.call[1]) is SealedAhead


@pytest.mark.parametrize("may_pickle", [True, False])
def test_one_object_among_keywords_and_arguments_stays_one(may_pickle: bool) -> None:
    owner, thief = make_worker(1), make_worker(2)
    box = Box([1])
    future = submit(owner, KeywordCall(are_one, other=box, both=[box]), box)
    owner.sharing.seal_ahead()
    thief.handle(1, work_of(owner.handle(0, Steal((2,)), 0, may_pickle)), 0)
    (call,) = thief.queues.ready
    assert isinstance(call, Future)
    call.run()
    (send,) = thief.reports.take(is_low=False)
    assert isinstance(send.message, Results)
    owner.handle(2, over_the_wire(send.message), 0)
    assert future.result() is True


def are_one(thing: Any, other: Any, both: list[Any]) -> bool:
    return thing is other is both[0]


def test_a_task_of_another_thread_is_sealed_when_it_is_submitted() -> None:
    worker = make_worker()
    future = make_future(number_of, Watched(1))
    worker.sharing.seal_elsewhere(future)
    assert pickled == [1]
    worker.queues.elsewhere[future] = None
    work_of(steal_by_pump(worker, 2))


opened: list[int] = []


class Noticing(Box):
    """Notes when it is unpickled."""

    def __setstate__(self, state: Any) -> None:
        opened.append(1)
        self.__dict__.update(state)


def test_results_are_opened_by_who_asks_for_them() -> None:
    opened.clear()
    owner, thief = make_worker(1), make_worker(2)
    future = submit(owner, lambda: Noticing(5))
    owner.sharing.seal_ahead()
    sends = steal_by_pump(owner, 2)
    message = over_the_wire(sends[0].message)
    thief.handle(1, message, 0)
    (call,) = thief.queues.ready
    assert isinstance(call, Future)
    call.run()
    (send,) = thief.reports.take(is_low=False)
    owner.handle(2, over_the_wire(send.message), 0, may_pickle=False)
    assert future.is_done
    assert not opened
    assert future.result().content == 5
    assert future.result() is future.result()
    assert opened == [1]


def test_what_a_future_no_longer_needs_is_let_go_of_by_the_program() -> None:
    owner, thief = make_worker(1), make_worker(2)
    future = submit(owner, abs, 1)
    (send,) = owner.handle(0, Steal((2,)), 0)
    thief.handle(1, over_the_wire(send.message), 0)
    (call,) = thief.queues.ready
    assert isinstance(call, Future)
    call.run()
    value = over_the_wire(thief.reports.next_value(is_low=False).message)
    owner.handle(2, value, 0, may_pickle=False)
    assert future.is_done
    assert list(owner.discarded) == [future, (abs, (1,))]
