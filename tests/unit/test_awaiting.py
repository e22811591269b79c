"""Coroutines await futures: what wakes them, who makes the calls, and when a loop is left alone."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from scoop_mpi import current
from scoop_mpi.current import RankInfo
from scoop_mpi.engine.awaiting import EventLoops
from scoop_mpi.tasks.future import Future
from tests.unit.helpers import make_future


class FakeHost:
    """A rank whose turns do what a test says."""

    def __init__(self) -> None:
        self.here = RankInfo(0, "node7")
        self.needs_helper = False
        self.on_turn: Callable[[], object] = lambda: None
        self.turns: list[bool] = []
        self.begun = 0
        self.ended: list[bool] = []
        self.watch_lock = threading.Lock()
        self.callbacks_due: deque[Future] = deque()
        self.threads = self
        self.loops = EventLoops(self, self)  # type: ignore[arg-type] # a part of the hot path

    def awaiting(self, future: Future) -> Generator[Any, None, None]:
        return self.loops.wait(future)

    def begin_awaiting(self) -> bool:
        self.begun += 1
        return self.needs_helper

    def take_turn(self, is_helped: bool) -> bool:
        self.turns.append(is_helped)
        self.on_turn()
        return False

    def end_awaiting(self, is_helped: bool) -> None:
        self.ended.append(is_helped)

    def help(self, future: Future) -> None:
        if not future.is_done:
            future.run()

    def call_helpers(self) -> None: ...

    def withdraw(self, future: Future) -> bool:
        return True

    @property
    def is_serving(self) -> bool:
        return self.loops.are_served_by(threading.get_ident())


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost()
    monkeypatch.setattr(current, "hub", made)
    return made


async def awaited(future: Awaitable[Any]) -> Any:
    return await future


def test_a_future_that_is_done_asks_nothing_of_the_rank(host: FakeHost) -> None:
    future = make_future(abs, -3)
    future.run()
    assert asyncio.run(awaited(future)) == 3
    assert not host.begun


def test_who_completes_it_in_another_thread_wakes_the_loop(host: FakeHost) -> None:
    future = make_future(abs, -3)

    async def main() -> Any:
        waiting = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        assert host.is_serving
        thread = threading.Thread(target=future.complete, args=(4, None))
        thread.start()
        found = await waiting
        thread.join()
        return found

    assert asyncio.run(main()) == 4
    assert host.begun == 1
    assert host.ended == [False]
    assert not host.is_serving


def test_turns_come_as_long_as_somebody_awaits(host: FakeHost) -> None:
    first, second = make_future(abs, -1), make_future(abs, -2)

    def complete() -> None:
        if len(host.turns) == 3:
            first.complete(1, None)
        elif len(host.turns) == 6:
            second.complete(2, None)

    host.on_turn = complete

    async def main() -> Any:
        return await asyncio.gather(first, second, first)

    assert asyncio.run(main()) == [1, 2, 1]
    assert host.turns == [False] * 6
    assert host.begun == 1
    assert host.ended == [False]


def test_the_helper_makes_the_calls_and_ends(host: FakeHost) -> None:
    host.needs_helper = True
    threads: list[threading.Thread] = []

    def note(number: int) -> int:
        threads.append(threading.current_thread())
        return number

    async def main() -> Any:
        return await asyncio.gather(*(make_future(note, number) for number in range(5)))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    assert host.ended[-1]
    for thread in threads:
        assert thread is not threading.main_thread()
        thread.join(30)
        assert not thread.is_alive()


def test_an_error_is_raised_as_it_is(host: FakeHost) -> None:
    future = make_future(int, "x")

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(ValueError, match="invalid literal") as caught:
                await future
            assert caught.value is future.failure

    host.on_turn = future.run
    asyncio.run(main())


def test_a_coroutine_that_is_cancelled_cancels_the_call(host: FakeHost) -> None:
    future = make_future(abs, -1)

    async def main() -> None:
        waiting = asyncio.ensure_future(future)
        other = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        waiting.cancel()
        for each in (waiting, other, future):
            with pytest.raises(asyncio.CancelledError):
                await each

    asyncio.run(main())
    assert future.cancelled()


def test_what_a_turn_raises_does_not_end_the_turns(host: FakeHost) -> None:
    future = make_future(abs, -1)
    told: list[object] = []

    def fail_once() -> None:
        if len(host.turns) == 1:
            raise ValueError("no")
        future.run()

    host.on_turn = fail_once

    async def main() -> Any:
        handler = lambda _, context: told.append(context["exception"])  # noqa: E731
        asyncio.get_running_loop().set_exception_handler(handler)
        return await future

    assert asyncio.run(main()) == 1
    assert repr(told) == "[ValueError('no')]"


def test_a_loop_that_was_closed_is_left_alone(host: FakeHost) -> None:
    future = make_future(abs, -1)
    loop = asyncio.new_event_loop()
    coroutine = awaited(future)
    waiting = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    future.complete(1, None)
    assert not waiting.done()
    coroutine.close()
    assert not host.is_serving
    waiting._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be


@pytest.mark.usefixtures("host")
def test_without_an_event_loop_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        make_future(abs, -1).__await__().send(None)
