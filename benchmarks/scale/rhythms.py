"""When a rank looks for messages: found by running the real `Backoff` and the real `Pump`.

Both only ever count pauses, so each time that a rank begins to idle, or to compute, the same
moments follow. They are worked out once, and looked up for each message that arrives.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate
from unittest import mock

from benchmarks.scale.costs import Costs
from scoop_mpi.engine.idle import Backoff
from scoop_mpi.engine.pump import Pump

_HORIZON = 60.0  # seconds; from then on the last pause is repeated


class Rhythm:
    """Moments at which something is done, counted from when it began.

    Args:
        pauses: the seconds between one moment and the next; the last of them repeats.
    """

    def __init__(self, pauses: list[float]) -> None:
        self._moments = list(accumulate(pauses))
        self._last_pause = pauses[-1]

    def next_after(self, seconds: float) -> float:
        """Return the first moment that is not before `seconds`."""
        moments = self._moments
        if seconds <= moments[-1]:
            return moments[bisect_left(moments, seconds)]
        beyond = -(-(seconds - moments[-1]) // self._last_pause)
        return moments[-1] + beyond * self._last_pause

    def count(self, seconds: float) -> int:
        """Return the number of moments before `seconds`."""
        return bisect_left(self._moments, seconds)


def idling(costs: Costs) -> Rhythm:
    """Return when a rank that idles, with a core of its own, looks for messages."""
    pauses: list[float] = []
    elapsed = slept = 0.0

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept = seconds + costs.timer_slack

    backoff = Backoff(ranks_per_core=1)
    with mock.patch("time.sleep", sleep), mock.patch("os.sched_yield"):
        while elapsed < _HORIZON:
            slept = 0.0
            backoff.pause(None)
            pauses.append(slept + costs.step)
            elapsed += pauses[-1]
    return Rhythm(pauses)


def pumping(costs: Costs) -> Rhythm:
    """Return when the pump looks for messages while user code runs and nothing moves."""
    pauses: list[float] = []
    has_enough = threading.Event()

    def duties() -> bool:
        if sum(pauses) > _HORIZON:
            has_enough.set()
            pump.stop()
        return False

    def fail(error: BaseException) -> None:
        raise error

    pump = Pump(duties, lambda: False, lambda: False, fail)
    with mock.patch("time.sleep", pauses.append):
        pump.start()
        has_enough.wait()
        pump.stop()
    return Rhythm([pause + costs.timer_slack + costs.gil_wait for pause in pauses])
