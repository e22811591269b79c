"""The pictures, drawn from records. A colour is a contestant, a line style an MPI."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.records import Record
from benchmarks.stats import PERCENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    "scoop_mpi": "tab:red",
    "mpi4py": "black",
    "mpi4py Send into new memory": "darkgray",
    "its messages alone": "darkgray",
    "mpi4py.futures": "tab:blue",
    "ProcessPoolExecutor": "tab:green",
    "multiprocessing.Pool": "tab:orange",
    "loky": "tab:purple",
    "SCOOP 0.7": "tab:brown",
    "Dask": "tab:pink",
    "Ray": "tab:olive",
}
_STYLES = ("-", "--", ":", "-.")
_WIDTH, _HEIGHT, _DOTS = 5.0, 5.0, 80  # inches, and dots per inch: small files


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot."""

    label: str
    peer: str
    environment: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: what it shows.
        x_label: with the unit.
        y_label: with the unit.
        curves: the lines.
        is_log: whether each axis is logarithmic.
        level: a horizontal line to compare with, if any.
        base: of logarithms; with 2, axes count in plain numbers.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    is_log: tuple[bool, bool]
    level: float | None = None
    base: int = 10


def curves(records: Iterable[Record], case: str, x: str | None, y: str) -> list[Curve]:
    """Return a line for each contestant, MPI and number of ranks: the medians over all rounds.

    Args:
        records: all that was measured.
        case: the name of the case.
        x: the metric, a list, that gives the x; None: percents.
        y: the metric, a list as long, that gives the y.
    """
    groups: dict[tuple[str, str, str, int, int], list[Record]] = {}
    sizes: dict[str, set[int]] = {}
    for record in records:
        if record.case == case and record.error is None and y in record.metrics:
            # Of runs that are joined, some may be short ones, with fewer points.
            points = len(record.numbers(y))
            place = (record.contestant, record.peer, record.environment, record.ranks, points)
            groups.setdefault(place, []).append(record)
            sizes.setdefault(record.contestant, set()).add(record.ranks)
    return [
        Curve(
            name if len(sizes[name]) == 1 else f"{name}, {ranks} ranks",
            peer,
            environment,
            PERCENTS if x is None else _medians(group, x),
            _medians(group, y),
        )
        for (name, peer, environment, ranks, _), group in groups.items()
    ]


def _medians(records: Iterable[Record], metric: str) -> tuple[float, ...]:
    """Return the median of each place of a list over several records."""
    columns = zip(*(record.numbers(metric) for record in records), strict=True)
    return tuple(statistics.median(column) for column in columns)


def efficiencies(records: Iterable[Record], kind: str, case: str) -> list[Curve]:
    """Return a line for each peer and MPI: the efficiency of map against the number of ranks.

    Args:
        records: all that was measured.
        kind: a metric that tells the measurement.
        case: where it comes from if the case "speedup" was not measured, as within jobs.
    """
    good = [it for it in records if it.error is None and kind in it.metrics]
    of_speedup = [record for record in good if record.case == "speedup"]
    groups: dict[tuple[str, str], dict[int, list[float]]] = {}
    for record in of_speedup or [record for record in good if record.case == case]:
        by_ranks = groups.setdefault((record.peer, record.environment), {})
        by_ranks.setdefault(record.ranks, []).append(record.number("map_efficiency"))
    found = []
    for (peer, environment), by_ranks in groups.items():
        ranks = sorted(by_ranks)
        ys = tuple(statistics.median(by_ranks[rank]) for rank in ranks)
        found.append(Curve(peer, peer, environment, tuple(map(float, ranks)), ys))
    return found


def _metg(records: Sequence[Record]) -> Iterator[Panel]:
    yield Panel(
        "Tasks a second against their length",
        "a task's own work, s",
        "tasks/s",
        curves(records, "metg", "lengths", "rates"),
        (True, True),
    )
    yield Panel(
        "Efficiency against granularity",
        "granularity: time * ranks / tasks, s",
        "share of time in the tasks' own work",
        curves(records, "metg", "granularities", "efficiencies"),
        (True, False),
        0.5,
    )


