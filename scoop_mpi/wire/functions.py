"""The functions of calls, as they travel: small ones along with the calls, a large one once a rank.

A bound method takes its object along, and that may hold a large array. Such a function is given a
name, its owner's rank and a number, and the calls that are sent tell the name. A rank that does not
have it asks the owner:

    thief  <-- Work, calls of function (0, 7) --  victim
    thief  -- FunctionWanted(7) --------------->  rank 0, the owner
    thief  <-- FunctionSent(7, payload) --------  rank 0

Both ends keep some of them for maps to come. When the owner maps the function again it compares it
with what it has sent, byte by byte: that takes less time than sending it, or than making a digest.
If it is the same, it has the same name. So the owner keeps a copy. A rank that has got the function
works with one object for all calls that tell this name.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any, NamedTuple

from scoop_mpi.errors import CallableWrapper, SerializationError, describe_callable
from scoop_mpi.transport.frames import bytes_of
from scoop_mpi.wire.holds import Keeper
from scoop_mpi.wire.serializer import Buffer, FunctionCodec, Payload, decode, forwarded, is_named

# From so many bytes on a function is large.
LARGE_BYTES = 64 * 1024
# Bytes of large functions that a rank keeps, of its own and of others each, beyond those in use.
MOST_BYTES_KEPT = 512 << 20
# Bytes of functions that go out again and again, from which on a way to avoid it is told.
MANY_BYTES = 10_000_000
_COMPARED = 16 << 20  # bytes that are compared at a time


class FunctionName(NamedTuple):
    """What a large function is called on all ranks."""

    owner: int
    number: int


FunctionOnWire = Payload | FunctionName


class LargeFunction:
    """A large function: the owner's copy, or what another rank has of it.

    Args:
        name: what it is called.
        payload: the function, sealed.
    """

    __slots__ = ("__weakref__", "function", "name", "payload", "size")

    def __init__(self, name: FunctionName, payload: Payload) -> None:
        self.name = name
        self.payload: Payload | None = payload  # None once it has been opened
        self.size = _size_of(payload)
        self.function: Callable[..., Any] | None = None

    def open(self) -> Callable[..., Any]:
        """Return the function; on a rank that is not its owner.

        Raises:
            SerializationError: it can't be unpickled here.
        """
        if self.function is None:
            assert self.payload is not None
            self.function = _decode(self.payload)
            self.payload = None  # its arrays lie there now
        return self.function


class OwnFunction:
    """The function of calls that have come back to their owner, which has it.

    Args:
        function: the function.
        sealed: the same, to be sent on.
    """

    __slots__ = ("function", "sealed")

    def __init__(self, function: Callable[..., Any], sealed: FunctionOnWire) -> None:
        self.function = function
        self.sealed = sealed


SealedFunction = Payload | LargeFunction | OwnFunction


class Functions:
    """One rank's functions, sealed and opened.

    Args:
        rank: this rank.
        warn: called with a text for the user.
    """

    def __init__(self, rank: int, warn: Callable[[str], object]) -> None:
        self.codec = FunctionCodec()
        self._rank = rank
        self._warn = warn
        self._lock = threading.Lock()  # of the tables; never held over code of the user's
        self._own: weakref.WeakValueDictionary[FunctionName, LargeFunction]
        self._own = weakref.WeakValueDictionary()
        self._others: weakref.WeakValueDictionary[FunctionName, LargeFunction]
        self._others = weakref.WeakValueDictionary()
        self._recent_own: dict[FunctionName, LargeFunction] = {}
        self._recent_others: dict[FunctionName, LargeFunction] = {}
        self._last_number = 0
        self._sent: dict[str, FunctionName] = {}  # the first large one of each description
        self._has_warned = False

    def forget(self) -> None:
        """Let go of all functions."""
        self.codec = FunctionCodec()
        self._recent_own.clear()
        self._recent_others.clear()

    # ------------------------------------------------------------ the owner's

    def is_simple(self, function: Callable[..., Any]) -> bool:
        """Say whether sealing a function runs no code of the user's."""
        while isinstance(function, CallableWrapper) and function.pickles_as_func:
            function = function.func
        return is_named(function)

    def seal(self, function: Callable[..., Any]) -> Payload | LargeFunction:
        """Return `function` in the form in which it can be sent. Any thread of the program may.

        Raises:
            SerializationError: it can't be pickled; the text names it.
        """
        payload = self.codec.seal(function)
        data, buffers = payload
        if not buffers and type(data) is bytes and len(data) < LARGE_BYTES:
            return payload  # almost always
        if (buffers and type(buffers[-1]) is Keeper) or _size_of(payload) < LARGE_BYTES:
            return payload  # what refers to a shared element is not kept: that one is to go
        return self._known(payload) or self._new(payload, describe_callable(function))

    def _known(self, payload: Payload) -> LargeFunction | None:
        """Return the function of the same content that has been sealed before, if there is one."""
        for name, function in reversed(list(self._recent_own.items())):
            if function.payload is not None and _are_same(payload, function.payload):
                with self._lock:
                    _keep(self._recent_own, name, function)
                return function
        return None

    def _new(self, payload: Payload, description: str) -> LargeFunction:
        with self._lock:
            self._last_number += 1
            name = FunctionName(self._rank, self._last_number)
        data, buffers = payload
        copies = tuple(PickleBuffer(bytearray(bytes_of(buffer))) for buffer in buffers)
        function = LargeFunction(name, (data, copies))
        with self._lock:
            self._own[name] = function
            _keep(self._recent_own, name, function)
            is_repeated = self._sent.setdefault(description, name) != name
            if len(self._sent) > 256:
                self._sent.clear()
        if is_repeated and function.size >= MANY_BYTES and not self._has_warned:
            self._has_warned = True
            self._warn(
                f"the function {description} takes {function.size / 1e6:.0f} MB along to each rank "
                "again, as they have changed since the last time. Have them sent once: make them a "
                "constant (shared.setConst), or map a shared.SharedElementEncapsulation of the "
                "function."
            )
        return function

    def payload_of(self, number: int) -> Payload:
        """Return one of this rank's own, for another rank that has asked for it.

        Raises:
            KeyError: nobody has calls of it any more.
        """
        payload = self._own[FunctionName(self._rank, number)].payload
        assert payload is not None
        return payload

    # ------------------------------------------------------------ other ranks'

    def find(self, function: FunctionOnWire) -> Payload | LargeFunction | None:
        """Return what a message tells of a function, ready to be opened; None: not here yet."""
        return self._others.get(function) if isinstance(function, FunctionName) else function

    def take_in(self, name: FunctionName, payload: Payload) -> LargeFunction:
        """Take in a large function of another rank's."""
        function = self._others[name] = LargeFunction(name, payload)
        return function

    def open(self, sealed: SealedFunction) -> Callable[..., Any]:
        """Return the function.

        Raises:
            SerializationError: it can't be unpickled here.
        """
        if isinstance(sealed, tuple):
            return self.codec.open(sealed)
        if isinstance(sealed, OwnFunction):
            return sealed.function
        function = sealed.open()
        with self._lock:
            _keep(self._recent_others, sealed.name, sealed)
        return function


