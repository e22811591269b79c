"""The broker: each event and what it leads to, as lists."""

from __future__ import annotations

from typing import Any

import pytest

from scoop_mpi.errors import UnexpectedMessage
from scoop_mpi.state.broker import Broker
from scoop_mpi.wire.messages import (
    Message,
    Reserved,
    Results,
    Send,
    Steal,
    StealFailed,
    Stop,
    WorkOffered,
    WorkWanted,
)

WANTED, OFFERED = WorkWanted(), WorkOffered()

SCENES: dict[str, list[tuple[int, Message, list[Send]]]] = {
    "a request waits until there is work": [
        (1, WANTED, []),
        (2, OFFERED, [Send(2, Steal((1,)))]),
    ],
    "an offer is believed from then on": [
        (2, OFFERED, []),
        (1, WANTED, [Send(2, Steal((1,)))]),
        (3, WANTED, [Send(2, Steal((3,)))]),
        (1, WANTED, [Send(2, Steal((1,)))]),
    ],
    "an offer is no longer believed once a steal has failed": [
        (2, OFFERED, []),
        (1, WANTED, [Send(2, Steal((1,)))]),
        (2, StealFailed((1,)), []),
        (3, WANTED, []),
        (2, OFFERED, [Send(2, Steal((1, 3)))]),
    ],
    "a failed steal is tried with another victim": [
        (2, OFFERED, []),
        (3, OFFERED, []),
        (1, WANTED, [Send(2, Steal((1,)))]),
        (2, StealFailed((1,)), [Send(3, Steal((1,)))]),
    ],
    "several thieves of a failed steal are spread over the other victims": [
        (2, OFFERED, []),
        (3, OFFERED, []),
        (4, OFFERED, []),
        (4, StealFailed((5, 6)), [Send(2, Steal((5,))), Send(3, Steal((6,)))]),
    ],
    "victims are asked in turn": [
        (2, OFFERED, []),
        (3, OFFERED, []),
        (1, WANTED, [Send(2, Steal((1,)))]),
        (4, WANTED, [Send(3, Steal((4,)))]),
        (5, WANTED, [Send(2, Steal((5,)))]),
    ],
    "a rank that asks has nothing to spare": [
        (1, OFFERED, []),
        (1, WANTED, []),
        (2, WANTED, []),
        (3, OFFERED, [Send(3, Steal((1, 2)))]),
    ],
    "an offer that has overtaken a request that came with results holds": [
        (1, OFFERED, []),
        (1, Results(0, [], True), []),
        (2, WANTED, [Send(1, Steal((2,)))]),
    ],
    "no rank steals from itself": [
        (1, WANTED, []),
        (1, OFFERED, []),
        (2, WANTED, [Send(1, Steal((2,)))]),
        (3, OFFERED, [Send(3, Steal((1,)))]),
    ],
    "a hungry rank that offers stays hungry": [
        (1, WANTED, []),
        (1, OFFERED, []),
        (2, OFFERED, [Send(2, Steal((1,)))]),
    ],
    "all who are hungry go to the first who offers": [
        (3, WANTED, []),
        (1, WANTED, []),
        (0, WANTED, []),
        (2, OFFERED, [Send(2, Steal((3, 1, 0)))]),
        (4, OFFERED, []),
    ],
    "an offer that is repeated is one": [
        (2, OFFERED, []),
        (2, OFFERED, []),
        (2, StealFailed((1,)), []),
        (3, WANTED, []),
    ],
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_scene(scene: list[tuple[int, Message, list[Send]]]) -> None:
    broker = Broker(4)
    for source, message, sends in scene:
        if isinstance(message, Results):
            broker.ask(source)
        else:
            broker.handle(source, message)
        assert broker.match() == sends
    assert broker.match() == []


def test_everybody_is_heard_before_anybody_is_answered() -> None:
    broker = Broker(4)
    for rank in (1, 2, 3):
        broker.handle(rank, OFFERED)
    for rank in (4, 1, 2):
        broker.handle(rank, WANTED)
    assert broker.match() == [Send(3, Steal((4, 1, 2)))]


def test_the_hungry_are_dealt_to_the_victims() -> None:
    broker = Broker(4)
    for rank in range(10, 17):
        broker.handle(rank, WANTED)
    for rank in (1, 2, 3):
        broker.handle(rank, OFFERED)
    assert broker.match() == [
        Send(1, Steal((10, 13, 16))),
        Send(2, Steal((11, 14))),
        Send(3, Steal((12, 15))),
    ]
    broker.handle(17, WANTED)
    assert broker.match() == [Send(1, Steal((17,)))]


def test_a_message_that_is_not_for_it_is_refused_and_changes_nothing() -> None:
    broker = Broker(4)
    broker.handle(1, WANTED)
    broker.handle(1, OFFERED)
    before: Any = dict(broker.offering), dict(broker.hungry)
    with pytest.raises(UnexpectedMessage, match=r"Stop\(\) from rank 3"):
        broker.handle(3, Stop())
    assert (broker.offering, broker.hungry) == before


def test_if_all_ranks_are_reserved_one_of_those_with_calls_is_to_begin() -> None:
    broker = Broker(3)
    for rank, has_calls in ((0, False), (1, True)):
        broker.handle(rank, Reserved(has_calls, is_reserved=True))
    assert broker.first_to_begin() is None
    broker.handle(2, Reserved(has_calls=True, is_reserved=True))
    assert broker.first_to_begin() == 1
    assert broker.first_to_begin() is None  # one is no longer
    broker.handle(1, Reserved(has_calls=False, is_reserved=True))
    assert broker.first_to_begin() == 2


def test_a_rank_that_is_reserved_no_longer_holds_nobody_up() -> None:
    broker = Broker(2)
    for rank in range(2):
        broker.handle(rank, Reserved(has_calls=True, is_reserved=True))
    broker.handle(0, Reserved(has_calls=False, is_reserved=False))
    assert broker.first_to_begin() is None


def test_if_nobody_has_calls_nobody_can_begin() -> None:
    broker = Broker(2)
    for rank in range(2):
        broker.handle(rank, Reserved(has_calls=False, is_reserved=True))
    assert broker.first_to_begin() is None
