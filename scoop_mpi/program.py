"""The user's program: run as ``__main__`` on the root, imported under another name elsewhere.

So what stands under ``if __name__ == "__main__":`` runs once, on the root, and everything else of
the program exists on every rank. `sys.modules` lists the program under both names on each rank:
``__main__.f`` and ``__scoop_mpi_main__.f`` are the same function wherever they are looked up, and
functions and classes of the program travel by their name.

What the root defines under its main guard is the exception: other ranks never come by there. The
program's syntax tree tells which names these are (`main_guard`), and the serializer then
sends the function or class itself.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import os
import sys
from types import CodeType, ModuleType
from typing import Any, Literal, NamedTuple

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

    @property
    def is_all(self) -> bool:
        """Whether Python ends with it, and so is to end threads and to call exit functions."""
        return True

    def run(self) -> None:
        """Run the program as ``__main__``, as ``python prog.py`` would; raises what it raises.

        Raises:
            ProgramError: there is nothing to run.
        """
        module, code = self.load(ROOT_NAME)
        exec(code, module.__dict__)

    def import_(self) -> None:
        """Import the program under its other name; raises what it raises."""
        module, code = self.load(WORKER_NAME)
        exec(code, module.__dict__)

    def load(self, name: str) -> tuple[ModuleType, CodeType]:
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

    def _load_module(self, name: str) -> tuple[ModuleType, CodeType]:
        try:
            spec = importlib.util.find_spec(self.target)
            if spec is not None and spec.submodule_search_locations is not None:
                spec = importlib.util.find_spec(f"{self.target}.__main__")
        except (ImportError, ValueError) as error:
            raise ProgramError(f"can't import the module {self.target}: {error}") from error
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
            raise ProgramError(f"there is no module {self.target} that could be run with -m")
        module, code = self._module(
            name, _read(spec.origin, self.target), spec.origin, spec.origin, os.getcwd()
        )
        module.__spec__ = spec
        module.__package__ = spec.parent
        return module, code

    def _module(
        self, name: str, source: str | bytes, path: str, argv0: str, folder: str
    ) -> tuple[ModuleType, CodeType]:
        try:
            code = compile(source, path, "exec", dont_inherit=True)
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
        if name == ROOT_NAME:
            import ast

            from scoop_mpi.main_guard import names_on_every_rank

            tree = ast.parse(source, path)  # Python warns once for each path and line
            attributes["__scoop_mpi_names__"] = frozenset(names_on_every_rank(tree))
            code = _noting_import(tree, path, module.__dict__) or code
        module.__dict__.update(attributes)
        sys.modules[ROOT_NAME] = sys.modules[WORKER_NAME] = module
        return module, code


def _noting_import(tree: Any, path: str, namespace: dict[str, Any]) -> CodeType | None:
    """Return the code of a program that may bind names anew, with a call where its import ends.

    Args:
        tree: the program's syntax tree, into which the call is inserted.
        path: where the program was read.
        namespace: the program's.
    """
    from scoop_mpi import main_guard, rebound

    names = main_guard.rebindable_names(tree)
    if not names or not main_guard.insert_call(tree, rebound.HOOK):
        return None
    namespace[rebound.HOOK] = rebound.ImportedNames(names, namespace).note
    code: CodeType = compile(tree, path, "exec", dont_inherit=True)
    return code


def _read(path: str, name: str) -> bytes:
    try:
        with io.open_code(path) as file:
            return file.read()
    except OSError as error:
        raise ProgramError(f"can't open the program {name!r}: {error.strerror}") from error
