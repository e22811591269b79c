"""Constants: every rank comes to hold the same, in whatever order messages arrive."""

from __future__ import annotations

from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scoop_mpi.errors import SerializationError, UnexpectedMessage
from scoop_mpi.state.constants import (
    CHILDREN,
    PLACED_BYTES,
    REGISTRAR_RANK,
    Constants,
    Proposal,
    sendable,
)
from scoop_mpi.transport.node_memory import Place
from scoop_mpi.wire.constant_values import seal
from scoop_mpi.wire.messages import (
    ConstantsDeleted,
    ConstantsKept,
    ConstantsMapped,
    ConstantsPlaced,
    ConstantsPublished,
    Message,
    Send,
    WorkWanted,
)
from tests.arrays import ARRAYS, Array, any_arrays, assert_same
from tests.unit.helpers import Ununpicklable, over_the_wire

LARGE = np.zeros(5000)  # a frame of its own
HUGE = np.zeros(PLACED_BYTES // 8)  # in the node's memory


def refuse_to_post(destination: int, message: Message) -> None:
    raise AssertionError(f"nothing here is counted, but {message!r} went to {destination}")


def discard(_: object) -> None:
    """Let go of it at once."""


def has(constants: Constants, name: str) -> bool:
    return constants.find(name) is not None


def value_of(constants: Constants, name: str) -> Any:
    constant = constants.find(name)
    assert constant is not None
    return constant.open()


class Network:
    """Some ranks' constants, and the messages under way between each two of them.

    `without_memory` are the ranks that can neither place constants nor map them.
    """

    def __init__(self, size: int, ranks_per_node: int = 1) -> None:
        leaders = [rank - rank % ranks_per_node for rank in range(size)]
        self.ranks = [Constants(rank, leaders, refuse_to_post, discard) for rank in range(size)]
        self.without_memory: set[int] = set()
        self.placed: list[ConstantsPublished] = []
        self.history: list[dict[str, int]] = [{}]  # after each version: the names, and of which
        self._links: defaultdict[tuple[int, int], deque[Message]] = defaultdict(deque)

    def propose(self, rank: int, **values: object) -> Proposal:
        proposal = Proposal(lambda: None)
        payloads = {name: seal(value) for name, value in values.items()}
        self._send(rank, self.ranks[rank].propose(payloads, proposal))
        return proposal

    def delete(self, rank: int, name: str) -> None:
        """Ask for the constant that `rank` sees under this name to be deleted."""
        constant = self.ranks[rank].find(name)
        assert constant is not None
        message = ConstantsDeleted({name: constant.version})
        self._send(rank, [Send(REGISTRAR_RANK, message)])

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
        if isinstance(message, ConstantsPublished) and rank == REGISTRAR_RANK:
            new = dict.fromkeys(message.values, message.version)
            left = {n: v for n, v in self.history[-1].items() if n not in message.removed}
            self.history.append({**left, **new})
        match message:
            case ConstantsPublished(version) if constants.should_place(message):
                if rank not in self.without_memory:
                    place = Place(rank, len(self.placed), (0, 0), ())
                    placed = ConstantsPlaced(version, b"", place, {})
                    self.placed.append(over_the_wire(sendable(message)))
            case ConstantsPlaced(version, _, place):
                problem = "there is none" if rank in self.without_memory else None
                if problem is None:
                    constants.take_in(self.placed[place.descriptor])
                self._send(rank, [Send(source, ConstantsMapped(version, problem))])
                return
        self._send(rank, constants.handle(source, message, placed))


class AnyOrder(RuleBasedStateMachine):
    """Ranks that contest three names, delete them, and tell each other what they have heard of."""

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

    @precondition(lambda self: self.proposals)
    @rule(which=st.integers(0, 99), earlier=st.integers(0, 99))
    def propose_again(self, which: int, earlier: int) -> None:
        rank = self.rank(which).rank
        _, values, _ = self.proposals[earlier % len(self.proposals)]
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
        listener.hear_of(teller.news)
        assert listener.heard_of >= teller.heard_of

    @rule(which=st.integers(0, 99), name=st.sampled_from("abc"))
    def delete(self, which: int, name: str) -> None:
        rank = self.rank(which)
        if has(rank, name):
            self.network.delete(rank.rank, name)

    @rule(which=st.integers(0, 99), name=st.sampled_from("abc"))
    def read(self, which: int, name: str) -> None:
        constants = self.rank(which)
        if has(constants, name):
            assert value_of(constants, name) is value_of(constants, name)

    @invariant()
    def no_rank_has_versions_that_it_has_not_heard_of(self) -> None:
        registrar = self.network.ranks[0]
        for constants in self.network.ranks:
            assert constants.version <= constants.heard_of <= registrar.version

    @invariant()
    def nobody_reads_what_was_deleted_before_or_misses_what_was_set(self) -> None:
        """As far as a rank has heard; it waits as long as it is behind."""
        for constants in self.network.ranks:
            current = self.network.history[constants.heard_of]
            for name in "abc":
                constant = constants.find(name)
                if constant is not None:
                    assert constant.version == current[name]
                elif name in current:
                    assert constants.is_behind

    def teardown(self) -> None:
        self.network.deliver_all()
        last = self.network.history[-1]
        for _, values, proposal in self.proposals:
            assert proposal.is_answered
            assert proposal.refused is None or proposal.refused in values
        for constants in self.network.ranks:
            assert constants.version == constants.heard_of == len(self.network.history) - 1
            assert not constants.is_behind
            assert not any(map(constants.is_mapping, range(constants.version + 1)))
            assert [name for name in "abc" if has(constants, name)] == sorted(last)
            for name in last:
                value = value_of(constants, name)
                assert any(
                    proposal.refused is None and repr(values.get(name)) == repr(value)
                    for _, values, proposal in self.proposals
                )
                assert value[0] == value_of(self.network.ranks[0], name)[0]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30)


