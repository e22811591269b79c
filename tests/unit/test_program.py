"""Which names every rank has, and what the program finds when it starts."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoop_mpi.program import (
    ROOT_NAME,
    WORKER_NAME,
    Program,
    ProgramError,
    names_on_every_rank,
)


@pytest.fixture(autouse=True)
def _restore_sys() -> Iterator[None]:
    argv, path = list(sys.argv), list(sys.path)
    modules = {name: sys.modules.get(name) for name in (ROOT_NAME, WORKER_NAME)}
    yield
    sys.argv[:], sys.path[:] = argv, path
    for name, module in modules.items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(): pass\nasync def g(): pass\nclass C: pass", {"f", "g", "C"}),
        ("import os.path, sys as s\nfrom math import pi, tau as t", {"os", "s", "pi", "t"}),
        (
            "a = b, (c, *d) = 1, 2\ne: int = 3\nfor x in y: z = 1",
            {"a", "b", "c", "d", "e", "x", "z"},
        ),
        ("with open(f) as g: h = 1", {"g", "h"}),
        ("try:\n a = 1\nexcept E:\n b = 1\nelse:\n c = 1\nfinally:\n d = 1", {"a", "b", "c", "d"}),
        ("if x:\n a = 1\nelif y:\n b = 1\nelse:\n c = 1", {"a", "b", "c"}),
        ("match x:\n case 1:\n  a = 1\n case _:\n  b = 1", {"a", "b"}),
        ("if __name__ == '__main__':\n a = 1\n def f(): pass\nb = 1", {"b"}),
        ("if '__main__' == __name__:\n a = 1\nelse:\n b = 1", {"b"}),
        ("if __name__ == '__main__' and x:\n a = 1", set()),
        ("if __name__ != '__main__':\n a = 1", {"a"}),
        ("def f():\n inner = 1", {"f"}),
    ],
)
def test_names_on_every_rank(source: str, names: set[str]) -> None:
    assert set(names_on_every_rank(ast.parse(source).body)) == names


def test_a_script_finds_what_python_gives_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("x = 1\n")
    module, _ = Program("script", str(script), ("one", "two words")).load(ROOT_NAME)
    assert sys.argv == [str(script), "one", "two words"]
    assert sys.path[0] == str(tmp_path)
    assert module.__file__ == str(script)
    assert module.__name__ == "__main__"
    assert sys.modules["__main__"] is sys.modules[WORKER_NAME] is module


def test_a_worker_has_it_under_both_names(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("name = __name__\nif __name__ == '__main__':\n    raise SystemExit\n")
    Program("script", str(script)).import_()
    assert sys.modules["__main__"].__dict__["name"] == WORKER_NAME
    assert sys.modules["__main__"] is sys.modules[WORKER_NAME]


def test_code_and_modules() -> None:
    Program("code", "import sys; found = list(sys.argv)", ("a",)).run()
    assert sys.modules["__main__"].__dict__["found"] == ["-c", "a"]
    module, _ = Program("module", "json.tool").load(ROOT_NAME)
    assert module.__spec__ is not None
    assert module.__spec__.name == "json.tool"
    assert sys.argv == [module.__file__]


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (Program("script", "no/such/file.py"), "no/such/file.py"),
        (Program("module", "no_such_module"), "no_such_module"),
        (Program("module", "no_such.module"), "no_such"),
        (Program("code", "def f(:"), "no valid Python"),
    ],
)
def test_what_cannot_be_run_is_named(program: Program, text: str) -> None:
    with pytest.raises(ProgramError, match=text):
        program.run()
