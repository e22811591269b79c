"""``--install-kernel`` where no kernel can be installed. Those that can: `tests/libraries`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.launch import launch

ABSENT = "raise ImportError('No module of this name')\n"


@pytest.mark.parametrize("absent", ["ipykernel", "jupyter_client"])
def test_without_jupyters_packages_it_says_what_to_install(absent: str, tmp_path: Path) -> None:
    (tmp_path / "ipykernel.py").touch()
    (tmp_path / f"{absent}.py").write_text(ABSENT)
    run = launch("--install-kernel", ranks=None, env={"PYTHONPATH": str(tmp_path)}).check(2)
    assert run.stdout == ""
    assert run.stderr == (
        f"scoop_mpi: --install-kernel: {sys.executable} lacks what a kernel needs (No module of "
        "this name). Install it: pip install 'scoop_mpi[notebook]'\n"
    )


def test_it_is_no_job_for_several_processes() -> None:
    run = launch("--install-kernel", ranks=2).check(2)
    assert run.stdout == ""
    assert run.stderr.count("leave mpiexec out") == 1


def test_a_program_beside_it_is_not_run() -> None:
    run = launch("--install-kernel", "-c", "print('run')", ranks=None).check(2)
    assert run.stdout == ""
    assert "--install-kernel runs no program: leave out -c" in run.stderr
