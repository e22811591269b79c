"""The in-memory fabric: what a run without MPI uses, and a stand-in for MPI's habits."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.transport.fabric import LARGE_BYTES, Endpoint, Fabric
from scoop_mpi.transport.frames import Frames
from scoop_mpi.transport.protocol import Transport

SIZE = 3
ranks = st.integers(0, SIZE - 1)


def letter(number: int, is_large: bool) -> Frames:
    return [str(number).encode() + b"." * (LARGE_BYTES if is_large else 1)]


def number_in(frames: Frames) -> int:
    return int(bytes(frames[0]).partition(b".")[0])


def drain(endpoint: Endpoint) -> list[tuple[int, int]]:
    """Receive all there is; return the sources and numbers."""
    received = []
    while (arrived := endpoint.receive()) is not None:
        received.append((arrived[0], number_in(arrived[1])))
    return received


sends = st.lists(st.tuples(ranks, ranks, st.booleans()), max_size=20)


@given(st.randoms(use_true_random=False) | st.none(), sends)
def test_each_message_arrives_once_where_it_was_sent(
    rng: random.Random | None, sent: list[tuple[int, int, bool]]
) -> None:
    fabric = Fabric(SIZE, rng)
    expected = defaultdict(list)
    for number, (source, destination, is_large) in enumerate(sent):
        fabric.endpoints[source].send(destination, letter(number, is_large))
        expected[destination].append((source, number))
    for rank, endpoint in enumerate(fabric.endpoints):
        assert sorted(drain(endpoint)) == sorted(expected[rank])
    assert fabric.is_empty


@given(st.randoms(use_true_random=False), sends)
def test_small_messages_between_two_ranks_keep_their_order(
    rng: random.Random, sent: list[tuple[int, int, bool]]
) -> None:
    fabric = Fabric(SIZE, rng)
    small = set()
    for number, (source, destination, is_large) in enumerate(sent):
        fabric.endpoints[source].send(destination, letter(number, is_large))
        small |= set() if is_large else {number}
    for endpoint in fabric.endpoints:
        received = [pair for pair in drain(endpoint) if pair[1] in small]
        for source in range(SIZE):
            numbers = [number for sender, number in received if sender == source]
            assert numbers == sorted(numbers)


def orders_of(count: int, is_first_large: bool) -> set[tuple[int, ...]]:
    """The orders in which messages of one rank arrive under some seeds."""
    orders = set()
    for seed in range(50):
        fabric = Fabric(2, random.Random(seed))
        for number in range(count):
            fabric.endpoints[0].send(1, letter(number, is_first_large and number == 0))
        orders.add(tuple(number for _, number in drain(fabric.endpoints[1])))
    return orders


def test_a_large_message_may_be_overtaken() -> None:
    assert orders_of(3, is_first_large=True) == {(0, 1, 2), (1, 0, 2), (1, 2, 0)}


def test_a_small_message_is_not_overtaken() -> None:
    assert orders_of(3, is_first_large=False) == {(0, 1, 2)}


def test_a_message_of_several_frames_counts_as_large() -> None:
    fabric = Fabric(2)
    fabric.endpoints[0].send(1, [b"one", b"", b"three"])
    assert fabric.endpoints[0].is_sending
    arrived = fabric.endpoints[1].receive()
    assert arrived is not None
    assert [bytes(frame) for frame in arrived[1]] == [b"one", b"", b"three"]


def test_messages_of_several_ranks_arrive_in_any_order() -> None:
    firsts = set()
    for seed in range(50):
        fabric = Fabric(SIZE, random.Random(seed))
        for rank in range(SIZE):
            fabric.endpoints[rank].send(0, letter(rank, is_large=False))
        firsts.add(drain(fabric.endpoints[0])[0])
    assert firsts == {(rank, rank) for rank in range(SIZE)}


def test_a_seed_replays() -> None:
    def play(seed: int) -> list[tuple[int, int]]:
        rng = random.Random(seed)
        fabric = Fabric(SIZE, rng)
        for number in range(30):
            fabric.endpoints[number % SIZE].send(0, letter(number, number % 4 == 0))
        return drain(fabric.endpoints[0])

    assert play(5) == play(5)


def test_without_a_source_of_chance_it_is_first_come_first_served() -> None:
    fabric = Fabric(SIZE)
    order = [(1, 0), (2, 1), (1, 2), (0, 3), (2, 4)]
    for source, number in order:
        fabric.endpoints[source].send(0, letter(number, is_large=False))
    assert drain(fabric.endpoints[0]) == order


def test_mail_is_seen_before_it_is_received() -> None:
    fabric = Fabric(2)
    sender, receiver = fabric.endpoints
    assert fabric.is_empty
    assert receiver.receive() is None
    sender.send(1, [b"x"])
    assert receiver.has_mail
    assert not sender.has_mail
    assert not fabric.is_empty
    receiver.receive()
    assert not receiver.has_mail
    assert fabric.is_empty


def test_a_rank_can_write_to_itself() -> None:
    (endpoint,) = Fabric(1).endpoints
    endpoint.send(0, [b"x"])
    assert endpoint.receive() == (0, [b"x"])


def test_a_small_message_has_left_at_once() -> None:
    sender, _ = Fabric(2).endpoints
    sender.send(1, [b"x" * (LARGE_BYTES - 1)])
    assert not sender.is_sending


def test_a_large_message_is_pending_until_it_is_taken() -> None:
    sender, receiver = Fabric(2).endpoints
    sender.send(1, letter(0, is_large=True))
    sender.progress()
    assert sender.is_sending
    receiver.receive()
    sender.progress()
    assert not sender.is_sending


def test_a_large_message_is_read_only_when_it_is_taken() -> None:
    sender, receiver = Fabric(2).endpoints
    memory = bytearray(LARGE_BYTES)
    sender.send(1, [memory])
    memory[0] = 1
    arrived = receiver.receive()
    assert arrived is not None
    assert arrived[1][0][0] == 1


def test_a_received_message_has_memory_of_its_own() -> None:
    sender, receiver = Fabric(2).endpoints
    for size in (1, LARGE_BYTES):
        memory = bytearray(size)
        sender.send(1, [memory])
        arrived = receiver.receive()
        assert arrived is not None
        memory[0] = 1
        assert arrived[1][0][0] == 0


def test_endpoints_know_who_and_how_many_they_are() -> None:
    endpoints: list[Transport] = list(Fabric(SIZE).endpoints)
    assert [endpoint.rank for endpoint in endpoints] == [0, 1, 2]
    assert {endpoint.size for endpoint in endpoints} == {SIZE}
    assert all(endpoint.host and endpoint.is_thread_safe for endpoint in endpoints)


def test_abort_ends_the_process() -> None:
    with pytest.raises(SystemExit) as ending:
        Fabric(1).endpoints[0].abort(7)
    assert ending.value.code == 7
