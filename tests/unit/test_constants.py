"""Constants: every rank comes to hold the same, in whatever order messages arrive."""

from __future__ import annotations

import random
from collections import deque

import pytest

from scoop_mpi.constants import Constants, Proposal
from scoop_mpi.messages import Send, WorkWanted
from scoop_mpi.serializer import encode


class Network:
    """Ranks whose messages are delivered in an order that the seed decides."""

    def __init__(self, size: int, seed: int) -> None:
        self.ranks = [Constants(rank, size) for rank in range(size)]
        self._rng = random.Random(seed)
        self._under_way: deque[tuple[int, Send]] = deque()

    def propose(self, rank: int, **values: object) -> Proposal:
        proposal = Proposal(lambda: None)
        payloads = {name: encode(value) for name, value in values.items()}
        self._send(rank, self.ranks[rank].propose(payloads, proposal))
        return proposal

    def _send(self, source: int, sends: list[Send]) -> None:
        self._under_way.extend((source, send) for send in sends)

    def deliver(self, count: int | None = None) -> None:
        while self._under_way and count != 0:
            self._under_way.rotate(self._rng.randrange(len(self._under_way)))
            source, send = self._under_way.popleft()
            self._send(send.destination, self.ranks[send.destination].handle(source, send.message))
            count = None if count is None else count - 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [1, 2, 5, 23])
def test_all_ranks_end_with_the_same(size: int, seed: int) -> None:
    network = Network(size, seed)
    proposals = [
        network.propose(rank, **{f"of{rank}": rank}, contested=rank) for rank in range(size)
    ]
    others = [network.propose(rank, **{f"other{rank}": [rank]}) for rank in range(size)]
    network.deliver()
    assert all(proposal.is_answered for proposal in proposals + others)
    assert all(proposal.refused is None for proposal in others)
    (winner,) = [rank for rank, proposal in enumerate(proposals) if proposal.refused is None]
    for constants in network.ranks:
        assert constants.version == constants.heard_of == size + 1
        assert constants.get("contested") == winner
        assert constants.has(f"of{winner}")
        assert not any(constants.has(f"of{rank}") for rank in range(size) if rank != winner)
        assert [constants.get(f"other{rank}") for rank in range(size)] == [[r] for r in range(size)]


@pytest.mark.parametrize("seed", range(20))
def test_versions_are_taken_in_order(seed: int) -> None:
    network = Network(7, seed)
    for number in range(10):
        network.propose(number % 7, **{f"c{number}": number})
        network.deliver(3)
        for constants in network.ranks:
            known = [constants.has(f"c{n}") for n in range(10)]
            assert sum(known) == constants.version
    network.deliver()
    assert {constants.version for constants in network.ranks} == {10}


def test_a_rank_that_has_heard_of_more_is_behind() -> None:
    network = Network(2, 0)
    constants = network.ranks[1]
    assert not constants.is_behind
    constants.hear_of(1)
    assert constants.is_behind
    network.propose(0, x=1)
    network.deliver()
    assert not constants.is_behind


def test_a_reader_gets_the_same_object_each_time() -> None:
    network = Network(1, 0)
    network.propose(0, x=[1, 2])
    network.deliver()
    assert network.ranks[0].get("x") is network.ranks[0].get("x")


def test_other_messages_are_refused() -> None:
    with pytest.raises(TypeError, match="WorkWanted"):
        Constants(0, 1).handle(1, WorkWanted())
