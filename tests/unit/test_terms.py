"""What may be said of a call, and how it is refused."""

from __future__ import annotations

import pickle

import pytest

from scoop_mpi import futures
from scoop_mpi.errors import describe_callable
from scoop_mpi.tasks.terms import Termed, Terms


def test_an_unknown_term_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"nothing of priorty, colour; it takes: name"):
        futures.options(priorty=1, name="x", colour=2)


def test_a_name_is_a_text() -> None:
    with pytest.raises(TypeError, match="must be a text, not 7"):
        futures.options(name=7)


def test_no_terms_are_fine() -> None:
    assert repr(futures.options()) == "<Options Terms(name=None)>"


def test_what_is_no_function_is_refused_as_without_terms() -> None:
    with pytest.warns(RuntimeWarning):
        assert list(futures.options(name="x").map(abs, [-1])) == [1]
    with pytest.raises(TypeError, match=r"map\(\) needs something callable, not 3"):
        futures.options(name="x").map(3, [1])  # type: ignore[arg-type]


def test_terms_travel_with_the_function() -> None:
    termed = pickle.loads(pickle.dumps(Termed(abs, Terms(name="x"))))
    assert termed.terms == Terms(name="x")
    assert termed(-3) == 3


def test_the_name_is_told_besides_the_functions() -> None:
    assert describe_callable(Termed(abs, Terms(name="first"))) == "abs (first)"
    assert describe_callable(Termed(abs, Terms())) == "abs"


def test_terms_cant_be_changed() -> None:
    terms = Terms(name="x")
    with pytest.raises(AttributeError):
        terms.name = "y"  # type: ignore[misc]


def test_calls_of_one_function_share_it() -> None:
    """So futures of one function go to a thief together."""
    named = futures.options(name="x")
    assert named._with_terms(abs) is named._with_terms(abs)
    assert named._with_terms(abs) is not named._with_terms(max)
