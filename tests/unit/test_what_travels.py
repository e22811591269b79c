"""What is the rank's own on the other rank, and what is a copy: programs on two processes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.two_ranks import run_program

WriteProgram = Callable[..., Path]

PRELUDE = """
import sys
from tests.unit.two_ranks import elsewhere

def own(name):
    return getattr(sys.modules["__main__"], name)

def is_own(name, thing):
    return own(name) is thing

"""


@pytest.fixture
def run(write_program: WriteProgram) -> Callable[..., str]:
    """A function that runs a program, after the prelude, on two ranks."""

    def run_source(source: str, *arguments: str, helpers: str = "") -> str:
        program = write_program(PRELUDE + textwrap.dedent(source))
        if helpers:
            (program.parent / "helpers.py").write_text(helpers, "utf-8")
        return run_program(program, *arguments)

    return run_source


Run = Callable[..., str]

# What makes something that has a name, at import.
NAMED = {
    "function": "def f(x): return x",
    "lambda": "f = lambda x: x",
    "closure": "def make(n):\n    def g(x): return x + n\n    return g\nf = make(0)",
    "decorated": "import functools\ndef d(g):\n    @functools.wraps(g)\n"
    "    def w(x): return g(x)\n    return w\n@d\ndef f(x): return x",
    "decorated without wraps": "def d(g): return lambda x: g(x)\n@d\ndef f(x): return x",
    "cached": "import functools\n@functools.lru_cache\ndef f(x): return x",
    "remembered by an object": "import functools\nclass R:\n"
    "    def __init__(self, g): self.g = g; functools.update_wrapper(self, g)\n"
    "    def __call__(self, x): return self.g(x)\n@R\ndef f(x): return x",
    "class": "class f:\n    def __init__(self, x): pass",
    "class by a factory": "def make():\n    class C: pass\n    return C\nf = make()",
    "named tuple": "import collections\nf = collections.namedtuple('P', 'x')",
    "exception": "f = type('E', (Exception,), {})",
    "enumeration": "import enum\nf = enum.Enum('Colour', 'RED')",
    "new type": "import typing\nf = typing.NewType('UserId', int)",
    "type variable": "import typing\nf = T = typing.TypeVar('T')",
    "ufunc": "from numpy import add as f",
    "imported function": "from textwrap import dedent as f",
}


def test_what_the_import_made_is_the_ranks_own(run: Run) -> None:
    things = "".join(f"{source}\nf{i} = f\n" for i, source in enumerate(NAMED.values()))
    run(
        things
        + f"""
del f
NAMES = ["f%d" % i for i in range({len(NAMED)})]

if __name__ == "__main__":
    for name in NAMES:
        thing = own(name)
        assert elsewhere(is_own, name, thing), name
        assert elsewhere(own, name) is thing, name
        assert elsewhere(lambda: is_own(name, thing)), name
"""
    )


def test_what_the_root_binds_anew_goes_by_value(run: Run) -> None:
    run(
        """
import functools

def decorate(g):
    @functools.wraps(g)
    def w(x): return -g(x)
    return w

class Remembered:
    def __init__(self, g): self.g = g; functools.update_wrapper(self, g)
    def __call__(self, x): return self.g(x)

def make():
    class C: pass
    return C

def double(x): return 2 * x
def increase(x): return x + 1
def triple(x): return 3 * x
square = lambda x: x * x
Class = make()

def change(name, thing):
    old = own(name)
    globals()[name] = thing
    assert not elsewhere(is_own, name, thing), name
    assert not elsewhere(is_own, name, old), "by its old name it would be the new one back here"
    if name != "Class":
        assert elsewhere(thing, 5) == thing(5) == own(name)(5), name
        assert elsewhere(old, 5) == old(5), name
    globals()[name] = old
    assert elsewhere(is_own, name, old), name

def main():
    change("double", decorate(double))
    change("increase", Remembered(increase))
    change("triple", functools.lru_cache(triple))
    change("square", lambda x: -x)
    change("Class", make())

if __name__ == "__main__":
    main()
"""
    )


def test_however_a_name_is_bound_anew(run: Run) -> None:
    run(
        """
def f0(x): return "before"
f1 = f2 = f3 = f4 = lambda x: "before"
def make(name):
    def f(x): return "after"
    f.__qualname__ = name
    return f

