"""Holds: a constant goes when nobody in the job refers to it, whatever overtakes what."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scoop_mpi.errors import SerializationError
from scoop_mpi.wire.columns import Sealed, seal
from scoop_mpi.wire.functions import Functions
from scoop_mpi.wire.holds import Hold, Holds, Keeper
from scoop_mpi.wire.messages import HoldReleased, Message, Send
from scoop_mpi.wire.serializer import decode, encode
from scoop_mpi.wire.values import Sealer

REGISTRAR = 0


class Copy:
    """What a message brings: the keeper of a payload, which it becomes where it arrives."""

    def __init__(self, name: str, source: int | None) -> None:
        self.name = name
        self.source = source


class Job:
    """Some ranks' holds, what holds them there, and what is under way."""

    def __init__(self, size: int) -> None:
        self.letters: list[list[Send]] = [[] for _ in range(size)]
        self.ranks = [self._holds(rank) for rank in range(size)]
        # By rank: holds that the program holds, and keepers of payloads in queues.
        self.held: list[list[tuple[str, Hold | Keeper]]] = [[] for _ in range(size)]
        self.under_way: list[tuple[int, int, Copy | Message]] = []
        self.made = 0
        self.removed: list[str] = []

    def _holds(self, rank: int) -> Holds:
        letters = self.letters[rank]
        return Holds(rank, REGISTRAR, lambda to, name: letters.append(Send(to, HoldReleased(name))))

    def make(self, rank: int) -> str:
        """Make a shared element: its constant is published before anybody else can get it."""
        name = f"element{self.made}"
        self.made += 1
        self.held[rank].append((name, self.ranks[rank].made(name)))
        self.ranks[REGISTRAR].published(name, rank)
        return name

    def send(self, rank: int, destination: int, which: int) -> None:
        """Send something that is held: a call, a result, or work that is passed on."""
        name, _ = self.held[rank][which % len(self.held[rank])]
        source = self.ranks[rank].copied(name)
        self.under_way.append((rank, destination, Copy(name, source)))

    def open(self, rank: int, which: int) -> None:
        """Unpickle an object that refers to what is held."""
        name, _ = self.held[rank][which % len(self.held[rank])]
        self.held[rank].append((name, self.ranks[rank].find(name, 1)))

    def drop(self, rank: int, which: int) -> None:
        del self.held[rank][which % len(self.held[rank])]

    def deliver(self, which: int) -> None:
        """Deliver any message, whatever it overtakes."""
        source, destination, message = self.under_way.pop(which % len(self.under_way))
        if isinstance(message, Copy):
            keeper = self.ranks[destination].arrived(message.name, 1, message.source)
            self.held[destination].append((message.name, keeper))
        else:
            self._handle(source, destination, message)

    def step(self, rank: int) -> None:
        """Send what objects have posted when they ended, or keepers when they came."""
        while self.letters[rank]:
            destination, message = self.letters[rank].pop(0)
            if destination == rank:
                self._handle(rank, rank, message)
            else:
                self.under_way.append((rank, destination, message))

    def settle(self) -> None:
        while self.under_way or any(self.letters):
            for rank in range(len(self.ranks)):
                self.step(rank)
            if self.under_way:
                self.deliver(0)

    def _handle(self, source: int, rank: int, message: Message) -> None:
        assert isinstance(message, HoldReleased)
        parent = self.ranks[rank].released(source, message.name)
        if parent == rank:
            assert rank == REGISTRAR
            self.removed.append(message.name)
        elif parent is not None:
            self.under_way.append((rank, parent, message))