def on_wire(sealed: SealedFunction) -> FunctionOnWire:
    """Return a function as a message tells of it."""
    if isinstance(sealed, LargeFunction):
        return sealed.name
    return passed_on(sealed.sealed if isinstance(sealed, OwnFunction) else sealed)


def passed_on(function: FunctionOnWire) -> FunctionOnWire:
    """Return what a message has told of a function as another message tells of it."""
    return function if isinstance(function, FunctionName) else forwarded(function)


def _decode(payload: Payload) -> Callable[..., Any]:
    try:
        function: Callable[..., Any] = decode(payload)
    except SerializationError as error:
        raise SerializationError(f"the function of the call: {error}") from error
    return function


def _keep(
    recent: dict[FunctionName, LargeFunction], name: FunctionName, function: LargeFunction
) -> None:
    """Note that a function has been used, and let go of those that have not been for longest."""
    recent.pop(name, None)
    recent[name] = function
    size = sum(kept.size for kept in recent.values())
    for oldest in list(recent):
        if size <= MOST_BYTES_KEPT:
            break
        size -= recent.pop(oldest).size


def _size_of(payload: Payload) -> int:
    data, buffers = payload
    return bytes_of(data).nbytes + sum(bytes_of(buffer).nbytes for buffer in buffers)


def _are_same(payload: Payload, other: Payload) -> bool:
    (data, buffers), (other_data, other_buffers) = payload, other
    return len(buffers) == len(other_buffers) and all(
        map(_are_same_bytes, (data, *buffers), (other_data, *other_buffers))
    )


def _are_same_bytes(buffer: Buffer, other: Buffer) -> bool:
    """Compare two buffers, at the speed of memory. Views of bytes are compared one by one."""
    import numpy

    one, two = bytes_of(buffer), bytes_of(other)
    if one.nbytes != two.nbytes:
        return False
    first, second = numpy.frombuffer(one, numpy.uint8), numpy.frombuffer(two, numpy.uint8)
    return all(
        numpy.array_equal(first[place : place + _COMPARED], second[place : place + _COMPARED])
        for place in range(0, one.nbytes, _COMPARED)
    )
