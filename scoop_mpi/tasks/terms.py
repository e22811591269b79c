"""Terms: what is said of a call besides its function and its arguments.

A call without terms is its function, and nothing more: the path of most tasks knows nothing of
terms. A call with terms is a `Termed` function. That is one object from the program's line to the
rank that makes the call: it lies in futures and spans, and travels in parcels, as any function. So
what the terms ask for is done in one place, its ``__call__``, wherever the call is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from scoop_mpi.errors import CallableWrapper


class Terms(NamedTuple):
    """What is said of a call.

    Attributes:
        name: what it is called in errors and in the log.
    """

    name: str | None = None

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
        return cls(**terms)


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
        return self.func(*arguments, **keywords)