def _speedup(records: Sequence[Record]) -> Iterator[Panel]:
    for name, kind, case in (
        ("Computing tasks", "serial_seconds", "uneven"),
        ("Sleeping tasks", "one_each_efficiency", "sleep"),
    ):
        efficiency = efficiencies(records, kind, case)
        speed_up = [
            Curve(
                curve.label,
                curve.peer,
                curve.environment,
                curve.xs,
                tuple(ranks * share for ranks, share in zip(curve.xs, curve.ys, strict=True)),
            )
            for curve in efficiency
        ]
        yield Panel(f"{name}: speed-up", "ranks", "times", speed_up, (True, True), base=2)
        yield Panel(f"{name}: efficiency", "ranks", "share", efficiency, (True, False), 1.0, base=2)


def _bandwidth(records: Sequence[Record]) -> Iterator[Panel]:
    yield Panel(
        "Bandwidth of one argument against its size",
        "bytes",
        "bytes/s",
        curves(records, "bandwidth", "sizes", "rates"),
        (True, True),
    )


def _roundtrip(records: Sequence[Record]) -> Iterator[Panel]:
    found = curves(records, "roundtrip", None, "percentiles")
    swapped = [Curve(it.label, it.peer, it.environment, it.ys, it.xs) for it in found]
    yield Panel(
        "Round trip of one task: share that is no slower",
        "s",
        "percent",
        swapped,
        (True, False),
        99.0,
    )


_PLOTS: dict[str, Callable[[Sequence[Record]], Iterator[Panel]]] = {
    "metg": _metg,
    "speedup": _speedup,
    "bandwidth": _bandwidth,
    "roundtrip": _roundtrip,
}


def draw(records: Sequence[Record], folder: Path) -> list[Path]:
    """Draw all plots for which there are measurements; return their files.

    Args:
        records: all that was measured.
        folder: where ``metg.png``, ``speedup.png``, ... go; it is made if need be.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, panels_of in _PLOTS.items():
        panels = [panel for panel in panels_of(records) if panel.curves]
        if not panels:
            continue
        columns = min(len(panels), 2)
        rows = -(-len(panels) // columns)
        figure = Figure((_WIDTH * columns, _HEIGHT * rows), dpi=_DOTS, layout="constrained")
        all_axes = figure.subplots(rows, columns, squeeze=False).flat
        environments = sorted({c.environment for panel in panels for c in panel.curves} - {""})
        for panel, axes in zip(panels, all_axes, strict=False):
            _draw(panel, axes, environments)
        path = folder / f"{name}.png"
        # Without a date and version in it, the same measurements give the same file.
        figure.savefig(path, metadata={"Software": None})
        written.append(path)
    return written


def _draw(panel: Panel, axes: Axes, environments: Sequence[str]) -> None:
    for number, curve in enumerate(panel.curves):
        place = environments.index(curve.environment) if curve.environment else 0
        label = f"{curve.label} ({curve.environment})" if curve.environment else curve.label
        axes.plot(
            curve.xs,
            curve.ys,
            _STYLES[place % len(_STYLES)],
            color=_COLOURS.get(curve.label) or _COLOURS.get(curve.peer, f"C{number}"),
            marker="." if len(curve.xs) < len(PERCENTS) else "",
            linewidth=1.0,
            label=label,
        )
    scales = ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis))
    for is_log, (set_scale, axis) in zip(panel.is_log, scales, strict=True):
        if is_log:
            set_scale("log", base=panel.base)
            if panel.base == 2:
                axis.set_major_formatter("{x:g}")
    if panel.level is not None:
        axes.axhline(panel.level, color="lightgray", zorder=0)
    axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
    axes.grid(alpha=0.3)
    # Below, where it hides no curve.
    axes.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
