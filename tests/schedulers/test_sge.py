"""The job script on a real Grid Engine of one host."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.launch import ROOT
from tests.schedulers.batch import JOBSCRIPTS, LIMIT, PROGRAM, Job, environment, needs

pytestmark = needs("sge")

SCRIPT = JOBSCRIPTS / "sge.sh"
RANKS = 4


def qsub(tmp_path: Path, *words: str | Path, cwd: Path = ROOT, **changes: str) -> Job:
    """Submit a job, wait for its end, and return what came of it."""
    output = tmp_path / "output"
    name = f"test-{uuid.uuid4().hex[:8]}"
    try:
        status = subprocess.run(
            ["qsub", "-sync", "y", "-N", name, "-o", output, "-pe", "mpi", *words],
            cwd=cwd,
            env=environment(changes),
            timeout=LIMIT,
        ).returncode
    except subprocess.TimeoutExpired:  # qsub waits for ever for a job that can't start
        subprocess.run(["qdel", name], timeout=10, check=False)
        status = -1
    return Job(status, output.read_text() if output.exists() else "it wrote nothing")


def test_all_ranks_take_part(venv: str, tmp_path: Path, write_program: Callable[..., Path]) -> None:
    program = write_program(PROGRAM, "the program.py")
    arguments = ["a b", "*", '"$HOME"']
    # From another directory than the checkout: the script finds its common.sh all the same.
    words: list[str | Path] = [str(RANKS), SCRIPT, program.name, "0", *arguments]
    report = qsub(tmp_path, *words, cwd=tmp_path, SCOOP_MPI_VENV=venv).check().report
    assert report.ranks == list(range(RANKS))
    assert report.arguments == arguments
    assert report.threads == ["1"]


def test_the_programs_status_is_the_jobs(
    venv: str, tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(PROGRAM)
    # The environment that is active at submission.
    words: list[str | Path] = [str(RANKS), SCRIPT.relative_to(ROOT), program, "3"]
    job = qsub(tmp_path, *words, VIRTUAL_ENV=venv)
    assert job.check(3).report.ranks == list(range(RANKS))


def test_the_example_runs_if_no_program_is_given(venv: str, tmp_path: Path) -> None:
    job = qsub(tmp_path, "2", SCRIPT, cwd=tmp_path, SCOOP_MPI_VENV=venv).check()
    assert "pi = 3.1" in job.output
