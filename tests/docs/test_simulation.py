"""In what is simulated for pictures, each call is made once, by a rank that is free for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from docs.draw_run import LENGTHS
from docs.simulation import Run

# Each of the first seven calls starts two.
TREE = [[2 * node + 1, 2 * node + 2] if node < 7 else [] for node in range(15)]
RUNS = {
    "a map": Run(LENGTHS, ready=(0.0, 0.0, 0.15, 0.3), on_the_way=0.25),
    "calls by themselves": Run(LENGTHS, on_the_way=0.1, by_themselves=True),
    "a tree": Run(LENGTHS[:15], on_the_way=0.1, started=TREE),
    "one call": Run([1.0]),
}


@pytest.mark.parametrize("name", RUNS)
def test_each_call_is_made_once_and_no_rank_makes_two_at_a_time(name: str) -> None:
    run = RUNS[name]
    assert sorted(call.number for call in run.calls) == list(range(len(run.lengths)))
    for rank in run.ranks:
        calls = [call for call in run.calls if call.rank == rank]
        assert all(one.end <= next_.begin for one, next_ in pairwise(calls))


def test_a_call_begins_when_the_one_that_starts_it_is_over() -> None:
    calls = {call.number: call for call in RUNS["a tree"].calls}
    for number, started in enumerate(TREE):
        assert all(calls[number].end <= calls[other].begin for other in started)
    assert {call.rank for call in calls.values()} == {0, 1, 2, 3}


def test_who_has_nothing_to_do_takes_half() -> None:
    run = Run([1.0] * 9, ready=(0.0, 0.5))
    # Rank 0 makes call 0 meanwhile.
    assert [call.number for call in run.calls if call.rank == 0] == [0, 1, 2, 3, 4]
    assert [call.number for call in run.calls if call.rank == 1] == [5, 6, 7, 8]


def test_calls_by_themselves_are_dealt_like_cards_and_awaited_in_order() -> None:
    run = Run([1.0] * 8, ready=(0.0, 0.5), by_themselves=True)
    # Rank 0 waits for call 1, which rank 1 has, and begins the last one meanwhile.
    assert [call.number for call in run.calls if call.rank == 1] == [1, 3, 5, 7]
    assert [call.number for call in run.calls if call.rank == 0] == [0, 6, 2, 4]


def test_the_root_notes_a_result_when_its_own_call_is_over() -> None:
    run = Run([3.0, 1.0, 1.0, 1.0], ready=(0.0, 0.0))
    noted = {call.number: run.noted(call) for call in run.calls}
    assert noted[0] == 3.0
    assert noted[2] == noted[3] == 3.0
