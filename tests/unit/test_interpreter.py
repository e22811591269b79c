"""Python's own command line: which of its words are options, and which say what is run."""

from __future__ import annotations

import pytest

from scoop_mpi.hash_seed import runs_us_alone
from scoop_mpi.interpreter import Invocation


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
