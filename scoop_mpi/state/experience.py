"""Experience: how long calls of a function take, as far as this rank has seen in this job.

It is asked where a rank must be ready by some time, and so begins only what ends well before. What
ran here is known; of what ran elsewhere, only that it took no longer than until its outcome came.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from scoop_mpi.errors import CallableWrapper

_REMEMBERED = 512  # functions
_FADING = 0.8  # of a long call, how much counts at the next
# How many times as long as by experience a call may take, to end well before a time.
_CAUTION = 3.0
_LEAST = 1e-3  # seconds that something else may take beside
_CALL = 1e-7  # that any call takes


class Experience:
    """How long calls of functions take.

    Attributes:
        is_wanted: whether anybody has asked: before that, nobody need note anything.
        longest: how long any call has taken so far.
    """

    __slots__ = ("_known", "is_wanted", "longest")

    def __init__(self) -> None:
        self.is_wanted = False
        self.longest = 0.0
        # By the identity of what is kept of a function, so that this stays its own.
        self._known: OrderedDict[int, tuple[object, float]] = OrderedDict()

    def note(self, function: object, seconds: float) -> None:
        """A call of `function` has taken so long here."""
        core = _core(function)
        known = self._known.get(id(core))
        self._keep(core, seconds if known is None else max(seconds, _FADING * known[1]))

    def note_at_most(self, function: object, seconds: float) -> None:
        """A call of `function` has taken so long elsewhere, or less."""
        core = _core(function)
        if id(core) not in self._known:
            self._keep(core, seconds)

    def _keep(self, core: object, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self._known[id(core)] = core, seconds
        self._known.move_to_end(id(core))
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def seconds_of(self, function: object) -> float | None:
        """Return how long a call of `function` may well take; None if nothing is known of it."""
        known = self._known.get(id(_core(function)))
        return None if known is None else known[1]

    def calls_before(self, function: object, seconds: float) -> int:
        """Return how many calls of `function` surely end within some seconds, one by one."""
        each = self.seconds_of(function)
        return 0 if each is None else self.calls_at(each, seconds)

    @staticmethod
    def calls_at(each: float, seconds: float) -> int:
        """Return how many calls surely end within some seconds, if one takes `each` of them."""
        if seconds <= _LEAST:
            return 0
        return int((seconds - _LEAST) / (_CAUTION * each + _CALL))


def _core(function: Any) -> object:
    """Return what tells a function from others, also where each call has a new object of it.

    No code of the user's runs for it, and what is kept is small.
    """
    while issubclass(type(function), (functools.partial, CallableWrapper, MethodType)):
        function = function.__func__ if type(function) is MethodType else function.func
    if type(function) is FunctionType:
        return function.__code__
    return function if isinstance(function, type) or _is_builtin(function) else type(function)


def _is_builtin(function: Callable[..., Any]) -> bool:
    return type(function) is type(len)
