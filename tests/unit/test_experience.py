"""How long calls take, by experience: of which function, and how many surely end in time."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi.state.experience import Experience
from scoop_mpi.tasks.terms import Termed, Terms


class Model:
    def predict(self, x: int) -> int:
        return x

    def __call__(self, x: int) -> int:
        return x

    def __eq__(self, other: object) -> bool:
        raise AssertionError("no code of the user's is run")

    __hash__ = None  # type: ignore[assignment]


def closure(number: int) -> Callable[[int], int]:
    def add(x: int) -> int:
        return x + number

    return add


PAIRS: dict[str, tuple[Any, Any]] = {
    "closures": (closure(1), closure(2)),
    "methods": (Model().predict, Model().predict),
    "objects": (Model(), Model()),
    "partials": (functools.partial(closure(1), 3), closure(1)),
    "named": (Termed(abs, Terms(name="x")), abs),
    "builtin": (abs, abs),
    "class": (Model, Model),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_what_is_one_function(kind: str) -> None:
    one, other = PAIRS[kind]
    experience = Experience()
    assert experience.seconds_of(other) is None
    experience.note(one, 0.5)
    assert experience.seconds_of(other) == 0.5
    assert experience.seconds_of(operator.add) is None


def test_long_calls_are_forgotten_slowly() -> None:
    experience = Experience()
    experience.note(abs, 1.0)
    experience.note(abs, 0.1)
    assert experience.seconds_of(abs) == pytest.approx(0.8)
    experience.note(abs, 2.0)
    assert experience.seconds_of(abs) == 2.0
    assert experience.longest == 2.0


def test_what_ran_elsewhere_counts_if_nothing_else_is_known() -> None:
    experience = Experience()
    experience.note_at_most(abs, 3.0)
    experience.note_at_most(abs, 9.0)
    assert experience.seconds_of(abs) == 3.0


def test_how_many_calls_surely_end_in_time() -> None:
    experience = Experience()
    assert experience.calls_before(abs, 1000.0) == 0
    experience.note(abs, 0.1)
    assert experience.calls_before(abs, 0.2) == 0
    assert 30 <= experience.calls_before(abs, 10.0) <= 34
    for seconds in (0.0, -1.0, float("-inf")):
        assert experience.calls_before(abs, seconds) == 0


def test_it_is_bounded() -> None:
    experience = Experience()
    functions = [eval("lambda: 0", {}) for _ in range(2000)]
    for function in functions:
        experience.note(function, 1.0)
    assert len(experience._known) <= 512
    assert experience.seconds_of(functions[-1]) == 1.0
