"""Terms: what is said of a call besides its function and its arguments.

A call without terms is its function, and nothing more: the path of most tasks knows nothing of
terms. A call with terms is a `Termed` function. That is one object from the program's line to the
rank that makes the call: it lies in futures and spans, and travels in parcels, as any function. So
what the terms ask for is done in one place, its ``__call__``, wherever the call is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from scoop_mpi import current
from scoop_mpi.errors import CallableWrapper
from scoop_mpi.tasks import retries

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]


class Terms(NamedTuple):
    """What is said of a call.

    Attributes:
        name: what it is called in errors and in the log.
        retries: how often it is made again if it fails.
        retry_on: of which types its errors are then; others are raised at once.
        backoff: seconds to wait before it is made again: twice as many each time.
        journal: whether its result is kept in the job's journal, if there is one; a text: it is,
            and the call is known by this text and its arguments, whatever its function.
        isolated: whether it is made in a process of its own.
        time_limit: seconds that it may take; None: as many as it likes.
        max_deaths: after how many crashes of an isolated call it is not made again.
    """

    name: str | None = None
    retries: int = 0
    retry_on: ErrorTypes = Exception
    backoff: float = 0.0
    journal: bool | str = True
    isolated: bool = False
    time_limit: float | None = None
    max_deaths: int = 3

    @classmethod
    def of(cls, terms: dict[str, Any]) -> Terms:
        """Return the terms that a program has given.

        Raises:
            TypeError: one of them is unknown, or is none of its kind.
        """
        unknown = [name for name in terms if name not in cls._fields]
        if unknown:
            raise TypeError(
                f"options() knows nothing of {', '.join(unknown)}; "
                f"it takes: {', '.join(cls._fields)}"
            )
        name = terms.get("name")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a task must be a text, not {name!r}")
        journal = terms.get("journal", True)
        if not isinstance(journal, bool | str) or journal == "":
            raise TypeError(
                f"journal must be True, False, or a text to know calls by, not {journal!r}"
            )
        if not isinstance(terms.get("isolated", False), bool):
            raise TypeError(f"isolated must be True or False, not {terms['isolated']!r}")
        if terms.get("time_limit") is not None:
            _check_seconds("time_limit", terms["time_limit"])
            if not terms["time_limit"]:
                raise ValueError("time_limit must be more than 0 seconds")
        max_deaths = terms.get("max_deaths", 1)
        if type(max_deaths) is not int or max_deaths < 1:
            raise ValueError(f"max_deaths must be a number from 1 on, not {max_deaths!r}")
        known = ("retries", "retry_on", "backoff")
        _check_retries(**{key: value for key, value in terms.items() if key in known})
        return cls(**terms)

    def __str__(self) -> str:
        told = [
            f"{name}={value!r}"
            for name, value in self._asdict().items()
            if value != self._field_defaults[name]
        ]
        return ", ".join(told)


class Termed(CallableWrapper):
    """A function whose calls have terms.

    Args:
        func: the function.
        terms: what is said of its calls.
    """

    __slots__ = ("terms",)

    pickles_as_func = True

    def __init__(self, func: Callable[..., Any], terms: Terms) -> None:
        super().__init__(func)
        self.terms = terms

    def __reduce__(self) -> tuple[Any, ...]:
        return Termed, (self.func, self.terms)

    @property
    def label(self) -> str | None:
        """See `CallableWrapper`."""
        return self.terms.name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        terms = self.terms
        if terms.retries:
            once = Termed(self.func, terms._replace(retries=0))
            return retries.call(
                once,
                arguments,
                keywords,
                terms.retries,
                terms.retry_on,
                terms.backoff,
                terms.max_deaths,
            )
        hub = current.hub
        if hub is not None and terms.isolated:
            return hub.special_calls.isolated(self.func, arguments, keywords, terms.time_limit)
        if hub is not None and terms.time_limit is not None:
            return hub.special_calls.limited(self.func, arguments, keywords, terms.time_limit)
        function = self.func  # by this name the gate of signals knows where it is called
        return function(*arguments, **keywords)


def isolated(function: Callable[..., Any]) -> Termed:
    """Return a function whose calls are isolated, and have what terms they have besides."""
    if isinstance(function, Termed):
        return Termed(function.func, function.terms._replace(isolated=True))
    return Termed(function, Terms(isolated=True))


def _check_retries(
    retries: object = 0, retry_on: object = Exception, backoff: object = 0.0
) -> None:
    if type(retries) is not int:
        raise TypeError(f"retries must be a number of times, not {retries!r}")
    if retries < 0:
        raise ValueError(f"retries must not be negative, as {retries} is")
    kinds = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"retry_on must be types of exceptions, not {kind!r}")
    _check_seconds("backoff", backoff)


def _check_seconds(name: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {seconds!r}")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{name} must be a number of seconds from 0 on, not {seconds}")
