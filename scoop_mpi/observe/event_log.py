"""The event log: what a rank has last heard, said and done, for the case that it dies of a fault.

It is kept with ``--debug`` alone. Events are told in words at once, so that no object is held.
"""

from __future__ import annotations

import reprlib
from collections import Counter, deque
from collections.abc import Callable

MOST_EVENTS = 1000


class EventLog:
    """The last events of a rank.

    Args:
        clock: tells the time, in seconds.
        most: how many are kept.

    Attributes:
        counts: how many there have been of each kind, those included that are kept no longer.
    """

    def __init__(self, clock: Callable[[], float], most: int = MOST_EVENTS) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._events: deque[tuple[float, str]] = deque(maxlen=most)
        self._short = reprlib.Repr()
        self._short.maxother = self._short.maxstring = 60
        self._short.maxtuple = 12

    def add(self, what: str, thing: object = None) -> None:
        """Note that something has happened.

        Args:
            what: what it was, in words.
            thing: what it happened to.
        """
        kind = what if thing is None else f"{what} {type(thing).__name__}"
        self.counts[kind] += 1
        self._events.append((self._clock(), what if thing is None else self._told(what, thing)))

    def _told(self, what: str, thing: object) -> str:
        try:
            return f"{what} {self._short.repr(thing)}"
        except Exception as error:  # an object of the user's, within it
            return f"{what} {type(thing).__name__}, of which the repr raised {type(error).__name__}"

    def __str__(self) -> str:
        lines = [f"{when:.6f} {text}" for when, text in list(self._events)]
        left_out = sum(self.counts.values()) - len(lines)
        return "\n".join([f"({left_out} before these)"] * bool(left_out) + lines)
