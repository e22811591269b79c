"""Meanings: what the import of the program has made its names mean on this rank.

A thing can travel by its name if every rank has it under this name: if the import made it, and the
name has not come to mean something else since, as in ``global f; f = timed(f)``. So a rank notes
its program's names once it has imported it: the workers at the end, the root whenever its program
comes to a main guard. What a guard binds, and what runs under it, is noted nowhere.

Of modules that the program imports, all names are noted at the same time, and of a module that is
imported later when it is first asked for one of its names.

It must not know how things travel (see `references`).
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from types import ModuleType
from typing import Any

ATTRIBUTE = "__scoop_mpi_meanings__"  # of the program's module

_nothing = object()  # the meaning of a name that there is not
_dict_of_class = type.__dict__["__dict__"].__get__  # whatever a metaclass makes of `__dict__`


class Meanings:
    """What the names of the program and of its modules meant when they were noted.

    Args:
        program: its module.
        guarded: the names that it binds under main guards: on some ranks only, or not alike.
    """

    def __init__(self, program: ModuleType, guarded: Container[str] = ()) -> None:
        self.program = program
        self._guarded = guarded
        self._unfinished: Container[str] | None = None
        self._held: dict[str, Callable[[], Any]] = {}  # by name; `Class.attribute` is one too
        self._of_modules: dict[ModuleType, dict[str, Any]] = {}

    def begin(self, names: Collection[str] | None = None) -> None:
        """A part of the program begins to be executed that binds names on every rank.

        Where it also runs what is for the root alone, its names are asked for before they are
        noted. They are taken to mean what they do when they are first asked for.

        Args:
            names: which names; None: any.
        """
        self._unfinished = _all if names is None else frozenset(names)
        for name in names or ():
            self._held.pop(name, None)

    def end(self, names: Iterable[str]) -> None:
        """The part has ended: what these names mean now they mean on every rank."""
        self._unfinished = None
        for name in names:
            self._hold(name)
        for module in list(sys.modules.values()):
            if type(module) is ModuleType and module is not self.program:
                self._names_of(module)

    def is_noted(self, module: ModuleType, name: str) -> bool:
        """Say whether a name of `module`, which it has, means what it meant when it was noted."""
        meaning = vars(module).get(name, _nothing)
        if module is self.program:
            return self._holds(name, meaning)
        return self._names_of(module).get(name, _nothing) is meaning

    def is_kept(self, module: ModuleType, name: str, thing: object) -> bool:
        """Say whether `thing` is what the import made `name` mean.

        Args:
            module: whose name it is, the program or one that it imports.
            name: a name of the module, or `Class.attribute`.
            thing: what this name means now.
        """
        if module is self.program:
            first = name.partition(".")[0]
            if first not in self._held and self._unfinished and first in self._unfinished:
                self._hold(first)
            return self._holds(name, thing)
        if "." in name:
            return True  # an attribute of a class of the module's
        noted = self._names_of(module).get(name, _nothing)
        if noted is _nothing:  # bound since; but some modules get at their names when asked
            return type(module) is not ModuleType or "__getattr__" in vars(module)
        return noted is thing

    def names_of(self, thing: object) -> Iterator[str]:
        """Yield the names under which the program has `thing`."""
        for name, hold in list(self._held.items()):
            if thing is not None and hold() is thing:
                yield name

    def has(self, module: ModuleType, name: str) -> bool:
        """Say whether a meaning of this name was noted, be it the one that it has now or not."""
        return name in (self._held if module is self.program else self._names_of(module))

    def _holds(self, name: str, thing: object) -> bool:
        hold = self._held.get(name)
        if hold is None or hold() is not thing:
            return False
        return thing is not None or type(hold) is _Itself  # or else it refers to what is gone

    def _hold(self, name: str) -> None:
        meaning = vars(self.program).get(name, _nothing)
        if meaning is _nothing or name in self._guarded:
            return
        self._held[name] = _holding(meaning)
        if issubclass(type(meaning), type):
            self._hold_attributes(name, meaning)

    def _hold_attributes(self, name: str, owner: Any) -> None:
        """Hold what a class of the program's defines, and so do the classes within it."""
        attributes = _dict_of_class(owner)
        if attributes.get("__module__") != self.program.__name__:
            return
        for attribute, meaning in attributes.items():
            meaning = function_beneath(meaning)
            if not callable(meaning):
                continue
            self._held[f"{name}.{attribute}"] = _holding(meaning)
            if issubclass(type(meaning), type) and _is_within(owner, meaning):
                self._hold_attributes(f"{name}.{attribute}", meaning)

    def _names_of(self, module: ModuleType) -> dict[str, Any]:
        noted = self._of_modules.get(module)
        if noted is None:
            self._of_modules[module] = noted = vars(module).copy()
        return noted


def known() -> Meanings | None:
    """Return what the names of this process's program mean; None if it was not started as one."""
    found = getattr(sys.modules.get("__main__"), ATTRIBUTE, None)
    return found if type(found) is Meanings else None


def function_beneath(attribute: Any) -> Any:
    """Return what a class method or static method calls; anything else as it is."""
    return attribute.__func__ if type(attribute) in (classmethod, staticmethod) else attribute


def _is_within(owner: type, inner: type) -> bool:
    """Say whether the class `inner` was defined within the class `owner`."""
    name_of = type.__dict__["__qualname__"].__get__
    return bool(name_of(inner).startswith(name_of(owner) + "."))


class _All(Container[str]):
    """Contains every name."""

    def __contains__(self, name: object) -> bool:
        return True


_all = _All()


class _Itself:
    """Holds what no weak reference can be made of."""

    __slots__ = ("_thing",)

    def __init__(self, thing: object) -> None:
        self._thing = thing

    def __call__(self) -> object:
        return self._thing


def _holding(thing: object) -> Callable[[], Any]:
    """Return what tells `thing`, without keeping it alive if that can be avoided.

    A large array that the program deletes is to be gone. An address alone would not do: another
    object may come to lie there.
    """
    try:
        return weakref.ref(thing)
    except TypeError:
        return _Itself(thing)
