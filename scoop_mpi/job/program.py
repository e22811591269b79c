"""The user's program: run as ``__main__`` on the root, imported under another name elsewhere.

So what stands under ``if __name__ == "__main__":`` runs once, on the root, and everything else of
the program exists on every rank. Functions and classes of the program travel by their name, which
is ``__main__.f`` on all ranks: what a worker made while it imported the program under the other
name is renamed after that (`_rename`).

What the root defines under its main guard is the exception: other ranks never come by there. So
the program is executed in parts (`main_guard`), between which its names are noted (`meanings`).
What is not noted, or has changed since, is sent itself.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Sequence
from types import FunctionType, GetSetDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar

from scoop_mpi.job import program_code
from scoop_mpi.job.program_code import ProgramCode, ProgramError
from scoop_mpi.wire import meanings

if TYPE_CHECKING:
    from scoop_mpi.job.main_guard import Part
    from scoop_mpi.tasks.rebound import ImportedNames

__all__ = ["ROOT_NAME", "WORKER_NAME", "Program", "ProgramError"]

ROOT_NAME = "__main__"
# What multiprocessing calls a main module that was imported: pickle and cloudpickle know that name,
# and look for nothing else's home there; and the processes that a task starts have it too.
WORKER_NAME = "__mp_main__"
STANDARD_INPUT = "-"


class Program(NamedTuple):
    """What to run, as Python's own command line has it.

    Attributes:
        kind: whether `target` is the path of a script ("-": standard input), the name of a module
            (``-m``) or the code itself (``-c``).
        target: the script, module or code.
        arguments: the program's own command-line arguments.
        folder: the folder to go to first; None: stay.
        search_path: folders to look for modules in before others.
        text: what the root has read from its standard input, if that is where the program is.
    """

    kind: Literal["script", "module", "code"]
    target: str
    arguments: tuple[str, ...] = ()
    folder: str | None = None
    search_path: tuple[str, ...] = ()
    text: bytes = b""

    @property
    def is_standard_input(self) -> bool:
        """Whether the program is what stands on the standard input."""
        return self.kind == "script" and self.target == STANDARD_INPUT

    @property
    def name(self) -> str:
        """What a user calls it: a script by its file's name, wherever that lies."""
        if self.kind == "script":
            return os.path.basename(self.target)
        return f"-m {self.target}" if self.kind == "module" else "-c"

    @property
    def is_all(self) -> bool:
        """Whether Python ends with it, and so is to end threads and to call exit functions."""
        return True

    def run(self) -> None:
        """Run the program as ``__main__``, as ``python prog.py`` would; raises what it raises.

        Raises:
            ProgramError: there is nothing to run.
            SyntaxError: it is no Python.
        """
        _execute(*self.load(ROOT_NAME))

    def import_(self) -> None:
        """Import the program under its other name; raises what it raises."""
        module, program = self.load(WORKER_NAME)
        _execute(module, program)
        _rename(module)

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
        search_path = list(sys.path)
        sys.path[1:1] = self.search_path
        try:
            found = self._find(name)
        except BaseException:
            sys.path[:] = search_path
            raise
        sys.argv[:] = [found.name, *self.arguments]
        module = ModuleType(name)
        module.__dict__.update({"__builtins__": builtins, **found.attributes})
        program = _parts_of(found, module)
        # Under both names on each rank: what a worker has sent may hold either.
        sys.modules[ROOT_NAME] = sys.modules[WORKER_NAME] = module
        return module, program

    def _find(self, name: str) -> ProgramCode:
        if self.kind == "module":
            return program_code.of_module(self.target)
        if self.kind == "script" and not self.is_standard_input:
            return program_code.of_script(self.target, name)
        program_code.put_first("")
        if self.kind == "code":
            return program_code.of_text(self.target, "<string>", "-c", {})
        # Python also has a `__file__` there, "<stdin>", until the program's last line. Processes
        # that multiprocessing starts then look for a file of that name, and fail.
        return program_code.of_text(self.text, "<stdin>", STANDARD_INPUT, {})


def _parts_of(found: ProgramCode, module: ModuleType) -> Sequence[Part]:
    """Return what is to be executed in `module`, which gets what notes its names."""
    # Not above: who only starts the ranks does without them.
    import ast

    from scoop_mpi.job.main_guard import Part, parts, rebindable_names
    from scoop_mpi.tasks.rebound import HOOK, ImportedNames

    path = found.code.co_filename
    namespace = module.__dict__
    is_root = module.__name__ == ROOT_NAME
    if not found.is_guarded and not is_root:
        program = [Part(compile("", path, "exec", dont_inherit=True))]
    elif not found.is_guarded or found.source is None:
        # Nothing tells on the root which names of it every rank has: none, as far as it knows.
        program = [Part(found.code, frozenset() if is_root else None)]
    else:
        tree = ast.parse(found.source, path)  # Python warns once for each path and line
        rebindable = rebindable_names(tree) if is_root else None
        program = parts(tree, path)
        if rebindable and any(part.guarded is not None for part in program):
            namespace[HOOK] = ImportedNames(rebindable, namespace)
    guarded = frozenset[str]().union(*(part.guarded or () for part in program))
    namespace[meanings.ATTRIBUTE] = meanings.Meanings(module, guarded)
    return program


def _execute(module: ModuleType, program: Sequence[Part]) -> None:
    """Execute a program, and note between its parts what its names have come to mean."""
    from scoop_mpi.tasks.rebound import HOOK

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


def _rename(module: ModuleType) -> None:
    """Have all that a worker's import has made say that it is of ``__main__``, as on the root.

    Whoever pickles knows that name, and what to do about it: processes that multiprocessing starts
    have such a module, and cloudpickle, which loky and joblib use, sends what is of it by value.
    To import under that name in the first place would run what is under the main guard.
    """
    left: list[Any] = list(module.__dict__.values())
    seen: set[int] = set()
    while left:
        thing = left.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        kind = type(thing)  # never `isinstance`: what a proxy says of its class is another's
        if issubclass(kind, staticmethod | classmethod):
            left.append(thing.__func__)
        if kind in (FunctionType, TypeVar, ParamSpec):
            if thing.__module__ == WORKER_NAME:
                thing.__module__ = ROOT_NAME
        elif issubclass(kind, type):
            if type.__getattribute__(thing, "__dict__").get("__module__") == WORKER_NAME:
                left.extend(type.__getattribute__(thing, "__dict__").values())
                _rename_class(thing)
        else:
            attributes = _own_attributes(thing)
            if attributes is not None and attributes.get("__module__") == WORKER_NAME:
                attributes["__module__"] = ROOT_NAME


def _rename_class(kind: type) -> None:
    try:
        type.__setattr__(kind, "__module__", ROOT_NAME)  # whatever its metaclass would have done
    except TypeError:
        return  # a metaclass written in C that allows no other way than its own: it keeps its name


def _own_attributes(thing: object) -> dict[str, Any] | None:
    """Return the ``__dict__`` of an object, if that is no invention of its class, as a proxy's."""
    for kind in type(thing).__mro__:
        descriptor = type.__getattribute__(kind, "__dict__").get("__dict__")
        if descriptor is not None:
            if type(descriptor) is not GetSetDescriptorType:
                return None
            found = descriptor.__get__(thing, type(thing))
            return found if type(found) is dict else None
    return None
