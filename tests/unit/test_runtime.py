"""The runtime of rank 0: what it does within one step, as victim and as broker."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable

import pytest

from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.tasks.future import Future
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.tasks.span import Span
from scoop_mpi.transport.fabric import Endpoint, Fabric
from scoop_mpi.wire import messages
from scoop_mpi.wire.messages import (
    Call,
    Message,
    Results,
    Returned,
    StealFailed,
    Work,
    WorkOffered,
    WorkWanted,
)
from scoop_mpi.wire.values import SealedValues

Inbox = Callable[[int], list[Message]]


@pytest.fixture
def ends() -> list[Endpoint]:
    return Fabric(4).endpoints


@pytest.fixture
def root(ends: list[Endpoint]) -> Runtime:
    logger = logging.getLogger("test")
    runtime = Runtime(ends[0], lambda: 0.0, pytest.fail, NodeMemory(logger))
    runtime.worker.open_queues()
    return runtime


@pytest.fixture
def inbox(ends: list[Endpoint]) -> Inbox:
    """Return what has come to a rank."""

    def read(rank: int) -> list[Message]:
        found = []
        while (received := ends[rank].receive()) is not None:
            found.append(messages.decode(received[1]))
        return found

    return read


def say(ends: list[Endpoint], rank: int, message: Message) -> None:
    ends[rank].send(0, messages.encode(message))


def add_futures(root: Runtime, count: int) -> list[Future]:
    futures = [Future.of(abs, (-number,)) for number in range(count)]
    root.worker.queues.ready.update(dict.fromkeys(futures))
    return futures


def calls_in(found: list[Message]) -> int:
    assert all(isinstance(message, Work | Call) for message in found)
    parcels = [parcel for work in found if isinstance(work, Work) for parcel in work.parcels]
    return sum(parcel[5] for parcel in parcels) + sum(type(message) is Call for message in found)


def test_the_root_gives_its_only_task_to_who_has_asked(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    say(ends, 1, WorkWanted())
    assert root.step()
    assert inbox(1) == []
    add_futures(root, 1)
    root.step()
    assert calls_in(inbox(1)) == 1
    assert not root.worker.queues.ready
    assert root.broker is not None
    assert not root.broker.hungry


def test_the_root_keeps_the_task_that_it_is_about_to_begin(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    say(ends, 1, WorkWanted())
    add_futures(root, 1)
    root.step(keep=1)
    assert inbox(1) == []
    root.step(keep=0)
    assert calls_in(inbox(1)) == 1


def test_the_root_shares_its_tasks_among_all_who_have_asked(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    for rank in (1, 2, 3):
        say(ends, rank, WorkWanted())
    add_futures(root, 8)
    root.step()
    assert [calls_in(inbox(rank)) for rank in (1, 2, 3)] == [2, 2, 2]
    assert len(root.worker.queues.ready) == 2


def test_who_gets_nothing_stays_hungry(root: Runtime, ends: list[Endpoint], inbox: Inbox) -> None:
    for rank in (1, 2, 3):
        say(ends, rank, WorkWanted())
    add_futures(root, 2)
    root.step()
    assert [calls_in(inbox(rank)) for rank in (1, 2, 3)] == [1, 1, 0]
    assert root.broker is not None
    assert list(root.broker.hungry) == [3]
    add_futures(root, 1)
    root.step()
    assert calls_in(inbox(3)) == 1


def test_the_root_is_one_victim_among_others(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    say(ends, 3, WorkOffered())
    say(ends, 1, WorkWanted())
    say(ends, 2, WorkWanted())
    add_futures(root, 4)
    root.step()
    assert inbox(3) == [messages.Steal((1,))]
    assert calls_in(inbox(2)) == 2


def test_the_root_goes_on_alone_once_the_others_have_nothing(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    say(ends, 3, WorkOffered())
    say(ends, 1, WorkWanted())
    root.step()
    assert inbox(3) == [messages.Steal((1,))]
    say(ends, 3, StealFailed((1,)))
    add_futures(root, 4)
    root.step()
    assert calls_in(inbox(1)) == 2


@pytest.mark.parametrize("is_short", [True, False])
def test_a_request_that_comes_with_results_is_served_in_the_same_step(
    is_short: bool, root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    (future,) = add_futures(root, 1)
    say(ends, 1, WorkWanted())
    root.step()
    (call,) = inbox(1)
    assert isinstance(call, Call)
    add_futures(root, 1)
    results = Results(0, [(call.key, 0, 1, [5], {})], wants_work=True)
    say(ends, 1, Returned(0, call.key, 5, True) if is_short else results)
    root.step()
    assert future.is_done
    assert calls_in(inbox(1)) == 1


def test_a_root_that_has_asked_itself_shares_what_is_submitted_then(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    say(ends, 1, WorkWanted())
    root.step(keep=1, is_low=True)
    assert root.broker is not None
    assert set(root.broker.hungry) == {0, 1}
    add_futures(root, 1)
    root.step(keep=0)
    assert calls_in(inbox(1)) == 1


def test_a_root_that_has_asked_itself_is_sent_to_another_rank(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    root.step(is_low=True)
    assert root.broker is not None
    assert list(root.broker.hungry) == [0]
    say(ends, 2, WorkOffered())
    root.step()
    assert inbox(2) == [messages.Steal((0,))]


def test_a_root_that_has_asked_and_then_has_a_map_of_its_own_robs_nobody(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    root.step(is_low=True)
    say(ends, 2, WorkOffered())
    root.step(is_sated=True)
    assert root.broker is not None
    assert not root.broker.hungry
    assert inbox(2) == []
    root.step(is_low=True)  # it can ask again
    assert inbox(2) == [messages.Steal((0,))]


def test_a_map_that_will_be_over_at_once_is_shared_only_if_it_is_not(
    root: Runtime, ends: list[Endpoint], inbox: Inbox
) -> None:
    span = Span(0, range(8), False, root.worker.ledger.deliver, function=abs)
    root.worker.queues.ready[span] = None
    span.resize_window(seconds=1e-4, calls=8)
    now = root.clock()
    root.clock = lambda: now
    root.take_in_hand(span, now)
    say(ends, 1, WorkWanted())
    root.step()
    assert inbox(1) == []
    now += 1.0
    root.step()
    assert calls_in(inbox(1)) == 4


def test_a_large_message_is_the_last_of_a_step(root: Runtime, ends: list[Endpoint]) -> None:
    """So one array can be used, and its memory used again, before the next comes in."""
    futures = add_futures(root, 2)
    for rank, future in enumerate(futures, start=1):
        say(ends, rank, WorkWanted())
        root.step()
        assert not root.worker.queues.claim(future)
    for rank in (1, 2):
        array = bytearray(1 << 20)
        values = SealedValues([(b"", (pickle.PickleBuffer(array),))])
        say(ends, rank, Results(0, [(rank, 0, 1, values, {})]))
    assert root.step()
    assert [future.is_done for future in futures] == [True, False]
    assert root.step()
    assert [future.is_done for future in futures] == [True, True]
    assert not root.step()


@pytest.mark.parametrize(("looks", "is_found"), [(1, False), (2, False), (3, True), (9, True)])
def test_who_has_nothing_to_do_looks_for_a_message_several_times(
    looks: int,
    is_found: bool,
    root: Runtime,
    ends: list[Endpoint],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(ends, 1, WorkWanted())
    found = [None, None, ends[0].receive()]
    monkeypatch.setattr(ends[0], "receive", lambda: found.pop(0) if found else None)
    assert root.step(looks=looks) == is_found


def test_once_nothing_runs_outcomes_are_dropped_and_not_sent(root: Runtime, inbox: Inbox) -> None:
    root.worker.reports.returned.append((1, 5, 8))
    root.worker.reports.outbox.append((2, 6, Outcomes(0, 1, [8], {})))
    root.drop_outcomes()
    root.step()
    assert not root.worker.reports.returned
    assert not root.worker.reports.outbox
    assert inbox(1) == inbox(2) == []
