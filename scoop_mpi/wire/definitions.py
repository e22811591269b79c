"""Definitions by value: functions and classes that other ranks can't find by a name.

Such are lambdas and closures, what the root defines under its main guard, and what has been bound
anew since the import (see `references`). They are sent as code and state.

*A function keeps to its module.* Every rank has the module whose names it uses, so there it gets
the rank's own namespace: the same objects as a function that went by name. Names that only this
rank has, or that have come to mean something else since the import, go along by value. The function
then gets a namespace of its own: these, over what the rank's own names mean when it arrives. What a
function itself binds by ``global`` is always the rank's.

*A class is one class on each rank*, however often it travels, and on the rank that made it always
the one that it made. It gets a token when it is first sent, and each rank knows by their tokens
the classes that it has got.

cloudpickle does the rest: the contents of classes, code objects, modules and the like.
"""

from __future__ import annotations

import copyreg
import functools
import importlib
import marshal
import pickle
import sys
import typing
import uuid
import weakref
from collections.abc import Callable, Iterable
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, ClassVar, TypeVar

import cloudpickle

from scoop_mpi.errors import describe_callable
from scoop_mpi.wire import meanings
from scoop_mpi.wire.references import PROGRAM_NAMES

Cached = type(functools.cache(len))

# The only tables of this process's that are of no rank's state: what unpickles has nothing but
# module-level functions to call. No entry outlives its class.
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()  # by token
_tokens: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_from_elsewhere: weakref.WeakSet[type] = weakref.WeakSet()