class AnyOrder(RuleBasedStateMachine):
    """Ranks that make shared elements, hand them on, and forget them."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job(1)

    @initialize(size=st.integers(1, 5))
    def begin(self, size: int) -> None:
        self.job = Job(size)

    def rank(self, which: int) -> int:
        return which % len(self.job.ranks)

    def holder(self, which: int) -> int:
        holders = [rank for rank, held in enumerate(self.job.held) if held]
        return holders[which % len(holders)]

    @rule(which=st.integers(0, 99))
    def make(self, which: int) -> None:
        self.job.make(self.rank(which))

    @precondition(lambda self: any(self.job.held))
    @rule(holder=st.integers(0, 99), destination=st.integers(0, 99), which=st.integers(0, 99))
    def send(self, holder: int, destination: int, which: int) -> None:
        rank = self.holder(holder)
        if rank != self.rank(destination):  # what a rank says to itself is no message
            self.job.send(rank, self.rank(destination), which)

    @precondition(lambda self: any(self.job.held))
    @rule(holder=st.integers(0, 99), which=st.integers(0, 99))
    def open(self, holder: int, which: int) -> None:
        self.job.open(self.holder(holder), which)

    @precondition(lambda self: any(self.job.held))
    @rule(holder=st.integers(0, 99), which=st.integers(0, 99))
    def drop(self, holder: int, which: int) -> None:
        self.job.drop(self.holder(holder), which)

    @precondition(lambda self: self.job.under_way)
    @rule(which=st.integers(0, 99))
    def deliver(self, which: int) -> None:
        self.job.deliver(which)

    @rule(which=st.integers(0, 99))
    def step(self, which: int) -> None:
        self.job.step(self.rank(which))

    @invariant()
    def nothing_is_removed_that_is_held_or_under_way(self) -> None:
        held = {name for holders in self.job.held for name, _ in holders}
        under_way = {
            message.name for _, _, message in self.job.under_way if isinstance(message, Copy)
        }
        assert not (held | under_way).intersection(self.job.removed)

    def teardown(self) -> None:
        self.job.settle()
        for held in self.job.held:
            held.clear()
        while self.job.under_way or any(self.job.letters):
            self.job.settle()
            for held in self.job.held:
                held.clear()
        assert sorted(self.job.removed) == sorted(f"element{i}" for i in range(self.job.made))
        assert not any(map(len, self.job.ranks))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=50)


def test_an_element_that_nobody_ever_sent_goes_with_its_last_holder() -> None:
    job = Job(2)
    job.make(1)
    job.open(1, 0)
    job.drop(1, 0)
    job.settle()
    assert job.removed == []
    job.drop(1, 0)
    job.settle()
    assert job.removed == ["element0"]


def test_a_result_that_comes_before_all_else_keeps_the_element() -> None:
    """The maker forgets it, and the rank that ran the call too; the result is still under way."""
    job = Job(3)
    job.make(1)
    job.send(1, 2, 0)  # a call
    job.drop(1, 0)
    job.deliver(0)
    job.send(2, 0, 0)  # its result
    job.drop(2, 0)
    for rank in (1, 2):
        job.step(rank)
    assert job.removed == []
    job.deliver(0)
    job.settle()
    assert job.removed == []
    job.drop(0, 0)
    job.settle()
    assert job.removed == ["element0"]


def test_an_element_outlives_its_maker_s_by_what_was_passed_on() -> None:
    job = Job(4)
    job.make(1)
    for rank in (1, 2):
        job.send(rank, rank + 1, 0)
        job.deliver(0)
        job.drop(rank, 0)
    job.settle()
    assert job.removed == []
    job.drop(3, 0)
    job.settle()
    assert job.removed == ["element0"]
    assert not any(map(len, job.ranks))


def hold_of(job: Job, rank: int) -> Hold:
    job.make(rank)
    ((_, hold),) = job.held[rank]
    assert isinstance(hold, Hold)
    return hold


def test_a_payload_that_names_an_element_keeps_it() -> None:
    job = Job(1)
    payload = encode([hold_of(job, 0)])
    job.drop(0, 0)
    job.settle()
    assert job.removed == []
    assert [type(buffer) for buffer in payload[1]] == [Keeper]
    del payload
    job.settle()
    assert job.removed == ["element0"]


def test_one_payload_has_one_keeper_of_each_element_behind_its_buffers() -> None:
    job = Job(1)
    hold = hold_of(job, 0)
    array = np.arange(3000)
    data, buffers = encode([hold, array, hold, lambda: hold])
    assert [type(buffer) for buffer in buffers] == [pickle.PickleBuffer, Keeper]
    first, received, second, _ = decode((data, buffers))
    assert first is second
    np.testing.assert_array_equal(received, array)


def test_a_column_of_arguments_and_a_result_keep_what_they_name() -> None:
    job = Job(1)
    hold = hold_of(job, 0)
    array = np.arange(3000)
    column = seal([[1, array], [2, hold], [3, array]])
    value = Sealer(0, "host").value([hold, array])
    job.drop(0, 0)
    del hold
    job.settle()
    assert job.removed == []
    assert isinstance(column, Sealed)
    items, failures = column.open()
    assert not failures
    assert [number for number, _ in items] == [1, 2, 3]
    np.testing.assert_array_equal(items[2][1], array)
    np.testing.assert_array_equal(value.open()[1], array)
    del items, column
    job.settle()
    assert job.removed == []
    del value
    job.settle()
    assert job.removed == ["element0"]


def test_no_large_function_is_kept_that_names_an_element() -> None:
    job = Job(1)
    functions = Functions(0, lambda text: None)
    sealed = functions.seal(functools.partial(print, hold_of(job, 0), bytes(10**6)))
    assert isinstance(sealed, tuple)
    job.drop(0, 0)
    del sealed
    job.settle()
    assert job.removed == ["element0"]


def test_a_payload_that_could_not_be_made_keeps_nothing() -> None:
    job = Job(1)
    thing: Any = [hold_of(job, 0), (x for x in range(0))]
    with pytest.raises(SerializationError, match="generator"):
        encode(thing)
    thing.clear()
    job.drop(0, 0)
    job.settle()
    assert job.removed == ["element0"]


def test_copies_are_the_same_hold() -> None:
    job = Job(1)
    hold = hold_of(job, 0)
    assert copy.copy(hold) is hold
    assert copy.deepcopy([hold])[0] is hold


def test_what_the_program_pickles_itself_is_kept_for_ever() -> None:
    job = Job(2)
    pickled = pickle.dumps(hold_of(job, 1))
    job.drop(1, 0)
    job.settle()
    assert job.removed == []
    assert pickle.loads(pickled).name == "element0"
