"""Medians, quantiles, spreads, and the shortest task that is worth distributing. Pure functions."""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PERCENTS = tuple(range(101))


@dataclass(frozen=True, slots=True)
class Summary:
    """Several measurements of one thing: the median, and between which values it lies."""

    median: float
    least: float
    most: float
    count: int


def summary(values: Iterable[float]) -> Summary:
    """Summarise measurements.

    Raises:
        ValueError: there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no measurements to summarise")
    return Summary(statistics.median(ordered), ordered[0], ordered[-1], len(ordered))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share (0 to 1) of the ordered values lies.

    Between two values it is interpolated.

    Raises:
        ValueError: there are no values, or the share is none.
    """
    if not ordered or not 0 <= share <= 1:
        raise ValueError(f"no quantile {share} of {len(ordered)} values")
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def percentiles(values: Iterable[float]) -> list[float]:
    """Return the 0th to the 100th percentile."""
    ordered = sorted(values)
    return [quantile(ordered, percent / 100) for percent in PERCENTS]


def metg(granularities: Sequence[float], efficiencies: Sequence[float], least: float) -> float:
    """Return the minimum effective task granularity.

    As in Task Bench (Slaughter and others, SC 2020): a task's granularity is the time of the whole
    run, times the number of cores, divided by the number of tasks; so it includes the overhead.
    METG(50 %) is the smallest granularity at which half of the cores' time goes into the
    tasks' own work.

    Args:
        granularities: in seconds, of runs with longer and longer tasks.
        efficiencies: the share of useful work in each of these runs.
        least: the efficiency to reach.

    Returns:
        Seconds, interpolated between two runs on a logarithmic scale. Infinity if no run is as
        efficient; the shortest run's granularity if all are.
    """
    previous: tuple[float, float] | None = None
    for granularity, efficiency in zip(granularities, efficiencies, strict=True):
        if efficiency >= least:
            if previous is None:
                return granularity
            before, share = previous
            part = (least - share) / (efficiency - share)
            return math.exp(math.log(before) + part * (math.log(granularity) - math.log(before)))
        previous = granularity, efficiency
    return math.inf


def greedy_makespan(lengths: Iterable[float], ranks: int) -> float:
    """Return how long tasks take if each goes, in order and at no cost, to the first free rank.

    No scheduler that doesn't know the lengths beforehand does better than by chance.
    """
    ends = [0.0] * ranks
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)
