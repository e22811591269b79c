"""What all tests share: which of them are collected, and where programs to launch are written."""

from __future__ import annotations

import gc
import resource
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.launch")

MPI_TESTS = Path(__file__).parent / "mpi"
LIBRARY_TESTS = Path(__file__).parent / "libraries"


def pytest_configure(config: pytest.Config) -> None:
    """Write no core files: jobs that outlive their limit are aborted, to see their stacks."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard_limit))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say how tests/mpi is run, where somebody may wonder why it isn't."""
    if config.getoption("--with-mpi"):
        return None
    return (
        "tests/mpi: run by tests/test_mpi_suite.py, "
        "or by hand: mpiexec -n 4 python -m pytest --with-mpi tests/mpi"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --with-mpi collect tests/mpi only, else all but it.

    All ranks have to run the tests of tests/mpi together, and no others. tests/test_mpi_suite.py
    starts such runs. Those of tests/libraries need heavy packages, and run where they are asked
    for.
    """
    if collection_path == LIBRARY_TESTS:
        asked_for = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
        if not any(LIBRARY_TESTS in (path, *path.parents) for path in asked_for):
            return True
    if collection_path.is_dir() and collection_path in MPI_TESTS.parents:
        return None
    is_mpi_test = MPI_TESTS in (collection_path, *collection_path.parents)
    return True if is_mpi_test != config.getoption("--with-mpi") else None


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> None:
    """Have the cycle collector look at none of what pytest has made so far.

    Some tests collect hundreds of times, and a whole run has millions of objects by then.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def write_program(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a program's text, indented as the test is, and returns its path."""

    def write(source: str, name: str = "program.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return path

    return write
