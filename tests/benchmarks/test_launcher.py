"""Commands with a time limit, and whether this is a job already."""

from __future__ import annotations

import sys

import pytest

from benchmarks.launcher import Environment, JobFailed, is_within_job, run


def test_output_is_returned() -> None:
    assert run([sys.executable, "-c", "print('here')"], limit=60) == "here\n"


def test_a_failure_comes_with_the_output() -> None:
    with pytest.raises(JobFailed, match=r"(?s)ended with 3:.*the reason"):
        run([sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"], limit=60)


def test_at_the_limit_a_job_shows_its_stacks() -> None:
    code = "import time\ndef sleeper(): time.sleep(100)\nsleeper()"
    with pytest.raises(JobFailed, match=r"(?s)took longer than 2 s.*in sleeper"):
        run([sys.executable, "-c", code], limit=2)


def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(JobFailed, match="can't run /nowhere/python"):
        Environment.of("/nowhere/python")


@pytest.mark.parametrize(
    ("variables", "is_within"),
    [
        ({}, False),
        ({"PMI_SIZE": "4"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"SLURM_STEP_NUM_TASKS": "1"}, False),  # a job script that starts jobs
    ],
)
def test_a_launcher_tells_how_many_it_started(variables: dict[str, str], is_within: bool) -> None:
    assert is_within_job(variables) is is_within
