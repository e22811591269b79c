"""Python's own command line: which of its words are options, and which say what is run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scoop_mpi.launch.hash_seed import runs_us_alone
from scoop_mpi.system.interpreter import Invocation
from tests.launch import ROOT


@pytest.mark.parametrize(
    ("line", "options", "letters", "run"),
    [
        ("", "", "", ""),
        ("prog.py -m x", "", "", "prog.py -m x"),
        ("-m module a -c", "", "", "-m module a -c"),
        ("-mmodule a", "", "", "-m module a"),
        ("-c code -O", "", "", "-c code -O"),
        ("-Im module", "-I", "I", "-m module"),
        ("-IBmmodule a", "-IB", "IB", "-m module a"),
        ("-X dev -W error -m module", "-X dev -W error", "XW", "-m module"),
        ("-Xdev -Werror::R prog.py", "-Xdev -Werror::R", "XW", "prog.py"),
        ("-BW -m prog.py", "-BW -m", "BW", "prog.py"),  # a strange value, but it is one
        ("--check-hash-based-pycs never -R -m m", "--check-hash-based-pycs never -R", "R", "-m m"),
        ("-u - a", "-u", "u", "- a"),
        ("-m", "", "", "-m"),
    ],
)
def test_options_and_what_is_run(line: str, options: str, letters: str, run: str) -> None:
    found = Invocation(line.split())
    assert " ".join(found.options) == options
    assert found.letters == set(letters)
    assert " ".join(found.run) == run


@pytest.mark.parametrize(
    ("line", "arguments", "expected"),
    [
        ("-m scoop_mpi prog.py", 1, True),
        ("-X dev -OOm scoop_mpi -n 2 prog.py", 3, True),
        ("-W ignore::RuntimeWarning -m scoop_mpi", 0, True),
        ("venv/bin/scoop_mpi prog.py", 1, True),
        ("-m pdb -m scoop_mpi prog.py", 1, False),
        ("-m coverage run -m scoop_mpi prog.py", 1, False),
        ("venv/bin/coverage run -m scoop_mpi prog.py", 1, False),
        ("-c code prog.py", 1, False),
        ("-R -m scoop_mpi prog.py", 1, False),
        ("-m scoop_mpi -R", 1, True),
        ("", 0, False),
    ],
)
def test_whether_scoop_mpi_alone_is_run(line: str, arguments: int, expected: bool) -> None:
    assert runs_us_alone(line.split(), arguments) is expected


def test_a_rank_that_starts_itself_again_has_imported_next_to_nothing() -> None:
    """All that it imports it imports twice; with hundreds of ranks on few cores that counts."""
    code = "import sys; import scoop_mpi.launch.hash_seed; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", code]
    answer = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    ours = {"", "._version", ".launch", ".launch.hash_seed", ".system", ".system.interpreter"}
    modules = set(answer.stdout.split())
    assert {name for name in modules if name.startswith("scoop_mpi")} == {
        f"scoop_mpi{name}" for name in ours
    }
    assert modules.isdisjoint({"typing", "logging", "re", "enum", "functools", "collections"})
