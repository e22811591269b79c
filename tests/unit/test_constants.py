"""Constants: every rank comes to hold the same, in whatever order messages arrive."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scoop_mpi.constants import CHILDREN, Constants, Proposal
from scoop_mpi.errors import SerializationError
from scoop_mpi.messages import Message, Send, WorkWanted
from scoop_mpi.serializer import encode
from tests.unit.helpers import Ununpicklable, over_the_wire

LARGE = np.zeros(5000)


class Network:
    """Some ranks' constants, and the messages under way between each two of them."""

    def __init__(self, size: int) -> None:
        self.ranks = [Constants(rank, size) for rank in range(size)]
        self._links: defaultdict[tuple[int, int], deque[Message]] = defaultdict(deque)

    def propose(self, rank: int, **values: object) -> Proposal:
        proposal = Proposal(lambda: None)
        payloads = {name: encode(value) for name, value in values.items()}
        self._send(rank, self.ranks[rank].propose(payloads, proposal))
        return proposal

    @property
    def busy_links(self) -> list[tuple[int, int]]:
        return sorted(link for link, messages in self._links.items() if messages)

    def deliver(self, link: tuple[int, int], overtaking: int = 0) -> None:
        """Deliver the next message, or one that overtakes so many: those may be large."""
        source, destination = link
        messages = self._links[link]
        place = overtaking % len(messages)
        message = messages[place]
        del messages[place]
        self._send(destination, self.ranks[destination].handle(source, message))

    def deliver_all(self) -> None:
        while self.busy_links:
            self.deliver(self.busy_links[0])

    def _send(self, source: int, sends: list[Send]) -> None:
        for destination, message in sends:
            self._links[source, destination].append(over_the_wire(message))


