"""The runs, the table and the plot."""

from __future__ import annotations

import gc
import heapq
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.scale.costs import Costs
from benchmarks.scale.loads import LOADS, Load
from benchmarks.scale.machine import Machine
from scoop_mpi.wire.messages import Steal, StealFailed, WorkOffered, WorkWanted

MATCHMAKING = (WorkWanted, WorkOffered, Steal, StealFailed)
HEADINGS = (
    "load",
    "ranks",
    "tasks",
    "efficiency",
    "in order",
    "messages a task",
    "root busy",
    "broker busy",
    "steal p50, ms",
    "steal p99, ms",
)


class Finding(NamedTuple):
    """What a run came to.

    Attributes:
        load: the name of the load.
        ranks: how many there were.
        tasks: how many there were.
        seconds: from the program's first map to its end.
        efficiency: the time that tasks computed, of all ranks' time.
        in_order: the efficiency if each rank that is free took the next task at no cost; None for
            tasks that start others. Another order may do better.
        messages_per_task: of all kinds.
        root_busy: the share of the time in which the root's processor was busy with messages.
        broker_busy: the part of it that was matchmaking; the rest is results and work.
        steal_median: seconds from a request until work came, over those that were answered; 0 if
            none was.
        steal_p99: the same; one in a hundred took longer.
    """

    load: str
    ranks: int
    tasks: int
    seconds: float
    efficiency: float
    in_order: float | None
    messages_per_task: float
    root_busy: float
    broker_busy: float
    steal_median: float
    steal_p99: float

    def row(self) -> list[str]:
        """Return the cells of a table, as `HEADINGS` names them."""
        return [
            self.load,
            f"{self.ranks:,}",
            f"{self.tasks:,}",
            f"{self.efficiency:.1%}",
            "" if self.in_order is None else f"{self.in_order:.1%}",
            f"{self.messages_per_task:.2f}",
            f"{self.root_busy:.1%}",
            f"{self.broker_busy:.1%}",
            f"{1e3 * self.steal_median:.1f}" if self.steal_median else "",
            f"{1e3 * self.steal_p99:.1f}" if self.steal_p99 else "",
        ]


def run(load: Load, ranks: int, costs: Costs) -> Finding:
    """Simulate one job.

    Raises:
        AssertionError: a task did not run exactly once.
    """
    machine = Machine(ranks, load, costs)
    seconds = machine.run()
    found = machine.statistics
    latencies = sorted(found.latencies) or [0.0]
    matchmaking = sum(found.root_seconds[kind] for kind in MATCHMAKING)
    return Finding(
        load=load.name,
        ranks=ranks,
        tasks=load.count,
        seconds=seconds,
        efficiency=found.computed / (ranks * seconds),
        in_order=efficiency_in_order(load, ranks),
        messages_per_task=sum(found.messages.values()) / load.count,
        root_busy=sum(found.root_seconds.values()) / seconds,
        broker_busy=matchmaking / seconds,
        steal_median=statistics.median(latencies),
        steal_p99=latencies[int(0.99 * len(latencies))],
    )


def efficiency_in_order(load: Load, ranks: int) -> float | None:
    """Return the efficiency of list scheduling without costs; None for tasks that start others."""
    free_at = [0.0] * ranks
    computed = 0.0
    for tasks in load.maps():
        for task in tasks:
            if load.children(task):
                return None
            computed += load.seconds(task)
            heapq.heapreplace(free_at, free_at[0] + load.seconds(task))
        free_at = [max(free_at)] * ranks
    return computed / (ranks * free_at[0])


def study(
    names: Iterable[str],
    sizes: Iterable[int],
    seconds: float,
    tasks_per_rank: int,
    costs: Costs,
    report: Callable[[Finding], None],
) -> list[Finding]:
    """Simulate loads on jobs of several sizes.

    Args:
        names: of the loads, out of `LOADS`.
        sizes: numbers of ranks.
        seconds: how long a task takes, on average.
        tasks_per_rank: how many there are for each rank.
        costs: the machine.
        report: called with each finding as it comes.
    """
    findings = []
    for name in names:
        for ranks in sizes:
            gc.collect()
            gc.disable()  # millions of objects, which reference counts alone take care of
            try:
                finding = run(LOADS[name](ranks, seconds, tasks_per_rank), ranks, costs)
            finally:
                gc.enable()
            report(finding)
            findings.append(finding)
    return findings


def table_row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def plot(findings: list[Finding], path: Path) -> None:
    """Draw efficiency, and how busy the root is, over the number of ranks."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for name in dict.fromkeys(finding.load for finding in findings):
        of_load = [finding for finding in findings if finding.load == name]
        sizes = [finding.ranks for finding in of_load]
        left.plot(sizes, [finding.efficiency for finding in of_load], marker="o", label=name)
        right.plot(sizes, [finding.root_busy for finding in of_load], marker="o", label=name)
    ticks = sorted({finding.ranks for finding in findings})
    for axes, title in ((left, "efficiency"), (right, "time that the root spends on messages")):
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, labels=[f"{ranks:,}" for ranks in ticks])
        axes.set_xlabel("ranks")
        axes.set_title(title)
        axes.set_ylim(0.0, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(visible=True, alpha=0.3)
    left.legend()
    figure.savefig(path, dpi=120)
