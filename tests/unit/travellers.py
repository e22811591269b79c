"""A program for two ranks: calls drawn from a seed, each made here and elsewhere.

What a call returns elsewhere, or raises there, is what it returns or raises here. Some functions
and objects stand under the main guard, some in functions, some are bound anew before they are sent.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import operator
import random
import re
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from scoop_mpi.errors import SerializationError
from tests.unit.two_ranks import elsewhere

MISSING = object()
LOCK = threading.Lock()
SCALE = 3

Point = collections.namedtuple("P", "x y")  # type: ignore[name-match]


class Row(NamedTuple):
    key: str
    items: list[Any]


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


@dataclasses.dataclass
class Record:
    name: str
    inner: Any = None


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any = None) -> None:
        self.a = a
        self.b = b

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and (self.a, self.b) == (other.a, other.b)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Slotted({self.a!r}, {self.b!r})"


class Words(list[Any]):
    """A list with something of its own."""

    label = "words"

    def __len__(self) -> int:
        return 1000

    def joined(self) -> Any:
        return "-".join(map(repr, self))

    def plain_length(self) -> Any:
        return super().__len__


def make_error() -> type[Exception]:
    class Nameless(Exception):
        pass

    return Nameless


Error = make_error()


class WithCode(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code

    def __reduce__(self) -> Any:
        return WithCode, (self.code,)


def plus(x: Any, y: Any) -> Any:
    return (x, y, SCALE)


def make_adder(n: Any) -> Callable[..., Any]:
    def add(x: Any) -> Any:
        with LOCK:
            return n, x, SCALE

    return add


add_five = make_adder(5)
pair = lambda x: (x, x)  # noqa: E731 - what travels


@functools.lru_cache(maxsize=10)
def cached(x: int) -> int:
    return x * SCALE


def scaled(x: Any) -> Any:
    return ["scaled", x]


class Base:
    def __init__(self, n: int) -> None:
        self.n = n

    def f(self, x: Any) -> Any:
        return "Base", self.n, x

    @classmethod
    def made(cls, x: Any) -> Any:
        return cls.__name__, x

    @staticmethod
    def static(x: Any) -> Any:
        return "static", x


class Derived(Base):
    def f(self, x: Any) -> Any:
        return "Derived", self.n, x

    def __call__(self, x: Any) -> Any:
        return "called", self.n, x

    def __hidden(self, x: Any) -> Any:
        return "hidden", self.n, x

    part = functools.partialmethod(f, "part")

    def ways(self) -> list[Callable[..., Any]]:
        return [self.f, super().f, self.made, super().made, self.__hidden, self, self.static]


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return "wrapped", function(*arguments)

    return wrapper


def fail(error: Any, _: Any) -> Any:
    raise error


def look(thing: Any, _: Any) -> Any:
    return thing, type(thing) is type(copy.copy(thing)), thing is MISSING


class Draw:
    """Draws things that travel, from one seed."""

    def __init__(self, seed: int, guarded: list[Callable[..., Any]]) -> None:
        self.random = random.Random(seed)
        self.guarded = guarded

    def thing(self, depth: int = 3) -> Any:
        choose = self.random
        atoms: list[Callable[[], Any]] = [
            lambda: None,
            lambda: choose.randrange(-(10**30), 10**30),
            lambda: choose.random(),
            lambda: complex(1, choose.random()),
            lambda: "text " * choose.randrange(5),
            lambda: choose.randbytes(choose.choice([0, 5, 20_000])),
            lambda: bytearray(choose.randbytes(5)),
            lambda: choose.choice([Colour.RED, Colour.GREEN, Ellipsis, NotImplemented, True]),
            lambda: datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
            lambda: decimal.Decimal(choose.randrange(100)) / 7,
            lambda: fractions.Fraction(choose.randrange(100), 7),
            lambda: range(choose.randrange(100)),
            lambda: choose.choice([int, Point, Record, Error, Base, Colour, type(None), np.int8]),
            lambda: np.float32(choose.random()),
        ]
        inner = self.thing
        nested: list[Callable[[], Any]] = [
            lambda: [inner(depth - 1) for _ in range(choose.randrange(4))],
            lambda: tuple(inner(depth - 1) for _ in range(choose.randrange(4))),
            lambda: {choose.randrange(9): inner(depth - 1) for _ in range(choose.randrange(4))},
            lambda: {choose.randrange(9) for _ in range(choose.randrange(4))},
            lambda: Point(inner(depth - 1), inner(depth - 1)),
            lambda: Row("key", [inner(depth - 1)]),
            lambda: Record("name", inner(depth - 1)),
            lambda: Slotted(inner(depth - 1)),
            lambda: Words([inner(depth - 1)]),
            lambda: collections.deque([inner(depth - 1)], maxlen=5),
            lambda: collections.OrderedDict(a=inner(depth - 1)),
            lambda: collections.defaultdict(list, a=[inner(depth - 1)]),
        ]
        return choose.choice(atoms if not depth or choose.random() < 0.4 else nested)()

    def error(self) -> BaseException:
        kinds: list[Callable[[Any], BaseException]] = [
            ValueError,
            KeyError,
            Error,
            StopIteration,
            SystemExit,
            GeneratorExit,
            lambda _: WithCode(self.random.randrange(100)),
            lambda _: OSError(2, "no such file"),
            lambda thing: RuntimeError("two", thing),
        ]
        return self.random.choice(kinds)(self.thing(2))

    def function(self, depth: int = 2) -> Callable[..., Any]:
        """Draw a function of one argument."""
        choose = self.random
        n = self.thing(1)
        late = lambda x: (n, x, SCALE)  # noqa: E731 - what travels
        derived = Derived(choose.randrange(9))
        made: list[Callable[..., Any]] = [
            pair,
            add_five,
            scaled,
            str,
            repr,
            late,
            make_adder(n),
            functools.partial(plus, n),
            functools.partial(plus, y=n),
            functools.partial(look, n),
            functools.partial(fail, self.error()),
            lambda _: cached(7),
            lambda _: Words([n]).plain_length()(),
            lambda _: Words([n, n]).joined(),
            lambda _: list(itertools.repeat(n, 3)),
            operator.itemgetter(0),
            operator.methodcaller("upper"),
            [1, 2, 3].count,
            "text".join,
            {"a": n}.get,
            wrapped(scaled),
            *derived.ways(),
            *self.guarded,
        ]
        function = choose.choice(made)
        if depth and choose.random() < 0.3:
            outer = self.function(depth - 1)
            return lambda x: (function(x), outer(x))
        return function


def outcome(call: Callable[..., Any], function: Callable[..., Any], thing: Any) -> Any:
    try:
        return "returned", call(function, thing)
    except SerializationError:
        raise
    except BaseException as error:
        return "raised", type(error), error.args


def same(one: Any, other: Any) -> bool:
    return types_in(one) == types_in(other) and shown(one) == shown(other)


def shown(thing: Any) -> str:
    """Return the text of `thing`, without what differs from process to process."""
    return re.sub(r" at 0x\w+", "", repr(thing)).replace("__mp_main__", "__main__")


def types_in(thing: Any) -> list[type]:
    """Return the classes of which `thing` consists: which they are, not what they are called."""
    if isinstance(thing, type):
        return [thing]
    parts: list[Any] = []
    if isinstance(thing, dict):
        parts = [*thing, *thing.values()]
    elif isinstance(thing, list | tuple | set | collections.deque):
        parts = list(iter(thing))
    elif isinstance(thing, Record):
        parts = [thing.name, thing.inner]
    elif isinstance(thing, Slotted):
        parts = [thing.a, thing.b]
    return [type(thing), *(kind for part in parts for kind in types_in(part))]


def check(seed: int, count: int, guarded: list[Callable[..., Any]]) -> None:
    global scaled
    draw = Draw(seed, guarded)
    for number in range(count):
        if number == count // 2:
            scaled = wrapped(scaled)
        function, thing = draw.function(), draw.thing()
        here = outcome(lambda f, x: f(copy.deepcopy(x)), function, thing)
        there = outcome(elsewhere, function, thing)
        assert same(here, there), (seed, number, function, thing, here, there)


if __name__ == "__main__":
    offset = 10

    class Guarded:
        def f(self, x: Any) -> Any:
            return Guarded.__name__, offset, x

    @functools.cache
    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    Pair = collections.namedtuple("Q", "a b")  # type: ignore[name-match]
    guarded = [Guarded().f, lambda _: factorial(9), lambda x: Pair(x, offset), lambda _: Guarded]
    check(int(sys.argv[1]), int(sys.argv[2]), guarded)
