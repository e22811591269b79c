"""Values of all sorts that travel, and whether two are the same, to the type and the bit."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import random
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


@dataclasses.dataclass
class Record:
    name: str
    content: Any


class Slotted:
    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"Slotted({self.content!r})"


class Tree(list[Any]):
    """A list of its own class, with an attribute, as programs in genetic programming have them."""

    def __init__(self, items: Any = (), fitness: Any = None) -> None:
        super().__init__(items)
        self.fitness = fitness


def _plain(rng: random.Random) -> Any:
    return rng.choice(
        (
            None,
            True,
            rng.randrange(-3, 1000),
            rng.getrandbits(200),
            rng.random(),
            math.inf,
            -0.0,
            complex(rng.random(), 1),
            "",
            "text " * rng.randrange(5),
            "\N{SNOWMAN}\0\ud800",
            b"bytes" * rng.randrange(4),
        )
    )


def _array(rng: random.Random) -> Any:
    length = rng.choice((0, 1, 7, 200, 3000, 5000))
    if rng.random() < 0.02:
        length = 300_000
    kind = rng.choice(("f8", "i4", ">i2", "u1", "c16", "?", "f4"))
    array: Any = np.arange(length).astype(kind)
    if length % 4 == 0 and rng.random() < 0.5:
        array = array.reshape(2, 2, -1, order=rng.choice("CF"))
    how = rng.randrange(8)
    if kind == ">i2":
        pass  # of its views numpy itself loses the byte order
    elif how == 0:
        array = array[::-1]
    elif how == 1:
        array = array[::2]
    elif how == 2:
        array = array.T
    elif how == 3:
        array.flags.writeable = False
    elif how == 4:
        array = np.arange(length % 300).astype("datetime64[s]")
    elif how == 5:
        array = np.array([_plain(rng) for _ in range(3)] + [None], object)
    return array


def _object(rng: random.Random) -> Any:
    content = _plain(rng)
    return rng.choice(
        (
            Colour.RED,
            Colour.GREEN,
            Point(1, content),
            Record("record", content),
            Slotted(content),
            Tree([1, content], fitness=content),
            fractions.Fraction(1, 3),
            decimal.Decimal("1.50"),
            datetime.datetime(2020, 2, 29, 12),
            np.float64(rng.random()),
            np.datetime64("2020-02-29"),
            bytearray(b"bytes"),
            frozenset({1, 2}),
            range(3, 100, 7),
            slice(1, None, 2),
            Record,
            math.sqrt,
        )
    )


def _container(rng: random.Random, depth: int) -> Any:
    items = [any_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return rng.choice(
        (
            items,
            tuple(items),
            dict(enumerate(items)),
            {"key": items, (1, 2): None},
            collections.deque(items),
            collections.OrderedDict(enumerate(items)),
            [items, items],
            {1, 2, 3},
        )
    )


def any_value(rng: random.Random, depth: int = 2) -> Any:
    """Return a value, which `rng` decides: plain, an array, an object, or a container of such."""
    makers: list[Callable[[], Any]] = [
        lambda: _plain(rng),
        lambda: _array(rng),
        lambda: _object(rng),
    ]
    if depth:
        makers.append(lambda: _container(rng, depth))
    return rng.choice(makers)()


def difference(found: Any, expected: Any, where: str = "value") -> str | None:
    """Say where two values differ, if they do."""
    if isinstance(found, BaseException) and type(found) is not type(expected):
        error = "".join(traceback.format_exception(found))
        return f"{where}: {error}\nand not {_short(expected)}"
    if type(found) is not type(expected):
        return f"{where}: {_short(found)} is of another type than {_short(expected)}"
    if isinstance(expected, np.ndarray):
        return _difference_of_arrays(found, expected, where)
    if isinstance(expected, BaseException):
        return difference(found.args, expected.args, f"{where}.args")
    if isinstance(expected, Slotted):
        return difference(found.content, expected.content, f"{where}.content")
    if isinstance(expected, dict):
        if [*found] != [*expected]:
            return f"{where}: keys {_short([*found])} and not {_short([*expected])}"
        found, expected = [*found.values()], [*expected.values()]
    elif not isinstance(expected, list | tuple | collections.deque):
        if dataclasses.is_dataclass(expected) and not isinstance(expected, type):
            return difference(vars(found), vars(expected), f"{where}.__dict__")
        is_same = found == expected and repr(found) == repr(expected)  # -0.0 is 0.0, nan isn't nan
        return None if is_same else f"{where}: {_short(found)} and not {_short(expected)}"
    if isinstance(expected, Tree) and (other := difference(vars(found), vars(expected), where)):
        return other
    if len(found) != len(expected):
        return f"{where}: {len(found)} items and not {len(expected)}"
    # From the end: of ("raised", error) the error tells more.
    for place, (one, other) in reversed(list(enumerate(zip(found, expected, strict=True)))):
        if (text := difference(one, other, f"{where}[{place}]")) is not None:
            return text
    return None


def _difference_of_arrays(found: Any, expected: Any, where: str) -> str | None:
    for what in ("dtype", "shape"):
        if getattr(found, what) != getattr(expected, what):
            return f"{where}.{what}: {getattr(found, what)} and not {getattr(expected, what)}"
    if expected.dtype.hasobject:
        return difference(found.tolist(), expected.tolist(), where)
    return None if found.tobytes() == expected.tobytes() else f"{where}: other items"


def _short(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) < 200 else f"{text[:200]}..."
