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

from scoop_mpi.constants import CHILDREN, PLACED_BYTES, Constants, Proposal, seal, sendable
from scoop_mpi.errors import SerializationError
from scoop_mpi.messages import (
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsPublished,
    Message,
    Place,
    Send,
    WorkWanted,
)
from tests.unit.helpers import Ununpicklable, over_the_wire

LARGE = np.zeros(5000)  # a frame of its own
HUGE = np.zeros(PLACED_BYTES // 8)  # in the node's memory


class Network:
    """Some ranks' constants, and the messages under way between each two of them.

    `without_memory` are the ranks that can neither place constants nor map them.
    """

    def __init__(self, size: int, ranks_per_node: int = 1) -> None:
        leaders = [rank - rank % ranks_per_node for rank in range(size)]
        self.ranks = [Constants(rank, leaders) for rank in range(size)]
        self.without_memory: set[int] = set()
        self.placed: list[ConstantsPublished] = []
        self._links: defaultdict[tuple[int, int], deque[Message]] = defaultdict(deque)

    def propose(self, rank: int, **values: object) -> Proposal:
        proposal = Proposal(lambda: None)
        payloads = {name: seal(value) for name, value in values.items()}
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
        self._handle(source, destination, message)

    def deliver_all(self) -> None:
        while self.busy_links:
            self.deliver(self.busy_links[0])

    def messages_to(self, rank: int) -> list[Message]:
        return [
            message
            for (_, destination), messages in self._links.items()
            for message in messages
            if destination == rank
        ]

    def _send(self, source: int, sends: list[Send]) -> None:
        """As the runtime does: what is for the rank itself is handled last, and at once."""
        for destination, message in sends:
            if destination != source:
                self._links[source, destination].append(over_the_wire(message))
        for destination, message in sends:
            if destination == source:
                self._handle(source, source, message)

    def _handle(self, source: int, rank: int, message: Message) -> None:
        """As the runtime does, but that nothing is really placed or mapped."""
        constants = self.ranks[rank]
        placed: ConstantsPlaced | None = None
        match message:
            case ConstantsPublished(version) if constants.should_place(message):
                if rank not in self.without_memory:
                    place = Place(rank, len(self.placed), (0, 0), ())
                    placed = ConstantsPlaced(version, b"", place)
                    self.placed.append(over_the_wire(sendable(message)))
            case ConstantsPlaced(version, _, place):
                problem = "there is none" if rank in self.without_memory else None
                if problem is None:
                    constants.take_in(self.placed[place.descriptor])
                self._send(rank, [Send(source, ConstantsMapped(version, problem))])
                return
        self._send(rank, constants.handle(source, message, placed))


class AnyOrder(RuleBasedStateMachine):
    """Ranks that contest three names, and tell each other what they have heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(1)
        self.proposals: list[tuple[int, dict[str, object], Proposal]] = []

    @initialize(
        size=st.sampled_from([1, 2, 3, CHILDREN + 2, CHILDREN * CHILDREN + 4]),
        ranks_per_node=st.sampled_from([1, 2, 3, CHILDREN * CHILDREN + 4]),
        without_memory=st.sets(st.integers(0, CHILDREN * CHILDREN + 4), max_size=3),
    )
    def begin(self, size: int, ranks_per_node: int, without_memory: set[int]) -> None:
        self.network = Network(size, ranks_per_node)
        self.network.without_memory = without_memory

    def rank(self, which: int) -> Constants:
        return self.network.ranks[which % len(self.network.ranks)]

    @rule(
        which=st.integers(0, 99),
        names=st.lists(st.sampled_from("abc"), min_size=1, unique=True),
        content=st.sampled_from([None, LARGE, HUGE]),
    )
    def propose(self, which: int, names: list[str], content: object) -> None:
        rank = self.rank(which).rank
        number = len(self.proposals)
        values: dict[str, object] = {name: [number, content] for name in names}
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
            assert not any(map(constants.is_mapping, range(len(winners) + 1)))
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
    (proposed,) = network.ranks[1].propose({"x": seal(1)}, proposal)
    (decided,) = network.ranks[0].handle(1, proposed.message)
    (published,) = network.ranks[0].handle(0, decided.message)
    assert network.ranks[0].has("x")
    assert not proposal.is_answered
    assert network.ranks[1].handle(0, published.message) == []
    assert answers == [True]


def test_a_version_that_overtook_another_waits_for_it() -> None:
    network = Network(2)
    network.propose(0, first=1)
    network.propose(0, second=2)
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
    assert sorted(child for _, child in links) == list(range(1, size))
    for rank in range(size):
        assert sum(parent == rank for parent, _ in links) <= CHILDREN


def test_a_node_gets_constants_once_and_its_leader_tells_the_others() -> None:
    network = Network(8, ranks_per_node=4)
    network.propose(0, x=1)
    links: list[tuple[int, int]] = []
    while network.busy_links:
        links.append(network.busy_links[0])
        network.deliver(links[-1])
    assert sorted(links) == [(0, 1), (0, 2), (0, 3), (0, 4), (4, 5), (4, 6), (4, 7)]


def test_large_constants_are_placed_once_in_each_node() -> None:
    network = Network(8, ranks_per_node=4)
    network.propose(0, x=HUGE)
    for rank in (1, 2, 3):
        (message,) = network.messages_to(rank)
        assert isinstance(message, ConstantsPlaced)
    network.deliver_all()
    assert len(network.placed) == 2
    for constants in network.ranks:
        np.testing.assert_array_equal(constants.get("x"), HUGE)


@pytest.mark.parametrize("value", [b"x" * PLACED_BYTES, "x" * PLACED_BYTES, list(range(400_000))])
def test_long_bytes_texts_and_lists_are_placed_too(value: object) -> None:
    network = Network(2, ranks_per_node=2)
    network.propose(0, x=value)
    network.deliver_all()
    assert len(network.placed) == 1
    assert all(constants.get("x") == value for constants in network.ranks)


def test_small_constants_and_those_of_a_lonely_rank_are_not_placed() -> None:
    for network, value in ((Network(4, ranks_per_node=4), LARGE), (Network(4), HUGE)):
        network.propose(0, x=value)
        network.deliver_all()
        assert not network.placed


def test_a_leader_knows_who_has_yet_to_map() -> None:
    network = Network(2, ranks_per_node=2)
    network.propose(0, x=HUGE)
    leader = network.ranks[0]
    assert leader.has("x")
    network.deliver((0, 1))
    assert leader.is_mapping(1)
    network.deliver((1, 0))
    assert not leader.is_mapping(1)


def test_who_cannot_map_gets_a_copy_now_and_from_then_on() -> None:
    network = Network(3, ranks_per_node=3)
    network.without_memory = {1}
    network.propose(0, x=HUGE)
    network.deliver_all()
    network.propose(0, y=HUGE)
    assert [type(message) for message in network.messages_to(1)] == [ConstantsPublished]
    assert [type(message) for message in network.messages_to(2)] == [ConstantsPlaced]
    network.deliver_all()
    for name in "xy":
        np.testing.assert_array_equal(network.ranks[1].get(name), HUGE)


def test_where_a_leader_cannot_place_all_get_copies() -> None:
    network = Network(3, ranks_per_node=3)
    network.without_memory = {0}
    network.propose(2, x=HUGE)
    network.deliver_all()
    assert not network.placed
    assert all(constants.has("x") for constants in network.ranks)


def test_a_leader_that_cannot_map_what_it_has_placed_keeps_a_copy() -> None:
    network = Network(2, ranks_per_node=2)
    leader, _ = network.ranks
    array = np.ones(HUGE.size)
    (proposed,) = leader.propose({"x": seal(array)}, Proposal(lambda: None))
    (decided,) = leader.handle(0, proposed.message)
    placed = ConstantsPlaced(1, b"", Place(0, 0, (0, 0), ()))
    assert leader.handle(0, decided.message, placed) == [Send(0, placed), Send(1, placed)]
    assert not leader.has("x")
    assert leader.handle(0, ConstantsMapped(1, "too many open files")) == []
    array[:] = 0
    assert leader.get("x").all()
    (copy,) = leader.handle(1, ConstantsMapped(1, "too many open files"))
    assert isinstance(copy.message, ConstantsPublished)
    _, (buffer,) = over_the_wire(copy.message).values["x"]
    assert np.frombuffer(buffer).all(), "what the program has changed since was sent"


@pytest.mark.parametrize("length", [3, LARGE.size, HUGE.size])
@pytest.mark.parametrize("proposer", [0, 1])
def test_a_constant_is_what_it_was_when_it_was_set(length: int, proposer: int) -> None:
    network = Network(3, ranks_per_node=2)
    array = np.ones(length)
    proposal = network.propose(proposer, x=array)
    while not proposal.is_answered:
        network.deliver(network.busy_links[0])
    array[:] = 0
    network.deliver_all()
    for constants in network.ranks:
        assert constants.get("x").all()


@pytest.mark.parametrize("was_writable", [True, False])
@pytest.mark.parametrize("length", [3, LARGE.size, HUGE.size])
def test_arrays_in_constants_are_read_only_on_every_rank(length: int, was_writable: bool) -> None:
    network = Network(3, ranks_per_node=2)
    array = np.zeros(length)
    array.flags.writeable = was_writable
    network.propose(0, x=[array])
    network.deliver_all()
    for constants in network.ranks:
        (array,) = constants.get("x")
        assert not array.flags.writeable


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
        Constants(0, [0]).handle(1, WorkWanted())
