"""The benchmark itself, with little work: it runs, its results are right, and it writes its report.

No time is checked. What is measured checks its own results; a wrong one is an error in the records.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks import records
from benchmarks.cases import CASES
from benchmarks.report import BEGIN, END
from tests.launch import launch, start

BENCHMARKS = ("-m", "benchmarks")


@pytest.mark.timeout(500)
def test_a_short_run_measures_everything(tmp_path: Path) -> None:
    output, page, plots = tmp_path / "results.json", tmp_path / "page.md", tmp_path / "plots"
    page.write_text(f"# Performance\n\n{BEGIN}\n{END}\n")
    launch(
        *("--short", "--full", "--output", output, "--page", page, "--plots", plots),
        ranks=None,
        python=BENCHMARKS,
        timeout=450,
    ).check()

    found = records.load(output)
    measured = {(record.case, record.contestant) for record in found.records}
    assert measured == {
        (case.name, contestant.name)
        for case in CASES.values()
        for contestant in case.participants(is_short=True)
        if contestant.peer not in found.absent
    }
    assert [record.error for record in found.records if record.error is not None] == []
    text = page.read_text()
    for case in CASES.values():
        for figure in case.figures:
            names = {it.name for it in case.participants(is_short=True)}
            if figure.beside is None or figure.beside[0] in names:
                assert f"| {figure.what} |" in text
    assert {path.name for path in plots.iterdir()} == {
        "bandwidth.png",
        "metg.png",
        "roundtrip.png",
        "speedup.png",
    }


@pytest.mark.timeout(300)
def test_within_a_job_its_ranks_are_measured(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    arguments = ("--short", "--only", "roundtrip,submit,map,bandwidth,memory", "--output", output)
    run = launch(*arguments, ranks=3, python=BENCHMARKS, timeout=200).check()
    found = records.load(output)
    measured = {(record.case, record.peer, record.ranks) for record in found.records}
    assert measured == {
        ("roundtrip", "mpi4py", 3),
        ("roundtrip", "scoop_mpi", 3),
        ("submit", "mpi4py.futures", 2),
        ("submit", "scoop_mpi", 3),
        ("map", "scoop_mpi", 3),
        ("bandwidth", "mpi4py", 3),
        ("bandwidth", "mpi4py.futures", 2),
        ("bandwidth", "scoop_mpi", 3),
    }
    assert [record.error for record in found.records if record.error is not None] == []
    assert "left out: the case memory" in run.stdout
    # One report, and not one of each rank.
    assert run.stdout.count("ratio (least to most)") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_job_behind(number: signal.Signals) -> None:
    arguments = ("--short", "--only", "idle,sleep", "--rounds", "1000")
    with start(*arguments, ranks=None, python=BENCHMARKS, timeout=100) as job:
        job.wait_for("1. scoop_mpi")
        job.send_signal(number)
        job.finish().check(status=128 + number)


def test_a_page_without_markers_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Performance\n")
    run = launch("--short", "--page", page, ranks=None, python=BENCHMARKS).check(status=2)
    assert "markers" in run.stderr
    assert "fib" not in run.stdout


def test_an_unknown_case_is_named() -> None:
    run = launch("--only", "fib,speed", ranks=None, python=BENCHMARKS).check(status=2)
    assert "no case speed; there are fib," in run.stderr
    assert "Traceback" not in run.stderr
