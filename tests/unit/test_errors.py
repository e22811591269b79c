"""The texts that errors carry, and whose exceptions they are."""

from __future__ import annotations

import concurrent.futures
import functools
import pickle
from typing import Any

import pytest

from scoop_mpi import errors
from scoop_mpi.errors import RemoteTraceback, describe_callable, format_exception


def test_the_exceptions_of_concurrent_futures_are_used() -> None:
    assert errors.TimeoutError is concurrent.futures.TimeoutError
    assert errors.CancelledError is concurrent.futures.CancelledError


def test_not_started_properly_is_a_runtime_error() -> None:
    assert issubclass(errors.NotStartedProperly, RuntimeError)
    assert "python -m scoop_mpi" in errors.NOT_STARTED
    assert 'if __name__ == "__main__":' in errors.UNGUARDED


def test_a_remote_traceback_shows_rank_and_host() -> None:
    text = str(RemoteTraceback("Traceback ...\nValueError: no\n\n", 3, "node7"))
    assert text == "\n\nOn rank 3 (node7):\nTraceback ...\nValueError: no"


def test_a_remote_traceback_can_be_pickled() -> None:
    before = RemoteTraceback("text", 3, "node7")
    after = pickle.loads(pickle.dumps(before))
    assert (after.text, after.rank, after.host) == ("text", 3, "node7")
    assert str(after) == str(before)


class Tool:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "len"),
        (describe_callable, "describe_callable"),
        (Tool, "Tool"),
        (Tool(), "Tool"),
        (Tool.method, "Tool.method"),
        (Tool().method, "Tool.method"),
        (functools.partial(len), "len"),
        (functools.partial(functools.partial(Tool().method), 1), "Tool.method"),
        (lambda: None, "<lambda>"),
    ],
)
def test_a_callable_has_the_name_that_its_user_knows(function: object, name: str) -> None:
    assert describe_callable(function) == name


class Proxy:
    """Has every attribute that it is asked for, as a proxy or a mock does."""

    def __init__(self, depth: int = 0) -> None:
        assert depth < 100, "nobody needs so many attributes"
        self.depth = depth

    def __call__(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return Proxy(self.depth + 1)


def test_an_object_with_all_attributes_has_its_types_name() -> None:
    assert describe_callable(Proxy()) == "Proxy"


def raise_it(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


def test_an_exception_is_shown_with_its_traceback() -> None:
    text = format_exception(raise_it(ValueError("why")))
    assert text.startswith("Traceback")
    assert "in raise_it" in text
    assert text.endswith("ValueError: why\n")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NotEvenNotes(Exception):
    __notes__ = property(lambda self: 1 / 0)


@pytest.mark.parametrize("kind", [Mute, NotEvenNotes])
def test_an_exception_that_cannot_be_printed_is_shown_all_the_same(kind: type[Exception]) -> None:
    text = format_exception(raise_it(kind()))
    assert "in raise_it" in text
    assert kind.__name__ in text