def main():
    import __main__
    global f0
    f0 = make("f0")
    globals()["f1"] = make("f1")
    sys.modules["__main__"].f2 = make("f2")
    setattr(__main__, "f3", make("f3"))
    exec("f4 = make('f4')", globals())
    for f in (f0, f1, f2, f3, f4):
        assert f(0) == elsewhere(f, 0) == "after"
    assert elsewhere(lambda: [f(0) for f in (f0, f1, f2, f3, f4)]) == ["after"] * 5

if __name__ == "__main__":
    main()
"""
    )


def test_a_method_that_is_replaced_goes_by_value(run: Run) -> None:
    run(
        """
class Tool:
    def f(self): return "before"
    @classmethod
    def g(cls): return "before"

def main():
    Tool.f = lambda self: "after"
    Tool.g = classmethod(lambda cls: "after")
    assert elsewhere(Tool().f) == "after"
    assert elsewhere(Tool.g) == "after"
    assert elsewhere(Tool.f, Tool()) == "after"

if __name__ == "__main__":
    main()
"""
    )


def test_a_module_of_the_programs_that_is_patched(run: Run, write_program: WriteProgram) -> None:
    write_program(
        """
        LIMIT = 1
        MISSING = object()

        def f(): return "before"

        def make():
            return lambda: (LIMIT, MISSING)
        """,
        "helpers.py",
    )
    run(
        """
import helpers

def main():
    assert elsewhere(f_is_own, helpers.f)
    limit, missing = elsewhere(check, helpers.make())
    assert (limit, missing) == (1, True)
    helpers.f = lambda: "after"
    helpers.LIMIT = 2
    assert elsewhere(helpers.f) == "after"
    limit, missing = elsewhere(check, helpers.make())
    assert (limit, missing) == (2, True)

def f_is_own(f): return f is helpers.f

def check(f):
    limit, missing = f()
    return limit, missing is helpers.MISSING

if __name__ == "__main__":
    main()
"""
    )


# ------------------------------------------------------------ what a function by value sees


def test_a_function_by_value_sees_the_ranks_own_names(run: Run) -> None:
    run(
        """
import threading

MISSING = object()
LOCK = threading.Lock()
TABLE = list(range(100_000))
COUNT = 0

def make():
    def count():
        global COUNT
        COUNT += 1
        return COUNT
    return count

def main():
    from scoop_mpi.wire.serializer import encode

    f = lambda: [is_own(name, globals()[name]) for name in ("MISSING", "LOCK", "TABLE")]
    assert elsewhere(f) == [True] * 3
    assert elsewhere(lambda: MISSING is own("MISSING") and LOCK is own("LOCK"))
    assert len(encode(lambda: TABLE)[0]) < 1000
    assert [elsewhere(make()) for _ in range(3)] == [1, 2, 3], "a counter of the rank's own"
    make()()
    assert elsewhere(make()) == 4, "it is still the rank's own, although it has changed here"

if __name__ == "__main__":
    main()
"""
    )


def test_a_function_by_value_brings_what_only_this_rank_has(run: Run) -> None:
    run(
        """
import threading

LOCK = threading.Lock()
scale = 1

def change():
    global scale
    scale = 5

if __name__ == "__main__":
    data = [1, 2, 3]

    def total():
        with LOCK:
            return scale * sum(data)

    def twice():
        return 2 * total(), scale, LOCK is own("LOCK")

    assert elsewhere(total) == 6
    change()
    data.append(4)
    assert elsewhere(total) == total() == 50
    assert elsewhere(twice) == twice() == (100, 5, True)
"""
    )


def test_functions_by_value_share_what_they_shared(run: Run) -> None:
    run(
        """
if __name__ == "__main__":
    count = 0
    def add():
        global count
        count += 1
    def get():
        return count
    def make():
        n = 0
        def more():
            nonlocal n
            n += 1
        def tell():
            return n
        return more, tell
    def both(more, tell):
        more()
        more()
        return tell()
    assert elsewhere(both, add, get) == 2
    assert elsewhere(both, *make()) == 2
"""
    )


def test_functions_by_value_may_refer_to_themselves(run: Run) -> None:
    run(
        """
import functools

def main():
    def factorial(n): return n * factorial(n - 1) if n else 1
    def is_even(n): return not n or is_odd(n - 1)
    def is_odd(n): return bool(n) and is_even(n - 1)
    @functools.cache
    def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
    def late(): return later
    assert elsewhere(factorial, 5) == 120
    assert elsewhere(is_even, 7) is False
    assert elsewhere(fib, 50) == fib(50)
    try:
        elsewhere(late)
    except NameError:
        pass
    else:
        assert False, "a variable that is not bound yet"
    later = 1

