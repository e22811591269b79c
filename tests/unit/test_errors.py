"""The texts that errors carry, and whose exceptions they are."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import functools
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from scoop_mpi import errors
from scoop_mpi.errors import (
    RemoteTraceback,
    SerializationError,
    describe_callable,
    describe_error,
    format_exception,
    hide_our_frames,
    raise_interrupt,
)


def test_the_exceptions_of_concurrent_futures_are_used() -> None:
    assert errors.TimeoutError is concurrent.futures.TimeoutError
    assert errors.CancelledError is concurrent.futures.CancelledError


def test_not_started_properly_is_a_runtime_error() -> None:
    assert issubclass(errors.NotStartedProperly, RuntimeError)
    assert "python -m scoop_mpi" in errors.NOT_STARTED
    assert 'if __name__ == "__main__":' in errors.UNGUARDED


def test_in_a_notebook_it_is_said_how_that_gets_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert errors.not_started() == errors.NOT_STARTED
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert errors.not_started().startswith(errors.NOT_STARTED)
    assert "python -m scoop_mpi --install-kernel" in errors.not_started()


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


def of_ours(source: str, **names: Any) -> Any:
    """Return the function `f` of this source, whose frames are of a file of the package's."""
    code = compile(source, os.path.join(os.path.dirname(errors.__file__), "module.py"), "exec")
    exec(code, names)
    return names["f"]


def call(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


HAND_ON = of_ours("def f(function, *arguments): return function(*arguments)")
RAISE = of_ours("def f(error): raise error")
WRAP = of_ours("""
def f(function, error):
    try:
        function()
    except Exception as cause:
        raise error from cause
""")


def frames(error: BaseException) -> list[str]:
    """The names of the functions in the traceback that is shown, but for those of this test."""
    names = [entry.name for entry in traceback.extract_tb(hide_our_frames(error))]
    return [name for name in names if not name.startswith(("test_", "caught"))]


def caught(function: Any, *arguments: Any) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def test_frames_of_ours_between_those_of_the_program_are_hidden() -> None:
    error = caught(call, HAND_ON, call, HAND_ON, raise_again, ValueError("why"))
    assert frames(error) == ["call", "call", "raise_again"]


def raise_again(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), errors.NotStartedProperly(), errors.TimeoutError()]
)
def test_frames_of_ours_where_we_raise_on_purpose_are_hidden(error: BaseException) -> None:
    assert frames(caught(call, HAND_ON, RAISE, error)) == ["call"]


def test_frames_of_ours_that_hand_on_what_another_rank_raised_are_hidden() -> None:
    error = KeyError("x")
    error.__cause__ = errors.RemoteTraceback("in a task", 3, "node7")
    assert frames(caught(call, HAND_ON, RAISE, error)) == ["call"]


def test_frames_of_ours_where_there_may_be_a_fault_are_shown() -> None:
    assert frames(caught(call, HAND_ON, RAISE, KeyError("x"))) == ["call", "f", "f"]


def test_frames_of_ours_in_what_an_error_came_from_are_hidden() -> None:
    error = caught(call, WRAP, functools.partial(HAND_ON, raise_again, KeyError("x")), ValueError())
    assert frames(error) == ["call", "f"]
    assert error.__cause__ is not None
    assert frames(error.__cause__) == ["raise_again"]
    error = caught(call, WRAP, functools.partial(RAISE, KeyError("x")), SerializationError("why"))
    assert frames(error) == ["call"]
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None  # `error` says what there is to say of it


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no groups of exceptions")
def test_frames_of_ours_in_a_group_of_exceptions_are_hidden() -> None:
    member = caught(HAND_ON, raise_again, KeyError("x"))
    group = vars(builtins)["ExceptionGroup"]("group", [member])
    hide_our_frames(caught(HAND_ON, raise_again, group))
    assert frames(member) == ["raise_again"]


def test_errors_that_come_from_each_other_are_no_endless_loop() -> None:
    one, two = caught(RAISE, KeyError(1)), caught(RAISE, KeyError(2))
    one.__context__, two.__context__ = two, one
    assert "KeyError" in format_exception(one)


class Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def test_an_exception_that_forbids_changes_is_shown_all_the_same() -> None:
    assert frames(caught(call, HAND_ON, raise_again, Frozen())) == ["call", "raise_again"]


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
