"""The table of figures, in Markdown: what was measured, beside what, the ratio, and the goal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.case import Case, Figure, Goal, Unit
from benchmarks.records import Record, Results
from benchmarks.stats import Summary, summary

BEGIN = "<!-- begin: written by python -m benchmarks -->"
END = "<!-- end -->"

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, with one MPI, on one number of ranks.

    Attributes:
        figure: which.
        environment: the MPI, or "".
        ranks: of scoop_mpi.
        value: the contestant's own metric.
        beside: the other's; None if the figure stands for itself.
        ratio: of the two, of each round; None likewise.
    """

    figure: Figure
    environment: str
    ranks: int
    value: Summary
    beside: Summary | None
    ratio: Summary | None

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached by the median; None if there is no goal."""
        if self.figure.goal is None:
            return None
        return self.figure.goal.is_reached((self.ratio or self.value).median)


def rows(cases: Iterable[Case], records: Iterable[Record]) -> Iterator[Row]:
    """Yield all figures for which there are measurements."""
    good = [record for record in records if record.error is None]
    for case in cases:
        measured = [record for record in good if record.case == case.name]
        for figure in case.figures:
            own = [record for record in measured if record.contestant == figure.contestant]
            places = sorted({(record.environment, record.ranks) for record in own})
            for environment, ranks in places:
                here = [it for it in own if (it.environment, it.ranks) == (environment, ranks)]
                row = _row(figure, environment, ranks, here, measured)
                if row is not None:
                    yield row


def _row(
    figure: Figure, environment: str, ranks: int, own: Iterable[Record], all_: Iterable[Record]
) -> Row | None:
    if figure.beside is None:
        values = summary(record.number(figure.metric) for record in own)
        return Row(figure, environment, ranks, values, None, None)
    contestant, metric = figure.beside
    others = {
        record.round: record.number(metric)
        for record in all_
        if record.contestant == contestant and record.environment in ("", environment)
    }
    pairs = [
        (record.number(figure.metric), others[record.round])
        for record in own
        if record.round in others
    ]
    if not pairs:
        return None
    return Row(
        figure,
        environment,
        ranks,
        summary(value for value, _ in pairs),
        summary(other for _, other in pairs),
        summary(value / other for value, other in pairs),
    )


def markdown(cases: Iterable[Case], results: Results) -> str:
    """Return the report: the machine, the table of figures, and what each contestant reached."""
    cases = list(cases)
    parts = [
        _machine(results),
        _figures_table(list(rows(cases, results.records))),
        *(text for case in cases if (text := _case_table(case, results.records))),
        _failures(results.records),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(results: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    lines += [f"- left out: {name}, {reason}" for name, reason in results.absent.items()]
    return "\n".join(lines)


def _figures_table(found: list[Row]) -> str:
    if not found:
        return ""
    lines = [
        "| what | MPI | ranks | scoop_mpi | beside | ratio (least to most) | goal | reached |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        beside = "" if row.beside is None else quantity(row.beside.median, row.figure.unit)
        spread = _spread(row.ratio) if row.ratio else _spread_of(row.value, row.figure.unit)
        reached = {None: "", True: "yes", False: "**no**"}[row.is_reached]
        value = quantity(row.value.median, row.figure.unit)
        goal = goal_text(row.figure.goal, row.figure.unit if row.ratio is None else "times")
        place = (row.environment, str(row.ranks))
        cells = (row.figure.what, *place, value, beside, spread, goal, reached)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _case_table(case: Case, records: Iterable[Record]) -> str:
    """Return what all contestants of a case reached, in the metric of the case's first figure."""
    if not case.figures:
        return ""
    first = case.figures[0]
    found: dict[tuple[str, str, int], list[float]] = {}
    for record in records:
        if record.case == case.name and record.error is None and first.metric in record.metrics:
            place = (record.contestant, record.environment, record.ranks)
            found.setdefault(place, []).append(record.number(first.metric))
    if len(found) < 2:
        return ""
    lines = [
        f"{case.title}:",
        "",
        "| who | MPI | processes | median | least | most |",
        "|---|---|---|---|---|---|",
    ]
    for (name, environment, ranks), values in found.items():
        all_ = summary(values)
        numbers = [quantity(value, first.unit) for value in (all_.median, all_.least, all_.most)]
        lines.append(f"| {name} | {environment} | {ranks} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def _failures(records: Iterable[Record]) -> str:
    lines = [
        f"- {', '.join(filter(None, (record.case, record.contestant, record.environment)))}: "
        + _gist(record.error)
        for record in records
        if record.error is not None
    ]
    return "\n".join(["Not measured, because the job failed:", "", *lines]) if lines else ""


def _gist(error: str) -> str:
    """Return the line of a job's output that says most of what went wrong."""
    lines = error.strip().splitlines()
    telling = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
    worded = [line for line in lines if any(map(str.isalpha, line))]  # launchers draw rules
    return (telling or worded or lines)[-1]


def _spread(ratio: Summary) -> str:
    return f"{ratio.median:.3g} ({ratio.least:.3g} to {ratio.most:.3g})"


def _spread_of(value: Summary, unit: Unit) -> str:
    return f"({quantity(value.least, unit)} to {quantity(value.most, unit)})"


def goal_text(goal: Goal | None, unit: Unit) -> str:
    """Return a goal in words."""
    if goal is None:
        return ""
    return f"at {'most' if goal.is_upper else 'least'} {quantity(goal.bound, unit)}"


def quantity(value: float, unit: Unit) -> str:
    """Return a number with its unit, three digits of it."""
    if math.isinf(value):
        return "none"
    match unit:
        case "times":
            return f"{value:.3g}"
        case "share":
            return f"{100 * value:.3g} %"
        case "s" | "bytes" | "bytes/s" | "tasks/s" | "steps/s":
            return _with_prefix(value, {"bytes": "B", "bytes/s": "B/s"}.get(unit, unit))


def _with_prefix(value: float, unit: str) -> str:
    # A few tasks a second are not millitasks; nobody counts in kiloseconds.
    prefixes = [
        (factor, prefix)
        for factor, prefix in _PREFIXES
        if (factor <= 1 if unit == "s" else factor >= 1)
    ]
    for factor, prefix in prefixes:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    factor, prefix = prefixes[-1]
    return f"{value / factor:.3g} {prefix}{unit}"


def insert(page: str, text: str) -> str:
    """Return a page with `text` between the two markers.

    Raises:
        ValueError: the page doesn't have each marker once, in order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs the markers {BEGIN!r} and {END!r}, once each, in order")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"
