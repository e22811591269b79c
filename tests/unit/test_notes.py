"""How the arguments of a call that failed are described: shortly, whatever they are."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from scoop_mpi.errors import Interrupt
from scoop_mpi.tasks.notes import describe_arguments, note_call


class Point(NamedTuple):
    x: float
    y: Any


@dataclass
class Model:
    name: str
    table: list[float]
    deeper: Any = None


class Text(str):
    __slots__ = ()


class Plain:
    def __repr__(self) -> str:
        return "Plain\n    with   lines"


class Rude:
    def __repr__(self) -> str:
        raise BaseException("no words")

    def __getattr__(self, name: str) -> Any:
        raise BaseException(name)


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (1.5, "1.5"),
        ("a text", "'a text'"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        (list(range(1000)), "[0, 1, 2, 3, 4, 5, ...]"),
        ({"a": 1}, "{'a': 1}"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Model("m", [0.5] * 1000), "Model(name='m', table=[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, ...], "),
        (Text("x" * 1000), "'" + "x" * 27),
        (b"x" * 1000, "<bytes of length 1000>"),
        (bytearray(1 << 20), "<bytearray of length 1048576>"),
        (Counter("abc"), "<Counter of length 3>"),
        (defaultdict(list, {n: [] for n in range(1000)}), "<defaultdict of length 1000>"),
        (deque(range(1000)), "deque([0, 1, 2, 3, 4, 5, ...])"),
        (np.zeros((3, 4)), "<ndarray of shape (3, 4), float64>"),
        (np.float64(2.5), "np.float64(2.5)" if np.__version__ >= "2" else "2.5"),
        (Plain(), "Plain with lines"),
        pytest.param(Rude(), "<Rude", id="rude"),
        pytest.param(10**5000, "<int", id="long"),
        (abs, "<built-in function abs>"),
    ],
)
def test_an_argument_in_few_words(argument: object, text: str) -> None:
    described = describe_arguments(len, [argument])
    assert described.startswith(f"({text}")
    assert len(described) < 210


def test_what_holds_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    model = Model("m", [])
    model.deeper = model
    assert describe_arguments(len, [loop]).startswith("([[[")
    assert describe_arguments(len, [model]).startswith("(Model(name='m', table=[], deeper=Model(")


def test_arguments_of_partials_and_keywords() -> None:
    function = functools.partial(functools.partial(pow, 2, exp=3), mod=5)
    assert describe_arguments(function, [7]) == "(2, 7, exp=3, mod=5)"


class Closed(Exception):
    """Takes no notes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("closed")


@pytest.mark.parametrize("error", [Closed(), Interrupt()])
def test_what_takes_no_notes_is_left_alone(error: BaseException) -> None:
    note_call(error, len, [1])
    assert not hasattr(error, "__notes__")


def test_notes_that_are_no_list_are_left_alone() -> None:
    error = ValueError()
    error.__notes__ = 5  # type: ignore[assignment]
    note_call(error, len, [1])
    assert vars(error) == {"__notes__": 5}
