"""Rebound names: what the root has bound anew since the import, and functions of its maps read.

A worker has what importing the program gave it. If the root then binds such a name to something
else, a function that reads it computes with one value there and with another elsewhere, and which
calls run where is chance. That is no error, as the program may mean it; but it is warned of, once
for each name.

The root runs the program where others import it. Its import ends where its main guard begins: there
`program` calls `ImportedNames.note`, if the program binds names at both places.

A name that tasks bind, as they do with a counter or a cache, is theirs: nobody is warned of it.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from scoop_mpi.errors import CallableWrapper, describe_callable, users_stacklevel
from scoop_mpi.wire.references import reference_to
from scoop_mpi.wire.serializer import PLAIN

# The program's `ImportedNames` are a name of the program's.
HOOK = "__scoop_mpi_imported__"
_REMEMBERED = 256  # functions; a program that makes more has its memory start anew
_MISSING = object()


class ImportedNames:
    """What the import has bound some of the program's names to.

    Args:
        names: those that may be bound anew.
        namespace: the program's.
    """

    def __init__(self, names: Iterable[str], namespace: dict[str, Any]) -> None:
        self._names = frozenset(names)
        self._namespace = namespace
        self._values: dict[str, Any] | None = None
        self._warned: set[str] = set()
        # By the identities of the functions' code, which is kept so that these stay its own.
        self._read: dict[tuple[int, ...], tuple[tuple[CodeType, ...], frozenset[str]]] = {}

    def note(self) -> None:
        """The import is over: what follows, only the root does."""
        if self._values is None:
            namespace = self._namespace
            self._values = {name: namespace[name] for name in self._names if name in namespace}

    def rebound(self, function: object) -> list[str]:
        """Return the names that `function` reads and that have been bound anew, each once."""
        if not self._values or self._warned.issuperset(self._values):
            return []
        found = []
        for name in sorted(self._names_read_by(function)):
            if name in self._values and name not in self._warned and self._has_changed(name):
                self._warned.add(name)
                found.append(name)
        return found

    def _has_changed(self, name: str) -> bool:
        before = (self._values or {})[name]
        now = self._namespace.get(name, _MISSING)
        if now is before:
            return False
        # Numbers and texts may be other objects of the same value. Others are not compared: that
        # would be the user's code.
        return type(now) is not type(before) or type(now) not in PLAIN or bool(now != before)

    def _names_read_by(self, function: object) -> frozenset[str]:
        codes = tuple(each.__code__ for each in _functions_of(function))
        key = tuple(map(id, codes))
        known = self._read.get(key)
        if known is None:
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            known = self._read[key] = codes, self._find_names_read_by(function)
        return known[1]

    def _find_names_read_by(self, function: object) -> frozenset[str]:
        """Return the names that `function` reads, or one that it calls, but none of them binds.

        Only the program's own functions count, as far as they are called by their names.
        """
        read: set[str] = set()
        bound: set[str] = set()
        seen: set[tuple[FunctionType, bool]] = set()
        things: list[tuple[object, bool]] = [(function, False)]
        while things:
            thing, is_part_of_named = things.pop()
            # What is sent by value takes along what it reads.
            is_named = is_part_of_named or _is_sent_by_name(thing)
            for found in _functions_of(thing):
                if (found, is_named) in seen or found.__globals__ is not self._namespace:
                    continue
                seen.add((found, is_named))
                read_here, bound_here = _global_names(found.__code__)
                bound |= bound_here
                if is_named:
                    read |= read_here
                things += ((self._namespace.get(name), False) for name in read_here)
                things += ((part, is_named) for part in _contents(found))
        return frozenset((read & self._names) - bound)


def warn_of(function: object) -> None:
    """Warn if `function`, which is called, reads a name that is another here than elsewhere."""
    program = sys.modules.get("__main__")  # None while Python shuts down
    names = getattr(program, HOOK, None)
    if names is None:
        return
    for name in names.rebound(function):
        warnings.warn(
            f"{name} has been bound anew since the program was imported, and "
            f"{describe_callable(function)} reads it: on other ranks it is still what the import "
            "made of it. Hand it over as an argument, or make it a constant (shared.setConst).",
            RuntimeWarning,
            stacklevel=users_stacklevel(),
        )


def _core(thing: Any) -> Any:
    """Return what a partial, or a wrapper of ours, calls in the end."""
    while issubclass(type(thing), (functools.partial, CallableWrapper)):
        thing = thing.func
    return thing


def _is_sent_by_name(thing: object) -> bool:
    core = _core(thing)
    if type(core) is MethodType:
        core = core.__self__
    if not issubclass(type(core), (FunctionType, type, functools._lru_cache_wrapper)):
        core = type(core)
    return reference_to(core) is not None


def _functions_of(thing: object) -> Iterator[FunctionType]:
    """Yield the functions that calling `thing` may call: of a class or an object all of its own.

    It goes by the types of things, not by `isinstance`: a proxy's ``__class__`` is the user's code.
    """
    core = _core(thing)
    if type(core) in (MethodType, classmethod, staticmethod):
        core = core.__func__
    if type(core) is functools._lru_cache_wrapper:
        core = core.__wrapped__
    if type(core) is FunctionType:
        yield core
        return
    kind = core if issubclass(type(core), type) else type(core)
    parts = {name: part for base in reversed(kind.__mro__) for name, part in vars(base).items()}
    if kind is core or "__call__" in parts:
        for part in parts.values():
            if type(part) in (FunctionType, classmethod, staticmethod):
                yield from _functions_of(part)
            elif type(part) is property:
                yield from _functions_of(part.fget)


def _contents(function: FunctionType) -> Iterator[object]:
    """Yield what a closure refers to, as that of a decorator refers to the function."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue


def _global_names(code: CodeType) -> tuple[set[str], set[str]]:
    """Return the global names that some code reads, and those that it binds."""
    import dis  # not above: only programs that bind names anew need it

    read: set[str] = set()
    bound: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            read.add(instruction.argval)
        elif instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            bound.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner_read, inner_bound = _global_names(constant)
            read |= inner_read
            bound |= inner_bound
    return read, bound
