"""An idle rank spins, then yields, then sleeps, and is back at once when there is work."""

from __future__ import annotations

import os
import time

import pytest

from scoop_mpi.engine.idle import Backoff


class Pauses:
    """What was asked of the operating system."""

    def __init__(self) -> None:
        self.yields = 0
        self.sleeps: list[float] = []

    def sched_yield(self) -> None:
        self.yields += 1

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)

    def clear(self) -> None:
        self.yields = 0
        self.sleeps.clear()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    made = Pauses()
    monkeypatch.setattr(os, "sched_yield", made.sched_yield)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


def pause_until_asleep(backoff: Backoff, pauses: Pauses) -> int:
    """Pause until the first sleep; return how many pauses came before."""
    for count in range(100_000):
        backoff.pause(None)
        if pauses.sleeps:
            return count
    raise AssertionError("it never sleeps")


def test_a_rank_spins_before_it_yields_and_yields_before_it_sleeps(pauses: Pauses) -> None:
    backoff = Backoff(ranks_per_core=1)
    backoff.pause(None)
    assert (pauses.yields, pauses.sleeps) == (0, [])
    count = pause_until_asleep(backoff, pauses)
    assert 0 < pauses.yields < count + 1


def test_sleeps_grow_up_to_a_limit(pauses: Pauses) -> None:
    backoff = Backoff(ranks_per_core=1)
    pause_until_asleep(backoff, pauses)
    for _ in range(3000):
        backoff.pause(None)
    assert pauses.sleeps == sorted(pauses.sleeps)
    assert 0 < pauses.sleeps[0] < pauses.sleeps[-1] == pauses.sleeps[-2]


def test_work_brings_it_back_to_spinning(pauses: Pauses) -> None:
    backoff = Backoff(ranks_per_core=1)
    before = pause_until_asleep(backoff, pauses)
    first = pauses.sleeps[0]
    for _ in range(50):
        backoff.pause(None)
    backoff.reset()
    pauses.clear()
    assert pause_until_asleep(backoff, pauses) == before
    assert pauses.sleeps == [first]


def test_no_sleep_is_longer_than_its_limit(pauses: Pauses) -> None:
    backoff = Backoff(ranks_per_core=1)
    pause_until_asleep(backoff, pauses)
    for limit in (0.0, 1e-6, -1.0, 1e-5, 0.0):
        backoff.pause(limit)
        assert pauses.sleeps[-1] == max(limit, 0.0)


def test_where_ranks_share_cores_it_never_spins_and_sleeps_longer(pauses: Pauses) -> None:
    longest = []
    for ranks_per_core in (1, 8):
        backoff = Backoff(ranks_per_core)
        pause_until_asleep(backoff, pauses)
        for _ in range(3000):
            backoff.pause(None)
        longest.append(max(pauses.sleeps))
        pauses.clear()
    assert longest[0] < longest[1]
    Backoff(ranks_per_core=8).pause(None)
    assert pauses.yields == 1


def test_only_who_has_a_core_to_itself_looks_for_messages_again_and_again() -> None:
    assert Backoff(ranks_per_core=8).looks == 1 < Backoff(ranks_per_core=1).looks
