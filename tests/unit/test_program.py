"""Which names every rank has, and what the program finds when it starts."""

from __future__ import annotations

import ast
import json
import os
import pickle
import py_compile
import subprocess
import sys
import textwrap
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scoop_mpi.errors import hide_our_frames
from scoop_mpi.job.main_guard import parts
from scoop_mpi.job.program import ROOT_NAME, WORKER_NAME, Program, ProgramError
from scoop_mpi.wire.meanings import ATTRIBUTE, Meanings

WriteProgram = Callable[..., Path]


@pytest.fixture(autouse=True)
def _restore_sys() -> Iterator[None]:
    argv, path, modules = list(sys.argv), list(sys.path), dict(sys.modules)
    yield
    sys.argv[:], sys.path[:] = argv, path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.modules.update(modules)


def names_in(source: str) -> set[str]:
    """Return what statements bind on every rank that stand beside a main guard, in one block."""
    lines = [*textwrap.dedent(source).splitlines(), "if __name__ == '__main__': pass"]
    block = "try:\n" + textwrap.indent("\n".join(lines), " ") + "\nfinally: pass"
    (part,) = parts(ast.parse(block), "prog.py")
    return set(part.unguarded)


def guarded_names(source: str) -> set[str]:
    """Return what a program binds under its main guards."""
    names: set[str] = set()
    return names.union(*(part.guarded or () for part in parts(ast.parse(source), "prog.py")))


# ------------------------------------------------------------ names, and what they mean


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(): pass\nasync def g(): pass\nclass C: pass", {"f", "g", "C"}),
        ("@decorated\ndef f(): pass", {"f"}),
        ("import os.path, sys as s\nfrom math import pi, tau as t", {"os", "s", "pi", "t"}),
        ("a = b, (c, *d) = 1, 2\ne: int = 3\ng += 1", {"a", "b", "c", "d", "e", "g"}),
        ("def f():\n inner = 1\n def g(): pass", {"f"}),
        ("class C:\n x = 1\n def m(self): pass", {"C"}),
        ("f()\nx\n'text'", set()),
        ("", set()),
    ],
)
def test_what_is_bound_at_the_top(source: str, names: set[str]) -> None:
    assert names_in(source) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("for x in y:\n a = 1\nelse:\n b = 1", {"x", "a", "b"}),
        ("for x, (y, z) in w: pass", {"x", "y", "z"}),
        ("while x:\n def f(): pass\nelse:\n b = 1", {"f", "b"}),
        ("with open(f) as g, h as (i, j): k = 1", {"g", "i", "j", "k"}),
        ("with x:\n class C: pass", {"C"}),
        ("try:\n a = 1\nexcept E:\n b = 1\nelse:\n c = 1\nfinally:\n d = 1", {"a", "b", "c", "d"}),
        ("try:\n import x\nexcept ImportError:\n def x(): pass", {"x"}),
        ("if x:\n a = 1\nelif y:\n b = 1\nelse:\n c = 1", {"a", "b", "c"}),
        ("match x:\n case 1:\n  def a(): pass\n case _:\n  b = 1", {"a", "b"}),
        ("if x:\n with y:\n  for z in w:\n   def f(): pass", {"z", "f"}),
    ],
)
def test_what_is_bound_in_a_block(source: str, names: set[str]) -> None:
    assert names_in(source) == names


GUARDS = [
    "if __name__ == '__main__':",
    'if ("__main__" == __name__):',
    "if __name__ == '__main__' and x:",
    "if x and __name__ == '__main__':",
    "if __name__ in {'__main__', '__mp_main__'}:",
    "if __name__ != '__main__':",
    "if not __name__ == '__main__':",
    "if scoop.IS_ORIGIN:",
    "if not IS_ORIGIN:",
]


@pytest.mark.parametrize("guard", GUARDS)
def test_what_is_bound_under_the_main_guard_is_the_roots_alone(guard: str) -> None:
    body = "\n def f(): pass\n import m\n for x in y:\n  class C: pass\n"
    source = f"def before(): pass\n{guard}{body}\nafter = 1"
    assert guarded_names(source) == {"f", "m", "x", "C"}
    assert names_in(source) == {"before", "after"}


