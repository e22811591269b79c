"""Command lines and what they ask for."""

from __future__ import annotations

import logging

import pytest

from scoop_mpi import __version__
from scoop_mpi.cli import parse
from scoop_mpi.program import Program


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("prog.py", Program("script", "prog.py")),
        ("prog.py one two", Program("script", "prog.py", ("one", "two"))),
        ("prog.py -v --debug -m x", Program("script", "prog.py", ("-v", "--debug", "-m", "x"))),
        ("prog.py -- -v", Program("script", "prog.py", ("--", "-v"))),
        ("prog.py --its=options", Program("script", "prog.py", ("--its=options",))),
        ("prog.py --version", Program("script", "prog.py", ("--version",))),
        ("-v prog.py -q", Program("script", "prog.py", ("-q",))),
        ("-- prog.py -v", Program("script", "prog.py", ("-v",))),
        ("-m module", Program("module", "module")),
        ("-mmodule -v", Program("module", "module", ("-v",))),
        ("-m package.module -v -m x", Program("module", "package.module", ("-v", "-m", "x"))),
        ("-m module -c code", Program("module", "module", ("-c", "code"))),
        ("-c code", Program("code", "code")),
        ("-c code -c other prog.py", Program("code", "code", ("-c", "other", "prog.py"))),
        ("-c code --help", Program("code", "code", ("--help",))),
    ],
)
def test_the_program_and_its_arguments(line: str, program: Program) -> None:
    assert parse(line.split()).program == program


@pytest.mark.parametrize(
    ("line", "level", "is_debug"),
    [
        ("prog.py", logging.WARNING, False),
        ("-v prog.py", logging.INFO, False),
        ("--verbose prog.py", logging.INFO, False),
        ("-v -v prog.py", logging.DEBUG, False),
        ("-vvv prog.py", logging.DEBUG, False),
        ("-q prog.py", logging.ERROR, False),
        ("--quiet -v prog.py", logging.ERROR, False),
        ("--debug prog.py", logging.DEBUG, True),
        ("--debug -q prog.py", logging.DEBUG, True),
    ],
)
def test_what_is_logged(line: str, level: int, is_debug: bool) -> None:
    config = parse(line.split())
    assert (config.log_level, config.is_debug) == (level, is_debug)


@pytest.mark.parametrize(
    "line", ["", "-v", "-m", "-c", "-v -m", "--unknown prog.py", "--verb x.py"]
)
def test_a_line_that_asks_for_nothing_is_an_error(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(line.split())
    assert ending.value.code == 2
    assert "usage: python -m scoop_mpi" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(["--version"])
    assert ending.value.code == 0
    assert capsys.readouterr().out == f"scoop_mpi {__version__}\n"


def test_help_shows_how_a_job_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parse(["--help"])
    assert ending.value.code == 0
    text = capsys.readouterr().out
    assert "mpiexec -n 4 python -m scoop_mpi prog.py" in text
    assert 'if __name__ == "__main__":' in text
