"""Which names still mean on the root what they mean on every rank."""

from __future__ import annotations

from typing import Any

from scoop_mpi.console import UnchangedNames, with_prompt
from scoop_mpi.program import Program


def test_a_name_that_is_bound_anew_is_the_roots_alone() -> None:
    namespace: dict[str, Any] = {"kept": object(), "other": object(), "guarded": object()}
    names = UnchangedNames({"kept", "other", "absent"}, namespace)
    assert "kept" in names
    assert "guarded" not in names
    assert "absent" not in names
    assert 3 not in names
    before = namespace["other"]
    namespace["other"] = object()
    namespace["absent"] = None
    assert "other" not in names
    assert "absent" not in names
    namespace["other"] = before
    assert "other" in names
    del namespace["kept"]
    assert "kept" not in names


def test_a_program_keeps_all_but_its_end() -> None:
    program = Program("script", "prog.py", ("x",), "folder", ("path",))
    found = with_prompt(program)
    assert (found.kind, found.target, found.arguments) == ("script", "prog.py", ("x",))
    assert (found.folder, found.search_path) == ("folder", ("path",))