@pytest.mark.parametrize("guard", GUARDS)
def test_what_is_bound_in_the_guards_other_branch_is_not_the_roots(guard: str) -> None:
    assert guarded_names(f"{guard}\n a = 1\nelse:\n b = 1") == {"a", "b"}
    assert guarded_names(f"{guard}\n a = 1\nelif x:\n b = 1\nelse:\n c = 1") == {"a", "b", "c"}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("block", ["if x:", "with x:", "for x in y:", "while x:", "class C:"])
def test_a_guard_within_a_block_is_one(block: str, guard: str) -> None:
    assert "f" not in names_in(f"{block}\n {guard}\n  def f(): pass")


def test_a_guard_within_a_try_is_one() -> None:
    source = """
        try:
            if __name__ == "__main__":
                def a(): pass
        except E:
            if __name__ == "__main__":
                def b(): pass
        else:
            if __name__ == "__main__":
                def c(): pass
        finally:
            if __name__ == "__main__":
                def d(): pass
    """
    assert names_in(source) == set()


@pytest.mark.parametrize(
    "test", ["if x == '__main__':", "if __name__ == 'other':", "if __name__:", "if x:"]
)
def test_other_conditions_are_no_guards(test: str) -> None:
    assert names_in(f"{test}\n a = 1") == {"a"}


@pytest.mark.parametrize(
    "source",
    [
        "def f(): pass\nif __name__ == '__main__':\n def f(): pass",
        "if __name__ == '__main__':\n def f(): pass\nelse:\n def f(): pass",
        "f = None\nif __name__ == '__main__':\n for x in y:\n  f = x",
    ],
)
def test_a_name_that_is_bound_under_a_guard_too_is_the_roots_alone(source: str) -> None:
    assert "f" in guarded_names(source)


# ------------------------------------------------------------ scripts


SCRIPT = """
    import sys

    name, argv, path, file = __name__, list(sys.argv), list(sys.path), __file__

    def double(x):
        return 2 * x

    if __name__ == "__main__":
        ran = True
"""


def test_a_script_finds_what_python_gives_it(write_program: WriteProgram) -> None:
    script = write_program(SCRIPT)
    module, _ = Program("script", str(script), ("one", "two words")).load(ROOT_NAME)
    assert sys.argv == [str(script), "one", "two words"]
    assert sys.path[0] == str(script.parent)
    assert module.__file__ == str(script)
    assert module.__name__ == "__main__"
    assert module.__spec__ is None
    assert module.__package__ is None


def test_only_the_first_entry_of_the_path_changes(write_program: WriteProgram) -> None:
    rest = sys.path[1:]
    Program("script", str(write_program(SCRIPT))).load(ROOT_NAME)
    assert sys.path[1:] == rest


