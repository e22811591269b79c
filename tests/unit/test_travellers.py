"""Functions, objects and exceptions of all kinds do elsewhere what they do here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.two_ranks import run_program

PROGRAM = Path(__file__).with_name("travellers.py")
CALLS = 1000


@pytest.mark.parametrize("seed", [1, 2])
def test_a_call_ends_elsewhere_as_it_does_here(seed: int) -> None:
    run_program(PROGRAM, str(seed), str(CALLS))
