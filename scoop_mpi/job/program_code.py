"""Finding the program's code, wherever Python itself would: file, folder, zip, module, text.

Responsible for what is to be run, and for what its module is to know of itself. Must not know on
which rank, nor change `sys`, but for the entry of `sys.path` under which a program finds itself.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import io
import os
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import CodeType
from typing import Any, NamedTuple

MAIN = "__main__"


class ProgramError(Exception):
    """The program can't be run at all: no such file, no such module. The text says why."""


class ProgramCode(NamedTuple):
    """What is to be run.

    Attributes:
        code: the program, compiled.
        source: its text; None: it is not at hand, as with a ``.pyc`` file.
        name: what the program sees as ``sys.argv[0]``.
        attributes: what its module knows of itself: ``__file__`` and the like.
        is_main_file: whether it is the ``__main__.py`` of a package, folder or zip file.
    """

    code: CodeType
    source: str | bytes | None
    name: str
    attributes: dict[str, Any]
    is_main_file: bool = False

    @property
    def is_guarded(self) -> bool:
        """Whether it is made to be imported as well.

        A ``__main__.py`` mostly isn't: all of it is what others have under their main guard. So
        `multiprocessing` never imports one in its children. One that asks for its name may be.
        """
        if not self.is_main_file or self.source is None:
            return not self.is_main_file
        word: Any = "__name__" if isinstance(self.source, str) else b"__name__"
        return word in self.source


def of_text(text: str | bytes, path: str, name: str, attributes: dict[str, Any]) -> ProgramCode:
    """Return a program that is given as text.

    Raises:
        SyntaxError: it is no Python.
    """
    try:
        code = compile(text, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        if isinstance(error, SyntaxError) and error.filename is not None:
            raise
        # A null character: Pythons differ in what they raise, and none says where.
        raise SyntaxError(str(error), (path, 1, None, None)) from None
    loader = importlib.machinery.BuiltinImporter  # as Python has it, where there is no file
    return ProgramCode(code, text, name, {"__loader__": loader, **attributes})


def of_script(target: str, name: str) -> ProgramCode:
    """Return the program of a file, or of a folder or zip file with a ``__main__`` module.

    Such a folder or zip file becomes the first entry of `sys.path`, as does a file's folder.

    Args:
        target: its path.
        name: what its module will be called.

    Raises:
        ProgramError: there is no such program.
        SyntaxError: it is no Python.
    """
    path = os.path.abspath(target)
    importer = _importer_of(path)
    if importer is not None:
        spec = importer.find_spec(MAIN)
        if spec is None or spec.loader is None:
            raise ProgramError(f"can't find a module __main__ in {target!r}")
        if _has_safe_path():
            sys.path.insert(0, path)
        else:
            sys.path[0] = path
        return _of_spec(spec, target, is_main_file=True)
    try:
        with io.open_code(path) as file:
            content = file.read()
    except OSError as error:
        raise ProgramError(f"can't open the program {target!r}: {error.strerror}") from error
    put_first(os.path.dirname(os.path.realpath(path)))
    attributes: dict[str, Any] = {"__file__": path, "__cached__": None}
    if path.endswith(".pyc") or content.startswith(importlib.util.MAGIC_NUMBER):
        compiled = importlib.machinery.SourcelessFileLoader(name, path)
        attributes["__loader__"] = compiled
        try:
            code: Any = compiled.get_code(name)
        except (ImportError, EOFError, ValueError, TypeError) as error:
            raise ProgramError(f"can't load the compiled program {target!r}: {error}") from error
        return ProgramCode(code, None, target, attributes)
    attributes["__loader__"] = importlib.machinery.SourceFileLoader(name, path)
    return of_text(content, path, target, attributes)


def _importer_of(path: str) -> Any:
    """Return what imports modules from `path` if that stands on `sys.path`; None for a file."""
    for hook in sys.path_hooks:
        try:
            return hook(path)
        except ImportError:
            continue
    return None


def of_module(target: str) -> ProgramCode:
    """Return the program that is a module, as Python's ``-m`` finds it.

    Raises:
        ProgramError: there is none, or it can't be run.
        BaseException: what the package that it is in raised while it was imported.
    """
    put_first(os.getcwd())
    spec = _find_module(target)
    is_main_file = spec.submodule_search_locations is not None
    if is_main_file:
        spec = _find_module(f"{target}.{MAIN}")
    if spec.loader is None or spec.submodule_search_locations is not None:
        raise ProgramError(f"{target} is a package without a module __main__ that could be run")
    return _of_spec(spec, spec.origin or target, is_main_file or target.endswith(f".{MAIN}"))


def _find_module(target: str) -> ModuleSpec:
    if target.startswith("."):
        raise ProgramError(f"-m {target}: relative names of modules have no meaning here")
    package = target.rpartition(".")[0]
    if package:
        try:
            importlib.import_module(package)
        except ImportError as error:
            missing = error.name or ""
            if missing != package and not package.startswith(f"{missing}."):
                raise  # not that the package is missing, but something that it imports
            raise ProgramError(f"can't import the module {target}: {error}") from error
        existing = sys.modules.get(target)
        if existing is not None and not hasattr(existing, "__path__"):
            warnings.warn(
                f"{target} was imported by the package {package} already, and is now run once "
                "more, as the program: there are two of each of its functions and classes",
                RuntimeWarning,
                stacklevel=1,
            )
    try:
        spec = importlib.util.find_spec(target)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ProgramError(f"can't import the module {target}: {error}") from error
    if spec is None:
        hint = f"; try {target[:-3]}, without .py" if target.endswith(".py") else ""
        raise ProgramError(f"there is no module {target} that could be run with -m{hint}")
    return spec


def _of_spec(spec: ModuleSpec, name: str, is_main_file: bool) -> ProgramCode:
    loader: Any = spec.loader  # those that matter here are of `importlib.abc.InspectLoader`
    try:
        code = loader.get_code(spec.name) if hasattr(loader, "get_code") else None
    except ImportError as error:
        raise ProgramError(f"can't load the module {spec.name}: {error}") from error
    if code is None:
        raise ProgramError(f"there is no module {spec.name} that could be run: it is no Python")
    try:
        source = loader.get_source(spec.name) if hasattr(loader, "get_source") else None
    except ImportError:
        source = None  # there is code without its text
    attributes = {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }
    return ProgramCode(code, source, name, attributes, is_main_file)


def put_first(folder: str) -> None:
    """Have modules looked for in `folder` first, unless Python was told not to (``-P``, ``-I``)."""
    if not _has_safe_path():
        sys.path[0] = folder


def _has_safe_path() -> bool:
    # Before Python 3.11 only -I, "isolated", left out the folder of the program.
    return bool(getattr(sys.flags, "safe_path", False) or sys.flags.isolated)
