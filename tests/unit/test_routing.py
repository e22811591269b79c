"""Which message is taken by what, and what becomes of those that nobody can take."""

from __future__ import annotations

import logging
import marshal
import time
from typing import Any

import pytest

from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.errors import UnexpectedMessage
from scoop_mpi.state.routing import homes_of_all
from scoop_mpi.tasks.span import Span
from scoop_mpi.transport.fabric import Fabric
from scoop_mpi.wire import messages
from scoop_mpi.wire.messages import (
    BY_ROOT,
    KINDS,
    TO_ROOT,
    Call,
    ConstantsKept,
    ConstantsMapped,
    ConstantsRefused,
    FunctionSent,
    FunctionWanted,
    Leave,
    Message,
    Results,
    Returned,
    Steal,
    Stop,
    Stopped,
    Work,
    WorkWanted,
)


def take(source: int, message: Message) -> list[Any]:
    return [(source, message)]


ALL = dict.fromkeys(KINDS, take)


def test_each_message_has_its_home() -> None:
    assert homes_of_all(0, ALL).keys() == set(KINDS)
    assert len(KINDS) == len(set(KINDS))
    for kind in KINDS:
        assert messages.KINDS.index(kind) == messages._CODES[kind]


def test_a_message_without_a_home_or_with_two_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"no home for Leave, Stop$"):
        homes_of_all(0, {kind: take for kind in KINDS if kind not in (Stop, Leave)})
    with pytest.raises(ValueError, match=r"two homes for Stop$"):
        homes_of_all(0, ALL, {Stop: take})


@pytest.mark.parametrize("kind", sorted(BY_ROOT, key=str))
def test_what_rank_0_alone_may_say_nobody_else_may(kind: type[Message]) -> None:
    message: Message = tuple.__new__(kind, ((),) * len(kind._fields))
    home = homes_of_all(1, ALL)[kind]
    assert home(0, message) == [(0, message)]
    with pytest.raises(UnexpectedMessage, match=f"rank 1 got {kind.__name__}.* from rank 2"):
        home(2, message)


@pytest.mark.parametrize("kind", sorted(TO_ROOT, key=str))
def test_what_rank_0_alone_may_be_told_nobody_else_may(kind: type[Message]) -> None:
    message: Message = tuple.__new__(kind, ((),) * len(kind._fields))
    assert homes_of_all(0, ALL)[kind](2, message) == [(2, message)]
    with pytest.raises(UnexpectedMessage, match=f"rank 1 got {kind.__name__}.* from rank 2"):
        homes_of_all(1, ALL)[kind](2, message)


class Rank:
    """A rank of three, with one span of which rank 2 has calls."""

    def __init__(self, rank: int) -> None:
        self.ends = Fabric(3).endpoints
        memory = NodeMemory(logging.getLogger("scoop_mpi"))
        self.runtime = Runtime(self.ends[rank], time.monotonic, pytest.fail, memory)
        self.runtime.worker.open_queues()
        worker = self.runtime.worker
        self.span = Span(rank, range(4), False, worker.ledger.deliver, function=abs)
        worker.queues.ready[self.span] = None
        worker.sharing.share((2,), 0)

    def hears(self, source: int, message: Message) -> None:
        self.ends[source].send(self.runtime.rank, messages.encode(message))
        while self.runtime.step():
            pass

    @property
    def state(self) -> Any:
        worker = self.runtime.worker
        return (
            dict(worker.ledger.given),
            list(worker.queues.ready),
            self.span.unreported,
            worker.is_stopping,
            set(self.runtime.stopped),
            self.runtime.may_leave,
            self.runtime.broker and dict(self.runtime.broker.hungry),
        )


@pytest.mark.parametrize(
    "message",
    [
        Stop(),
        Leave(),
        Steal((1,)),
        ConstantsRefused(1, "x"),
        ConstantsKept(1, 5),
        Returned(0, 77, 5, False),
        Returned(0, 1, 5, False),  # of a map, which gets no such thing
        Returned(0, 1, 5, True),
        Results(0, [(1, 0, 1, [5], {}), (77, 0, 1, [5], {})], False),
        Results(0, [(1, 0, 1, [5], {})], True),
        Work(0, [(1, 77, 0, (b"", ()), None, 1, ([3],), False)], ()),
        FunctionWanted(77),
        FunctionSent(77, (b"", ())),
        ConstantsMapped(77, None),
        Stopped(),
        WorkWanted(),
    ],
    ids=repr,
)
def test_a_message_that_a_rank_cannot_take_changes_nothing(message: Message) -> None:
    rank = Rank(1)
    before = rank.state
    with pytest.raises(UnexpectedMessage, match=rf"rank 1 got {type(message).__name__}.* rank 2: "):
        rank.hears(2, message)
    assert rank.state == before
    rank.hears(2, Call(0, 2, 5, b"", ()))  # it goes on as before
    assert len(rank.runtime.worker.queues.ready) == len(before[1]) + 1


def test_who_stops_twice_has_stopped_once() -> None:
    rank = Rank(0)
    for source in (1, 1, 2):
        rank.hears(source, Stopped())
    assert rank.runtime.stopped == {1, 2}


def test_a_message_of_an_unknown_kind_is_refused() -> None:
    rank = Rank(1)
    rank.ends[2].send(1, [marshal.dumps((255,), 2)])
    with pytest.raises(UnexpectedMessage, match="from rank 2: it is of an unknown kind, 255"):
        rank.runtime.step()
