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
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, NamedTuple

from scoop_mpi.errors import (
    RemoteTraceback,
    SerializationError,
    describe_callable,
    describe_error,
    format_exception,
)
from scoop_mpi.holds import Hold, Keeper

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
_NAMED = (FunctionType, type)  # what is sent by reference if it can be
# What a user's __reduce__ or __setstate__ may raise. Ctrl-C isn't among them.
USERS_ERRORS = (Exception, SystemExit, GeneratorExit)


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
    except USERS_ERRORS:
        try:
            return _encode(thing, *how, by_value=True)
        except USERS_ERRORS as error:
            kind = type(thing).__qualname__
            raise SerializationError(
                f"an object of type {kind} can't be sent to another rank: {describe_error(error)}"
            ) from error


def decode(payload: Payload) -> Any:
    """Return the object that `encode` turned into `payload`.

    Raises:
        SerializationError: it can't be unpickled here; the text names its type.
    """
    data, buffers = payload
    try:
        return pickle.loads(data, buffers=buffers)
    except USERS_ERRORS as error:
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
    data = stream.getbuffer()
    kept = pickler.with_keepers(buffers)
    if data.nbytes >= OUT_OF_BAND_BYTES:
        return pickle.PickleBuffer(data), kept
    return data.tobytes(), kept


class _NeedsValue(Exception):
    """What is being pickled holds a function or class that other ranks can't look up."""


class PayloadPickler(pickle.Pickler):
    """What both picklers of payloads have in common.

    Attributes:
        reduce_array: how numpy arrays are pickled; None: as `_reduce_read_only_array` does.
        holds: on shared constants, those that have been met; None: none.
    """

    reduce_array: Callable[[Any], Any] | None = None
    holds: dict[Hold, None] | None = None

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
        if type(thing) is Hold:
            return self.meet(thing)
        if not _has_own_way(thing) and not is_importable(thing):
            raise _NeedsValue(thing)
        return (self.reduce_array or _reduce_read_only_array)(thing)


def _has_own_way(thing: Any) -> bool:
    """Say whether pickle knows how to send `thing` without being told.

    So it does with all but functions and classes, and also with classes whose metaclass has
    registered a way with `copyreg`, as that of DEAP's creator has.
    """
    return not isinstance(thing, _NAMED) or type(thing) in copyreg.dispatch_table


@functools.cache
def _value_pickler() -> type[PayloadPickler]:
    """Return the pickler that can send functions and classes by value.

    It is made when it is first needed: cloudpickle takes longer to import than all the rest.
    """
    import cloudpickle

    class ValuePickler(PayloadPickler, cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, thing: Any) -> Any:
            if type(thing) is Hold:
                return self.meet(thing)
            if not isinstance(thing, _NAMED):
                return (self.reduce_array or _reduce_read_only_array)(thing)
            if _has_own_way(thing) or is_importable(thing):
                return NotImplemented
            return super().reducer_override(thing)

    return ValuePickler


def _reduce_read_only_array(thing: Any) -> Any:
    """Have a read-only numpy array come out writable: what arrives belongs to who gets it.

    Pickle would mark its buffer as read-only. What is not such an array goes its usual way.
    """
    kind = type(thing)
    if (
        kind.__name__ != "ndarray"
        or kind.__module__ != "numpy"
        or thing.flags.writeable
        or not thing.flags.forc
        or thing.dtype.hasobject
    ):
        return NotImplemented
    content = pickle.PickleBuffer(thing.ravel(order="K").view("u1")) if thing.nbytes else b""
    order = "C" if thing.flags.c_contiguous else "F"
    return _restore_array, (content, thing.dtype, thing.shape, order)


def _restore_array(content: Buffer, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
    """Return the array of `_reduce_read_only_array`.

    Args:
        content: its bytes, or a read-only view of the memory in which they came. Where that is
            part of something larger, as with a constant in shared memory, it is to stay read-only.
        dtype: what the bytes mean.
        shape: the array's.
        order: how its elements lie in memory, "C" or "F".
    """
    import numpy

    if isinstance(content, memoryview):
        if memoryview(content.obj).nbytes == content.nbytes:
            content = content.obj
    else:
        content = bytearray(content)
    array: Any = numpy.frombuffer(content, dtype) if len(content) else numpy.empty(0, dtype)
    return array.reshape(shape, order=order)


def is_importable(thing: Any) -> bool:
    """Say whether every rank finds this function or class under its own name."""
    module_name = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None)
    module = sys.modules.get(module_name) if isinstance(module_name, str) else None
    if module is None or not isinstance(name, str) or "<locals>" in name:
        return False
    found: Any = module
    first, *rest = name.split(".")
    importable_names = getattr(module, "__scoop_mpi_names__", None)
    if importable_names is not None and first not in importable_names:
        return False  # defined by the program, but where only the root goes
    for part in (first, *rest):
        found = getattr(found, part, None)
    if module_name == "__main__" and importable_names is None:
        return False
    return found is thing


def is_named(function: object) -> bool:
    """Say whether a function travels by its name alone: to send it runs no code of the user's."""
    return type(function) in (FunctionType, BuiltinFunctionType) and is_importable(function)


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
    remembered: a closure may have changed between two spans.
    """

    _REMEMBERED = 256  # functions; a program that makes more has its memory start anew

    def __init__(self) -> None:
        self._payloads: dict[Callable[..., Any], Payload] = {}
        self._functions: dict[bytes, Callable[..., Any]] = {}

    def seal(self, function: Callable[..., Any]) -> Payload:
        """Return `function` as a payload.

        Raises:
            SerializationError: it can't be pickled; the text names it.
        """
        by_name = isinstance(function, FunctionType)
        if by_name and (known := self._payloads.get(function)) is not None:
            return known
        try:
            payload = encode(function)
        except SerializationError as error:
            raise SerializationError(
                f"the function {describe_callable(function)} can't be sent to another rank: {error}"
            ) from error
        if by_name and is_importable(function):
            if len(self._payloads) >= self._REMEMBERED:
                self._payloads.clear()
            self._payloads[function] = payload
        return payload

    def open(self, payload: Payload) -> Callable[..., Any]:
        """Return the function of `payload`.

        Raises:
            SerializationError: it can't be unpickled here.
        """
        data, buffers = payload
        is_small = type(data) is bytes and not buffers
        if is_small and (known := self._functions.get(data)) is not None:
            return known
        try:
            function: Callable[..., Any] = decode(payload)
        except SerializationError as error:
            raise SerializationError(f"the function of the call: {error}") from error
        if is_small and isinstance(function, FunctionType) and is_importable(function):
            if len(self._functions) >= self._REMEMBERED:
                self._functions.clear()
            self._functions[data] = function
        return function


def encode_error(error: BaseException, rank: int, host: str) -> EncodedError:
    """Return an exception, and what it would have printed on the rank where it was raised."""
    type_name = type(error).__qualname__
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
        if not isinstance(error, BaseException):  # a __reduce__ that returns something else
            error = SerializationError(
                f"the task raised {encoded.type_name}, which unpickles as no exception"
            )
    _SET_CAUSE(error, cause)
    return error