def test_a_scripts_name_stays_as_it_was_given(
    write_program: WriteProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = write_program(SCRIPT)
    monkeypatch.chdir(script.parent)
    module, _ = Program("script", script.name).load(ROOT_NAME)
    assert sys.argv == [script.name]
    assert module.__file__ == str(script)


def test_a_link_to_a_script_finds_the_scripts_neighbours(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "link.py"
    link.symlink_to(write_program(SCRIPT))
    Program("script", str(link)).load(ROOT_NAME)
    assert sys.path[0] == str(tmp_path)
    assert sys.argv == [str(link)]


def test_a_folder_with_a_main_file_is_a_program(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    script = write_program(SCRIPT, "__main__.py")
    module, _ = Program("script", str(tmp_path)).load(ROOT_NAME)
    assert module.__file__ == str(script)
    assert sys.argv == [str(tmp_path)]
    assert sys.path[0] == str(tmp_path)


PYTHONS_OWN = """
    import json, os, re, sys

    facts = {
        name: re.sub(" at 0x[0-9a-f]*", "", str(value))
        for name, value in globals().items()
        if name in "__name__ __file__ __package__ __loader__ __spec__ __cached__ __doc__".split()
    }
    facts["argv"] = sys.argv
    facts["path"] = sys.path[0]
    facts["builtins"] = str(type(__builtins__))
    if __name__ == "__main__":
        with open(os.environ["FACTS"], "w") as file:
            json.dump(facts, file)
"""


@pytest.mark.parametrize(
    "kind", ["script", "compiled", "folder", "zip", "module", "main", "zipped"]
)
def test_a_program_finds_just_what_python_gives_it(
    kind: str, tmp_path: Path, write_program: WriteProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTS", "facts")
    (tmp_path / "package").mkdir()
    write_program(PYTHONS_OWN)
    script = write_program(PYTHONS_OWN, "package/__main__.py")
    py_compile.compile("program.py", "compiled.pyc", doraise=True)
    with zipfile.ZipFile("archive.zip", "w") as archive:
        archive.write(script, "__main__.py")
        archive.write(script, "inside.py")
    words = {
        "script": ["program.py"],
        "compiled": ["compiled.pyc"],
        "folder": ["package"],
        "zip": ["archive.zip"],
        "module": ["-m", "program"],
        "main": ["-m", "package"],
        "zipped": ["-m", "inside"],
    }[kind]
    archive_path = str(tmp_path / "archive.zip")
    monkeypatch.setenv("PYTHONPATH", archive_path)
    subprocess.run([sys.executable, *words, "an argument"], check=True, timeout=60)
    wanted = json.loads(Path("facts").read_text())
    monkeypatch.setattr(sys, "path", ["", archive_path, *sys.path])
    Program("module" if words[0] == "-m" else "script", words[-1], ("an argument",)).run()
    assert json.loads(Path("facts").read_text()) == wanted


def test_a_program_comes_by_standard_input() -> None:
    text = b"import sys; found = sys.argv, sys.path[0], __name__, '__file__' in globals()"
    Program("script", "-", ("a",), text=text).run()
    assert sys.modules["__main__"].__dict__["found"] == (["-", "a"], "", "__main__", False)


class WithSafePath:
    """`sys.flags` as with Python's option -P."""

    safe_path = True
    _flags = sys.flags

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flags, name)


@pytest.mark.parametrize("kind", ["script", "module", "standard input", "code"])
def test_python_may_be_told_to_leave_the_path_alone(
    kind: str, write_program: WriteProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = write_program(SCRIPT)
    before = ["/first", str(script.parent), *sys.path]
    monkeypatch.setattr(sys, "path", list(before))
    monkeypatch.setattr(sys, "flags", WithSafePath())
    program = {
        "script": Program("script", str(script)),
        "module": Program("module", "program"),
        "standard input": Program("script", "-", text=b"1"),
        "code": Program("code", "1"),
    }[kind]
    program.load(ROOT_NAME)
    assert sys.path == before


def test_a_folder_is_on_the_path_whatever_python_was_told(
    write_program: WriteProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(SCRIPT, "__main__.py")
    before = list(sys.path)
    monkeypatch.setattr(sys, "flags", WithSafePath())
    Program("script", str(tmp_path)).load(ROOT_NAME)
    assert sys.path == [str(tmp_path), *before]


def test_a_module_is_looked_for_in_the_folder_to_go_to(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    write_program(SCRIPT, "module_of_folder.py")
    Program("module", "module_of_folder", folder=str(tmp_path)).run()
    assert sys.path[0] == str(tmp_path)


def test_a_program_that_is_compiled_has_no_names_that_every_rank_has(
    write_program: WriteProgram, tmp_path: Path
) -> None:
    compiled = tmp_path / "compiled.pyc"
    py_compile.compile(str(write_program(SCRIPT)), str(compiled), doraise=True)
    Program("script", str(compiled)).run()
    assert not kept_now()  # so all of it goes by value
    compiled.write_bytes(b"\0" * 20)
    with pytest.raises(ProgramError, match=r"compiled\.pyc"):
        Program("script", str(compiled)).run()


UNGUARDED = "import sys\nran = sys.argv\n"


@pytest.mark.parametrize("kind", ["folder", "zip", "package"])
def test_a_main_file_without_a_guard_is_the_roots_alone(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "unguarded_package"
    folder.mkdir()
    (folder / "__main__.py").write_text(UNGUARDED)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(folder / "__main__.py", "__main__.py")
    program = {
        "folder": Program("script", str(folder)),
        "zip": Program("script", str(tmp_path / "archive.zip")),
        "package": Program("module", "unguarded_package", folder=str(tmp_path)),
    }[kind]
    program.import_()
    assert "ran" not in sys.modules["__main__"].__dict__
    program.run()
    assert "ran" in sys.modules["__main__"].__dict__
    assert not kept_now()


MADE_AT_IMPORT = """
    import collections, enum, functools, types, typing

    def function(x): return x
    Point = collections.namedtuple("Point", "x y")
    T = typing.TypeVar("T")

    @functools.lru_cache
    def cached(x): return x

    class Outer:
        class Inner: pass
        def method(self): pass
        @classmethod
        def of_class(cls): pass
        @staticmethod
        def static(): pass

    class Colour(enum.Enum):
        RED = 1

    class Meta(type):
        def __setattr__(cls, name, value): raise RuntimeError("not to be changed")
    class Rigid(metaclass=Meta): pass

    class Proxy:
        @property
        def __dict__(self): raise RuntimeError("not bound")
    proxy = Proxy()
    namespace = types.SimpleNamespace(__module__="elsewhere")

    guarded = __name__ == "__main__"
"""


def test_what_a_worker_imports_is_of_the_main_module_as_on_the_root(
    write_program: WriteProgram,
) -> None:
    program = Program("script", str(write_program(MADE_AT_IMPORT)))
    program.import_()
    module: Any = sys.modules["__main__"]
    assert not module.guarded
    things = [
        *(module.function, module.Point, module.T, module.cached, module.Colour, module.Rigid),
        *(module.Outer, module.Outer.Inner, module.Outer.method, module.Outer.of_class),
        *(module.Outer.static, module.Proxy),
    ]
    assert {thing.__module__ for thing in things} == {"__main__"}
    assert module.namespace.__module__ == "elsewhere"
    assert module.collections.OrderedDict.__module__ == "collections"
    for thing in things:
        assert pickle.loads(pickle.dumps(thing)) == thing
    value = module.Point(1, 2), module.Colour.RED
    sent = pickle.dumps(value)
    assert pickle.loads(sent) == value
    program.run()  # as the root does, which is sent them
    assert type(pickle.loads(sent)[0]) is sys.modules["__main__"].__dict__["Point"]


def test_the_root_runs_what_is_guarded(write_program: WriteProgram) -> None:
    Program("script", str(write_program(SCRIPT))).run()
    program = sys.modules["__main__"]
    assert program.__dict__["name"] == "__main__"
    assert program.__dict__["ran"]


def test_a_worker_does_not_run_what_is_guarded(write_program: WriteProgram) -> None:
    Program("script", str(write_program(SCRIPT))).import_()
    program = sys.modules[WORKER_NAME]
    assert program.__dict__["name"] == WORKER_NAME
    assert "ran" not in program.__dict__


@pytest.mark.parametrize("name", [ROOT_NAME, WORKER_NAME])
def test_a_program_is_listed_under_both_names(write_program: WriteProgram, name: str) -> None:
    module, _ = Program("script", str(write_program(SCRIPT))).load(name)
    assert sys.modules[ROOT_NAME] is module
    assert sys.modules[WORKER_NAME] is module


def test_a_function_of_the_root_is_found_by_a_worker_and_back(write_program: WriteProgram) -> None:
    program = Program("script", str(write_program(SCRIPT)))
    program.run()
    sent = pickle.dumps(sys.modules["__main__"].__dict__["double"])
    program.import_()
    received = pickle.loads(sent)
    assert received is sys.modules[WORKER_NAME].__dict__["double"]
    sent = pickle.dumps(received)
    program.run()
    assert pickle.loads(sent) is sys.modules["__main__"].__dict__["double"]


def kept_names(source: str, *, on_root: bool = True) -> set[str]:
    """Run a program; return which of its names mean what they mean on every rank."""
    program = Program("code", textwrap.dedent(source))
    (program.run if on_root else program.import_)()
    return kept_now()


def kept_now() -> set[str]:
    """Return which names of the program that was run last mean what they mean on every rank."""
    module = sys.modules[ROOT_NAME]
    meanings = vars(module)[ATTRIBUTE]
    assert isinstance(meanings, Meanings)
    return {
        name
        for name, meaning in vars(module).items()
        if not name.startswith("__") and meanings.is_kept(module, name, meaning)
    }


@pytest.mark.parametrize("on_root", [True, False], ids=["root", "worker"])
def test_names_keep_the_meaning_that_the_import_gave_them(on_root: bool) -> None:
    source = """
        import math
        from math import *

        def f(): pass

        globals()["g"] = f
        exec("class C: pass")
        if __name__ == "__main__":
            def guarded(): pass
        else:
            def other(): pass
        def after(): pass
    """
    names = kept_names(source, on_root=on_root)
    assert names >= {"math", "pi", "f", "g", "C", "after"}
    assert not names & {"guarded", "other"}


@pytest.mark.parametrize(
    "change",
    [
        "f = None",
        "change()",
        "globals().update(f=None)",
        "import sys; sys.modules['__main__'].f = None",
        "exec('f = None')",
        "del f; f = None",
        "first, (f, second) = 1, (2, 3)",
    ],
)
def test_a_name_that_the_root_binds_anew_is_the_roots_alone(change: str) -> None:
    source = f"""
        def change():
            global f
            f = None
        def f(): pass
        def g(): pass
        if __name__ == "__main__":
            {change}
        h = f
    """
    assert kept_names(source) & {"f", "g", "h"} == {"g", "h"}


def test_a_name_can_get_its_meaning_after_a_guard() -> None:
    source = """
        f = 1.5
        if __name__ == "__main__":
            ran = True
        f = 2.5
        if __name__ == "__main__":
            ran_again = True
    """
    assert kept_names(source) == {"f"}


@pytest.mark.parametrize("on_root", [True, False], ids=["root", "worker"])
def test_names_bound_beside_a_guard_in_one_block(on_root: bool) -> None:
    source = """
        seen = []
        try:
            def f(): pass
            if __name__ == "__main__":
                f_was_kept = __scoop_mpi_meanings__.is_kept(
                    __import__("sys").modules["__main__"], "f", f
                )
                assert f_was_kept
                def g(): pass
        finally:
            def h(): pass
    """
    assert kept_names(source, on_root=on_root) & {"f", "g", "h"} == {"f", "h"}


@pytest.mark.parametrize("answer", ["type(self.wrapped)", "1 / 0"])
def test_an_object_that_says_it_is_of_another_class_is_let_alone(answer: str) -> None:
    source = f"""
        class Proxy:
            wrapped = None
            def __init__(self, wrapped): self.__dict__["wrapped"] = wrapped
            __class__ = property(lambda self: {answer})
            __module__ = property(lambda self: self.wrapped.__module__)

        @Proxy
        def f(): pass
    """
    assert "f" in kept_names(source, on_root=False)


def test_what_the_program_deletes_is_not_kept_alive() -> None:
    source = """
        import weakref

        class Large: pass

        large = Large()
        is_alive = weakref.ref(large)
        if __name__ == "__main__":
            del large
            assert is_alive() is None
    """
    Program("code", textwrap.dedent(source)).run()


def test_a_module_may_change_after_the_import() -> None:
    source = """
        import json
        import string

        if __name__ == "__main__":
            before = string.capwords
            string.capwords = string.added = lambda text: text
    """
    Program("code", textwrap.dedent(source)).run()
    program = sys.modules[ROOT_NAME]
    string, meanings = vars(program)["string"], vars(program)[ATTRIBUTE]
    try:
        assert meanings.is_kept(string, "Template", string.Template)
        assert not meanings.is_kept(string, "capwords", string.capwords)
        assert not meanings.is_kept(string, "added", string.added)
    finally:
        string.capwords = vars(program)["before"]
        del string.added
    assert meanings.is_kept(string, "capwords", string.capwords)


def test_the_packages_own_future_statements_are_not_the_programs(
    write_program: WriteProgram,
) -> None:
    script = write_program("def f(x: not_defined): pass\n")
    with pytest.raises(NameError, match="not_defined"):
        Program("script", str(script)).import_()


def test_a_program_may_have_future_statements(write_program: WriteProgram) -> None:
    source = '"""Text."""\nfrom __future__ import annotations\ndef f(x: not_defined): pass\n'
    Program("script", str(write_program(source))).run()
    assert sys.modules["__main__"].__doc__ == "Text."


def test_a_programs_parts_share_its_future_statements(write_program: WriteProgram) -> None:
    source = """
        from __future__ import annotations

        if __name__ == "__main__":
            def guarded(x: not_defined): pass

        "no documentation"
        def after(x: not_defined): pass
    """
    Program("script", str(write_program(source))).run()
    program = sys.modules["__main__"]
    assert program.__doc__ is None
    assert vars(program)["guarded"].__annotations__ == {"x": "not_defined"}
    assert vars(program)["after"].__annotations__ == {"x": "not_defined"}


def test_a_program_may_have_an_encoding_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "latin.py"
    script.write_bytes("# -*- coding: latin-1 -*-\ntext = 'Gr\u00fc\u00dfe'\n".encode("latin-1"))
    Program("script", str(script)).run()
    assert sys.modules["__main__"].__dict__["text"] == "Gr\u00fc\u00dfe"


def test_a_traceback_shows_the_programs_lines(write_program: WriteProgram) -> None:
    script = write_program("def f():\n    raise ValueError('why')  # this line\nf()\n")
    with pytest.raises(ValueError, match="why") as caught:
        Program("script", str(script)).run()
    text = "".join(traceback.format_tb(caught.value.__traceback__))
    assert f'File "{script}", line 2, in f' in text
    assert "raise ValueError('why')  # this line" in text


# ------------------------------------------------------------ code and modules


def test_code_finds_what_python_gives_it() -> None:
    Program("code", "import sys; found = sys.argv, sys.path[0], __name__", ("a", "b")).run()
    program = sys.modules["__main__"]
    assert program.__dict__["found"] == (["-c", "a", "b"], "", "__main__")
    assert "__file__" not in program.__dict__


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on Python's path, with a module, and a main module that imports it."""
    folder = tmp_path / "some_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "part.py").write_text("name = __name__\n")
    (folder / "__main__.py").write_text("from . import part\nname = __name__\n")
    (folder / "bare").mkdir()
    (folder / "bare" / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [os.getcwd(), str(tmp_path), *sys.path])
    return folder


def load_module(target: str) -> ModuleType:
    Program("module", target, ("-v",)).run()
    return sys.modules[ROOT_NAME]


def test_a_module_finds_what_python_gives_it(package: Path) -> None:
    module = load_module("some_package.part")
    assert sys.argv == [str(package / "part.py"), "-v"]
    assert sys.path[0] == os.getcwd()
    assert module.__file__ == str(package / "part.py")
    assert module.__dict__["name"] == "__main__"
    assert module.__package__ == "some_package"
    assert module.__spec__ is not None
    assert module.__spec__.name == "some_package.part"


def test_a_package_runs_its_main_module(package: Path) -> None:
    module = load_module("some_package")
    assert sys.argv[0] == str(package / "__main__.py")
    assert module.__package__ == "some_package"
    assert module.__dict__["part"].name == "some_package.part"


# ------------------------------------------------------------ what can't be run


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("program", "text"),
    [
        (Program("script", "no/such/file.py"), "no/such/file.py.*No such file"),
        (Program("script", os.path.dirname(__file__)), "can't find a module __main__"),
        (Program("module", "no_such_module"), "no_such_module"),
        (Program("module", "no_such.module"), "no_such"),
        (Program("module", "some_package.no_such"), "some_package.no_such"),
        (Program("module", "some_package.bare"), "there is no module some_package.bare.__main__"),
        (Program("module", "some_package.part.py"), "some_package.part.py"),
        (Program("module", "math"), "no Python"),
        (Program("module", "sys"), "sys"),
        (Program("module", ".relative"), "relative"),
        (Program("module", ""), "module"),
    ],
    ids=repr,
)
def test_what_cannot_be_run_is_named(program: Program, text: str) -> None:
    for start in (program.run, program.import_):
        with pytest.raises(ProgramError, match=text):
            start()


@pytest.mark.parametrize("text", ["def f(:", "return 1", "x = '\0'", "\tx\n  y"])
def test_a_syntax_error_is_raised_as_such(text: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(text)
    for start, path in (
        (Program("code", text).run, "<string>"),
        (Program("script", "-", text=text.encode()).import_, "<stdin>"),
        (Program("script", str(file)).run, str(file)),
    ):
        with pytest.raises(SyntaxError) as caught:
            start()
        assert caught.value.filename == path
        shown = hide_our_frames(caught.value)
        assert shown is not None
        assert shown.tb_next is None  # this test's own frame: the rest is of no interest


def test_a_file_that_is_no_text_is_no_program(tmp_path: Path) -> None:
    file = tmp_path / "picture.py"
    file.write_bytes(bytes(range(256)))
    with pytest.raises(SyntaxError):
        Program("script", str(file)).run()


def test_a_program_that_cannot_be_run_leaves_sys_alone(write_program: WriteProgram) -> None:
    before = list(sys.argv), list(sys.path), sys.modules["__main__"]
    with pytest.raises(SyntaxError):
        Program("script", str(write_program("def f(:"))).run()
    assert (sys.argv, sys.path, sys.modules["__main__"]) == before


def test_what_a_program_raises_is_raised(write_program: WriteProgram) -> None:
    with pytest.raises(SystemExit) as ending:
        Program("script", str(write_program("raise SystemExit(3)"))).run()
    assert ending.value.code == 3
