"""The picture of a run on the first page is what its script draws, and shows each call once."""

from __future__ import annotations

from itertools import pairwise

from docs.draw_run import FILE, LENGTHS, RANKS, Run, draw


def test_the_picture_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == draw(), "python docs/draw_run.py"


def test_each_call_is_made_once_and_no_rank_makes_two_at_a_time() -> None:
    run = Run()
    assert sorted(call.number for call in run.calls) == list(range(len(LENGTHS)))
    for rank in range(RANKS):
        calls = [call for call in run.calls if call.rank == rank]
        assert all(one.end <= next_.begin for one, next_ in pairwise(calls))