if __name__ == "__main__":
    @functools.cache
    def guarded(n): return n if n < 2 else guarded(n - 1) + guarded(n - 2)
    assert elsewhere(guarded, 50) == guarded(50)
    main()
"""
    )


def test_a_function_by_value_keeps_what_it_has(run: Run) -> None:
    run(
        '''
if __name__ == "__main__":
    def f(a, b=2, *args, c: int, d=[4], **more) -> str:
        """Text."""
        return a, b, args, c, d, more
    f.note = "kept"

    def look(f):
        return f.__doc__, f.__name__, f.__annotations__, f.note, f.__defaults__, f.__kwdefaults__

    assert elsewhere(look, f) == look(f)
    assert elsewhere(f, 1, 3, 5, c=6, e=7) == f(1, 3, 5, c=6, e=7)
    try:
        elsewhere(lambda: 1 / 0)
    except ZeroDivisionError as error:
        assert "elsewhere(lambda: 1 / 0)" in str(error.__cause__), error.__cause__
'''
    )


def test_a_submodule_is_imported_with_the_function_that_names_it(run: Run) -> None:
    run(
        """
import xml

def main():
    import xml.dom.minidom
    assert elsewhere(lambda: xml.dom.minidom.parseString("<a/>").documentElement.tagName) == "a"

if __name__ == "__main__":
    main()
"""
    )


# ------------------------------------------------------------ what only the root has

GUARDED = {
    "new type": ("import typing; UserId = typing.NewType('UserId', int)", "UserId(3)", "3"),
    "type variable": ("import typing; T = typing.TypeVar('T', bound=int)", "T.__name__", "'T'"),
    "cached": ("import functools\n    @functools.cache\n    def f(x): return x", "f(3)", "3"),
    "named tuple": ("import collections; P = collections.namedtuple('Q', 'x')", "P(3).x", "3"),
    "enumeration": ("import enum; E = enum.Enum('E', 'RED')", "E.RED.name", "'RED'"),
    "data class": (
        "import dataclasses\n    @dataclasses.dataclass\n    class D:\n        x: int = 3",
        "D().x",
        "3",
    ),
    "abstract class": (
        "import abc\n    class A(abc.ABC): pass\n    A.register(int)",
        "isinstance(3, A)",
        "True",
    ),
    "slots": ("class S:\n        __slots__ = ('x',)", "hasattr(S(), 'x')", "False"),
    "imported": ("from math import tau", "int(tau)", "6"),
    "imported without a module's name": ("from numpy import add", "int(add(1, 2))", "3"),
    "module": ("import colorsys", "colorsys.__name__", "'colorsys'"),
}


def test_what_is_defined_under_the_main_guard_goes_along(run: Run) -> None:
    lines = "".join(
        f"    {source}\n    assert elsewhere(lambda: {expression}) == {value}\n"
        for source, expression, value in GUARDED.values()
    )
    run(f"if __name__ == '__main__':\n{lines}")


def test_what_cannot_go_by_value_is_an_error_that_names_it(run: Run) -> None:
    run(
        """
if __name__ == "__main__":
    import typing
    from scoop_mpi.errors import SerializationError
    P = typing.ParamSpec("P")
    try:
        elsewhere(lambda: P)
    except SerializationError as error:
        assert "P travels by its name" in str(error), error
        assert "outside the main guard" in str(error), error
    else:
        assert False
"""
    )


def test_what_one_rank_lacks_is_an_error_that_names_it(run: Run) -> None:
    run(
        """
if "root" in sys.orig_argv:
    def f(): pass

def main():
    from scoop_mpi.errors import SerializationError
    try:
        elsewhere(f)
    except SerializationError as error:
        assert "'f'" in str(error), error
    else:
        assert False

if __name__ == "__main__":
    main()
"""
    )


# ------------------------------------------------------------ classes


def test_a_class_of_the_root_is_one_class_on_every_rank(run: Run) -> None:
    run(
        """
import abc, copyreg, enum

class Factory(type):
    "A metaclass with a way of its own, as DEAP's creator has."
    def __reduce__(cls):
        return Factory, (cls.__name__, cls.__bases__, {})

copyreg.pickle(Factory, Factory.__reduce__)
SEEN = []

def see(thing):
    cls = type(thing)
    SEEN.append(cls)
    return len(set(SEEN)), cls(), cls

def forget():
    SEEN.clear()

