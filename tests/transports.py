"""What every transport has to do: the contract of `scoop_mpi.transport.protocol`, as tests.

Each test is a function that all ranks run at once, each with its own end of a transport. The fabric
has its ranks run it in threads, MPI in processes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable

from scoop_mpi.transport.frames import Frames, bytes_of
from scoop_mpi.transport.protocol import Transport

Test = Callable[[Transport], None]
LIMIT = 60.0  # seconds for all messages of a test to come
TESTS: list[Test] = []

Letters = list[tuple[int, list[bytes]]]


def contract(test: Test) -> Test:
    """Have `test` be one of the tests that each transport has to pass."""
    TESTS.append(test)
    return test


def receive_all(transport: Transport, count: int) -> Letters:
    """Return the next messages, with their sources, in the order in which they come."""
    letters: Letters = []
    deadline = time.monotonic() + LIMIT
    while len(letters) < count or transport.is_sending:
        assert time.monotonic() < deadline, f"{len(letters)} of {count} messages have come"
        transport.progress()
        arrived = transport.receive()
        if arrived is not None:
            source, frames = arrived
            letters.append((source, [bytes(bytes_of(frame)) for frame in frames]))
        else:
            time.sleep(0)
    return letters


def nothing_is_left(transport: Transport) -> None:
    transport.barrier()
    assert transport.receive() is None
    transport.progress()
    assert not transport.is_sending
    assert not transport.is_receiving
    assert transport.bytes_pending == 0
    transport.barrier()


def everybody(transport: Transport) -> Iterable[int]:
    """Each rank, this one too, beginning with the next: so not all send to rank 0 first."""
    return ((transport.rank + step) % transport.size for step in range(transport.size))


def pattern(*numbers: int, length: int) -> bytes:
    return random.Random(repr(numbers)).randbytes(length)


@contract
def each_message_arrives_once_and_in_order(transport: Transport) -> None:
    count = 50
    for number in range(count):
        for rank in everybody(transport):
            transport.send(rank, [b"%d" % number])
    letters = receive_all(transport, count * transport.size)
    for rank in range(transport.size):
        numbers = [int(frames[0]) for source, frames in letters if source == rank]
        assert numbers == list(range(count))
    nothing_is_left(transport)


@contract
def messages_of_any_size_arrive_as_they_were_sent(transport: Transport) -> None:
    for length in (0, 1, 4095, 4096, 4097, 70_000, 3_000_000):
        for rank in everybody(transport):
            transport.send(rank, [pattern(transport.rank, rank, length, length=length)])
        letters = receive_all(transport, transport.size)
        assert sorted(source for source, _ in letters) == list(range(transport.size))
        for source, frames in letters:
            assert frames == [pattern(source, transport.rank, length, length=length)]
        transport.barrier()
    nothing_is_left(transport)


@contract
def messages_of_any_number_of_frames_arrive_as_they_were_sent(transport: Transport) -> None:
    for lengths in ([0, 0], [5, 0, 7], [100_000, 1], [1] * 255, [1] * 256, [3] * 257, [0] * 1000):
        for rank in everybody(transport):
            frames = [pattern(transport.rank, place, length=n) for place, n in enumerate(lengths)]
            transport.send(rank, frames)
        for source, arrived in receive_all(transport, transport.size):
            expected = [pattern(source, place, length=n) for place, n in enumerate(lengths)]
            assert arrived == expected
        transport.barrier()
    nothing_is_left(transport)


@contract
def none_is_lost_if_large_and_small_ones_mix(transport: Transport) -> None:
    rng = random.Random(transport.rank)
    count = 60
    for number in range(count):
        for rank in everybody(transport):
            frames: Frames = [b"%d" % number]
            if rng.random() < 0.4:
                frames.append(pattern(number, length=rng.choice((10, 20_000, 300_000))))
            transport.send(rank, frames)
    letters = receive_all(transport, count * transport.size)
    for rank in range(transport.size):
        of_rank = [frames for source, frames in letters if source == rank]
        assert sorted(int(frames[0]) for frames in of_rank) == list(range(count))
        small = [int(frames[0]) for frames in of_rank if len(frames) == 1]
        assert small == sorted(small)
        for number, large in ((int(frames[0]), frames[1]) for frames in of_rank if len(frames) > 1):
            assert large == pattern(number, length=len(large))
    nothing_is_left(transport)


@contract
def one_rank_may_be_flooded(transport: Transport) -> None:
    count = 2000
    if transport.rank:
        for number in range(count):
            transport.send(0, [b"%d" % number])
        receive_all(transport, 0)
    else:
        letters = receive_all(transport, count * (transport.size - 1))
        assert len(letters) == count * (transport.size - 1)
    nothing_is_left(transport)


@contract
def what_arrives_is_the_receivers_own(transport: Transport) -> None:
    """The sender may use its memory again once the message has left."""
    memory = bytearray(pattern(transport.rank, length=50_000))
    peer = (transport.rank + 1) % transport.size
    transport.send(peer, [memory, b"and this"])
    letters = receive_all(transport, 1)
    memory[:] = b"x" * len(memory)
    transport.barrier()
    source, frames = letters[0]
    assert frames == [pattern(source, length=50_000), b"and this"]
    nothing_is_left(transport)


@contract
def all_ranks_see_one_topology(transport: Transport) -> None:
    assert 0 <= transport.rank < transport.size
    assert len(transport.leaders) == transport.size
    for rank, leader in enumerate(transport.leaders):
        assert leader <= rank
        assert transport.leaders[leader] == leader
    assert transport.ranks_per_core > 0
    facts = transport.gather((transport.rank, list(transport.leaders), transport.hashes_agree))
    if transport.rank == 0:
        assert [rank for rank, *_ in facts] == list(range(transport.size))
        assert all(fact[1:] == facts[0][1:] for fact in facts)


@contract
def facts_are_gathered_and_shared(transport: Transport) -> None:
    for turn in range(5):
        facts = transport.gather((turn, transport.rank))
        expected = [(turn, rank) for rank in range(transport.size)]
        assert facts == (expected if transport.rank == 0 else [])
        assert transport.share((turn, transport.rank)) == (turn, 0)
    nothing_is_left(transport)


@contract
def a_barrier_holds_up_until_all_have_come(transport: Transport) -> None:
    """Whoever leaves the barrier finds what all have sent before they came."""
    for rank in everybody(transport):
        transport.send(rank, [b"before"])
    transport.barrier()
    assert len(receive_all(transport, transport.size)) == transport.size
    nothing_is_left(transport)