class AnyOrder(RuleBasedStateMachine):
    """Ranks that contest three names, and tell each other what they have heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(1)
        self.proposals: list[tuple[int, dict[str, object], Proposal]] = []

    @initialize(size=st.sampled_from([1, 2, 3, CHILDREN + 2, CHILDREN * CHILDREN + 4]))
    def begin(self, size: int) -> None:
        self.network = Network(size)

    def rank(self, which: int) -> Constants:
        return self.network.ranks[which % len(self.network.ranks)]

    @rule(
        which=st.integers(0, 99),
        names=st.lists(st.sampled_from("abc"), min_size=1, unique=True),
        is_large=st.booleans(),
    )
    def propose(self, which: int, names: list[str], is_large: bool) -> None:
        rank = self.rank(which).rank
        number = len(self.proposals)
        values: dict[str, object] = {name: [number, LARGE if is_large else None] for name in names}
        self.proposals.append((rank, values, self.network.propose(rank, **values)))

    @precondition(lambda self: self.network.busy_links)
    @rule(which=st.integers(0, 99), overtaking=st.integers(0, 3))
    def deliver(self, which: int, overtaking: int) -> None:
        links = self.network.busy_links
        self.network.deliver(links[which % len(links)], overtaking)

    @rule(which=st.integers(0, 99), other=st.integers(0, 99))
    def tell(self, which: int, other: int) -> None:
        """A task goes from one rank to another."""
        teller, listener = self.rank(which), self.rank(other)
        listener.hear_of(teller.heard_of)
        for rank, values, proposal in self.proposals:
            if rank == teller.rank and proposal.is_answered and proposal.refused is None:
                for name in values:
                    assert teller.has(name)
                    assert listener.has(name) or listener.is_behind

    @rule(which=st.integers(0, 99), name=st.sampled_from("abc"))
    def read(self, which: int, name: str) -> None:
        constants = self.rank(which)
        if constants.has(name):
            assert constants.get(name) is constants.get(name)

    @invariant()
    def no_rank_has_versions_that_it_has_not_heard_of(self) -> None:
        registrar = self.network.ranks[0]
        for constants in self.network.ranks:
            assert constants.version <= constants.heard_of <= registrar.version

    def teardown(self) -> None:
        self.network.deliver_all()
        winners = [values for _, values, proposal in self.proposals if proposal.refused is None]
        held = [name for values in winners for name in values]
        assert len(held) == len(set(held)), "a name was won twice"
        for _, values, proposal in self.proposals:
            assert proposal.is_answered
            if proposal.refused is not None:
                assert proposal.refused in values
                assert proposal.refused in held
        for constants in self.network.ranks:
            assert constants.version == constants.heard_of == len(winners)
            assert not constants.is_behind
            assert [name for name in "abc" if constants.has(name)] == sorted(held)
            for values in winners:
                for name, value in values.items():
                    assert repr(constants.get(name)) == repr(value)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30)


def test_setting_several_constants_is_all_or_nothing() -> None:
    network = Network(2)
    network.propose(0, taken=1)
    refused = network.propose(1, free=2, taken=3)
    network.deliver_all()
    assert refused.refused == "taken"
    assert not any(constants.has("free") for constants in network.ranks)
    accepted = network.propose(1, free=4)
    network.deliver_all()
    assert accepted.is_answered
    assert accepted.refused is None


def test_a_proposer_is_answered_once_it_has_the_constant_itself() -> None:
    network = Network(2)
    answers: list[bool] = []
    proposal = Proposal(lambda: answers.append(network.ranks[1].has("x")))
    payloads = {"x": encode(1)}
    for send in network.ranks[1].propose(payloads, proposal):
        (published,) = network.ranks[0].handle(1, send.message)
    assert network.ranks[0].has("x")
    assert not proposal.is_answered
    assert network.ranks[1].handle(0, published.message) == []
    assert answers == [True]


def test_a_version_that_overtook_another_waits_for_it() -> None:
    network = Network(2)
    network.propose(0, first=1)
    network.propose(0, second=2)
    network.deliver((0, 0))
    network.deliver((0, 0))
    network.deliver((0, 1), overtaking=1)
    constants = network.ranks[1]
    assert constants.version == 0
    assert not constants.has("second")
    network.deliver((0, 1))
    assert constants.version == 2
    assert (constants.get("first"), constants.get("second")) == (1, 2)


def test_a_rank_that_has_heard_of_more_is_behind() -> None:
    network = Network(2)
    constants = network.ranks[1]
    assert not constants.is_behind
    constants.hear_of(1)
    constants.hear_of(0)
    assert constants.is_behind
    network.propose(0, x=1)
    network.deliver_all()
    assert not constants.is_behind


def test_a_constant_goes_down_a_tree_in_which_no_rank_sends_much() -> None:
    size = 50
    network = Network(size)
    network.propose(0, x=1)
    links: list[tuple[int, int]] = []
    while network.busy_links:
        links.append(network.busy_links[0])
        network.deliver(links[-1])
    del links[0]  # the proposal
    assert sorted(child for _, child in links) == list(range(1, size))
    for rank in range(size):
        assert sum(parent == rank for parent, _ in links) <= CHILDREN


def test_a_reader_gets_the_same_object_each_time() -> None:
    network = Network(1)
    network.propose(0, x=[1, 2])
    network.deliver_all()
    assert network.ranks[0].get("x") is network.ranks[0].get("x")


def test_a_constant_that_cannot_be_opened_fails_each_time_it_is_read() -> None:
    network = Network(2)
    network.propose(0, bad=Ununpicklable(), good=1)
    network.deliver_all()
    constants = network.ranks[1]
    for _ in range(2):
        assert constants.has("bad")
        with pytest.raises(SerializationError, match="refuses to be unpickled"):
            constants.get("bad")
    assert constants.get("good") == 1


def test_whoever_waits_for_a_constant_is_notified() -> None:
    network = Network(2)
    seen: list[bool] = []
    constants = network.ranks[1]
    constants.on_change.append(lambda: seen.append(constants.has("x")))
    network.propose(0, x=1)
    network.deliver_all()
    assert seen[-1]


def test_other_messages_are_refused() -> None:
    with pytest.raises(TypeError, match=r"WorkWanted\(\) from rank 1"):
        Constants(0, 1).handle(1, WorkWanted())