def main():
    class Plain:
        total = 0
        def get(self): return Plain
    class Abstract(abc.ABC): pass
    class Sub(Plain): pass
    for cls in (Plain, Abstract, Sub, Factory("Made", (list,), {})):
        elsewhere(forget)
        cls.total = 1
        for _ in range(3):
            seen, thing, there = elsewhere(see, cls())
            assert seen == 1, (cls, seen)
            assert type(thing) is cls is there, cls
            assert cls.total == 1
        cls.total = 2
    class Colour(enum.Enum):
        RED = 1
    assert elsewhere(lambda colour: colour, Colour.RED) is Colour.RED
    assert elsewhere(Plain().get) is Plain
    Plain.total = 7
    assert elsewhere(lambda: Plain.total) == 7, "its contents are those that it had when sent"
    elsewhere(setattr, Plain, "total", 8)
    assert Plain.total == 7

if __name__ == "__main__":
    main()
"""
    )


def test_deaps_classes_are_one_on_every_rank(run: Run) -> None:
    pytest.importorskip("deap")
    run(
        """
from deap import base, creator

creator.create("Fitness", base.Fitness, weights=(1.0,))
creator.create("Everybodys", list, fitness=creator.Fitness)
SEEN = set()

def see(individual):
    SEEN.add(type(individual))
    return len(SEEN), individual

def main():
    creator.create("Roots", list, fitness=creator.Fitness)
    for count in range(3):
        for number, cls in enumerate((creator.Everybodys, creator.Roots), 1):
            seen, individual = elsewhere(see, cls([1, 2]))
            assert seen == (number if not count else 2)
            assert type(individual) is cls
            assert type(individual.fitness) is creator.Fitness
    assert elsewhere(is_creators, creator.Everybodys)

def is_creators(cls):
    return cls is creator.Everybodys

if __name__ == "__main__":
    main()
"""
    )


# ------------------------------------------------------------ wrappers


def test_a_transparent_proxy_keeps_its_wrapper(run: Run) -> None:
    run(
        """
class Wrapper:
    "Says that it is what it wraps, as wrapt's do."
    def __init__(self, wrapped): self.__dict__["wrapped"] = wrapped
    def __call__(self, x): return ("wrapped", self.wrapped(x))
    __class__ = property(lambda self: type(self.wrapped))
    __reduce_ex__ = lambda self, protocol: 1 / 0
    def __getattr__(self, name): return getattr(self.wrapped, name)
    __module__ = property(lambda self: self.wrapped.__module__)

@Wrapper
def f(x): return x

def main():
    global f
    assert elsewhere(is_own, "f", f)
    assert elsewhere(f, 1) == ("wrapped", 1)
    f = Wrapper(f)
    try:
        elsewhere(f, 1)
    except Exception as error:
        assert "type Wrapper" in str(error), error
    else:
        assert False, "lost"

if __name__ == "__main__":
    main()
"""
    )


def test_wrapt_keeps_its_wrappers(run: Run) -> None:
    pytest.importorskip("wrapt")
    run(
        """
import wrapt

@wrapt.decorator
def loud(wrapped, instance, args, kwargs):
    return "loud", wrapped(*args, **kwargs)

@loud
def f(x): return x

class C:
    @loud
    def m(self, x): return x

def main():
    assert elsewhere(f, 1) == ("loud", 1)
    assert elsewhere(is_own, "f", f)
    try:
        assert elsewhere(C().m, 1) == ("loud", 1)
    except Exception as error:
        assert "can't be sent" in str(error), error

if __name__ == "__main__":
    main()
"""
    )


# ------------------------------------------------------------ methods

METHODS = """
import functools

def plain(g):
    return lambda self, *a: ("decorated", g(self, *a))

class Base:
    def f(self, x): return "Base", x
    @classmethod
    def made(cls, x): return "Base", cls.__name__, x

class Derived(Base):
    def f(self, x): return "Derived", x
    @classmethod
    def made(cls, x): return "Derived", cls.__name__, x
    def __hidden(self, x): return "hidden", x
    @plain
    def decorated(self, x): return x
    short = lambda self, x: ("lambda", x)
    part = functools.partialmethod(f, 5)
    @functools.lru_cache
    def cached(self, x): return "cached", x
    @staticmethod
    def static(x): return "static", x
    def all(self):
        return [
            self.f, super().f, self.made, super().made, Derived.made, self.__hidden,
            self.decorated, self.short, self.cached, self.static,
            functools.partial(super().f), functools.partial(functools.partial(self.__hidden)),
        ]