class Definitions(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler's ways for what goes by value.

    A subclass says what goes by reference, and asks `reduce_by_value` for what doesn't.
    """

    # How objects are reduced that pickle can't send, and that have no name of their own.
    ways: ClassVar[dict[type, Callable[[Any], Any]]] = {
        kind: way
        for kind, way in cloudpickle.Pickler.dispatch_table.items()
        if kind not in copyreg.dispatch_table and kind not in (MethodType, memoryview, TypeVar)
    }

    def __init__(self, file: Any, protocol: int, buffer_callback: Any = None) -> None:
        super().__init__(file, protocol=protocol, buffer_callback=buffer_callback)
        self._namespaces: dict[int, Any] = {}  # of functions, by the address of theirs here

    def reduce_by_value(self, thing: Any) -> Any:
        """Reduce a thing that has a name, but none by which other ranks would find it.

        Raises:
            PicklingError: there is no way.
        """
        kind = type(thing)
        if kind is FunctionType:
            return self._reduce_function(thing)
        if issubclass(kind, type):
            return self._reduce_class(thing)
        if kind is Cached:
            parameters = thing.cache_parameters()
            return make_cached, (thing.__wrapped__, parameters["maxsize"], parameters["typed"])
        if kind is typing.NewType:
            return make_new_type, (thing.__name__, thing.__supertype__, thing.__module__)
        if kind is TypeVar:
            return cloudpickle.Pickler.dispatch_table[kind](thing)
        raise pickle.PicklingError(
            f"{getattr(thing, '__name__', describe_callable(thing))} travels by its name, and is "
            "not what other ranks have under that name. Define it outside the main guard, and "
            "don't bind it anew"
        )

    # ------------------------------------------------------------ functions

    def _reduce_function(self, function: FunctionType) -> Any:
        taken, names = self._namespace(function)
        read, _ = _global_names(function.__code__)
        state = (
            function.__dict__,
            taken,
            _submodules(function, read),
            {
                "__name__": function.__name__,
                "__qualname__": function.__qualname__,
                "__module__": function.__module__,
                "__doc__": function.__doc__,
                "__defaults__": function.__defaults__,
                "__kwdefaults__": function.__kwdefaults__,
                "__annotations__": function.__annotations__,
            },
        )
        arguments = (function.__code__, names, function.__closure__)
        return make_function, arguments, state, None, None, fill_function

    def _namespace(self, function: FunctionType) -> tuple[dict[str, Any], Any]:
        """Return which names of a function's go by value, and what stands for its namespace."""
        names = function.__globals__
        read, bound = _global_names(function.__code__)
        module_name = _common_module(names)
        if module_name is None:
            kept = ("__name__", "__package__", "__file__", "__path__")
            seed = {name: names[name] for name in kept if name in names}
            taken = {name: names[name] for name in read if name in names}
            return taken, self._namespaces.setdefault(id(names), seed)
        taken = _names_of_this_rank(sys.modules[module_name], read, bound)
        # Functions of one module that travel together share their namespace.
        key = id(names) if taken else -id(names)
        return taken, self._namespaces.setdefault(key, Namespace(module_name, bool(taken)))

    # ------------------------------------------------------------ classes

    def _reduce_class(self, cls: Any) -> Any:
        way = copyreg.dispatch_table.get(type(cls))
        reduction: Any = self._reduce_contents(cls) if way is None else way(cls)
        if type(reduction) is not tuple:
            return reduction
        make, arguments, *rest = reduction
        is_copied = way is not None and not rest
        if len(rest) == 4 and rest[1] is rest[2] is None:  # as cloudpickle reduces a class
            state, *_, set_state = rest
            rest = [(set_state, state), None, None, fill_class]
            is_copied = True
        if not is_copied:  # type(None) and its like, which have no name of their own
            return reduction
        return known_class, (_token(cls), make, arguments), *rest

    def _reduce_contents(self, cls: Any) -> Any:
        """Have cloudpickle reduce a class, also one that it would send by name."""
        reduction = super().reducer_override(cls)
        module = sys.modules.get(cls.__module__)
        if reduction is not NotImplemented or module is None:
            return reduction
        is_registered = module.__name__ in cloudpickle.list_registry_pickle_by_value()
        cloudpickle.register_pickle_by_value(module)
        try:
            return super().reducer_override(cls)
        finally:
            if not is_registered:
                cloudpickle.unregister_pickle_by_value(module)


class Namespace:
    """Stands, pickled, for the names of a module.

    Args:
        module: its name.
        is_copy: for a copy of them, as they are when it arrives; else for the module's very own.
    """

    def __init__(self, module: str, is_copy: bool) -> None:
        self._module = module
        self._is_copy = is_copy

    def __reduce__(self) -> tuple[Any, ...]:
        return namespace, (self._module, self._is_copy)


def reduce_cell(cell: CellType) -> Any:
    """Reduce the cell of a variable that closures share."""
    try:
        content = cell.cell_contents
    except ValueError:  # it is empty
        return make_cell, ()
    return make_cell, (), (content,), None, None, fill_cell


def reduce_code(code: CodeType) -> Any:
    """Reduce compiled code, with the file and lines that tracebacks show."""
    return make_code, (_VERSION, marshal.dumps(code))


Definitions.ways[CellType] = reduce_cell
Definitions.ways[CodeType] = reduce_code

# ------------------------------------------------------------ what unpickling calls


def namespace(module_name: str, is_copy: bool) -> dict[str, Any]:
    """Return the names of a module of this rank's."""
    module = sys.modules.get(module_name) or importlib.import_module(module_name)
    return vars(module).copy() if is_copy else vars(module)


def make_code(version: tuple[int, int], data: bytes) -> CodeType:
    """Return the code of `reduce_code`."""
    if version != _VERSION:
        raise pickle.UnpicklingError(
            f"a function by value from Python {_dotted(version)} can't be had in Python "
            f"{_dotted(_VERSION)}: all ranks need the same"
        )
    code: CodeType = marshal.loads(data)
    return code


def make_function(
    code: CodeType, names: dict[str, Any], closure: tuple[CellType, ...] | None
) -> FunctionType:
    """Return a function, whose state is to follow."""
    return FunctionType(code, names, None, None, closure)


def fill_function(function: FunctionType, state: Any) -> None:
    """Give a function what it had on its way."""
    attributes, taken, _, fields = state
    function.__dict__.update(attributes)
    function.__globals__.update(taken)
    for name, value in fields.items():
        setattr(function, name, value)


def make_cell() -> CellType:
    """Return an empty cell, which is to be filled."""
    return CellType()


def fill_cell(cell: CellType, state: tuple[Any]) -> None:
    """Fill the cell of a closure."""
    (cell.cell_contents,) = state


def known_class(token: str, make: Callable[..., type], arguments: tuple[Any, ...]) -> type:
    """Return this rank's class of a token; make it if there is none yet."""
    cls = _classes.get(token)
    if cls is None:
        made = make(*arguments)
        cls = _classes.setdefault(token, made)
        if cls is made:
            _tokens[cls] = token
            _from_elsewhere.add(cls)
    return cls


def fill_class(cls: type, state: Any) -> None:
    """Give a class its contents as they were when it was sent, unless it is this rank's own."""
    if cls in _from_elsewhere:
        set_state, contents = state
        set_state(cls, contents)


def make_cached(
    function: Callable[..., Any], maxsize: int | None, typed: bool
) -> Callable[..., Any]:
    """Return a function with a cache of its own, which is empty."""
    return functools.lru_cache(maxsize, typed)(function)


def make_new_type(name: str, supertype: Any, module: str) -> Any:
    """Return a NewType."""
    new_type = typing.NewType(name, supertype)  # type: ignore[misc]
    new_type.__module__ = module
    return new_type


# ------------------------------------------------------------ helpers

_VERSION = sys.version_info[:2]
_READING = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_BINDING = {"STORE_GLOBAL", "DELETE_GLOBAL"}


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _token(cls: type) -> str:
    token = _tokens.get(cls)
    if token is None:
        _tokens[cls] = token = uuid.uuid4().hex
        _classes[token] = cls
    return token


@functools.lru_cache(maxsize=1024)
def _global_names(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the global names that code reads or binds, and those that it binds."""
    read: set[str] = set()
    bound: set[str] = set()
    import dis  # not above: only functions by value need it

    for instruction in dis.get_instructions(code):
        if instruction.opname in _READING:
            read.add(instruction.argval)
        elif instruction.opname in _BINDING:
            bound.add(instruction.argval)
    for constant in code.co_consts:
        if type(constant) is CodeType:
            inner_read, inner_bound = _global_names(constant)
            read |= inner_read
            bound |= inner_bound
    return frozenset(read | bound), frozenset(bound)


def _common_module(names: dict[str, Any]) -> str | None:
    """Return the name of the module that has this namespace, if every rank has this module."""
    name = names.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    if type(name) is not str or module is None or vars(module) is not names:
        return None
    known = meanings.known()
    if known is not None and module is known.program:
        return "__main__"
    is_imported = name not in PROGRAM_NAMES and names.get("__spec__") is not None
    return name if is_imported else None


def _names_of_this_rank(
    module: ModuleType, read: Iterable[str], bound: frozenset[str]
) -> dict[str, Any]:
    """Return of some names of a module those that only this rank has, or has bound anew."""
    known = meanings.known()
    if known is None:
        return {}
    names = vars(module)
    return {
        name: names[name]
        for name in read
        if name in names
        and not known.is_noted(module, name)
        and not (name in bound and known.has(module, name))
    }


def _submodules(function: FunctionType, read: Iterable[str]) -> list[ModuleType]:
    """Return the submodules that a function gets at as attributes of packages that it names.

    An ``import a.b`` on this rank has made `a.b` an attribute of `a`, also where only `a` is named.
    """
    names = function.__globals__
    cells = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    words = set(function.__code__.co_names)
    found = []
    for package in (*(names.get(name) for name in read), *cells):
        if type(package) is not ModuleType or "__path__" not in vars(package):
            continue
        prefix = f"{package.__name__}."
        found += [
            module
            for name, module in list(sys.modules.items())
            if name.startswith(prefix) and words.issuperset(name[len(prefix) :].split("."))
        ]
    return found


def _is_empty(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - whether there are any
    except ValueError:
        return True
    return False
