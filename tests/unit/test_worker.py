"""A rank's tasks: what is given away, taken in, owed and answered."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.errors import (
    CancelledError,
    Interrupt,
    NotStartedProperly,
    SerializationError,
    UnexpectedMessage,
)
from scoop_mpi.state.policy import MOST_HANDED_BACK, MOST_TEAMS, RESULTS_INTERVAL, ROOT_SERVES_FROM
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.tasks.span import Span
from scoop_mpi.transport.fabric import LARGE_BYTES
from scoop_mpi.wire.columns import seal_calls
from scoop_mpi.wire.messages import (
    Call,
    Message,
    Results,
    Returned,
    Send,
    Steal,
    StealFailed,
    Work,
    WorkWanted,
    encode,
)
from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES, FunctionCodec
from scoop_mpi.wire.values import column_of
from tests.unit.cluster import Cluster
from tests.unit.helpers import (
    Box,
    Unpicklable,
    Ununpicklable,
    batch_over_the_wire,
    make_future,
    over_the_wire,
    parcels_of,
)

AnyMessage = TypeVar("AnyMessage", bound=Message)


def make_worker(rank: int = 1, size: int = 4) -> Worker:
    worker = Worker(rank, size, f"node{rank}", lambda: 7)
    worker.open_queues()
    return worker


def add_futures(worker: Worker, function: Callable[..., Any], *arguments: Any) -> list[Future]:
    """Submit a future for each argument."""
    futures = [make_future(function, argument) for argument in arguments]
    worker.queues.ready.update(dict.fromkeys(futures))
    return futures


def add_span(worker: Worker, function: Callable[..., Any], calls: Any, **more: Any) -> Span:
    """Submit a map."""
    span = Span(worker.rank, calls, False, worker.ledger.deliver, function=function, **more)
    worker.queues.ready[span] = None
    return span


def only(sends: list[Send], destination: int, kind: type[AnyMessage]) -> AnyMessage:
    """Return the one message that is sent, as it arrives."""
    (send,) = sends
    assert send.destination == destination
    message = over_the_wire(send.message)
    assert isinstance(message, kind)
    return message


def steal(worker: Worker, *thieves: int, keep: int = 0) -> list[Send]:
    return worker.handle(0, Steal(thieves), keep)


def work_off(worker: Worker) -> None:
    """Run all that is ready."""
    while worker.queues.ready:
        task = next(reversed(worker.queues.ready))
        if isinstance(task, Future):
            worker.queues.claim(task)
            task.run()
            continue
        task.open(worker.functions)
        while (window := task.claim()) is not None:
            window.run()
            task.retire(window)
        worker.queues.forget(task)


def double(x: Any) -> Any:
    return 2 * x


def negate(x: Any) -> Any:
    return -x


def fail(x: Any) -> Any:
    raise ValueError(x)


def interrupt(_: Any) -> Any:
    raise Interrupt


def call_it_off(_: Any) -> Any:
    raise KeyboardInterrupt


def encode_function(function: Callable[..., Any]) -> bytes:
    data, _ = FunctionCodec().seal(function)
    assert isinstance(data, bytes)
    return data


class CallableUnpicklesNot(Ununpicklable):
    def __call__(self, x: Any) -> Any:
        return x


# ------------------------------------------------------------ asking and offering


def test_a_rank_asks_once_until_it_is_answered() -> None:
    worker = make_worker()
    assert worker.reports.take(is_low=True) == [Send(0, WorkWanted())]
    assert worker.reports.take(is_low=True) == []
    worker.handle(2, Work(0, []), 0)
    assert worker.reports.take(is_low=True) == [Send(0, WorkWanted())]


def test_a_rank_offers_once_until_a_steal_fails() -> None:
    worker = make_worker()
    assert not worker.sharing.offer(keep=0)
    (future,) = add_futures(worker, double, 1)
    assert worker.sharing.offer(keep=0)
    assert not worker.sharing.offer(keep=0)
    worker.queues.claim(future)
    assert steal(worker, 2) == [Send(0, StealFailed((2,)))]
    assert not worker.sharing.offer(keep=0)
    add_futures(worker, double, 2)
    assert worker.sharing.offer(keep=0)


def test_what_is_to_be_kept_is_not_offered() -> None:
    worker = make_worker()
    add_futures(worker, double, 1)
    assert not worker.sharing.offer(keep=1)
    add_futures(worker, double, 2)
    assert worker.sharing.offer(keep=1)


def test_calls_of_a_map_can_be_spared_one_by_one() -> None:
    worker = make_worker()
    span = add_span(worker, double, [1, 2])
    assert worker.sharing.has_spare(keep=1)
    span.give(1)
    assert not worker.sharing.has_spare(keep=1)
    assert worker.sharing.has_spare(keep=0)


@pytest.mark.parametrize("state", ["alone", "stopping", "importing"])
def test_a_rank_that_can_neither_give_nor_take_says_nothing(state: str) -> None:
    worker = Worker(0, 1 if state == "alone" else 4, "node0", lambda: 0)
    if state != "importing":
        worker.open_queues()
    if state == "stopping":
        worker.stop(lambda: None)
    if state == "alone":
        add_futures(worker, double, 1, 2, 3)
    assert worker.reports.take(is_low=True) == []
    assert not worker.sharing.offer(keep=0)


def test_nothing_can_be_submitted_while_the_program_is_imported() -> None:
    worker = Worker(1, 2, "node1", lambda: 0)
    for queue in (worker.queues.ready, worker.queues.elsewhere):
        with pytest.raises(NotStartedProperly, match='if __name__ == "__main__":'):
            queue[make_future(double, 1)] = None
    assert not worker.sharing.has_spare(keep=0)


# ------------------------------------------------------------ giving away


def test_futures_of_one_function_go_as_one_parcel() -> None:
    worker = make_worker()
    add_futures(worker, double, 1, 2, 3, 4)
    work = only(steal(worker, 2), 2, Work)
    (parcel,) = parcels_of(work)
    assert (parcel.owner, parcel.start, parcel.reduction) == (1, 0, None)
    assert parcel.calls == [(1,), (3,)]
    assert work.version == 7
    assert len(worker.queues.ready) == 2


def test_futures_of_several_functions_and_shapes_go_as_several() -> None:
    worker = make_worker()
    futures = [make_future(double, 1), make_future(negate, 2), make_future(max, 3, 4)]
    worker.queues.ready.update(dict.fromkeys([*futures, make_future(max, 5, 6, 7)]))
    sends = steal(worker, 2, 3, 0)
    works = [only([send], send.destination, Work) for send in sends]
    parcels = [parcel for work in works for parcel in parcels_of(work)]
    assert sorted(parcel.calls for parcel in parcels) == [[(1,)], [(2,)], [(3, 4)]]
    assert len({parcel.key for parcel in parcels}) == 3


def test_tasks_of_other_threads_are_given_too() -> None:
    worker = make_worker()
    worker.queues.elsewhere[make_future(double, 5)] = None
    (parcel,) = parcels_of(only(steal(worker, 2), 2, Work))
    assert parcel.calls == [(5,)]
    assert not worker.queues.elsewhere


def test_about_half_of_a_map_is_given_from_its_far_end() -> None:
    worker = make_worker()
    span = add_span(worker, double, range(10))
    (parcel,) = parcels_of(only(steal(worker, 2), 2, Work))
    assert parcel.start == 5
    assert parcel.calls == [5, 6, 7, 8, 9]
    assert span.unclaimed == 5


def test_several_thieves_share_a_map() -> None:
    worker = make_worker()
    add_span(worker, double, range(12))
    sends = steal(worker, 2, 3, 0)
    assert [send.destination for send in sends] == [2, 3, 0]
    works = [only([send], send.destination, Work) for send in sends]
    assert [parcel.start for work in works for parcel in parcels_of(work)] == [9, 6, 3]


def test_thieves_that_get_nothing_are_handed_back() -> None:
    worker = make_worker()
    add_futures(worker, double, 1)
    work, failed = steal(worker, 2, 3, 0)
    assert work.destination == 2
    assert failed == Send(0, StealFailed((3, 0)))


def test_a_map_that_has_been_given_away_whole_is_in_no_queue() -> None:
    worker = make_worker()
    add_span(worker, double, [5])
    only(steal(worker, 2), 2, Work)
    assert not worker.queues.ready


queues = st.lists(st.just(0) | st.integers(1, 4), max_size=5)  # 0: a future; else calls of a map


@given(queues, queues, st.integers(0, 1), st.integers(1, 3))
def test_an_offer_is_kept(ready: list[int], elsewhere: list[int], keep: int, thieves: int) -> None:
    worker = make_worker()
    for calls in elsewhere:
        worker.queues.elsewhere[make_future(double, calls)] = None
    for calls in ready:
        if calls:
            add_span(worker, double, range(calls))
        else:
            add_futures(worker, double, 1)
    has_offered = worker.sharing.offer(keep)
    sends = steal(worker, *range(2, 2 + thieves), keep=keep)
    assert any(isinstance(send.message, Work | Call) for send in sends) == has_offered


def test_calls_beside_one_that_cannot_be_opened_are_given_if_they_are_offered() -> None:
    worker = make_worker()
    batch = batch_over_the_wire(seal_calls([Ununpicklable(), Box(1), Box(2)], star=False))
    span = Span(2, batch, False, worker.reports.add, function=repr, key=1)
    span.window_size = 3
    worker.queues.ready[span] = None
    assert span.claim() is not None  # a window that is about to run
    has_offered = worker.sharing.offer(keep=0)
    assert any(isinstance(send.message, Work) for send in steal(worker, 3)) == has_offered


# ------------------------------------------------------------ what can't be sent


def test_futures_whose_function_cannot_be_sent_fail() -> None:
    worker = make_worker()
    refusing = Unpicklable()
    futures = add_futures(worker, lambda x: refusing, 1, 2)
    assert steal(worker, 2) == [Send(0, StealFailed((2,)))]
    assert isinstance(futures[0].failure, SerializationError)
    assert "the function" in str(futures[0].failure)
    assert not futures[1].is_done


def test_calls_of_a_map_whose_function_cannot_be_sent_fail() -> None:
    worker = make_worker()
    refusing = Unpicklable()
    span = add_span(worker, lambda x: refusing, range(4))
    assert steal(worker, 2) == [Send(0, StealFailed((2,)))]
    (outcomes,) = span.inbox
    assert (outcomes.start, outcomes.length) == (2, 2)
    assert set(outcomes.open()[1]) == {0, 1}
    assert not worker.ledger.given


def test_a_reduction_that_cannot_be_sent_fails_whenever_it_is_tried() -> None:
    worker = make_worker()
    refusing = Unpicklable()
    span = add_span(worker, double, range(8), reduction=lambda x, y: refusing)
    for _ in range(2):
        assert steal(worker, 2) == [Send(0, StealFailed((2,)))]
    assert [(outcomes.start, outcomes.length) for outcomes in span.inbox] == [(4, 4), (2, 2)]


def test_an_argument_that_cannot_be_sent_fails_its_future_alone() -> None:
    owner, thief = make_worker(1), make_worker(2)
    futures = add_futures(owner, double, Unpicklable(), 0, "ab")
    thief.handle(1, only(steal(owner, 2, keep=0), 2, Work), 0)
    work_off(thief)
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    assert isinstance(futures[0].failure, SerializationError)
    assert "argument 1" in str(futures[0].failure)
    assert futures[2].result() == "abab"


# ------------------------------------------------------------ taking in, and results


def test_stolen_futures_come_back_done() -> None:
    owner, thief = make_worker(1), make_worker(2)
    futures = add_futures(owner, double, 1, 2)
    failing = add_futures(owner, fail, 3)
    add_futures(owner, double, 4)
    for _ in range(2):
        thief.handle(1, only(steal(owner, 2), 2, Work), 0)
    work_off(thief)
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    assert futures[0].result() == 2
    assert repr(failing[0].failure) == "ValueError(3)"
    assert "rank 2 (node2)" in str(getattr(failing[0].failure, "__cause__", None))
    assert not thief.queues.ready
    assert not thief.reports.outbox


def test_nothing_is_kept_of_futures_that_came_back() -> None:
    owner, thief = make_worker(1), make_worker(2)
    add_futures(owner, double, 1)
    add_futures(owner, double, 2)
    thief.handle(1, only(steal(owner, 2), 2, Work), 0)
    assert len(owner.ledger.given) == 1
    work_off(thief)
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    assert not owner.ledger.given


@pytest.mark.parametrize("last", ["here", "there"])
def test_nothing_is_kept_of_a_map_that_is_done(last: str) -> None:
    owner, thief = make_worker(1), make_worker(2)
    span = add_span(owner, double, range(4))
    thief.handle(1, only(steal(owner, 2), 2, Work), 0)
    work_off(thief)
    results = only(thief.reports.take(is_low=False), 1, Results)
    if last == "there":
        work_off(owner)
    owner.handle(2, results, 0)
    if last == "here":
        work_off(owner)
    assert span.unreported == 0
    assert not owner.ledger.given


def test_a_thief_whose_calls_were_all_stolen_has_nothing_to_report() -> None:
    owner, first, second = make_worker(1), make_worker(2), make_worker(3)
    span = add_span(owner, str, range(4), reduction=lambda x, y: x + y)
    first.handle(1, only(steal(owner, 2), 2, Work), 0)
    (stolen,) = first.queues.ready
    assert isinstance(stolen, Span)
    stolen.open(first.functions)
    stolen.window_size = 2
    window = stolen.claim()  # it is about to make the calls
    assert window is not None
    for _ in range(2):
        second.handle(2, only(steal(first, 3), 3, Work), 0)
    work_off(second)
    owner.handle(3, only(second.reports.take(is_low=False), 1, Results), 0)
    assert span.unreported == 2
    window.run()
    stolen.retire(window)
    assert first.reports.take(is_low=False) == []


def test_a_thiefs_thief_answers_the_owner() -> None:
    owner, first, second = make_worker(1), make_worker(2), make_worker(3)
    futures = add_futures(owner, double, 1, 0, 2, 0)
    first.handle(1, only(steal(owner, 2), 2, Work), 0)
    second.handle(2, only(steal(first, 3), 3, Work), 0)
    for thief in (second, first):
        work_off(thief)
        owner.handle(thief.rank, only(thief.reports.take(is_low=False), 1, Results), 0)
    assert [futures[0].result(), futures[2].result()] == [2, 4]
    assert not owner.ledger.given


def test_results_go_to_each_owner_in_one_message() -> None:
    worker = make_worker(3)
    for owner in (1, 2, 1):
        span = Span(owner, [1], False, worker.reports.add, function=double, key=owner)
        worker.reports.add(span, Outcomes(0, 1, [5], {}))
    first, second = worker.reports.take(is_low=False)
    for send, owner, count in ((first, 1, 2), (second, 2, 1)):
        results = only([send], owner, Results)
        assert (results.version, len(results.segments)) == (7, count)
    assert worker.reports.take(is_low=False) == []


def test_a_single_call_goes_on_to_a_further_thief_as_it_came() -> None:
    owner, first, second = make_worker(1), make_worker(2), make_worker(3)
    content = np.arange(OUT_OF_BAND_BYTES)
    futures = add_futures(owner, double, content)
    span = add_span(owner, str, [7], reduction=lambda x, y: x + y)
    for _ in range(2):
        first.handle(1, only(steal(owner, 2), 2, Work), 0)
        second.handle(2, only(steal(first, 3), 3, Work), 0)
    work_off(second)
    owner.handle(3, only(second.reports.take(is_low=False), 1, Results), 0)
    assert (futures[0].result() == 2 * content).all()
    assert span.unreported == 0
    assert [outcomes.open() for outcomes in span.inbox] == [(["7"], {})]
    assert not owner.ledger.given


def test_a_single_call_that_cannot_be_opened_fails() -> None:
    owner, thief = make_worker(1), make_worker(2)
    futures = add_futures(owner, double, Ununpicklable())
    futures += add_futures(owner, CallableUnpicklesNot(), 1)
    thief.handle(1, only(steal(owner, 2, keep=1), 2, Work), 0)
    thief.handle(1, only(steal(owner, 2), 2, Call), 0)
    work_off(thief)
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    for future, text in zip(
        futures, ("a call of double: an argument: ", "the function"), strict=True
    ):
        assert isinstance(future.failure, SerializationError)
        assert text in str(future.failure)


@pytest.mark.parametrize("argument", [1, Box(1)])
def test_who_interrupts_a_single_call_hears_of_it(argument: Any) -> None:
    owner, thief = make_worker(1), make_worker(2)
    (future,) = add_futures(owner, interrupt, argument)
    thief.handle(1, only(steal(owner, 2), 2, Call if argument == 1 else Work), 0)
    with pytest.raises(Interrupt):
        work_off(thief)
    owner.handle(2, over_the_wire(only(thief.reports.take(is_low=False), 1, Results)), 0)
    assert type(future.failure) is KeyboardInterrupt


@pytest.mark.parametrize("argument", [1, Box(1)])
def test_a_keyboard_interrupt_of_a_calls_own_is_its_outcome(argument: Any) -> None:
    owner, thief = make_worker(1), make_worker(2)
    (future,) = add_futures(owner, call_it_off, argument)
    thief.handle(1, only(steal(owner, 2), 2, Call if argument == 1 else Work), 0)
    work_off(thief)
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    assert type(future.failure) is KeyboardInterrupt


# ------------------------------------------------------------ a task on its own


@pytest.mark.parametrize("function", [double, lambda thing: thing + thing])
@pytest.mark.parametrize("argument", [7, "seven", b"seven", 0.5])
def test_a_plain_call_on_its_own_goes_and_returns_in_short_form(
    function: Callable[..., Any], argument: Any
) -> None:
    owner, thief = make_worker(1), make_worker(2)
    (future,) = add_futures(owner, function, argument)
    call = only(steal(owner, 2), 2, Call)
    assert (call.version, call.owner, call.arguments) == (7, 1, (argument,))
    thief.handle(1, call, 0)
    assert not future.is_done
    work_off(thief)
    returned = only([thief.reports.next_value(is_low=False)], 1, Returned)
    assert (returned.version, returned.value) == (7, 2 * argument)
    owner.handle(2, returned, 0)
    assert future.result() == 2 * argument
    assert not owner.ledger.given
    assert not thief.reports.returned
    assert thief.reports.take(is_low=False) == []


@pytest.mark.parametrize(
    "arguments", [([1],), ((1, 2),), (1, Box(1)), (np.arange(3),), (True, None, 1j, {})]
)
def test_what_is_not_plain_goes_sealed(arguments: tuple[Any, ...]) -> None:
    worker = make_worker()
    worker.queues.ready[make_future(double, *arguments)] = None
    (parcel,) = parcels_of(only(steal(worker, 2), 2, Work))
    assert len(parcel.calls[0]) == len(arguments)


def test_a_function_with_large_data_goes_sealed() -> None:
    data = np.zeros(OUT_OF_BAND_BYTES, np.uint8)
    worker = make_worker()
    add_futures(worker, lambda thing: data[thing], 1)
    only(steal(worker, 2), 2, Work)


def test_a_function_that_cannot_be_pickled_fails_its_call_alone() -> None:
    worker = make_worker()
    (future,) = add_futures(worker, Unpicklable().__eq__, 1)
    assert steal(worker, 2) == [Send(0, StealFailed((2,)))]
    assert isinstance(future.failure, SerializationError)
    assert not worker.ledger.given


def test_what_a_call_on_its_own_returns_is_sealed_unless_it_is_plain() -> None:
    owner, thief = make_worker(1), make_worker(2)
    (future,) = add_futures(owner, Box, 1)
    thief.handle(1, only(steal(owner, 2), 2, Call), 0)
    work_off(thief)
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    assert future.result() == Box(1)
    assert not owner.ledger.given


def test_a_call_on_its_own_can_be_given_on() -> None:
    owner, thief, other = make_worker(1), make_worker(2), make_worker(3)
    (future,) = add_futures(owner, double, 4)
    thief.handle(1, only(steal(owner, 2), 2, Call), 0)
    other.handle(2, only(steal(thief, 3), 3, Work), 0)
    work_off(other)
    owner.handle(3, only(other.reports.take(is_low=False), 1, Results), 0)
    assert future.result() == 8
    assert not owner.ledger.given


@pytest.mark.parametrize("owner", [0, 2])
@pytest.mark.parametrize("is_low", [True, False])
@pytest.mark.parametrize("has_asked", [True, False])
@pytest.mark.parametrize("has_offered", [True, False])
def test_a_request_for_work_goes_with_a_value_for_the_broker(
    owner: int, is_low: bool, has_asked: bool, has_offered: bool
) -> None:
    worker = make_worker(3)
    worker.handle(owner, Call(0, owner, 5, encode_function(double), (4,)), 0)
    work_off(worker)
    worker.reports.has_asked, worker.reports.has_offered = has_asked, has_offered
    goes_along = is_low and owner == 0 and not has_asked and not has_offered
    assert worker.reports.next_value(is_low) == Send(owner, Returned(7, 5, 8, goes_along))
    assert worker.reports.has_asked == (has_asked or goes_along)
    must_follow = is_low and not has_asked and not goes_along
    assert worker.reports.take(is_low) == [Send(0, WorkWanted())] * must_follow


def test_a_call_on_its_own_that_another_thread_makes_meanwhile_is_not_given() -> None:
    worker = make_worker()
    (future,) = add_futures(worker, double, 1)
    future.run()  # but it is still in the snapshot of the queue
    assert worker.sharing.lone_call(2) is None


def test_a_value_for_what_is_no_future_is_refused() -> None:
    worker = make_worker()
    add_span(worker, double, range(4))
    work = only(steal(worker, 2), 2, Work)
    with pytest.raises(UnexpectedMessage, match=r"rank 1 got Returned.* from rank 2"):
        worker.handle(2, Returned(0, work.parcels[0][1], 5, False), 0)


def test_a_request_for_work_goes_with_results_for_the_broker() -> None:
    worker = make_worker(3)
    for owner in (0, 2):
        span = Span(owner, [1], False, worker.reports.add, function=double, key=owner)
        worker.reports.add(span, Outcomes(0, 1, [5], {}))
    first, second = worker.reports.take(is_low=True)
    assert only([first], 0, Results).wants_work
    assert not only([second], 2, Results).wants_work
    assert worker.reports.has_asked


def test_a_request_that_withdraws_an_offer_does_not_go_with_results() -> None:
    worker = make_worker(3)
    add_futures(worker, double, 1)
    assert worker.sharing.offer(0)
    span = Span(0, [1], False, worker.reports.add, function=double, key=1)
    worker.reports.add(span, Outcomes(0, 1, [5], {}))
    results, request = worker.reports.take(is_low=True)
    assert not only([results], 0, Results).wants_work
    assert only([request], 0, WorkWanted) == WorkWanted()
    assert worker.sharing.offer(0)


def test_a_value_that_cannot_be_sent_fails_its_call_alone() -> None:
    owner, thief = make_worker(1), make_worker(2)
    span = add_span(owner, double, range(4))
    thief.handle(1, only(steal(owner, 2), 2, Work), 0)
    (stolen,) = thief.queues.ready
    assert isinstance(stolen, Span)
    sealed = list(map(thief.sealer.value, [Unpicklable(), Box(1)]))
    thief.reports.add(stolen, Outcomes(0, 2, column_of(sealed), {}))
    owner.handle(2, only(thief.reports.take(is_low=False), 1, Results), 0)
    values, failures = span.inbox[0].open()
    assert list(values) == [None, Box(1)]
    assert isinstance(failures[0], SerializationError)


# ------------------------------------------------------------ the end


def test_stop_drops_what_nobody_has_begun() -> None:
    worker = make_worker()
    future, begun = add_futures(worker, double, 1, 2)
    worker.queues.claim(begun)
    elsewhere = make_future(double, 3)
    worker.queues.elsewhere[elsewhere] = None
    add_span(worker, double, range(10))
    worker.stop(lambda: None)
    assert isinstance(future.failure, CancelledError)
    assert isinstance(elsewhere.failure, CancelledError)
    assert not begun.is_done
    assert not worker.queues.ready
    assert not worker.queues.elsewhere


@pytest.mark.parametrize("argument", [1, Box(1)])
def test_stop_cancels_what_has_been_given_away(argument: Any) -> None:
    owner, thief = make_worker(1), make_worker(2)
    alone, *together = add_futures(owner, double, argument, argument, argument)
    thief.handle(1, only(steal(owner, 2), 2, Work), 0)
    owner.stop(lambda: None)
    assert all(isinstance(future.failure, CancelledError) for future in (alone, *together))
    work_off(thief)
    for _, results in thief.reports.take(is_low=False):
        owner.handle(2, results, 0)  # which come too late
    assert not owner.ledger.given


def test_after_stop_what_is_submitted_is_cancelled_at_once() -> None:
    worker = make_worker()
    closed = []
    worker.stop(lambda: closed.append((worker.queues.ready, worker.queues.elsewhere)))
    for queue in closed[0]:
        future = make_future(double, 1)
        with pytest.raises(CancelledError, match="the program has ended"):
            queue[future] = None
        assert isinstance(future.failure, CancelledError)


def test_a_stop_while_the_program_is_imported_closes_the_queues_after_that() -> None:
    worker = Worker(1, 2, "node1", lambda: 0)
    worker.stop(lambda: None)
    with pytest.raises(NotStartedProperly, match="while it was importing"):
        worker.queues.ready[make_future(double, 1)] = None
    worker.open_queues()
    with pytest.raises(CancelledError):
        worker.queues.ready[make_future(double, 1)] = None
    assert worker.reports.take(is_low=True) == []


@pytest.mark.parametrize("argument", [1, Box(1)])
def test_after_stop_work_is_neither_taken_in_nor_given(argument: Any) -> None:
    owner, worker = make_worker(1), make_worker(2)
    add_futures(owner, double, argument)
    work = only(steal(owner, 2), 2, Call if argument == 1 else Work)
    worker.stop(lambda: None)
    worker.handle(1, work, 0)
    assert not worker.queues.ready
    assert steal(worker, 3) == [Send(0, StealFailed((3,)))]


@pytest.mark.parametrize("argument", [1, Box(1)])
def test_at_the_end_outcomes_can_be_dropped(argument: Any) -> None:
    owner, worker = make_worker(1), make_worker(2)
    add_futures(owner, Box if argument == 1 else repr, argument)
    worker.handle(1, only(steal(owner, 2), 2, Call if argument == 1 else Work), 0)
    worker.handle(3, Call(0, 3, 5, encode_function(double), (4,)), 0)
    work_off(worker)
    worker.reports.drop()
    assert worker.reports.take(is_low=False) == []


def test_a_message_that_is_not_for_it_is_refused() -> None:
    with pytest.raises(UnexpectedMessage, match=r"rank 1 got WorkWanted.* from rank 2"):
        make_worker().handle(2, WorkWanted(), 0)


def test_claims_are_won_once() -> None:
    worker = make_worker()
    (future,) = add_futures(worker, double, 1)
    assert worker.queues.claim(future)
    assert not worker.queues.claim(future)


def test_outcomes_that_are_still_encoded_are_passed_on() -> None:
    owner, thief = make_worker(1), make_worker(2)
    futures = add_futures(owner, fail, 1)
    thief.handle(1, only(steal(owner, 2), 2, Call), 0)
    work_off(thief)
    (segment,) = only(thief.reports.take(is_low=False), 1, Results).segments
    key, start, length, values, failures = segment
    stolen = Span(1, [1], False, thief.reports.add, function=fail, key=key)
    thief.reports.add(stolen, Outcomes(start, length, values, failures))
    (again,) = only(thief.reports.take(is_low=False), 1, Results).segments
    owner.handle(2, Results(0, [again]), 0)
    assert repr(futures[0].failure) == "ValueError(1)"


# ------------------------------------------------------------ many ranks


def test_thieves_share_with_their_followers() -> None:
    thieves = range(2, 2 + MOST_TEAMS + 3)
    victim, leader = make_worker(1), make_worker(2)
    add_span(victim, double, range(20 * (len(thieves) + 1)))
    sends = steal(victim, *thieves)
    assert [send.destination for send in sends] == list(thieves[:MOST_TEAMS])
    work = only(sends[:1], 2, Work)
    assert work.followers == (2 + MOST_TEAMS,)
    passed_on = only(leader.handle(1, work, 1), 2 + MOST_TEAMS, Work)
    assert passed_on.parcels[0][5] == 20
    (kept,) = leader.queues.ready
    assert isinstance(kept, Span)
    assert kept.spare() == 20


def test_followers_for_whom_nothing_is_left_are_handed_back() -> None:
    victim, leader = make_worker(1), make_worker(2)
    add_span(victim, double, range(2))
    work = only(steal(victim, 2), 2, Work)._replace(followers=(3, 4))
    assert leader.handle(1, work, 1) == [Send(0, StealFailed((3, 4)))]


def test_a_message_that_withdraws_an_offer_is_small() -> None:
    sends = steal(make_worker(1), *range(2, 4 * MOST_HANDED_BACK))
    handed_back: list[int] = []
    for send in sends:
        assert isinstance(send.message, StealFailed)
        assert len(encode(send.message)[0]) < LARGE_BYTES
        handed_back += send.message.thieves
    assert sorted(handed_back) == list(range(2, 4 * MOST_HANDED_BACK))


def test_a_rank_that_only_serves_gives_all_away_and_asks_for_none() -> None:
    root = make_worker(0, size=ROOT_SERVES_FROM)
    add_span(root, double, range(10))
    assert only(steal(root, 1), 1, Work).parcels[0][5] == 10
    assert root.reports.take(is_low=True) == []


def test_results_wait_while_more_of_their_span_is_to_be_done_but_not_for_long() -> None:
    owner, thief = make_worker(1), make_worker(2)
    add_span(owner, double, range(8))
    thief.handle(1, only(steal(owner, 2), 2, Work), 0)
    (span,) = thief.queues.ready
    assert isinstance(span, Span)
    span.open(thief.functions)
    interval = RESULTS_INTERVAL * thief.size

    def run_window() -> None:
        window = span.claim()
        assert window is not None
        window.run()
        span.retire(window)

    run_window()
    assert thief.reports.take(False, 1.0) == []
    run_window()
    assert len(only(thief.reports.take(False, 1.0 + 1.1 * interval), 1, Results).segments) == 2
    run_window()
    assert thief.reports.take(False, 2.0) == []
    run_window()  # the last one
    assert len(only(thief.reports.take(False, 2.0), 1, Results).segments) == 2


def test_more_hungry_ranks_than_teams_are_all_fed() -> None:
    cluster = Cluster(2 + MOST_TEAMS + 5)
    for rank in range(2, cluster.size):
        cluster.run_low(rank)
    cluster.deliver_all()
    cluster.submit_futures(1, MOST_TEAMS + 1)  # just enough for the first of them
    cluster.settle()
    cluster.submit_futures(1, 20)
    cluster.settle()
    cluster.check_at_rest()


@pytest.mark.parametrize("size", [2, 3, 40, 100])
def test_a_map_spreads_over_all_ranks(size: int) -> None:
    cluster = Cluster(size)
    for rank in range(1, size):
        cluster.run_low(rank)
    cluster.submit_span(0, 20 * size)
    cluster.settle()
    cluster.check()
    cluster.check_at_rest()
    assert not cluster.broker.hungry
    cluster.work_off()
    cluster.settle()
    cluster.check_at_end()


# ------------------------------------------------------------ queues after a burst


def burst(
    worker: Worker, count: int, keep: tuple[int, ...], queue: dict[Any, None]
) -> list[Future]:
    """Submit `count` futures, and claim all but those with these numbers; return these."""
    futures = [make_future(double, number) for number in range(count)]
    queue.update(dict.fromkeys(futures))
    for number, future in enumerate(futures):
        assert number in keep or worker.queues.claim(future)
    return [futures[number] for number in keep]


def sizes(worker: Worker) -> list[bool]:
    """Say of both queues whether they are as small as those that have never held much."""
    return [queue.__sizeof__() < 1000 for queue in (worker.queues.ready, worker.queues.elsewhere)]


@pytest.mark.parametrize("keep", [(), (0,), (9999,), (3, 5000, 5001, 9998)])
def test_queues_are_compacted_after_a_burst_and_keep_their_order(keep: tuple[int, ...]) -> None:
    worker = make_worker()
    left = burst(worker, 10_000, keep, worker.queues.ready)
    left_elsewhere = burst(worker, 10_000, keep, worker.queues.elsewhere)
    assert sizes(worker) == [False, False]
    worker.queues.compact(is_main_thread=True)
    assert sizes(worker) == [True, True]
    assert list(worker.queues.ready) == left
    assert list(worker.queues.elsewhere) == left_elsewhere


def test_the_main_threads_queue_is_left_alone_by_other_threads() -> None:
    worker = make_worker()
    left = burst(worker, 10_000, (7,), worker.queues.ready)
    burst(worker, 10_000, (), worker.queues.elsewhere)
    worker.queues.compact(is_main_thread=False)
    assert sizes(worker) == [False, True]
    assert list(worker.queues.ready) == left


def test_full_queues_are_not_compacted_again_and_again() -> None:
    worker = make_worker()
    left = burst(worker, 20_000, tuple(range(0, 20_000, 3)), worker.queues.ready)
    size = worker.queues.ready.__sizeof__()
    worker.queues.compact(is_main_thread=True)
    assert worker.queues.ready.__sizeof__() == size
    for future in left[100:]:
        assert worker.queues.claim(future)
    worker.queues.compact(is_main_thread=True)
    size = worker.queues.ready.__sizeof__()
    assert size <= 1 << 14
    worker.queues.compact(is_main_thread=True)
    assert worker.queues.ready.__sizeof__() == size
    assert list(worker.queues.ready) == left[:100]


class Watched:
    """A task that calls `notice` whenever a queue takes it in or looks for it."""

    def __init__(self, notice: Callable[[], None]) -> None:
        self.notice = notice

    def __hash__(self) -> int:
        self.notice()
        return id(self)


class WatchedLock:
    """A lock that calls `notice` whenever somebody wants it."""

    def __init__(self, notice: Callable[[], None]) -> None:
        self.notice = notice
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        self.notice()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@pytest.mark.parametrize("look", ["claim", "is_waiting", "withdraw"])
@pytest.mark.parametrize("name", ["ready", "elsewhere"])
def test_a_task_that_is_out_of_its_queue_for_a_moment_is_still_found(
    monkeypatch: pytest.MonkeyPatch, look: str, name: str
) -> None:
    monkeypatch.setattr("scoop_mpi.state.queues._SPARSE_BYTES", 0)
    monkeypatch.setattr("scoop_mpi.state.queues._SPARSE_BYTES_PER_ENTRY", 0)
    worker = make_worker()
    main_thread = threading.get_ident()
    is_out, is_wanted = threading.Event(), threading.Event()

    def put_back() -> None:
        if threading.get_ident() != main_thread and not is_out.is_set():
            is_out.set()
            is_wanted.wait()

    def want() -> None:
        if threading.get_ident() == main_thread:
            is_wanted.set()

    tasks: list[Any] = [Watched(put_back) for _ in range(3)]
    getattr(worker.queues, name).update(dict.fromkeys(tasks))
    worker.queues._moving = WatchedLock(want)  # type: ignore[assignment]
    with ThreadPoolExecutor(1) as executor:
        compacting = executor.submit(worker.queues.compact, is_main_thread=True)
        is_out.wait()
        is_found = getattr(worker.queues, look)(tasks[-1])
        is_wanted.set()
        compacting.result()
    assert is_found
    assert list(getattr(worker.queues, name)) == (tasks if look == "is_waiting" else tasks[:-1])


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Have Python switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless_threads")
def test_each_task_is_claimed_once_while_queues_are_compacted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scoop_mpi.state.queues._SPARSE_BYTES", 0)
    monkeypatch.setattr("scoop_mpi.state.queues._SPARSE_BYTES_PER_ENTRY", 0)
    worker = make_worker()
    tasks = [make_future(double, number) for number in range(2000)]
    worker.queues.ready.update(dict.fromkeys(tasks[::2]))
    worker.queues.elsewhere.update(dict.fromkeys(tasks[1::2]))
    claimed: list[Future] = []

    def compact() -> None:
        for _ in range(1000):  # an end of its own: who compacts may keep the others from the lock
            worker.queues.compact(is_main_thread=True)

    def submit_and_claim() -> None:
        for task in tasks:
            if worker.queues.claim(task):
                claimed.append(task)
            mine = make_future(double, 1)
            worker.queues.put_elsewhere(mine)
            assert worker.queues.is_waiting(mine)
            assert worker.queues.claim(mine)

    with ThreadPoolExecutor(4) as executor:
        compacting = executor.submit(compact)
        for each in [executor.submit(submit_and_claim) for _ in range(3)]:
            each.result()
        compacting.result()
    assert Counter(claimed) == Counter(tasks)
    assert not worker.queues.ready
    assert not worker.queues.elsewhere
