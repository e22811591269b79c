"""The command line: what to measure, and where the results go."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import launcher, plots, records, report, runner
from benchmarks.case import Case
from benchmarks.cases import CASES
from benchmarks.launcher import Environment, JobFailed, NoWorld, is_within_job
from benchmarks.records import Results

_ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        results = _results(options)
        if results is None:  # a rank that isn't the first
            return 0
        _write(options, results)
    except (JobFailed, NoWorld, ValueError, ImportError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 1 if any(record.error is not None for record in results.records) else 0


def _check(options: argparse.Namespace) -> None:
    """Find out now what else would fail once all has been measured."""
    if options.page:
        report.insert(options.page.read_text(), "")
    if options.plots and find_spec("matplotlib") is None:
        raise ImportError("plots need matplotlib: pip install 'scoop_mpi[benchmark]'")


def _write(options: argparse.Namespace, results: Results) -> None:
    _save(options, results)
    text = report.markdown(CASES.values(), results)
    if options.page:
        page = options.page.read_text()
        options.page.write_text(report.insert(page, text))
    if options.plots:
        plots.draw(results.records, options.plots)
    if not options.page:
        print(f"\n{text}")


def _results(options: argparse.Namespace) -> Results | None:
    if options.report:
        return records.merged(records.load(path) for path in options.report)
    rounds = options.rounds or (1 if options.short else _ROUNDS)
    if is_within_job(os.environ):
        # Not before: it loads MPI, and a process that has done so should start no MPI jobs.
        from benchmarks import cluster

        return cluster.run(_cases(options), rounds, options.short, _say)
    pythons = options.python or [sys.executable]
    plan = runner.Plan(
        _cases(options),
        [Environment.of(python) for python in pythons],
        rounds,
        options.short,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    return runner.run(plan, _say, lambda results: _save(options, results))


def _end(number: int, _: object) -> None:
    """Take the job that runs along: it is in a session of its own, and would outlive us."""
    launcher.kill_children()
    sys.exit(128 + number)


def _save(options: argparse.Namespace, results: Results) -> None:
    if options.output:
        records.dump(results, options.output)


def _say(line: str) -> None:
    print(line, flush=True)


def _cases(options: argparse.Namespace) -> list[Case]:
    names = options.only.split(",") if options.only else list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise ValueError(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    is_long_too = options.full or bool(options.only)
    return [CASES[name] for name in names if is_long_too or not CASES[name].is_long]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure scoop_mpi beside other pools, on this machine.",
    )
    parser.add_argument("--only", metavar="CASES", help=f"of {', '.join(CASES)}; commas between")
    parser.add_argument("--short", action="store_true", help="little work, one round")
    parser.add_argument("--full", action="store_true", help="also the cases that take minutes")
    parser.add_argument(
        "--rounds", type=_positive, help=f"measure each so often (default: {_ROUNDS})"
    )
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="an interpreter to run the jobs with, and so an MPI (default: this one); the first "
        "one's peers are measured, each further one adds its MPI",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the results, as JSON")
    parser.add_argument(
        "--report", type=Path, nargs="+", metavar="FILE", help="measure nothing: read these results"
    )
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write the table between this page's markers"
    )
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="draw the plots into this folder"
    )
    return parser