class Stack(list):
    def append(self, x): raise RuntimeError("not this")
    def __len__(self): return 99
    def __getitem__(self, i): raise RuntimeError("not this")
    @classmethod
    def fromkeys(cls, x): raise RuntimeError("not this")
    def all(self):
        return [super().count, super().__getitem__, super().index, super().__contains__]
    def length(self): return super().__len__
    def push(self): return super().append

class Table(dict):
    @classmethod
    def fromkeys(cls, *x): raise RuntimeError("not this")
    def make(self): return super().fromkeys

class Shadowed:
    def f(self, x): return "class", x

def check():
    for method in (*Derived().all(), *Stack([0, 1, 2]).all()):
        assert elsewhere(method, 1) == method(1), method
    assert elsewhere(Derived().part) == ("Derived", 5)
    assert elsewhere(Stack([0, 1]).length()) == 2
    assert elsewhere(Stack([0, 1]).push(), 1) is None
    assert elsewhere(Table().make(), [1, 2], 3) == {1: 3, 2: 3}
    assert elsewhere(int.from_bytes, b"a", "big") == 97
    assert elsewhere("a,b".split, ",") == ["a", "b"]
    shadowed = Shadowed()
    method = shadowed.f
    shadowed.f = None
    assert elsewhere(method, 1) == ("class", 1)
    shadowed = Stack([1])
    shadowed.index = None
    assert elsewhere(super(Stack, shadowed).index, 1) == 0
"""


@pytest.mark.parametrize("place", ["program and module", "guard"])
def test_a_bound_method_is_the_same_elsewhere(
    run: Run, write_program: WriteProgram, place: str
) -> None:
    write_program("from tests.unit.two_ranks import elsewhere\n" + METHODS, "helpers.py")
    source = METHODS
    if place == "guard":
        source = "if __name__ == '__main__':\n" + textwrap.indent(METHODS, "    ")
    run(
        source
        + """
import helpers

if __name__ == "__main__":
    check()
    helpers.check()
"""
    )


def test_a_method_travels_without_the_code_of_its_class(run: Run) -> None:
    run(
        METHODS
        + """
if __name__ == "__main__":
    from scoop_mpi.wire.serializer import encode
    for method in Derived().all():
        assert len(encode(method)[0]) < 300, method
"""
    )


def test_what_has_gone_by_its_name_before_goes_by_value_once_it_is_bound_anew(run: Run) -> None:
    run(
        """
import helpers

def f(x): return "before"
class C: pass
first, First = f, C

def main():
    for _ in range(2):
        assert elsewhere(is_own, "f", f)
        assert elsewhere(is_own, "C", C)
        assert elsewhere(lambda thing: thing is helpers.g, helpers.g)
    old = helpers.g
    globals()["f"], globals()["C"], helpers.g = (lambda x: "after"), type("C", (), {}), len
    assert elsewhere(f, 0) == "after"
    assert elsewhere(lambda thing: thing is first, first)
    assert not elsewhere(is_own, "C", C)
    assert elsewhere(lambda thing: thing is First, First)
    assert not elsewhere(lambda thing: thing is sys.modules["helpers"].g, old)

if __name__ == "__main__":
    main()
""",
        helpers="def g(x): return x\n",
    )


def test_a_modules_own_generator_is_each_ranks_own(run: Run) -> None:
    run(
        """
import functools
import pickle
import random

import numpy

def is_own_generator(function):
    return function.__self__ in (random._inst, numpy.random.mtrand._rand)

def number_of(generator): return generator.random()
def size_of(thing): return len(pickle.dumps(thing, 5))

def main():
    from scoop_mpi.wire.serializer import encode

    for function in (
        random.gauss, random.random, random.randint, numpy.random.rand, numpy.random.normal
    ):
        assert elsewhere(is_own_generator, function)
        assert len(encode(functools.partial(function, 1))[0]) < 300
    for generator in (random.Random(5), numpy.random.RandomState(5)):
        assert len(encode(generator)[0]) > 2000  # with its state
    assert elsewhere(number_of, random.Random(5)) == random.Random(5).random()
    assert elsewhere(random.Random(5).gauss, 0, 1) == random.Random(5).gauss(0, 1)
    states = [random.Random(5), random._inst, random.Random(6)]
    found = elsewhere(lambda things: [thing is random._inst for thing in things], states)
    assert found == [False, True, False]

if __name__ == "__main__":
    main()
"""
    )
