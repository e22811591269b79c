"""Results of a benchmark that was never run, for tests of what is made of them."""

from __future__ import annotations

from benchmarks.case import Case, Contestant, Figure, at_least, at_most
from benchmarks.records import Metrics, Record, Results

CASE = Case(
    "speed",
    "How fast it is",
    (
        Contestant("ours", "scoop_mpi", 2, "submit_many", {}),
        Contestant("theirs", "loky", 2, "submit_many", {}),
    ),
    (
        Figure("rate beside theirs", "ours", "rate", "tasks/s", ("theirs", "rate"), at_least(2)),
        Figure("one task", "ours", "seconds", "s", None, at_most(1e-3)),
        Figure("one task again", "ours", "seconds", "s"),
    ),
)


def record(
    contestant: str,
    metrics: Metrics,
    *,
    case: str = "speed",
    peer: str = "scoop_mpi",
    environment: str = "",
    ranks: int = 2,
    round_: int = 0,
    error: str | None = None,
) -> Record:
    """Return a record of which a test gives what matters to it."""
    return Record(case, contestant, peer, environment, ranks, round_, metrics, error)


def results(*records: Record) -> Results:
    """Return these records with a machine."""
    return Results({"cores": "2"}, records, {"Ray": "not installed"})
