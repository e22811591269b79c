"""A large function goes to each rank once, as long as it stays what it was."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import Any

import numpy as np
import pytest

from scoop_mpi.errors import UnexpectedMessage
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.span import Span
from scoop_mpi.wire.functions import LARGE_BYTES, MANY_BYTES, Functions, LargeFunction
from scoop_mpi.wire.messages import (
    FunctionSent,
    FunctionWanted,
    Message,
    Results,
    Send,
    Steal,
    Work,
)
from tests.unit.helpers import Box, make_future, over_the_wire


class Model:
    """An object whose method is mapped, with a large array."""

    def __init__(self, size: int = LARGE_BYTES) -> None:
        self.data = np.arange(size, dtype=np.uint8)
        self.calls = 0

    def look_up(self, place: int) -> int:
        self.calls += 1
        return int(self.data[place])

    def __reduce__(self) -> Any:
        return restore_model, (self.data,)


def restore_model(data: Any) -> Model:
    model = Model(0)
    model.data = data
    return model


class Ranks:
    """Some workers, whose messages are counted."""

    def __init__(self, size: int = 3) -> None:
        self.warnings: list[str] = []
        self.workers = [
            Worker(rank, size, f"node{rank}", lambda: 0, self.warnings.append)
            for rank in range(size)
        ]
        for worker in self.workers:
            worker.open_queues()
        self.counts: dict[tuple[type[Message], int], int] = {}

    def post(self, source: int, sends: list[Send]) -> None:
        for destination, message in sends:
            self.counts[type(message), destination] = self.sent(type(message), destination) + 1
            if not isinstance(message, Work | FunctionWanted | FunctionSent | Results):
                continue
            received = over_the_wire(message)
            self.post(destination, self.workers[destination].handle(source, received, 0))

    def steal(self, victim: int, *thieves: int) -> None:
        self.post(victim, self.workers[victim].handle(0, Steal(thieves), 0))

    def map(self, owner: int, function: Any, calls: Any) -> Span:
        worker = self.workers[owner]
        span = Span(owner, calls, False, worker.ledger.deliver, function=function)
        worker.queues.ready[span] = None
        return span

    def work_off(self) -> None:
        for rank, worker in enumerate(self.workers):
            while worker.queues.ready:
                task, _ = worker.queues.ready.popitem()
                if isinstance(task, Future):
                    task.run()
                    continue
                task.open(worker.functions)
                while (window := task.claim()) is not None:
                    window.run()
                    task.retire(window)
            self.post(rank, worker.reports.take(is_low=False))

    def sent(self, kind: type[Message], destination: int) -> int:
        return self.counts.get((kind, destination), 0)


def values_of(span: Span) -> dict[int, Any]:
    values: dict[int, Any] = {}
    for outcomes in span.inbox:
        opened, failures = outcomes.open()
        assert not failures
        values.update(enumerate(opened, outcomes.start))
    return values


def test_a_small_function_goes_with_its_calls() -> None:
    ranks = Ranks()
    ranks.map(0, Model(100).look_up, range(10))
    ranks.steal(0, 1)
    assert not ranks.sent(FunctionWanted, 0)


def test_a_large_function_comes_once_for_all_calls_of_maps_that_do_not_change_it() -> None:
    ranks = Ranks()
    model = Model()
    for _ in range(5):
        span = ranks.map(0, model.look_up, range(40))
        for _ in range(3):
            ranks.steal(0, 1, 2)
            ranks.steal(1, 2)
        ranks.work_off()
        assert values_of(span) == {number: number for number in range(40)}
    assert ranks.sent(FunctionSent, 1) == ranks.sent(FunctionSent, 2) == 1
    assert not ranks.warnings


def test_a_large_function_that_has_changed_comes_again() -> None:
    ranks = Ranks()
    model = Model()
    for number in range(3):
        model.data[7] = number
        span = ranks.map(0, model.look_up, [7, 7, 7, 7])
        ranks.steal(0, 1)
        ranks.work_off()
        assert set(values_of(span).values()) == {number}
    assert ranks.sent(FunctionSent, 1) == 3


def test_a_change_while_calls_are_out_does_not_reach_them() -> None:
    ranks = Ranks()
    model = Model()
    span = ranks.map(0, model.look_up, [7, 7])
    sends = ranks.workers[0].handle(0, Steal((1,)), 0)
    model.data[7] = 99
    ranks.post(0, sends)
    ranks.work_off()
    assert values_of(span) == {0: 99, 1: 7}


def test_who_gives_large_functions_again_and_again_is_told_of_constants() -> None:
    ranks = Ranks()
    model = Model(MANY_BYTES)
    for number in range(4):
        model.data[7] = number
        ranks.map(0, model.look_up, range(4))
        ranks.steal(0, 1)
        ranks.work_off()
    (warning,) = ranks.warnings
    assert "Model.look_up" in warning
    assert "SharedElementEncapsulation" in warning


def test_calls_that_come_home_are_made_with_the_owners_own_function() -> None:
    ranks = Ranks()
    model = Model()
    span = ranks.map(0, model.look_up, range(8))
    ranks.steal(0, 1)
    ranks.steal(1, 0)
    ranks.steal(1, 0)
    ranks.work_off()
    assert values_of(span) == {number: number for number in range(8)}
    assert model.calls >= 6
    assert not ranks.sent(FunctionSent, 0)


@pytest.mark.parametrize("count", [1, 4])
def test_futures_that_come_home_are_made_with_the_owners_own_function(count: int) -> None:
    ranks = Ranks()
    models = [Model(100), Model()]
    for model in models:
        futures = [
            make_future(
                model.look_up,
                number,
            )
            for number in range(2 * count)
        ]
        ranks.workers[0].queues.ready.update(dict.fromkeys(futures))
        ranks.steal(0, 1)
        ranks.steal(1, 0)
        ranks.work_off()
        assert [future.result() for future in futures if future.is_done]
        assert model.calls > count


VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=-1)


def variable_and(number: int) -> tuple[int, int]:
    return VARIABLE.get(), number


@pytest.mark.parametrize("contexts", [1, 2, 16])
def test_futures_that_come_home_see_what_they_were_submitted_in(contexts: int) -> None:
    ranks = Ranks()
    submitted = []
    for number in range(16):
        context = copy_context()
        context.run(VARIABLE.set, number % contexts)
        submitted.append(context.run(make_future, variable_and, number))
    ranks.workers[0].queues.ready.update(dict.fromkeys(submitted))
    ranks.steal(0, 1)
    for _ in range(8):
        ranks.steal(1, 0)
    came_home = [task for task in ranks.workers[0].queues.ready if type(task) is not Future]
    assert len(came_home) >= contexts / 2
    ranks.work_off()
    results = [future.result() for future in submitted]
    assert [number for _, number in results] == list(range(16))
    home = [number for number, (value, _) in enumerate(results) if value == number % contexts]
    assert len(home) > 8
    assert all(value == -1 for number, (value, _) in enumerate(results) if number not in home)


@pytest.mark.parametrize("star", [True, False])
def test_calls_of_a_map_that_come_home_see_what_it_was_submitted_in(star: bool) -> None:
    ranks = Ranks()
    context = copy_context()
    context.run(VARIABLE.set, 7)
    worker = ranks.workers[0]
    span = Span(
        0,
        [(number,) for number in range(16)] if star else range(16),
        star,
        worker.ledger.deliver,
        function=variable_and,
        context=context,
    )
    worker.queues.ready[span] = None
    ranks.steal(0, 1)
    for _ in range(8):
        ranks.steal(1, 0)
    ranks.work_off()
    seen = {number: value for value, number in values_of(span).values()}
    assert sorted(seen) == list(range(16))
    assert sum(value == 7 for value in seen.values()) > 8
    assert set(seen.values()) <= {7, -1}


def test_a_reduction_may_be_large_too() -> None:
    ranks = Ranks()
    model = Model()

    def add(x: int, y: int) -> int:
        return x + y + 0 * int(model.data[0])

    worker = ranks.workers[0]
    span = Span(0, range(16), False, worker.ledger.deliver, function=abs, reduction=add)
    worker.queues.ready[span] = None
    ranks.steal(0, 1)
    ranks.steal(1, 2)
    ranks.work_off()
    values = [value for outcomes in span.inbox for value in outcomes.open()[0]]
    assert sum(values) == sum(range(16))
    assert ranks.sent(FunctionSent, 2) == 1


def test_followers_get_their_share_once_the_function_is_there() -> None:
    size = 40
    ranks = Ranks(size)
    span = ranks.map(0, Model().look_up, range(20 * size % 256))
    ranks.steal(0, *range(1, size))
    ranks.work_off()
    assert values_of(span) == {number: number for number in range(20 * size % 256)}
    assert max(ranks.sent(FunctionSent, rank) for rank in range(1, size)) == 1


def test_nothing_waits_for_a_function_once_the_program_has_ended() -> None:
    ranks = Ranks()
    ranks.map(0, Model().look_up, range(4))
    (send,) = ranks.workers[0].handle(0, Steal((1,)), 0)
    thief = ranks.workers[1]
    (wanted,) = thief.handle(0, over_the_wire(send.message), 0)
    thief.stop(lambda: None)
    (sent,) = ranks.workers[0].handle(1, wanted.message, 0)
    assert thief.handle(0, over_the_wire(sent.message), 0) == []
    assert not thief.queues.ready


def test_a_function_that_nobody_has_asked_for_is_refused() -> None:
    with pytest.raises(UnexpectedMessage, match=r"rank 1 got FunctionSent.* from rank 0"):
        Ranks().workers[1].handle(0, FunctionSent(7, (b"", ())), 0)


def test_functions_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoop_mpi.wire.functions.MOST_BYTES_KEPT", 3 * LARGE_BYTES)
    functions = Functions(0, print)
    sealed = [
        functions.seal(Box(np.full(LARGE_BYTES, number, np.uint8)).__eq__) for number in range(9)
    ]
    names = [each.name for each in sealed if isinstance(each, LargeFunction)]
    assert len(set(names)) == 9
    del sealed
    assert len(functions._own) <= 3


def test_large_arrays_are_compared_to_the_last_byte() -> None:
    functions = Functions(0, print)
    model = Model(20 << 20)
    first = functions.seal(model.look_up)
    assert functions.seal(model.look_up) is first
    model.data[-1] ^= 1
    assert functions.seal(model.look_up) is not first
