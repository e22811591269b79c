"""Objects of the user's to payloads of bytes and back.

Responsible for how an object travels; must not know who sends it where. Two rules:

*By reference where every rank can look it up, by value where not.* A function or class that
can be imported is named, not sent. That includes the program's own module, which every rank has
imported; but what the program defines under its main guard exists on the root alone, and goes by
value, as do lambdas, closures and the like (with cloudpickle).

*Large buffers stay out of the stream* (pickle protocol 5): a numpy array goes as a message of
its own, straight from its memory into the new one.

Arguments and results of many calls travel as columns of objects: see `columns`.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType, NoneType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from scoop_mpi.errors import (
    RemoteTraceback,
    SerializationError,
    describe_callable,
    describe_error,
    format_exception,
    name_of_type,
    raise_interrupt,
)
from scoop_mpi.wire.arrays import is_array_type, reduce_array, reduce_view
from scoop_mpi.wire.holds import Hold, Keeper
from scoop_mpi.wire.references import (
    METHODS,
    is_random_generator_type,
    reduce_random_generator,
    reference_to,
)

Buffer = Any
# The pickle stream and the large buffers that it refers to. After them come a `Keeper` for each
# shared constant that the object refers to, if any.
Payload = tuple[Buffer, tuple[Buffer, ...]]

# Below this many bytes a buffer of its own costs more (a message, a request) than its copy does.
OUT_OF_BAND_BYTES = 16 * 1024

PROTOCOL = 5
# Also for an exception whose class forbids to set attributes, as a frozen dataclass does.
_SET_CAUSE = BaseException.__dict__["__cause__"].__set__
# Types whose objects can't fail to be sent, and run no code of the user's on the way.
PLAIN = frozenset({int, float, bool, str, bytes, complex, NoneType})


class EncodedError(NamedTuple):
    """An exception on its way. `payload` is None if it can't be pickled, `reason` says why then."""

    payload: Payload | None
    reason: str
    type_name: str
    traceback: str
    rank: int
    host: str


def encode(
    thing: object,
    out_of_band_bytes: int = OUT_OF_BAND_BYTES,
    reduce_array: Callable[[Any], Any] | None = None,
) -> Payload:
    """Return `thing` as a payload.

    Args:
        thing: what to send.
        out_of_band_bytes: buffers of at least so many bytes stay out of the stream.
        reduce_array: how numpy arrays are pickled (as `pickle.Pickler.reducer_override`); unless
            told, so that they come out writable.

    Raises:
        SerializationError: it can't be pickled; the text names its type.
    """
    if type(thing) in PLAIN:
        return pickle.dumps(thing, PROTOCOL), ()
    how = out_of_band_bytes, reduce_array
    try:
        return _encode(thing, *how, by_value=False)
    except BaseException as error:
        raise_interrupt(error)
    try:
        return _encode(thing, *how, by_value=True)
    except BaseException as error:
        raise_interrupt(error)
        raise SerializationError(
            f"an object of type {name_of_type(thing)} can't be sent to another rank: "
            f"{describe_error(error)}"
        ) from error


def decode(payload: Payload) -> Any:
    """Return the object that `encode` turned into `payload`.

    Raises:
        SerializationError: it can't be unpickled here; the text names its type.
    """
    data, buffers = payload
    try:
        return pickle.loads(data, buffers=buffers)
    except BaseException as error:
        raise_interrupt(error)
        raise SerializationError(
            f"an object of type {_first_class_in(data)} can't be unpickled on the rank that "
            f"received it: {describe_error(error)}"
        ) from error


def forwarded(payload: Payload) -> Payload:
    """Return a payload that came from another rank in the form in which it can be sent on."""
    data, buffers = payload
    return _forwarded_buffer(data), tuple(map(_forwarded_buffer, buffers))


def _forwarded_buffer(buffer: Buffer) -> Buffer:
    """Return what was received within a message as it is, what was a frame of its own as such."""
    return buffer if type(buffer) in (bytes, Keeper) else pickle.PickleBuffer(buffer)


