"""Medians, quantiles, METG and the greedy schedule."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import greedy_makespan, metg, percentiles, quantile, summary

LENGTHS = st.lists(st.floats(0.001, 10), min_size=1, max_size=50)


def test_summary_is_median_and_extremes() -> None:
    found = summary([3.0, 1.0, 10.0])
    assert (found.median, found.least, found.most, found.count) == (3.0, 1.0, 10.0, 3)


def test_summary_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no measurements"):
        summary([])


def test_quantiles_are_interpolated() -> None:
    assert quantile([0.0, 10.0], 0.25) == 2.5
    assert quantile([7.0], 0.99) == 7.0


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        quantile([1.0], share)


@given(LENGTHS)
def test_percentiles_run_from_the_least_to_the_greatest(values: list[float]) -> None:
    found = percentiles(values)
    assert len(found) == 101
    assert (found[0], found[100]) == (min(values), max(values))
    assert found[50] == pytest.approx(statistics.median(values))


def test_metg_lies_between_the_runs_on_either_side() -> None:
    # Half-way in efficiency is half-way on a logarithmic scale.
    assert metg([1e-6, 1e-4], [0.4, 0.6], 0.5) == pytest.approx(1e-5)


def test_metg_of_a_run_that_is_as_efficient_is_its_granularity() -> None:
    assert metg([1e-6, 1e-5, 1e-4], [0.1, 0.5, 0.9], 0.5) == pytest.approx(1e-5)


def test_metg_is_the_first_that_is_reached() -> None:
    assert metg([1.0, 2.0, 3.0, 4.0], [0.1, 0.5, 0.3, 0.9], 0.5) == pytest.approx(2.0)


def test_metg_of_the_shortest_run_can_only_be_bounded() -> None:
    assert metg([1e-6, 1e-5], [0.7, 0.9], 0.5) == 1e-6


def test_metg_that_is_never_reached_is_infinite() -> None:
    assert metg([1e-6, 1e-5], [0.1, 0.2], 0.5) == math.inf


def test_greedy_gives_each_task_to_the_first_free_rank() -> None:
    # Rank 0: 3, then 1; rank 1: 2, then 4.
    assert greedy_makespan([3.0, 2.0, 4.0, 1.0], 2) == 6.0


@given(LENGTHS, st.integers(1, 8))
def test_greedy_is_within_its_bounds(lengths: list[float], ranks: int) -> None:
    found = greedy_makespan(lengths, ranks)
    ideal = max(sum(lengths) / ranks, max(lengths))
    assert ideal <= found + 1e-9
    assert found <= sum(lengths) / ranks + max(lengths) + 1e-9
