"""A program that is followed by a prompt."""

from __future__ import annotations

from scoop_mpi.job.console import with_prompt
from scoop_mpi.job.program import Program


def test_a_program_keeps_all_but_its_end() -> None:
    program = Program("script", "prog.py", ("x",), "folder", ("path",))
    found = with_prompt(program)
    assert (found.kind, found.target, found.arguments) == ("script", "prog.py", ("x",))
    assert (found.folder, found.search_path) == ("folder", ("path",))
