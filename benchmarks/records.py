"""What was measured, as data: a list of records, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

Metrics = dict[str, "float | list[float]"]


@dataclass(frozen=True, slots=True)
class Record:
    """One job's measurements, or why there are none.

    Attributes:
        case: the name of what was measured.
        contestant: who was measured, a name that is unique within the case.
        peer: what runs the tasks.
        environment: the MPI, "" for jobs without.
        ranks: how many processes computed.
        round: which of the rounds this was.
        metrics: by name; seconds, bytes and counts, or lists of these.
        error: why the job gave no measurements, None if it did.
    """

    case: str
    contestant: str
    peer: str
    environment: str
    ranks: int
    round: int
    metrics: Metrics
    error: str | None = None

    def number(self, metric: str) -> float:
        """Return a metric that is one number.

        Raises:
            KeyError: it was not measured.
            TypeError: it is a list.
        """
        value = self.metrics[metric]
        if isinstance(value, list):
            raise TypeError(f"{metric} of {self.contestant} in {self.case} is a list")
        return value

    def numbers(self, metric: str) -> list[float]:
        """Return a metric that is a list.

        Raises:
            KeyError: it was not measured.
            TypeError: it is one number.
        """
        value = self.metrics[metric]
        if not isinstance(value, list):
            raise TypeError(f"{metric} of {self.contestant} in {self.case} is no list")
        return value


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run: what was measured, and on what machine.

    Attributes:
        machine: facts about machine and software, in words, by name.
        records: in the order in which they were measured.
        absent: peers that were left out, and why.
    """

    machine: Mapping[str, str]
    records: tuple[Record, ...]
    absent: Mapping[str, str]


def dump(results: Results, path: Path) -> None:
    """Write results to a file."""
    path.write_text(json.dumps(asdict(results)) + "\n")


def load(path: Path) -> Results:
    """Read results from a file.

    Raises:
        ValueError: the file holds none.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        records = tuple(Record(**record) for record in data["records"])
        return Results(data["machine"], records, data["absent"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no results of a benchmark: {error!r}") from error


def merged(several: Iterable[Results]) -> Results:
    """Join the results of several runs: of jobs of several sizes, say.

    Their rounds get numbers of their own, since what is compared was measured in the same round.

    Raises:
        ValueError: there are none.
    """
    runs = list(several)
    if not runs:
        raise ValueError("no results to join")
    machine: dict[str, str] = {}
    absent: dict[str, str] = {}
    records: list[Record] = []
    for run in runs:
        for name, fact in run.machine.items():
            known = machine.setdefault(name, fact)
            if fact not in known.split("; "):
                machine[name] = f"{known}; {fact}"
        absent.update(run.absent)
        first = 1 + max((record.round for record in records), default=-1)
        records.extend(replace(record, round=first + record.round) for record in run.records)
    return Results(machine, tuple(records), absent)
