"""The texts that errors carry, and whose exceptions they are."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import pickle
import signal
from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi import errors
from scoop_mpi.errors import (
    RemoteTraceback,
    describe_callable,
    describe_error,
    format_exception,
    raise_interrupt,
)


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


# ------------------------------------------------------------ whatever the user's code raises


class Odd(BaseException):
    """No `Exception`, as `asyncio.CancelledError` and what some libraries raise."""


RAISED = [
    KeyError,
    ValueError,
    SystemExit,
    GeneratorExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
]


def raising(kind: type[BaseException]) -> Callable[..., Any]:
    def raise_it(*_: object) -> Any:
        raise kind("on purpose")

    return raise_it


@pytest.mark.parametrize("kind", RAISED)
def test_a_callable_is_described_whatever_it_raises(kind: type[BaseException]) -> None:
    class Rude:
        __getattr__ = raising(kind)
        __class__ = property(raising(kind))

        def __call__(self) -> None: ...

    assert describe_callable(Rude()).endswith("Rude")
    assert describe_callable(functools.partial(Rude())).endswith("Rude")


def test_a_callable_is_described_whatever_its_metaclass_says() -> None:
    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            if name in ("__name__", "__qualname__", "__module__"):
                raise Odd
            return super().__getattribute__(name)

    class Rude(metaclass=Meta):
        def __call__(self) -> None: ...

    class RudeError(ValueError, metaclass=Meta): ...

    assert describe_callable(Rude()).endswith("Rude")
    error = RudeError("text")
    assert describe_error(error) == "RudeError: text"
    assert "RudeError" in format_exception(raise_it(error))


@pytest.mark.parametrize("kind", RAISED)
def test_an_exception_is_described_whatever_its_text_raises(kind: type[BaseException]) -> None:
    class Rude(Exception):
        __str__ = __repr__ = raising(kind)
        __traceback__ = property(raising(kind))

    assert describe_error(Rude()) == "Rude"
    assert "Rude" in format_exception(Rude())


def test_ctrl_c_is_told_from_an_interrupt_that_the_users_code_raises() -> None:
    def raised_by_a_line() -> None:
        raise KeyboardInterrupt

    def pressed() -> None:
        signal.raise_signal(signal.SIGINT)

    raise_interrupt(ValueError())
    for raise_it, is_real in ((raised_by_a_line, False), (pressed, True)):
        with pytest.raises(KeyboardInterrupt) as caught:
            raise_it()
        if is_real:
            with pytest.raises(KeyboardInterrupt):
                raise_interrupt(caught.value)
        else:
            raise_interrupt(caught.value)
