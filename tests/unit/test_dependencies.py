"""Futures among arguments: which are found, what stands for them, and when all are done."""

from __future__ import annotations

import logging
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoop_mpi.engine.hub import Hub
from scoop_mpi.engine.placing import NodeMemory
from scoop_mpi.engine.runtime import Runtime
from scoop_mpi.errors import CancelledError, DependencyError
from scoop_mpi.tasks.dependencies import (
    Awaited,
    are_futures_among,
    arguments_of,
    futures_among,
    with_results,
)
from scoop_mpi.tasks.future import Future, KeywordCall
from scoop_mpi.transport.fabric import Fabric

Pair = namedtuple("Pair", "first second")


class NoIdling:
    """Doesn't pause."""

    looks = 1

    def reset(self) -> None: ...

    def pause(self, limit: float | None) -> None: ...


@pytest.fixture
def hub() -> Hub:
    logger = logging.getLogger(__name__)
    runtime = Runtime(Fabric(1).endpoints[0], lambda: 0.0, print, NodeMemory(logger))
    return Hub(runtime, NoIdling(), logger)


def pending() -> Future:
    return Future.of(abs, (-1,))


def done(value: Any) -> Future:
    future = pending()
    future.complete(value, None)
    return future


def failed(error: BaseException) -> Future:
    future = pending()
    future.complete(None, error)
    return future


def call(*arguments: Any, **keywords: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return arguments, keywords


def test_where_futures_are_found() -> None:
    one, two, three, four = (pending() for _ in range(4))
    function = KeywordCall(call, named=[four])
    found = futures_among(arguments_of(function, (one, 1, [2, two], ("x", three), {"a": four})))
    assert found == [one, two, three, four, four]


@pytest.mark.parametrize(
    "argument",
    [
        [[pending()]],
        {pending(): 1},
        {pending()},
        Pair(pending(), 1),
        OrderedDict(a=pending()),
        iter([pending()]),
    ],
    ids=["deeper", "key", "set", "namedtuple", "subclass", "iterator"],
)
def test_where_they_are_not(argument: Any) -> None:
    assert futures_among((argument,)) == []
    assert with_results(call, (argument,)) == (call, (argument,))


def test_their_results_stand_for_them() -> None:
    function, arguments = with_results(
        KeywordCall(call, named=[done(4)], other=5),
        (done(1), [2, done(3)], (done(None),), {"a": done("b"), "c": "d"}),
    )
    assert function(*arguments) == (
        (1, [2, 3], (None,), {"a": "b", "c": "d"}),
        {"named": [4], "other": 5},
    )


def test_what_holds_no_future_is_the_very_object() -> None:
    plain = [1, 2]
    _, arguments = with_results(call, (plain, done(1)))
    assert arguments[0] is plain


def test_what_is_given_twice_is_one_object() -> None:
    shared = [done(1)]
    function, arguments = with_results(KeywordCall(call, again=shared), (shared, shared))
    (first, second), keywords = function(*arguments)
    assert first is second is keywords["again"]
    assert first is not shared


def test_the_first_that_failed_is_the_cause() -> None:
    error = ValueError("bad")
    with pytest.raises(DependencyError, match=r"call was not called.*ValueError: bad") as caught:
        with_results(call, (done(1), [failed(error)], failed(KeyError(1))))
    assert caught.value.__cause__ is error
    with pytest.raises(DependencyError, match="ValueError: bad") as again:
        with_results(call, (failed(caught.value),))
    assert again.value.__cause__ is error


def test_of_one_that_is_cancelled_the_call_is_cancelled() -> None:
    error = CancelledError()
    with pytest.raises(CancelledError) as caught:
        with_results(call, (failed(error),))
    assert caught.value.__cause__ is error
    with pytest.raises(CancelledError) as again:
        with_results(call, (failed(caught.value),))
    assert again.value.__cause__ is error


def test_which_maps_have_futures_among_their_arguments() -> None:
    assert not are_futures_among(range(3), star=False)
    assert not are_futures_among([1, "x", None], star=False)
    assert not are_futures_among([(1, [2]), ([3], 4)], star=True)
    assert not are_futures_among([[1], (2,)], star=False)
    assert are_futures_among([1, pending()], star=False)
    assert are_futures_among([[1], [pending()]], star=False)
    assert are_futures_among([(1, pending())], star=True)
    assert are_futures_among([(1, 2), (1, [pending()])], star=True)


@given(order=st.permutations(range(6)), spurious=st.sets(st.integers(0, 5)))
def test_it_is_said_when_all_are_done_and_not_before(order: list[int], spurious: set[int]) -> None:
    logger = logging.getLogger(__name__)
    runtime = Runtime(Fabric(1).endpoints[0], lambda: 0.0, print, NodeMemory(logger))
    hub = Hub(runtime, NoIdling(), logger)
    futures = [pending() for _ in range(6)]
    said: list[Future] = []
    waiting = pending()
    awaited = Awaited(waiting, [*futures, futures[0]], hub, said.append)
    awaited.notify()
    for step, place in enumerate(order):
        assert said == []
        if step in spurious:
            awaited.notify()
        futures[place].complete(place, None)
    assert said == [waiting]
    awaited.notify()
    assert said == [waiting]
    assert awaited.dependencies == ()


def test_what_is_done_already_needs_no_wait(hub: Hub) -> None:
    said: list[Future] = []
    waiting = pending()
    Awaited(waiting, [done(1), done(2)], hub, said.append).notify()
    assert said == [waiting]


def test_what_is_done_holds_on_to_nobody_who_waited(hub: Hub) -> None:
    import gc
    import weakref

    first = pending()
    hub.open_queues()
    later = hub.submit(abs, (first,))
    reference = weakref.ref(later)
    first.complete(-3, None)
    hub.runtime.step()
    assert later.call == (abs, (-3,))
    assert hub.claim(later)
    del later
    gc.collect()
    assert reference() is None
