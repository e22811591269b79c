"""The programs that are simulated: which tasks there are, how long they take, what they start.

Tasks are numbered; a map's calls are a range of numbers, which costs nothing to split and to send.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Protocol

NO_TASKS = range(0)


class Load(Protocol):
    """A program: the root runs `maps`, one after the other.

    Attributes:
        name: what to call it.
        count: the number of tasks.
    """

    name: str
    count: int

    def maps(self) -> Iterator[range]:
        """Return the tasks of each map that the program makes."""
        ...

    def seconds(self, task: int) -> float:
        """Return how long a task computes, before it maps its children."""
        ...

    def children(self, task: int) -> range:
        """Return the tasks that a task maps, and waits for."""
        ...


class Equal:
    """One map of tasks that all take the same time."""

    def __init__(self, ranks: int, seconds: float, tasks_per_rank: int = 40) -> None:
        self.name = "equal"
        self.count = ranks * tasks_per_rank
        self._seconds = seconds

    def maps(self) -> Iterator[range]:
        """See `Load`."""
        yield range(self.count)

    def seconds(self, task: int) -> float:
        """See `Load`."""
        return self._seconds

    def children(self, task: int) -> range:
        """See `Load`."""
        return NO_TASKS


class Uneven(Equal):
    """One map of tasks whose times are distributed exponentially, but for a longest one."""

    LONGEST = 5.0  # times the mean

    def __init__(self, ranks: int, seconds: float, tasks_per_rank: int = 40) -> None:
        super().__init__(ranks, seconds, tasks_per_rank)
        self.name = "uneven"
        draw = random.Random(1).expovariate
        self._times = [seconds * min(draw(1.0), self.LONGEST) for _ in range(self.count)]

    def seconds(self, task: int) -> float:
        """See `Load`."""
        return self._times[task]


class ManyMaps(Equal):
    """Many small maps, one after the other: the generations of an evolutionary algorithm."""

    MAPS = 20

    def __init__(self, ranks: int, seconds: float, tasks_per_rank: int = 40) -> None:
        super().__init__(ranks, seconds, tasks_per_rank)
        self.name = "many maps"
        self.count = max(ranks - 1, 1) * tasks_per_rank

    def maps(self) -> Iterator[range]:
        """See `Load`."""
        size = self.count // self.MAPS
        for first in range(0, self.count, size):
            yield range(first, min(first + size, self.count))


class Tree:
    """A deep tree: tasks that map tasks that map tasks. The leaves do nearly all the work."""

    ARITY = 4
    INNER_SECONDS = 1e-3

    def __init__(self, ranks: int, seconds: float, tasks_per_rank: int = 40) -> None:
        self.name = "tree"
        leaves = ranks * tasks_per_rank
        inner = -(-(leaves - 1) // (self.ARITY - 1))
        self.count = leaves + inner
        self._seconds = seconds

    def maps(self) -> Iterator[range]:
        """See `Load`."""
        yield range(1)

    def seconds(self, task: int) -> float:
        """See `Load`."""
        return self.INNER_SECONDS if self.children(task) else self._seconds

    def children(self, task: int) -> range:
        """Number the nodes level by level, as a heap does."""
        first = self.ARITY * task + 1
        return range(min(first, self.count), min(first + self.ARITY, self.count))


LOADS: dict[str, type[Equal | Tree]] = {
    "equal": Equal,
    "uneven": Uneven,
    "tree": Tree,
    "many": ManyMaps,
}
