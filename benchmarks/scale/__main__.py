"""`python -m benchmarks.scale`: simulate jobs of many ranks, and print a table of what came out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.scale.costs import Costs, measure
from benchmarks.scale.loads import LOADS
from benchmarks.scale.study import HEADINGS, Finding, plot, study, table_row


def main() -> None:
    """Run the command."""
    options = _arguments()
    if options.measure:
        for what, seconds in measure().items():
            print(f"{what:20} {1e6 * seconds:8.2f} us")
        return
    costs = replace(Costs().slowed(options.slowed), gil_wait=options.gil_wait)
    print(table_row(HEADINGS))
    print(table_row("---" for _ in HEADINGS), flush=True)

    def report(finding: Finding) -> None:
        print(table_row(finding.row()), flush=True)

    findings = study(
        options.loads, options.ranks, options.seconds, options.tasks_per_rank, costs, report
    )
    if options.plot is not None:
        plot(findings, options.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Simulate jobs of many ranks with the real state machines, in virtual time.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--loads", nargs="+", choices=LOADS, default=list(LOADS), help="what to run"
    )
    parser.add_argument(
        "--ranks", nargs="+", type=int, default=[16, 256, 4096, 16384], help="numbers of ranks"
    )
    parser.add_argument("--seconds", type=float, default=0.05, help="length of a task")
    parser.add_argument("--tasks-per-rank", type=int, default=40, help="tasks for each rank")
    parser.add_argument(
        "--slowed", type=float, default=1.0, help="how many times as long all messages take"
    )
    parser.add_argument(
        "--gil-wait",
        type=float,
        default=Costs.gil_wait,
        help="seconds until tasks let go of Python's lock; 0 for tasks in C that release it",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a plot into this PNG")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="instead, measure what messages cost on this machine (needs MPI)",
    )
    options = parser.parse_args()
    if min(options.ranks) < 2:
        parser.error("--ranks: a job that sends messages has at least 2 ranks")
    if options.seconds <= 0.0 or options.tasks_per_rank < 1 or options.slowed <= 0.0:
        parser.error("--seconds, --tasks-per-rank and --slowed must be greater than 0")
    return options


if __name__ == "__main__":
    main()
