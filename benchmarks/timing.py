"""Clocks, and loops whose length in time is known beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from benchmarks.workloads import busy

T = TypeVar("T")

_CALIBRATION_ITERATIONS = 100_000  # some milliseconds
_CALIBRATIONS = 5


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call took, and what it returned."""
    begin = time.perf_counter()
    value = function()
    return time.perf_counter() - begin, value


def seconds_per_iteration() -> float:
    """Return how long one iteration of `workloads.busy` takes undisturbed: the best of some."""
    return min(
        timed(lambda: busy(_CALIBRATION_ITERATIONS))[0] / _CALIBRATION_ITERATIONS
        for _ in range(_CALIBRATIONS)
    )


def long_enough(run: Callable[[int], None], seconds: float, most: int) -> tuple[int, float]:
    """Repeat a run with more and more items until it takes long enough to be measured.

    Args:
        run: makes a run with so many items.
        seconds: how long is long enough.
        most: the number of items that is enough in any case.

    Returns:
        The number of items of the last run, and its seconds.
    """
    count = min(16, most)
    while True:
        duration, _ = timed(partial(run, count))
        if duration >= seconds / 2 or count == most:
            return count, duration
        aim = int(count * seconds / max(duration, 1e-9))
        count = min(most, max(2 * count, min(aim, 20 * count)))
