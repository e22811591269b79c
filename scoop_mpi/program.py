"""The user's program: run as ``__main__`` on the root, imported under another name elsewhere.

So what stands under ``if __name__ == "__main__":`` runs once, on the root, and everything else of
the program exists on every rank. `sys.modules` lists the program under both names on each rank:
``__main__.f`` and ``__scoop_mpi_main__.f`` are the same function wherever they are looked up, and
functions and classes of the program travel by their name.

What the root defines under its main guard is the exception: other ranks never come by there. So
the program is executed in parts (`main_guard`), between which its names are noted (`meanings`).
What is not noted, or has changed since, is sent itself.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from scoop_mpi import meanings

if TYPE_CHECKING:
    from scoop_mpi.main_guard import Part
    from scoop_mpi.rebound import ImportedNames

ROOT_NAME = "__main__"
WORKER_NAME = "__scoop_mpi_main__"


class ProgramError(Exception):
    """The program can't be run at all: no such file, or it is no Python. The text says why."""


class Program(NamedTuple):
    """What to run, as Python's own command line has it.

    Attributes:
        kind: whether `target` is the path of a script, the name of a module (``-m``) or the code
            itself (``-c``).
        target: the script, module or code.
        arguments: the program's own command-line arguments.
        folder: the folder to go to first; None: stay.
        search_path: folders to look for modules in before others.
    """

    kind: Literal["script", "module", "code"]
    target: str
    arguments: tuple[str, ...] = ()
    folder: str | None = None
    search_path: tuple[str, ...] = ()

    def run(self) -> None:
        """Run the program as ``__main__``, as ``python prog.py`` would; raises what it raises.

        Raises:
            ProgramError: there is nothing to run.
        """
        _execute(*self.load(ROOT_NAME))

    def import_(self) -> None:
        """Import the program under its other name; raises what it raises."""
        _execute(*self.load(WORKER_NAME))

    def load(self, name: str) -> tuple[ModuleType, Sequence[Part]]:
        """Make the program's module, and set up `sys` as the program expects it."""
        if self.folder is not None:
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise ProgramError(
                    f"can't go to the folder {self.folder!r} on {os.uname().nodename}: "
                    f"{error.strerror}"
                ) from error
        sys.path[1:1] = self.search_path
        if self.kind == "code":
            return self._module(name, self.target, "<string>", "-c", "")
        if self.kind == "module":
            return self._load_module(name)
        path = os.path.abspath(self.target)
        if os.path.isdir(path):
            path = os.path.join(path, "__main__.py")
        folder = os.path.dirname(os.path.realpath(path))
        return self._module(name, _read(path, self.target), path, self.target, folder)

    def _load_module(self, name: str) -> tuple[ModuleType, Sequence[Part]]:
        try:
            spec = importlib.util.find_spec(self.target)
            if spec is not None and spec.submodule_search_locations is not None:
                spec = importlib.util.find_spec(f"{self.target}.__main__")
        except (ImportError, ValueError) as error:
            raise ProgramError(f"can't import the module {self.target}: {error}") from error
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
            raise ProgramError(f"there is no module {self.target} that could be run with -m")
        module, found = self._module(
            name, _read(spec.origin, self.target), spec.origin, spec.origin, os.getcwd()
        )
        module.__spec__ = spec
        module.__package__ = spec.parent
        return module, found

    def _module(
        self, name: str, source: str | bytes, path: str, argv0: str, folder: str
    ) -> tuple[ModuleType, Sequence[Part]]:
        # Not above: who only starts the ranks does without them.
        import ast

        from scoop_mpi.main_guard import parts, rebindable_names
        from scoop_mpi.rebound import HOOK, ImportedNames

        try:
            tree = ast.parse(source, path)  # Python warns once for each path and line
            found = parts(tree, path)
        except (SyntaxError, ValueError) as error:
            raise ProgramError(f"the program is no valid Python: {error}") from error
        sys.argv[:] = [argv0, *self.arguments]
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = folder
        module = ModuleType(name)
        attributes: dict[str, Any] = {"__builtins__": __builtins__, "__package__": None}
        if self.kind != "code":
            attributes["__file__"] = path
            attributes["__cached__"] = None
            attributes["__loader__"] = importlib.machinery.SourceFileLoader(name, path)
        guarded = frozenset[str]().union(*(part.guarded or () for part in found))
        attributes[meanings.ATTRIBUTE] = meanings.Meanings(module, guarded)
        has_guard = any(part.guarded is not None for part in found)
        if name == ROOT_NAME and has_guard and (rebindable := rebindable_names(tree)):
            attributes[HOOK] = ImportedNames(rebindable, module.__dict__)
        module.__dict__.update(attributes)
        sys.modules[ROOT_NAME] = sys.modules[WORKER_NAME] = module
        return module, found


def _execute(module: ModuleType, program: Sequence[Part]) -> None:
    """Execute a program, and note between its parts what its names have come to mean."""
    from scoop_mpi.rebound import HOOK

    namespace = vars(module)
    names: meanings.Meanings = namespace[meanings.ATTRIBUTE]
    rebindable: ImportedNames | None = namespace.get(HOOK)
    before: dict[str, Any] = {}
    for part in program:
        if part.guarded is not None:
            if rebindable is not None:
                rebindable.note()
            names.begin(part.unguarded)
            exec(part.code, namespace)
            names.end([name for name in part.unguarded if not names.has(module, name)])
            before = namespace.copy()
            continue
        names.begin()
        exec(part.code, namespace)
        names.end([name for name in namespace if _has_changed(name, before, namespace)])
        before.clear()  # what is deleted under the guard is to be gone


def _has_changed(name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    return name not in before or before[name] is not after[name]


def _read(path: str, name: str) -> bytes:
    try:
        with io.open_code(path) as file:
            return file.read()
    except OSError as error:
        raise ProgramError(f"can't open the program {name!r}: {error.strerror}") from error