def test_setting_several_constants_is_all_or_nothing() -> None:
    network = Network(2)
    network.propose(0, taken=1)
    refused = network.propose(1, free=2, taken=3)
    network.deliver_all()
    assert refused.refused == "taken"
    assert not any(has(constants, "free") for constants in network.ranks)
    accepted = network.propose(1, free=4)
    network.deliver_all()
    assert accepted.is_answered
    assert accepted.refused is None


class Uncomparable:
    """An object whose comparison is the user's own, and fails."""

    def __init__(self, content: int) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        raise AssertionError("it was compared")

    __hash__ = None  # type: ignore[assignment]


def some_function(code: str) -> Any:
    """Return a function that travels by value, compiled anew each time."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "<cell>", "exec"), names)
    return names["function"]


# How to make a value, so that each time it is another object.
VALUES: dict[str, Any] = {
    "number": lambda: 10**20,
    "text": lambda: "some text" * 2,
    "long text": lambda: "x" * PLACED_BYTES,
    "nan": lambda: float("nan"),
    "dictionary": lambda: {"a": [1, 2], "b": {3}},
    "small array": lambda: np.arange(5),
    "large array": lambda: np.arange(5000),
    "huge array": lambda: np.arange(PLACED_BYTES // 8),
    "array with nan": lambda: np.array([np.nan, 1.0]),
    "several arrays": lambda: [np.ones(5000), "between", np.zeros((70, 70), order="F")],
    "array of objects": lambda: np.array([1, "a", None], object),
    "function": lambda: some_function("def function(x, y=1.5): return [x + y, 'text', 'a b']"),
    "uncomparable": lambda: Uncomparable(5),
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "equal, of another type": (1, True),
    "equal, of another sign": (0.0, -0.0),
    "text": ("one", "two"),
    "of another length": (np.zeros(5000), np.zeros(5001)),
    "of another type": (np.zeros(5000), np.zeros(5000, int)),
    "of another shape": (np.zeros((50, 100)), np.zeros((100, 50))),
    "its last byte": (b"x" * PLACED_BYTES, b"x" * (PLACED_BYTES - 1) + b"y"),
    "its last item": (np.zeros(PLACED_BYTES), np.append(np.zeros(PLACED_BYTES - 1), 1.0)),
    "one of two arrays": ([np.ones(5000), np.ones(5000)], [np.ones(5000), np.zeros(5000)]),
    "one array more": ([np.ones(5000)], [np.ones(5000), np.ones(5000)]),
    "function": (
        some_function("def function(x): return x"),
        some_function("def function(x): return -x"),
    ),
    "uncomparable": (Uncomparable(5), Uncomparable(6)),
}


def read_everywhere(network: Network, *names: str) -> None:
    for constants in network.ranks:
        for name in names:
            value_of(constants, name)


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)])
@pytest.mark.parametrize("kind", VALUES)
def test_the_same_value_again_is_no_error_and_goes_nowhere(
    kind: str, first: int, second: int, is_read: bool
) -> None:
    network = Network(3, ranks_per_node=2)
    network.propose(first, x=VALUES[kind]())
    network.deliver_all()
    before = [constants.find("x") for constants in network.ranks]
    if is_read:
        read_everywhere(network, "x")
    again = network.propose(second, x=VALUES[kind]())
    if second != 0:
        network.deliver((second, 0))
        (answer,) = network.messages_to(second)
        assert isinstance(answer, ConstantsKept)
        assert network.busy_links == [(0, second)]
    network.deliver_all()
    assert again.is_answered
    assert again.refused is None
    assert [constants.find("x") for constants in network.ranks] == before
    assert [constants.version for constants in network.ranks] == [1, 1, 1]


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
@pytest.mark.parametrize("proposer", [0, 1])
@pytest.mark.parametrize("kind", OTHERS)
def test_another_value_is_refused(kind: str, proposer: int, is_read: bool) -> None:
    value, other = OTHERS[kind]
    network = Network(3, ranks_per_node=2)
    network.propose(0, x=value)
    network.deliver_all()
    if is_read:
        read_everywhere(network, "x")
    refused = network.propose(proposer, x=other)
    network.deliver_all()
    assert refused.refused == "x"
    accepted = network.propose(proposer, x=value)
    network.deliver_all()
    assert accepted.is_answered
    assert accepted.refused is None


def test_what_was_changed_in_place_since_is_another_value() -> None:
    network = Network(1)
    array = np.zeros(5000)
    network.propose(0, x=array)
    array[-1] = 1
    assert network.propose(0, x=array).refused == "x"


@pytest.mark.parametrize("proposer", [0, 1])
def test_of_several_constants_those_that_are_new_are_set(proposer: int) -> None:
    network = Network(3)
    network.propose(0, old=LARGE, other=1)
    network.deliver_all()
    old = [constants.find("old") for constants in network.ranks]
    accepted = network.propose(proposer, new=2, old=LARGE)
    refused = network.propose(proposer, newer=3, old=LARGE, other=2)
    network.deliver_all()
    assert accepted.is_answered
    assert accepted.refused is None
    assert refused.refused == "other"
    assert [constants.find("old") for constants in network.ranks] == old
    assert [value_of(constants, "new") for constants in network.ranks] == [2, 2, 2]
    assert not any(has(constants, "newer") for constants in network.ranks)


def test_who_sets_what_another_has_set_knows_that_it_is_on_its_way() -> None:
    network = Network(3)
    network.propose(0, x="old")
    network.deliver_all()
    network.delete(1, "x")
    network.deliver((1, 0))
    network.propose(0, x="new")
    again = network.propose(2, x="new")
    network.deliver((2, 0))
    # The answer overtakes the versions that have removed the old one, and brought the new one.
    network.deliver((0, 2), overtaking=2)
    constants = network.ranks[2]
    assert again.is_answered
    assert constants.is_behind
    assert not has(constants, "x")
    network.deliver_all()
    assert value_of(constants, "x") == "new"


def test_a_deleted_constant_has_no_value_to_be_compared_with() -> None:
    network = Network(2)
    network.propose(0, x="old")
    network.deliver_all()
    network.delete(1, "x")
    network.deliver_all()
    again = network.propose(1, x="old")
    network.deliver_all()
    assert again.refused is None
    assert [constants.version for constants in network.ranks] == [3, 3]
    assert [value_of(constants, "x") for constants in network.ranks] == ["old"] * 2


def test_what_rank_0_has_opened_costs_it_no_second_copy() -> None:
    network = Network(1)
    network.propose(0, x=[np.zeros(PLACED_BYTES), "text" * PLACED_BYTES])
    constant = network.ranks[0].find("x")
    assert constant is not None
    array, _ = constant.open()
    (buffer,) = constant._imprint.buffers  # type: ignore[union-attr]
    assert np.shares_memory(array, np.frombuffer(buffer, np.uint8))
    assert constant._payload is None


def test_a_proposer_is_answered_once_it_has_the_constant_itself() -> None:
    network = Network(2)
    answers: list[bool] = []
    proposal = Proposal(lambda: answers.append(has(network.ranks[1], "x")))
    (proposed,) = network.ranks[1].propose({"x": seal(1)}, proposal)
    (decided,) = network.ranks[0].handle(1, proposed.message)
    (published,) = network.ranks[0].handle(0, decided.message)
    assert has(network.ranks[0], "x")
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
    assert not has(constants, "second")
    network.deliver((0, 1))
    assert constants.version == 2
    assert (value_of(constants, "first"), value_of(constants, "second")) == (1, 2)


def test_a_deleted_name_can_be_taken_again() -> None:
    network = Network(3)
    network.propose(1, x="old")
    network.deliver_all()
    network.delete(2, "x")
    network.deliver_all()
    assert not any(has(constants, "x") for constants in network.ranks)
    again = network.propose(0, x="new")
    network.deliver_all()
    assert again.refused is None
    assert [value_of(constants, "x") for constants in network.ranks] == ["new"] * 3


def test_who_deletes_late_deletes_nothing_that_was_set_since() -> None:
    network = Network(3)
    network.propose(0, x="old")
    network.deliver_all()
    network.delete(1, "x")
    network.delete(2, "x")
    network.deliver((1, 0))
    network.propose(0, x="new")
    network.deliver_all()
    assert [value_of(constants, "x") for constants in network.ranks] == ["new"] * 3


def test_a_rank_that_has_heard_of_a_deletion_reads_nothing_old() -> None:
    network = Network(2)
    registrar, constants = network.ranks
    network.propose(0, x="old", y="other")
    network.deliver_all()
    network.delete(0, "x")
    network.propose(0, x="new")
    constants.hear_of(registrar.news)
    assert not has(constants, "x")
    network.deliver((0, 1))
    network.deliver((0, 1))
    assert (value_of(constants, "x"), value_of(constants, "y")) == ("new", "other")


def test_who_waits_for_a_large_constant_can_read_the_others_meanwhile() -> None:
    network = Network(2)
    registrar, constants = network.ranks
    network.propose(0, x=1)
    network.deliver_all()
    network.propose(0, large=HUGE)
    constants.hear_of(registrar.news)
    assert constants.is_behind
    assert value_of(constants, "x") == 1


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
        np.testing.assert_array_equal(value_of(constants, "x"), HUGE)


@pytest.mark.parametrize("value", [b"x" * PLACED_BYTES, "x" * PLACED_BYTES, list(range(400_000))])
def test_long_bytes_texts_and_lists_are_placed_too(value: object) -> None:
    network = Network(2, ranks_per_node=2)
    network.propose(0, x=value)
    network.deliver_all()
    assert len(network.placed) == 1
    assert all(value_of(constants, "x") == value for constants in network.ranks)


def test_small_constants_and_those_of_a_lonely_rank_are_not_placed() -> None:
    for network, value in ((Network(4, ranks_per_node=4), LARGE), (Network(4), HUGE)):
        network.propose(0, x=value)
        network.deliver_all()
        assert not network.placed


def test_a_leader_knows_who_has_yet_to_map() -> None:
    network = Network(2, ranks_per_node=2)
    network.propose(0, x=HUGE)
    leader = network.ranks[0]
    assert has(leader, "x")
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
        np.testing.assert_array_equal(value_of(network.ranks[1], name), HUGE)


def test_where_a_leader_cannot_place_all_get_copies() -> None:
    network = Network(3, ranks_per_node=3)
    network.without_memory = {0}
    network.propose(2, x=HUGE)
    network.deliver_all()
    assert not network.placed
    assert all(has(constants, "x") for constants in network.ranks)


def test_a_leader_that_cannot_map_what_it_has_placed_keeps_a_copy() -> None:
    network = Network(2, ranks_per_node=2)
    leader, _ = network.ranks
    array = np.ones(HUGE.size)
    (proposed,) = leader.propose({"x": seal(array)}, Proposal(lambda: None))
    (decided,) = leader.handle(0, proposed.message)
    placed = ConstantsPlaced(1, b"", Place(0, 0, (0, 0), ()), {})
    assert leader.handle(0, decided.message, placed) == [Send(0, placed), Send(1, placed)]
    assert not has(leader, "x")
    assert leader.handle(0, ConstantsMapped(1, "too many open files")) == []
    array[:] = 0
    assert value_of(leader, "x").all()
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
        assert value_of(constants, "x").all()


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("length", [3, LARGE.size, HUGE.size])
def test_arrays_in_constants_are_read_only_on_every_rank(kind: str, length: int) -> None:
    network = Network(3, ranks_per_node=2)
    array = ARRAYS[kind](length)
    network.propose(0, x=[array, lambda: array])
    network.deliver_all()
    for constants in network.ranks:
        received, function = value_of(constants, "x")
        for found in (received, function()):
            assert_same(found, array)
            assert not found.flags.writeable


@given(array=any_arrays())
def test_any_array_in_a_constant_is_the_same_and_read_only(array: Array) -> None:
    network = Network(2)
    network.propose(0, x=array)
    network.deliver_all()
    for constants in network.ranks:
        received = value_of(constants, "x")
        assert_same(received, array)
        assert not received.flags.writeable


@pytest.mark.parametrize("kind", [kind for kind in ARRAYS if "object" not in kind])
def test_arrays_of_all_kinds_but_objects_are_in_the_node_s_memory(kind: str) -> None:
    network = Network(2, ranks_per_node=2)
    array = ARRAYS[kind](HUGE.size)
    network.propose(0, x=array)
    network.deliver_all()
    assert len(network.placed) == int(array.nbytes >= PLACED_BYTES)


def test_a_masked_array_keeps_its_mask_and_refuses_another() -> None:
    network = Network(2)
    array = np.ma.array([1, 2, 3], mask=[False, True, False], fill_value=7, hard_mask=True)
    network.propose(0, x=array, unmasked=np.ma.array([1, 2]))
    network.deliver_all()
    received = value_of(network.ranks[1], "x")
    assert received.tolist() == [1, None, 3]
    assert (received.fill_value, received.hardmask) == (7, True)
    assert value_of(network.ranks[1], "unmasked").mask is np.ma.nomask
    for value in (5, np.ma.masked):
        with pytest.raises(ValueError, match="read-only"):
            received[0] = value


def test_a_mapped_file_comes_as_an_array_in_memory(tmp_path: Path) -> None:
    array = np.memmap(tmp_path / "numbers", np.float64, "w+", shape=HUGE.shape)
    array[:] = 3
    network = Network(2, ranks_per_node=2)
    network.propose(0, x=array)
    network.deliver_all()
    assert len(network.placed) == 1
    received = value_of(network.ranks[1], "x")
    assert_same(received, array)
    assert not received.flags.writeable


class Described(np.ndarray[Any, Any]):
    """A subclass of array that travels in its own way, with what it has of its own."""

    text = ""

    def __reduce__(self) -> Any:
        reduced: Any = super().__reduce__()
        make, arguments, state = reduced
        return make, arguments, (state, self.text)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[0])
        self.text = state[1]


def test_an_array_that_travels_in_its_own_way_is_read_only_too() -> None:
    array = np.arange(5).view(Described)
    array.text = "its own"
    network = Network(2)
    network.propose(0, x=array)
    network.deliver_all()
    for constants in network.ranks:
        received = value_of(constants, "x")
        assert_same(received, array)
        assert received.text == "its own"
        assert not received.flags.writeable


def test_an_array_of_objects_may_hold_itself() -> None:
    array = np.empty(2, object)
    array[:] = [1, array]
    network = Network(2)
    network.propose(0, x=array)
    network.deliver_all()
    received = value_of(network.ranks[1], "x")
    assert received[1] is received
    assert not received.flags.writeable


def test_a_reader_gets_the_same_object_each_time() -> None:
    network = Network(1)
    network.propose(0, x=[1, 2])
    network.deliver_all()
    assert value_of(network.ranks[0], "x") is value_of(network.ranks[0], "x")


def test_a_constant_that_cannot_be_opened_fails_each_time_it_is_read() -> None:
    network = Network(2)
    network.propose(0, bad=Ununpicklable(), good=1)
    network.deliver_all()
    constants = network.ranks[1]
    for _ in range(2):
        assert has(constants, "bad")
        with pytest.raises(SerializationError, match="refuses to be unpickled"):
            value_of(constants, "bad")
    assert value_of(constants, "good") == 1


def test_whoever_waits_for_a_constant_is_notified() -> None:
    network = Network(2)
    seen: list[bool] = []
    constants = network.ranks[1]
    constants.on_change.append(lambda: seen.append(has(constants, "x")))
    network.propose(0, x=1)
    network.deliver_all()
    assert seen[-1]


def test_other_messages_are_refused() -> None:
    with pytest.raises(UnexpectedMessage, match=r"WorkWanted\(\) from rank 1"):
        Constants(0, [0], refuse_to_post, discard).handle(1, WorkWanted())