def pickler_of(
    stream: io.BytesIO,
    buffers: list[pickle.PickleBuffer],
    *,
    by_value: bool,
    out_of_band_bytes: int = OUT_OF_BAND_BYTES,
    reduce_array: Callable[[Any], Any] | None = None,
) -> PayloadPickler:
    """Return a pickler that writes to `stream`, and appends the large buffers to `buffers`.

    Args:
        stream: gets the pickles.
        buffers: gets what stays out of them.
        by_value: whether it can send functions and classes by value. Else it raises for one that
            other ranks can't look up.
        out_of_band_bytes: how large a buffer is that stays out of the stream.
        reduce_array: see `encode`.
    """

    def keep_in_stream(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < out_of_band_bytes:
            return True
        buffers.append(buffer)
        return False

    kind: type[PayloadPickler] = _value_pickler() if by_value else _ReferencePickler
    pickler = kind(stream, PROTOCOL, buffer_callback=keep_in_stream)
    pickler.ordinary = set()
    if reduce_array is not None:
        pickler.reduce_array = reduce_array
    return pickler


def _encode(
    thing: object,
    out_of_band_bytes: int,
    reduce_array: Callable[[Any], Any] | None,
    *,
    by_value: bool,
) -> Payload:
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    pickler = pickler_of(
        stream,
        buffers,
        by_value=by_value,
        out_of_band_bytes=out_of_band_bytes,
        reduce_array=reduce_array,
    )
    pickler.dump(thing)
    # Not `getbuffer`, which saves nothing: Python up to 3.12.6 crashes if it collects a cycle that
    # holds a PickleBuffer of a view (python/cpython#77894).
    data = stream.getvalue()
    kept = pickler.with_keepers(buffers)
    return (pickle.PickleBuffer(data) if len(data) >= OUT_OF_BAND_BYTES else data), kept


class _NeedsValue(Exception):
    """What is being pickled holds a function or class that other ranks can't look up."""


class PayloadPickler(pickle.Pickler):
    """What both picklers of payloads have in common.

    Attributes:
        reduce_array: how numpy arrays are pickled; by default so that they arrive writable.
        holds: on shared constants, those that have been met; None: none.
        ordinary: the types that have been met whose objects all go the usual way.
    """

    ordinary: set[type]
    reduce_array: Callable[[Any], Any] = staticmethod(reduce_array)
    holds: dict[Hold, None] | None = None

    def reduce(self, thing: Any) -> Any:
        """Reduce an object that is not of a built-in type: see `pickle` on what a reduction is.

        Raises:
            _NeedsValue: it has a name, but none by which other ranks find it.
        """
        kind = type(thing)  # never `isinstance`: what a proxy says of its class is another's
        way = _WAYS.get(kind)
        if way is not None:
            return way(thing)
        if issubclass(kind, type):
            return _reduce_named(thing)
        if callable(thing):
            return _reduce_callable(thing)
        if is_array_type(kind):
            return self.reduce_array(thing)
        if is_random_generator_type(kind):
            return reduce_random_generator(thing)
        self.ordinary.add(kind)
        return NotImplemented

    def meet(self, hold: Hold) -> tuple[Any, ...]:
        """Remember a hold; return how it is restored."""
        if self.holds is None:
            self.holds = {}
        self.holds[hold] = None
        return hold.in_payload()

    def with_keepers(self, buffers: Iterable[Buffer]) -> tuple[Buffer, ...]:
        """Return the buffers of a payload, and behind them a keeper of each hold in it."""
        return tuple(buffers) if self.holds is None else (*buffers, *map(Keeper, self.holds))


class _ReferencePickler(PayloadPickler):
    """Pickles functions and classes by reference, and gives up on one that can't be looked up."""

    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if kind in self.ordinary:
            return NotImplemented
        return self.meet(thing) if kind is Hold else self.reduce(thing)


@functools.cache
def _value_pickler() -> type[PayloadPickler]:
    """Return the pickler that can send functions and classes by value.

    It is made when it is first needed: cloudpickle takes longer to import than all the rest.
    """
    from scoop_mpi.wire.definitions import Definitions

    class ValuePickler(PayloadPickler, Definitions):
        # cloudpickle's own looks three times for each object, in Python; `ways` has what is there.
        dispatch_table = copyreg.dispatch_table
        dump = pickle.Pickler.dump

        def reducer_override(self, thing: Any) -> Any:
            kind = type(thing)
            if kind in self.ordinary:
                return NotImplemented
            if kind is Hold:
                return self.meet(thing)
            if kind in self.ways:
                return self.ways[kind](thing)
            try:
                return self.reduce(thing)
            except _NeedsValue:
                return self.reduce_by_value(thing)

    return ValuePickler


def _reduce_named(thing: Any, name: str | None = None) -> Any:
    """Reduce what is known by a name, its qualified one unless another is given."""
    reference = reference_to(thing, name)
    if reference is None:
        raise _NeedsValue(thing)
    return reference.name if reference.is_own else reference.__reduce__()


def _reduce_callable(thing: Any) -> Any:
    """Reduce an object that may be known by a name: a cached function, a ufunc, a wrapper."""
    reference = reference_to(thing)
    if reference is not None:
        return reference.name if reference.is_own else reference.__reduce__()
    way = copyreg.dispatch_table.get(type(thing))
    return _unless_named(thing, thing.__reduce_ex__(PROTOCOL) if way is None else way(thing))


def _reduce_variable(thing: Any) -> Any:
    """Reduce a variable of types."""
    return _unless_named(thing, thing.__reduce_ex__(PROTOCOL))


def _unless_named(thing: Any, reduction: Any) -> Any:
    """Return `reduction`, unless it is a name, by which pickle would look for `thing` itself."""
    return _reduce_named(thing, reduction) if type(reduction) is str else reduction


_WAYS: dict[type, Callable[[Any], Any]] = {
    **METHODS,
    FunctionType: _reduce_named,
    memoryview: reduce_view,
    TypeVar: _reduce_variable,
    ParamSpec: _reduce_variable,
}


def is_named(function: object) -> bool:
    """Say whether a function travels by its name alone: to send it runs no code of the user's."""
    kind = type(function)
    if kind is BuiltinFunctionType:
        return type(function.__self__) is ModuleType  # type: ignore[attr-defined] # or a method
    return kind is FunctionType and reference_to(function) is not None


def _first_class_in(data: Buffer) -> str:
    """Return the name of the first class or function that a pickle refers to."""
    import pickletools

    words: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(bytes(data)):
            if opcode.name == "STACK_GLOBAL":
                return ".".join(words[-2:])
            if opcode.name == "GLOBAL":
                return str(argument).replace(" ", ".")
            if isinstance(argument, str):
                words.append(argument)
    except ValueError:
        return "(unknown: its pickle is damaged)"
    return "(unknown)"


class FunctionCodec:
    """Seals and opens functions, remembering those that travel by name.

    A rank sends and receives the same few functions again and again. What goes by value is not
    remembered: a closure may have changed between two spans. Nor is a function whose name has come
    to mean another since.
    """

    _REMEMBERED = 256  # functions; a program that makes more has its memory start anew

    def __init__(self) -> None:
        self._payloads: dict[Callable[..., Any], tuple[Payload, _Place]] = {}
        self._functions: dict[bytes, tuple[Callable[..., Any], _Place]] = {}

    def seal(self, function: Callable[..., Any]) -> Payload:
        """Return `function` as a payload.

        Raises:
            SerializationError: it can't be pickled; the text names it.
        """
        if type(function) is FunctionType and (known := self._payloads.get(function)) is not None:
            payload, (names, name) = known
            if names.get(name) is function:
                return payload
        try:
            payload = encode(function)
        except SerializationError as error:
            raise SerializationError(
                f"the function {describe_callable(function)} can't be sent to another rank: {error}"
            ) from error
        if (place := _place_of(function)) is not None:
            if len(self._payloads) >= self._REMEMBERED:
                self._payloads.clear()
            self._payloads[function] = payload, place
        return payload

    def open(self, payload: Payload) -> Callable[..., Any]:
        """Return the function of `payload`.

        Raises:
            SerializationError: it can't be unpickled here.
        """
        data, buffers = payload
        is_small = type(data) is bytes and not buffers
        if is_small and (known := self._functions.get(data)) is not None:
            remembered, (names, name) = known
            if names.get(name) is remembered:
                return remembered
        try:
            function: Callable[..., Any] = decode(payload)
        except SerializationError as error:
            raise SerializationError(f"the function of the call: {error}") from error
        if is_small and (place := _place_of(function)) is not None:
            if len(self._functions) >= self._REMEMBERED:
                self._functions.clear()
            self._functions[data] = function, place
        return function


# The names of a module of this rank's, and which of them is meant.
_Place = tuple[Mapping[str, object], str]


def _place_of(function: Any) -> _Place | None:
    """Return where this rank has a function that travels by its module's name for it, or None."""
    if type(function) is not FunctionType:
        return None
    reference = reference_to(function)
    if reference is None or "." in reference.name:
        return None
    return vars(sys.modules[reference.module]), reference.name


def encode_error(error: BaseException, rank: int, host: str) -> EncodedError:
    """Return an exception, and what it would have printed on the rank where it was raised."""
    type_name = name_of_type(error)
    text = format_exception(error)
    try:
        payload, reason = encode(error), ""
    except SerializationError as unsendable:
        payload, reason = None, str(unsendable)
    return EncodedError(payload, reason, type_name, text, rank, host)


def decode_error(encoded: EncodedError) -> BaseException:
    """Return the exception, with the remote traceback as its ``__cause__``."""
    cause = RemoteTraceback(encoded.traceback, encoded.rank, encoded.host)
    error: BaseException
    if encoded.payload is None:
        error = SerializationError(
            f"the task raised {encoded.type_name}, which can't be sent back: {encoded.reason}"
        )
    else:
        try:
            error = decode(encoded.payload)
        except SerializationError as broken:
            error = SerializationError(
                f"the task raised {encoded.type_name}, which can't be unpickled: {broken}"
            )
        if not issubclass(type(error), BaseException):  # a __reduce__ that returns something else
            error = SerializationError(
                f"the task raised {encoded.type_name}, which unpickles as no exception"
            )
    _SET_CAUSE(error, cause)
    return error
