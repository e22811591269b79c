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


@pytest.mark.parametrize(
    ("terms", "error", "text"),
    [
        ({"retries": -1}, ValueError, "retries must not be negative, as -1 is"),
        ({"retries": 2.0}, TypeError, "retries must be a number of times, not 2.0"),
        ({"retries": True}, TypeError, "retries must be a number of times, not True"),
        ({"retry_on": "ValueError"}, TypeError, "retry_on must be types of exceptions, not 'V"),
        ({"retry_on": (OSError, int)}, TypeError, "retry_on must be types of .* not <class 'int'"),
        ({"retry_on": [OSError]}, TypeError, "retry_on must be types of exceptions"),
        ({"backoff": -0.1}, ValueError, "backoff must be a number of seconds from 0 on, not -0.1"),
        ({"backoff": float("nan")}, ValueError, "backoff must be a number of seconds from 0 on"),
        ({"backoff": float("inf")}, ValueError, "backoff must be a number of seconds from 0 on"),
        ({"backoff": "1"}, TypeError, "backoff must be a number of seconds, not '1'"),
        ({"backoff": False}, TypeError, "backoff must be a number of seconds, not False"),
    ],
)
def test_terms_of_retries_are_looked_at(
    terms: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        futures.options(**terms)


def test_without_a_job_it_is_made_again_too() -> None:
    calls = []

    def fail_twice(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise OSError("busy")
        return -x

    with pytest.warns(RuntimeWarning):
        assert list(futures.options(retries=2, backoff=1e-3).map(fail_twice, [7])) == [-7]
    assert calls == [7, 7, 7]


def test_it_may_be_made_again_very_often() -> None:
    calls = []

    def fail_often() -> int:
        calls.append(0)
        if len(calls) <= 3000:
            raise OSError("busy")
        return len(calls)

    assert Termed(fail_often, Terms(retries=3000))() == 3001


def test_no_terms_are_fine() -> None:
    assert repr(futures.options()) == "<Options>"
    assert repr(futures.options(name="x", retries=2)) == "<Options name='x', retries=2>"


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
