"""Identity: by what a call is known again in a later run of the program.

A function by its module, its name, and a digest of what it does: of its code, of its defaults and
of what it encloses, of the functions, classes and plain values of its module that it names, and of
theirs in turn. Of what it uses of other modules only the name counts, and so it is with values of
the module that are not plain: an array, say. Arguments by a digest of what pickle makes of them.

Equal digests in two processes take equal orders of sets, and so equal hashes: see `hash_seed`.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from collections.abc import Callable
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import cloudpickle

from scoop_mpi.errors import CallableWrapper, describe_callable
from scoop_mpi.tasks.future import KeywordCall
from scoop_mpi.tasks.terms import Termed

_SIZE = 16  # bytes of a digest
_PLAIN = frozenset((int, float, complex, bool, str, bytes, type(None), type(Ellipsis)))
_UNPICKLABLE = "it can't be pickled"


class Unidentified(Exception):
    """A function, or an argument, can't be known again. The text says why."""


class Identity(NamedTuple):
    """By what a function is known again.

    Attributes:
        name: by which a user knows it.
        digest: of what it does.
    """

    name: str
    digest: bytes


def of_function(function: Callable[..., Any], key: str | None = None) -> Identity:
    """Return the identity of a function.

    Args:
        function: which one. Keyword arguments of a call and terms are none of it.
        key: what the user says it is to be known by, instead of all else.

    Raises:
        Unidentified: it can't be known again.
    """
    if key is not None:
        return Identity(key, _digest(b"key", key.encode()))
    function = unwrapped(function)
    name = describe_callable(function)
    module = getattr(function, "__module__", None)
    digest = _Digests().of(function)
    return Identity(f"{module}.{name}" if isinstance(module, str) else name, digest)


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the user's function, without keyword arguments of a call, and terms."""
    while isinstance(function, CallableWrapper | KeywordCall):
        function = function.func
    return function


