"""Notes: what the error of a call tells of the call: which it was, what with, and where it ran.

They are added at the owner of the call, when its error is first looked at: only there the arguments
are, and a call that doesn't fail costs nothing. Python prints notes below the error's own text; up
to Python 3.10, which has none, they stand in the traceback of the other rank.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import Any

from scoop_mpi import current
from scoop_mpi.errors import (
    BY_SIGNAL,
    CallableWrapper,
    CancelledError,
    DependencyError,
    RemoteTraceback,
    describe_callable,
    name_of_type,
    raise_interrupt,
)

# Calls within calls may each add one. The innermost say most.
MOST_NOTES = 8
_LONGEST = 200  # characters of a call's arguments
_AND_SO_ON = "..."

_add_note = getattr(BaseException, "add_note", None)  # new in Python 3.11
_cause_of = BaseException.__dict__["__cause__"].__get__
# These say themselves what call they are about.
_CLEAR_ENOUGH = (CancelledError, DependencyError, *BY_SIGNAL)


class _Short(reprlib.Repr):
    """Describes an argument in some words, in little time and memory however large it is.

    So of what may hold much, its own repr is not asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_instance(self, x: Any, level: int) -> str:
        kind, name = type(x), name_of_type(x)
        if issubclass(kind, str):
            return self.repr_str(str.__str__(x), level)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return f"{name}({self._fields(zip(kind._fields, x, strict=False), level)})"
        if issubclass(kind, list | tuple | dict | set | frozenset | bytes | bytearray | memoryview):
            return f"<{name} of length {len(x)}>"
        shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
        if type(shape) is tuple and shape and dtype is not None:
            return f"<{name} of shape {shape}, {dtype}>"
        if names := getattr(kind, "__dataclass_fields__", None):
            fields = ((field, getattr(x, field, "?")) for field in names)
            return f"{name}({self._fields(fields, level)})"
        return " ".join(super().repr_instance(x, level).split())

    def _fields(self, fields: Iterable[tuple[str, Any]], level: int) -> str:
        """Return some fields, as a call has keyword arguments."""
        if level <= 0:
            return _AND_SO_ON
        first = list(islice(fields, self.maxtuple + 1))
        words = [f"{name}={self.repr1(value, level - 1)}" for name, value in first[: self.maxtuple]]
        return ", ".join(words + [_AND_SO_ON] * (len(first) > self.maxtuple))


_short = _Short()


def describe_arguments(function: object, arguments: Iterable[Any]) -> str:
    """Return the arguments of a call in parentheses, shortened. This never fails."""
    words = [_describe(argument) for argument in arguments]
    keywords: dict[str, Any] = {}
    while issubclass(type(function), partial | CallableWrapper):
        if issubclass(type(function), partial):
            keywords = {**function.keywords, **keywords}  # type: ignore[attr-defined]
            words[:0] = map(_describe, function.args)  # type: ignore[attr-defined]
        function = function.func  # type: ignore[attr-defined]
    words += [f"{name}={_describe(argument)}" for name, argument in keywords.items()]
    text = ", ".join(words)
    return f"({text})" if len(text) <= _LONGEST else f"({text[:_LONGEST]}...)"


def _describe(argument: object) -> str:
    try:
        return _short.repr(argument)
    except BaseException as error:
        raise_interrupt(error)
        return f"<{name_of_type(argument)}>"


def note_call(
    error: BaseException,
    function: Callable[..., Any],
    arguments: Iterable[Any],
    *,
    number: int | None = None,
) -> None:
    """Have the error of a call tell which call it was.

    Args:
        error: the error.
        function: what was called.
        arguments: what with.
        number: which call of a map it was, from 0 on; None: it was submitted by itself.
    """
    if isinstance(error, _CLEAR_ENOUGH):
        return
    name, what_with = describe_callable(function), describe_arguments(function, arguments)
    if number is None:
        text = f"call of {name}, arguments {what_with}"
    else:
        text = f"call {number} of map {name}, arguments {what_with}"
    cause = _cause_of(error)
    remote = cause if isinstance(cause, RemoteTraceback) and not cause.is_told else None
    if remote is not None:  # or else that is of a call within this one
        remote.is_told = True
        text += f", rank {remote.rank} on {remote.host}"
    elif current.hub is not None:
        rank, host = current.hub.here
        text += f", rank {rank} on {host}"
    if _add_note is not None:
        _add_unless_there(error, text)
    elif remote is not None:
        remote.text = f"{remote.text.rstrip()}\n{text}\n"


def place_of(error: BaseException) -> str:
    """Return on which rank an error was raised, as far as is known."""
    cause = _cause_of(error)
    if isinstance(cause, RemoteTraceback):
        return f"rank {cause.rank} on {cause.host}"
    if current.hub is None:
        return "here"
    rank, host = current.hub.here
    return f"rank {rank} on {host}"


def add_note(error: BaseException, text: str) -> None:
    """Add a note to an error, where Python has notes and the error takes them."""
    if _add_note is not None:
        _add_unless_there(error, text)


def _add_unless_there(error: BaseException, text: str) -> None:
    assert _add_note is not None
    try:
        notes = getattr(error, "__notes__", ())
        # One object may be raised by many calls.
        if text not in notes and len(notes) < MOST_NOTES:
            _add_note(error, text)
    except BaseException as failure:  # of a class that has its own way with attributes
        raise_interrupt(failure)
