"""References: what travels by its name, and how every rank finds it.

The rule: a function, a class, or whatever else has a name of its own (what `functools.cache`
returns, a `NewType`, numpy's ufuncs, wrapt's wrappers) travels by name if the import of the program
made it, and the name still means it on this rank (see `meanings`). The name may be its own, or any
other under which the module has it. There it is the rank's own. All else goes by value.

    its own name       ("helpers", "Tools.triple")      pickle's own way, without a detour
    another one        ("__main__", "Point")            `find(module, name)`
    a random generator that of the module `random` itself, or of `numpy.random`: each rank has one
    a bound method     its function and its object: what the object's class finds by the method's
                       name must not decide, or `super().f` would become `self.f`

It must not know how things go by value (see `definitions`).
"""

from __future__ import annotations

import importlib
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any, NamedTuple

from scoop_mpi.wire import meanings
from scoop_mpi.wire.meanings import Meanings, function_beneath

# Modules that are the program on some rank, or something else there than here.
PROGRAM_NAMES = ("__main__", "__mp_main__")
# By the address of what they refer to: the same few functions and classes travel again and again.
_remembered: dict[int, _Remembered] = {}
_MOST_REMEMBERED = 1024
_dict_of_class = type.__dict__["__dict__"].__get__
_mro_of_class = type.__dict__["__mro__"].__get__


class Reference(NamedTuple):
    """Where every rank finds a thing. Pickled, it stands for the thing itself.

    Attributes:
        module: the module's name.
        name: the thing's name there, or `Class.attribute`.
        is_own: whether pickle finds it so by itself.
    """

    module: str
    name: str
    is_own: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        return find, (self.module, self.name)


def find(module_name: str, name: str) -> Any:
    """Return what this rank has under a name.

    Raises:
        ImportError, AttributeError: it has nothing there.
    """
    found: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
    for part in name.split("."):
        found = _attribute(found, part)
    return found


def reference_to(thing: Any, name: str | None = None) -> Reference | None:
    """Return a reference to a thing that every rank has, or None.

    Args:
        thing: which one.
        name: the name that it gives itself; None: its qualified name.
    """
    known = meanings.known()
    if name is not None:
        return _look_for(thing, name, known)
    remembered = _remembered.get(id(thing))
    if remembered is not None and remembered.is_valid(thing, known):
        return remembered.reference
    name = getattr(thing, "__qualname__", None)
    reference = _look_for(thing, name, known) if type(name) is str else None
    if reference is not None and "." not in reference.name:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        with suppress(TypeError):  # no weak reference can be made of it
            _remembered[id(thing)] = _Remembered(weakref.ref(thing), _weakly(known), reference)
    return reference


def _look_for(thing: Any, name: str, known: Meanings | None) -> Reference | None:
    module_name = getattr(thing, "__module__", None)
    if type(module_name) is str:
        found = _found(thing, module_name, name, known) or _found_elsewhere(
            thing, module_name, known
        )
    else:
        found = _found_anywhere(thing, name, known)
    if found is None and known is not None:
        for name in known.names_of(thing):
            if found := _found(thing, PROGRAM_NAMES[0], name, known):
                return found
    return found


class _Remembered(NamedTuple):
    """A reference that has been found. It holds as long as the name means the same thing."""

    thing: Callable[[], Any]  # a weak reference: what the program lets go of is to end
    known: Callable[[], Meanings | None]
    reference: Reference

    def is_valid(self, thing: Any, known: Meanings | None) -> bool:
        module = sys.modules.get(self.reference.module)
        return (
            self.thing() is thing
            and self.known() is known
            and getattr(module, self.reference.name, None) is thing
        )


def _weakly(known: Meanings | None) -> Callable[[], Meanings | None]:
    return _nothing if known is None else weakref.ref(known)


def _nothing() -> None:
    """Stand for a weak reference."""


def reference_within(function: Any, owner: type) -> Reference | None:
    """Return a reference to a function that a class has under whatever name, or None.

    So are found those of class methods, private ones, lambdas and decorated ones.
    """
    for base in _mro_of_class(owner):
        for name, attribute in _dict_of_class(base).items():
            if function_beneath(attribute) is function:
                place = reference_to(base)
                if place is None:
                    return None
                return _found(function, place.module, f"{place.name}.{name}", meanings.known())
    return None


def reduce_method(method: Any) -> Any:
    """Reduce a bound method: see `pickle` on what a reduction is."""
    function, owner = method.__func__, method.__self__
    if type(function) is FunctionType and reference_to(function) is None:
        cls = owner if issubclass(type(owner), type) else type(owner)
        function = reference_within(function, cls) or function
    return bind, (function, owner)