def of_arguments(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    """Return a digest of the arguments of a call.

    Args:
        function: its function, which holds arguments given by keyword.
        arguments: its positional arguments.

    Raises:
        Unidentified: one of them can't be pickled.
    """
    while isinstance(function, CallableWrapper):
        function = function.func
    if type(function) is KeywordCall:
        keywords = tuple(sorted(function.keywords.items()))
        return _Digests().of_value((arguments, keywords))
    kinds = set(map(type, arguments))
    if kinds <= _PLAIN:  # in the least time: the text of these tells type and value
        return _digest(repr(arguments).encode())
    return _Digests().of_value((arguments, ()))


def of_call(function: bytes, arguments: bytes) -> bytes:
    """Return the digest of a call, of that of its function and that of its arguments."""
    return _digest(function, arguments)


def key_of(function: Callable[..., Any]) -> str | bool:
    """Return what the terms of a call say: whether it is journalled, or by which key."""
    while isinstance(function, CallableWrapper | KeywordCall):
        if isinstance(function, Termed) and function.terms.journal is not True:
            return function.terms.journal
        function = function.func
    return True


def _digest(*parts: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(digest_size=_SIZE)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class _Digests:
    """Makes the digests of one function, and of what it leads to."""

    def __init__(self) -> None:
        self._under_way: list[Any] = []  # what has led here: a circle ends at its own place

    def of(self, thing: Any) -> bytes:
        """Return the digest of something callable."""
        for place, known in enumerate(self._under_way):
            if known is thing:
                return _digest(b"circle", str(place).encode())
        self._under_way.append(thing)
        try:
            return self._of_new(thing)
        finally:
            self._under_way.pop()

    def _of_new(self, thing: Any) -> bytes:
        kind = type(thing)
        if kind is FunctionType:
            return self._of_function(thing)
        if kind is MethodType:
            return _digest(b"method", self.of(thing.__func__), self.of_value(thing.__self__))
        if kind is BuiltinFunctionType:
            return self._of_builtin(thing)
        if issubclass(kind, partial):
            keywords = self.of_value(tuple(sorted(thing.keywords.items())))
            return _digest(b"partial", self.of(thing.func), self.of_value(thing.args), keywords)
        if issubclass(kind, type):
            return self._of_class(thing)
        return _digest(b"object", self.of(kind), self.of_value(thing))

    def _of_function(self, function: FunctionType) -> bytes:
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(self.of_value(cell.cell_contents))
            except ValueError:
                cells.append(b"empty")
        defaults = self.of_value((function.__defaults__, function.__kwdefaults__))
        name = f"{function.__module__}.{function.__qualname__}".encode()
        code = self._of_code(function.__code__, function.__doc__)
        names = sorted(_names_of(function.__code__))
        used = [self._of_global(function, name) for name in names]
        return _digest(b"function", name, code, defaults, *cells, b"names", *used)

    def _of_global(self, function: FunctionType, name: str) -> bytes:
        """Return the digest of what a name of the module means, as far as that counts."""
        if name not in function.__globals__:
            return b""
        thing = function.__globals__[name]
        kind = type(thing)
        if kind in _PLAIN:
            return _digest(name.encode(), repr(thing).encode())
        is_code = kind is FunctionType or issubclass(kind, type)
        if is_code and getattr(thing, "__module__", None) == function.__module__:
            return _digest(name.encode(), self.of(thing))
        return name.encode()

    def _of_code(self, code: CodeType, doc: str | None = None) -> bytes:
        constants = []
        for place, constant in enumerate(code.co_consts):
            if isinstance(constant, CodeType):
                constants.append(self._of_code(constant))
            elif place == 0 and doc is not None and constant == doc:
                constants.append(b"doc")
            else:
                constants.append(_text_of_constant(constant).encode())
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        about = repr((names, arguments, code.co_flags)).encode(errors="backslashreplace")
        return _digest(code.co_code, about, *constants)

    def _of_class(self, kind: type) -> bytes:
        """Return the digest of a class: of its name, and of the functions of those in Python."""
        parts: list[bytes] = []
        for each in kind.__mro__:
            parts.append(f"{each.__module__}.{each.__qualname__}".encode())
            if each.__module__ in sys.stdlib_module_names:
                continue
            for name, attribute in sorted(vars(each).items()):
                inner = getattr(attribute, "__func__", attribute)
                if isinstance(attribute, property):
                    inner = attribute.fget
                if type(inner) is FunctionType:
                    parts += (name.encode(), self.of(inner))
        return _digest(b"class", *parts)

    def _of_builtin(self, function: BuiltinFunctionType) -> bytes:
        name = f"{function.__module__}.{function.__qualname__}".encode()
        home = function.__self__
        if home is None or isinstance(home, ModuleType):
            return _digest(b"builtin", name)
        return _digest(b"builtin method", name, self.of_value(home))

    def of_value(self, value: Any) -> bytes:
        """Return the digest of a value.

        Raises:
            Unidentified: it can't be pickled.
        """
        for make in (self._pickled, self._pickled_with_identities, _cloudpickled):
            try:
                return make(value)
            except Unidentified:
                raise
            except Exception:
                continue
        raise Unidentified(_UNPICKLABLE)

    def _pickled(self, value: Any) -> bytes:
        return self._pickle(value, is_fast=True)

    def _pickled_with_identities(self, value: Any) -> bytes:
        return self._pickle(value, is_fast=False)

    def _pickle(self, value: Any, *, is_fast: bool) -> bytes:
        """Return a digest of the pickle of a value.

        Args:
            value: which one.
            is_fast: whether equal objects are alike, be they one or two. That is to be so, but then
                an object can't lie in itself.
        """
        stream = io.BytesIO()
        buffers: list[pickle.PickleBuffer] = []
        pickler = _Pickler(stream, self, buffers.append)
        pickler.fast = is_fast
        pickler.dump(value)
        return _digest(stream.getbuffer(), *(buffer.raw() for buffer in buffers))


class _Pickler(pickle.Pickler):
    """Pickles functions and classes by their digests.

    Args:
        stream: where to.
        digests: makes them.
        keep: gets the buffers of arrays.
    """

    def __init__(
        self,
        stream: io.BytesIO,
        digests: _Digests,
        keep: Callable[[pickle.PickleBuffer], object],
    ) -> None:
        super().__init__(stream, protocol=5, buffer_callback=keep)
        self._digests = digests

    def reducer_override(self, thing: Any) -> Any:
        """See `pickle`."""
        kind = type(thing)
        if kind is FunctionType and thing is not _known_by:
            return _known_by, (self._digests.of(thing),)
        if issubclass(kind, type) and thing.__module__ not in sys.stdlib_module_names:
            return _known_by, (f"{thing.__module__}.{thing.__qualname__}",)
        return NotImplemented


def _known_by(digest: object) -> object:
    """Stand in a pickle, which nobody reads, for what has such a digest."""
    return digest


def _cloudpickled(value: Any) -> bytes:
    return _digest(cloudpickle.dumps(value))


def _names_of(code: CodeType) -> set[str]:
    """Return the names that a code uses, with those of functions within."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_of(constant)
    return names


def _text_of_constant(constant: Any) -> str:
    """Return a text of a constant that is the same in each process."""
    if isinstance(constant, frozenset):
        return f"frozenset({sorted(map(_text_of_constant, constant))})"
    if isinstance(constant, tuple):
        return f"tuple({list(map(_text_of_constant, constant))})"
    return repr(constant)
