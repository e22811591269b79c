"""Work is split evenly, nothing of it twice, and what must be kept is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.state.policy import (
    FUTURES_PER_THIEF,
    MOST_TEAMS,
    ROOT_SERVES_FROM,
    deal,
    merged,
    only_serves,
    shares,
    teams,
)

many = st.integers(1, 40)
keeps = st.integers(0, 3)


@given(st.integers(0, 10**9), many, keeps)
def test_shares_leave_what_must_be_kept(calls: int, thieves: int, keep: int) -> None:
    given_away = shares(calls, thieves, keep)
    assert len(given_away) == thieves
    assert min(given_away) >= 0
    assert calls - sum(given_away) >= min(keep, calls)


@given(st.integers(0, 10**9), many, keeps)
def test_shares_are_even(calls: int, thieves: int, keep: int) -> None:
    given_away = shares(calls, thieves, keep)
    own = calls - sum(given_away)
    assert max(given_away) - min(given_away) <= 1
    assert max(given_away) <= own + 1
    if own > keep:
        assert own <= min(given_away) + 1


@given(st.integers(1, 10**9), many, st.integers(0, 1))
def test_calls_to_spare_are_shared(calls: int, thieves: int, keep: int) -> None:
    assert (sum(shares(calls, thieves, keep)) > 0) == (calls > keep)


@pytest.mark.parametrize(
    ("calls", "thieves", "keep", "expected"),
    [
        (10, 1, 0, [5]),
        (11, 1, 0, [6]),
        (1, 1, 0, [1]),
        (1, 1, 1, [0]),
        (2, 1, 1, [1]),
        (12, 3, 0, [3, 3, 3]),
        (2, 3, 0, [1, 1, 0]),
        (2, 3, 1, [1, 0, 0]),
        (0, 2, 0, [0, 0]),
    ],
)
def test_shares_by_example(calls: int, thieves: int, keep: int, expected: list[int]) -> None:
    assert shares(calls, thieves, keep) == expected


@given(st.integers(0, 100), many, keeps)
def test_each_task_is_dealt_at_most_once(count: int, thieves: int, keep: int) -> None:
    hands = deal(range(count), thieves, keep)
    dealt = [task for hand in hands for task in hand]
    assert len(hands) == thieves
    assert len(set(dealt)) == len(dealt)
    assert set(dealt) <= set(range(count))


@given(st.integers(0, 100), many, keeps)
def test_the_newest_tasks_are_kept(count: int, thieves: int, keep: int) -> None:
    dealt = {task for hand in deal(range(count), thieves, keep) for task in hand}
    assert not dealt & set(range(count - keep, count))


@given(st.integers(0, 100), many, keeps)
def test_hands_are_even_and_oldest_first(count: int, thieves: int, keep: int) -> None:
    hands = deal(range(count), thieves, keep)
    sizes = [len(hand) for hand in hands]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1
    assert all(hand == sorted(hand) for hand in hands)
    assert count - sum(sizes) <= sizes[-1] + keep + 1


@given(st.integers(1, 100), many, st.integers(0, 1))
def test_a_task_to_spare_is_dealt(count: int, thieves: int, keep: int) -> None:
    assert any(deal(range(count), thieves, keep)) == (count > keep)


@pytest.mark.parametrize(
    ("count", "thieves", "keep", "expected"),
    [
        (6, 1, 0, [[0, 2, 4]]),
        (6, 2, 0, [[0, 3], [1, 4]]),
        (1, 1, 0, [[0]]),
        (1, 1, 1, [[]]),
        (2, 1, 1, [[0]]),
        (3, 2, 1, [[0], [1]]),
        (2, 3, 0, [[0], [1], []]),
        (0, 2, 0, [[], []]),
    ],
)
def test_deal_by_example(count: int, thieves: int, keep: int, expected: list[list[int]]) -> None:
    assert deal(range(count), thieves, keep) == expected


def test_no_thief_gets_too_many_futures() -> None:
    hands = deal(range(10 * FUTURES_PER_THIEF), 2, 0)
    assert [len(hand) for hand in hands] == [FUTURES_PER_THIEF] * 2
    assert not set(hands[0]) & set(hands[1])


@given(st.integers(0, 10**6), many)
def test_who_does_not_take_part_gives_all_away(calls: int, thieves: int) -> None:
    assert sum(shares(calls, thieves, 0, takes_part=False)) == calls


@given(st.integers(0, 100), many)
def test_who_does_not_take_part_deals_all(count: int, thieves: int) -> None:
    hands = deal(range(count), thieves, 0, takes_part=False)
    assert sorted(task for hand in hands for task in hand) == list(range(count))


@given(st.integers(1, 3 * MOST_TEAMS))
def test_each_thief_is_in_one_team(count: int) -> None:
    grouped = teams(range(count))
    assert len(grouped) == min(count, MOST_TEAMS)
    assert sorted(thief for team in grouped for thief in team) == list(range(count))
    sizes = [len(team) for team in grouped]
    assert max(sizes) - min(sizes) <= 1


def test_where_there_is_little_each_team_gets_some() -> None:
    counts = shares(2 * MOST_TEAMS, 10 * MOST_TEAMS, keep=0, takes_part=False)
    assert [sum(team) for team in teams(counts)] == [2] * MOST_TEAMS


def test_the_hands_of_a_team_are_merged_oldest_first() -> None:
    assert merged([[0, 4, 8], [1, 5], [2, 6]]) == [0, 1, 2, 4, 5, 6, 8]
    assert merged([[3]]) == [3]
    assert merged([[], []]) == []


def test_no_message_carries_too_many_futures() -> None:
    assert merged([range(FUTURES_PER_THIEF)] * 2) == [
        number for number in range(FUTURES_PER_THIEF // 2) for _ in range(2)
    ]


def test_the_root_of_many_ranks_only_serves() -> None:
    assert not only_serves(0, ROOT_SERVES_FROM - 1)
    assert only_serves(0, ROOT_SERVES_FROM)
    assert not only_serves(1, ROOT_SERVES_FROM)


def test_what_the_root_does_can_be_chosen() -> None:
    assert only_serves(0, 2, "serves")
    assert not only_serves(1, 2, "serves")
    assert not only_serves(0, 1, "serves")
    assert not only_serves(0, ROOT_SERVES_FROM, "works")