def reduce_bound_builtin(method: Any) -> Any:
    """Reduce a method of a built-in class that is bound to an object or, as `fromkeys`, a class."""
    owner = method.__self__
    if owner is None or type(owner) is ModuleType:
        return NotImplemented  # no method, but a function
    name = method.__name__
    for cls in (*_mro_of_class(type(owner)), *_bases(owner)):
        descriptor = _dict_of_class(cls).get(name)
        if type(descriptor) in _BUILTIN_DESCRIPTORS and _bound(descriptor, owner) == method:
            return bind_builtin, (cls, name, owner)
    return NotImplemented


def reduce_slot(method: Any) -> Any:
    """Reduce a slot of a built-in class that is bound to an object, as `[].__len__`."""
    return bind_builtin, (method.__objclass__, method.__name__, method.__self__)


def reduce_random_generator(thing: Any) -> Any:
    """Reduce what a module's functions for random numbers are bound to, as `random.gauss` is.

    What is no such thing goes its usual way, as do the generators that a program makes.
    """
    place = _RANDOM_GENERATORS.get((type(thing).__module__, type(thing).__name__))
    if place is not None and getattr(sys.modules.get(place.module), place.name, None) is thing:
        return place.__reduce__()
    return NotImplemented


def is_random_generator_type(kind: type) -> bool:
    """Say whether `reduce_random_generator` looks at each object of a type."""
    return (kind.__module__, kind.__name__) in _RANDOM_GENERATORS


def bind(function: Any, owner: Any) -> MethodType:
    """Return a bound method. (Its type has no name by which pickle would find it.)"""
    return MethodType(function, owner)


def bind_builtin(cls: type, name: str, owner: Any) -> Any:
    """Return the method that `cls`, of all the classes of `owner`, has under a name."""
    return _bound(_dict_of_class(cls)[name], owner)


_RANDOM_GENERATORS = {
    ("random", "Random"): Reference("random", "_inst"),
    ("numpy.random.mtrand", "RandomState"): Reference("numpy.random.mtrand", "_rand"),
}
_BUILTIN_DESCRIPTORS = (MethodDescriptorType, ClassMethodDescriptorType)

# How methods are reduced, by their type.
METHODS = {
    MethodType: reduce_method,
    BuiltinFunctionType: reduce_bound_builtin,
    MethodWrapperType: reduce_slot,
}


def _bound(descriptor: Any, owner: Any) -> Any:
    if type(descriptor) is ClassMethodDescriptorType:
        return descriptor.__get__(None, owner)
    return descriptor.__get__(owner, type(owner))


def _bases(owner: Any) -> tuple[type, ...]:
    return _mro_of_class(owner) if issubclass(type(owner), type) else ()


def _attribute(owner: Any, name: str) -> Any:
    """Return an attribute; of a class method or static method of a class its function."""
    if issubclass(type(owner), type):
        attribute = _dict_of_class(owner).get(name)
        beneath = function_beneath(attribute)
        if beneath is not attribute:
            return beneath
    return getattr(owner, name)


def _found(thing: Any, module_name: str, name: str, known: Meanings | None) -> Reference | None:
    """Return the reference by these names, if they lead to `thing` on every rank."""
    module = sys.modules.get(module_name)
    if module is None or "<" in name:
        return None  # <locals>, <lambda>
    is_program = known is not None and module is known.program
    if module_name in PROGRAM_NAMES and not is_program:
        return None
    found: Any = module
    for part in name.split("."):
        owner = found
        found = getattr(owner, part, None)
    is_own = found is thing
    if not is_own:
        try:
            is_found = _attribute(owner, part) is thing
        except AttributeError:
            return None
        if not is_found:
            return None
    if known is not None and not _is_kept(module, name, thing, known):
        return None
    is_own = is_own and getattr(thing, "__module__", None) == module_name
    return Reference(module_name, name, is_own)


def _is_kept(module: ModuleType, name: str, thing: Any, known: Meanings) -> bool:
    first, _, rest = name.partition(".")
    if rest and module is not known.program:
        return known.is_kept(module, first, getattr(module, first))
    return known.is_kept(module, name, thing)


def _found_elsewhere(thing: Any, module_name: str, known: Meanings | None) -> Reference | None:
    """Look for `thing` in its module under other names than its own."""
    module = sys.modules.get(module_name)
    for name, value in _names_in(module):
        if value is thing and (found := _found(thing, module_name, name, known)):
            return found
    return None


def _found_anywhere(thing: Any, name: str, known: Meanings | None) -> Reference | None:
    """Look for a thing that doesn't say which module it is of, under its name."""
    for module_name, module in list(sys.modules.items()):
        if module_name in PROGRAM_NAMES or type(module) is not ModuleType:
            continue
        if vars(module).get(name) is thing and (found := _found(thing, module_name, name, known)):
            return found
    return None


def _names_in(module: ModuleType | None) -> Iterator[tuple[str, Any]]:
    return iter(list(vars(module).items()) if type(module) is ModuleType else [])
