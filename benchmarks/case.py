"""What a case is made of: contestants, each with something to measure, and figures to be reached.

A contestant names a measurement, a function of `measurements` or `raw`, and its arguments. A figure
is one metric of scoop_mpi's, mostly divided by one of another contestant of the same round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["s", "bytes", "bytes/s", "tasks/s", "steps/s", "share", "times"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One peer, with one thing to measure.

    Attributes:
        name: what it is called in tables and plots; unique within the case.
        peer: the name of the peer, as in `peers.PEERS`.
        workers: how many processes compute; a parameter `ranks` says it of measurements that start
            jobs themselves.
        measurement: the name of a function.
        parameters: its keyword arguments.
        short: those that are different in a short run.
        in_each_mpi: whether it is measured with each MPI though its job is none of MPI's.
        is_in_short: whether short runs have it.
        limit: seconds that its job may take.
    """

    name: str
    peer: str
    workers: int
    measurement: str
    parameters: Mapping[str, Any]
    short: Mapping[str, Any] = field(default_factory=dict)
    in_each_mpi: bool = False
    is_in_short: bool = True
    limit: float = 240.0

    def arguments(self, is_short: bool) -> dict[str, Any]:
        """Return the measurement's keyword arguments."""
        return {**self.parameters, **(self.short if is_short else {})}


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a figure."""

    bound: float
    is_upper: bool

    def is_reached(self, value: float) -> bool:
        """Whether a value is on the right side of the bound."""
        return value <= self.bound if self.is_upper else value >= self.bound


def at_most(bound: float) -> Goal:
    """The figure should not exceed this."""
    return Goal(bound, True)


def at_least(bound: float) -> Goal:
    """The figure should not fall below this."""
    return Goal(bound, False)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that the table shows.

    Attributes:
        what: in words.
        contestant: whose metric it is.
        metric: its name.
        unit: of the metric.
        beside: contestant and metric that it is divided by; None: it stands for itself.
        goal: for the ratio, or for the metric that stands for itself.
    """

    what: str
    contestant: str
    metric: str
    unit: Unit
    beside: tuple[str, str] | None = None
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Things that are measured beside each other.

    Attributes:
        name: for the command line.
        title: for the report.
        contestants: each is measured once in every round.
        figures: what to make of it.
        is_long: whether only ``--full`` has it.
    """

    name: str
    title: str
    contestants: tuple[Contestant, ...]
    figures: tuple[Figure, ...]
    is_long: bool = False

    def participants(self, is_short: bool) -> list[Contestant]:
        """Return the contestants of a run."""
        return [it for it in self.contestants if it.is_in_short or not is_short]
