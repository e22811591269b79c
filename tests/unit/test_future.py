"""A future: from its call to its outcome, and who is told."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from scoop_mpi import current
from scoop_mpi.current import RankInfo
from scoop_mpi.engine.hub import Hub
from scoop_mpi.errors import CancelledError, NotStartedProperly, TimeoutError
from scoop_mpi.tasks.future import CallbackCarrier, Future
from scoop_mpi.wire.serializer import decode, encode
from tests.unit.helpers import make_future, payload_over_the_wire


class FakeHub:
    """A hub that never waits: what was not run here comes from `elsewhere_outcomes`, or never."""

    def __init__(self) -> None:
        self.is_alone = False
        self.depth = 0
        self.depth_limit = 3
        self.here = RankInfo(0, "node7")
        self.ready: dict[Future, None] = {}
        self.watch_lock = threading.Lock()
        self.callbacks_due: deque[Future] = deque()
        self.logger = logging.getLogger("scoop_mpi")
        self.joined: list[tuple[Future, float | None]] = []
        self.elsewhere_outcomes: dict[Future, Any] = {}

    def enqueue(self, future: Future) -> None:
        self.ready[future] = None

    put_back = enqueue

    def is_waiting(self, future: Future) -> bool:
        return future in self.ready

    def claim(self, future: Future) -> bool:
        return self.ready.pop(future, self) is None

    withdraw = claim

    def join(self, future: Future, timeout: float | None) -> None:
        self.joined.append((future, timeout))
        if self.claim(future):
            future.run()
        elif future in self.elsewhere_outcomes:
            future.complete(self.elsewhere_outcomes[future], None)
        else:
            raise TimeoutError

    def call_back(self, future: Future) -> None:
        future.run_callbacks()

    def poll(self, future: Future) -> None:
        if future in self.elsewhere_outcomes:
            future.complete(self.elsewhere_outcomes[future], None)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    made = FakeHub()
    monkeypatch.setattr(current, "hub", made)
    return made


def submit(hub: FakeHub, function: Callable[..., Any], *arguments: Any) -> Future:
    future = make_future(function, *arguments)
    hub.enqueue(future)
    return future


def fail(error: BaseException) -> Any:
    raise error


# ------------------------------------------------------------ results


def test_a_waiting_call_is_made_where_its_result_is_wanted(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    assert future.result() == 5
    assert not hub.joined
    assert not hub.ready
    assert future.is_done


def test_a_call_is_made_once(hub: FakeHub) -> None:
    calls: list[int] = []
    future = submit(hub, calls.append, 1)
    assert future.result() is None
    assert future.result() is None
    assert future.exception() is None
    assert calls == [1]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_a_call_raises_is_raised_by_result_each_time(
    hub: FakeHub, error: BaseException
) -> None:
    future = submit(hub, fail, error)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            future.result()
        assert caught.value is error
    assert future.exception() is error
    assert hub.depth == 0


def test_nothing_is_kept_of_a_call_that_has_ended(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    future.result()
    with pytest.raises(RuntimeError, match="no call any more"):
        _ = future.call


def test_a_stack_that_is_too_deep_is_left_to_the_hub(hub: FakeHub) -> None:
    depths: list[int] = []

    def nest(levels: int) -> None:
        depths.append(hub.depth)
        if levels:
            submit(hub, nest, levels - 1).result()

    submit(hub, nest, 4).result()
    assert depths[:3] == [1, 2, 3]
    assert len(hub.joined) == 2
    assert hub.depth == 0


def test_a_result_that_is_wanted_in_time_is_left_to_the_hub(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    assert future.result(timeout=2.5) == 5
    assert hub.joined == [(future, 2.5)]


def test_a_call_that_was_given_away_is_waited_for(hub: FakeHub) -> None:
    future = make_future(max, 3, 5)
    with pytest.raises(TimeoutError):
        future.result(0)
    hub.elsewhere_outcomes[future] = 5
    assert future.result() == 5
    assert hub.joined[-1] == (future, None)


def test_an_exception_is_waited_for(hub: FakeHub) -> None:
    error = ValueError("no")
    assert submit(hub, fail, error).exception() is error
    assert submit(hub, max, 3, 5).exception(timeout=1.0) is None
    with pytest.raises(TimeoutError):
        make_future(max, 3, 5).exception(0)


def test_nothing_works_without_a_running_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "hub", None)
    future = make_future(max, 3, 5)
    for ask in (future.result, future.exception, future.done, future.running, future.cancel):
        with pytest.raises(NotStartedProperly, match="python -m scoop_mpi -n 4"):
            ask()


# ------------------------------------------------------------ states


def test_done_moves_messages_along_and_looks(hub: FakeHub) -> None:
    future = make_future(max, 3, 5)
    assert not future.done()
    hub.elsewhere_outcomes[future] = 5
    assert not future.is_done
    assert future.done()
    assert future.is_done


def test_a_future_runs_from_when_it_is_claimed_until_it_is_done(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    assert not future.running()
    assert hub.claim(future)
    assert future.running()
    future.run()
    assert not future.running()


def test_a_waiting_future_can_be_cancelled(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    assert not future.cancelled()
    assert future.cancel()
    assert future.cancelled()
    assert future.cancel(), "it is cancelled already"
    assert future.done()
    for ask in (future.result, future.exception):
        with pytest.raises(CancelledError):
            ask()
    assert not hub.ready


def test_a_future_that_has_begun_or_ended_cannot_be_cancelled(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    hub.claim(future)
    assert not future.cancel()
    future.run()
    assert not future.cancel()
    assert not future.cancelled()
    assert future.result() == 5


def test_repr_tells_the_state(hub: FakeHub) -> None:
    assert repr(submit(hub, len, [])) == "<Future len([]) not done>"
    returned, raised, cancelled = (submit(hub, f, "x") for f in (len, int, len))
    returned.result()
    raised.exception()
    cancelled.cancel()
    assert repr(returned) == "<Future returned 1>"
    assert repr(raised).startswith("<Future raised ValueError(")
    assert repr(cancelled) == "<Future cancelled>"


# ------------------------------------------------------------ watchers


class Watching:
    """Counts notifications."""

    def __init__(self) -> None:
        self.times = 0

    def notify(self) -> None:
        self.times += 1


def test_a_watcher_is_notified_when_the_future_is_done(hub: FakeHub) -> None:
    for end in (Future.result, Future.run, Future.cancel):
        future, watching = submit(hub, max, 3, 5), Watching()
        future.watch(watching, cast(Hub, hub))
        assert watching.times == 0
        if end is Future.run:
            hub.claim(future)
        end(future)
        assert watching.times == 1


def test_a_watcher_that_comes_late_is_notified_at_once(hub: FakeHub) -> None:
    future, watching = submit(hub, max, 3, 5), Watching()
    future.result()
    future.watch(watching, cast(Hub, hub))
    assert watching.times == 1


def test_who_watches_no_longer_is_not_notified(hub: FakeHub) -> None:
    future, one, other = submit(hub, max, 3, 5), Watching(), Watching()
    future.unwatch(one)
    future.watch(one, cast(Hub, hub))
    future.watch(other, cast(Hub, hub))
    future.unwatch(one)
    future.unwatch(one)
    future.result()
    assert (one.times, other.times) == (0, 1)


# ------------------------------------------------------------ callbacks


def test_callbacks_get_the_future_in_the_order_in_which_they_were_added(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    seen: list[tuple[int, Any]] = []

    def note(number: int, done: Future) -> None:
        seen.append((number, done.result()))

    for number in range(3):
        future.add_done_callback(functools.partial(note, number))
    assert not seen
    future.result()
    assert seen == [(0, 5), (1, 5), (2, 5)]


def test_a_callback_is_called_once(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    seen: list[Future] = []
    future.add_done_callback(seen.append)
    for ask in (future.result, future.exception, future.done):
        ask()
    for due in hub.callbacks_due:
        due.run_callbacks()
    assert seen == [future]


def test_a_callback_that_comes_late_is_called_at_once(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    future.result()
    seen: list[Future] = []
    future.add_done_callback(seen.append)
    assert seen == [future]


@pytest.mark.parametrize("end", ["raised", "cancelled"])
def test_callbacks_are_called_however_it_ends(hub: FakeHub, end: str) -> None:
    future = submit(hub, fail, ValueError("no"))
    seen: list[Future] = []
    future.add_done_callback(seen.append)
    if end == "raised":
        with pytest.raises(ValueError, match="no"):
            future.result()
    else:
        future.cancel()
    assert seen == [future]


def test_callbacks_of_what_ran_elsewhere_are_left_to_the_hub(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    hub.claim(future)
    seen: list[Future] = []
    future.add_done_callback(seen.append)
    future.complete(5, None)
    assert not seen
    assert list(hub.callbacks_due) == [future]
    future.run_callbacks()
    assert seen == [future]


def test_a_callback_that_fails_is_logged_and_keeps_no_other_from_being_called(
    hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    future = submit(hub, max, 3, 5)
    seen: list[Future] = []

    def failing(_: Future) -> None:
        raise ValueError("in a callback")

    future.add_done_callback(failing)
    future.add_done_callback(seen.append)
    assert future.result() == 5
    assert seen == [future]
    assert "failing" in caplog.text
    assert "ValueError: in a callback" in caplog.text


def test_a_callback_may_add_another(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    seen: list[str] = []

    def first(_: Future) -> None:
        future.add_done_callback(lambda _: seen.append("second"))
        seen.append("first")

    future.add_done_callback(first)
    future.result()
    assert seen == ["second", "first"]


def test_an_unknown_type_of_callback_is_refused(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    with pytest.raises(ValueError, match="'standard' or 'universal', not 'other'"):
        future.add_done_callback(print, inCallbackType=cast(Any, "other"))


# ------------------------------------------------------------ universal callbacks


def test_a_universal_callback_is_called_with_a_future_of_its_own(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    seen: list[Future] = []
    future.add_done_callback(seen.append, inCallbackType="universal")
    future.add_done_callback(seen.append, inCallbackType="universal", inCallbackGroup="any")
    assert future in hub.ready
    assert future.result() == 5
    assert [each.result() for each in seen] == [5, 5]
    assert future not in seen


def test_a_universal_callback_sees_what_was_raised(hub: FakeHub) -> None:
    error = ValueError("no")
    future = submit(hub, fail, error)
    seen: list[BaseException | None] = []
    future.add_done_callback(lambda f: seen.append(f.exception()), inCallbackType="universal")
    assert future.exception() is error
    assert seen == [error]


def test_a_universal_callback_that_fails_spoils_nothing(
    hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    future = submit(hub, max, 3, 5)
    future.add_done_callback(lambda _: fail(ValueError("no")), inCallbackType="universal")
    assert future.result() == 5
    assert "ValueError: no" in caplog.text


def test_a_universal_callback_comes_too_late_for_a_call_that_has_begun(hub: FakeHub) -> None:
    future = submit(hub, max, 3, 5)
    hub.claim(future)
    seen: list[Future] = []
    future.add_done_callback(seen.append, inCallbackType="universal")
    future.run()
    future.run_callbacks()
    assert seen == [future]


def note_in_its_result(future: Future) -> None:
    future.result().append("seen")


def test_universal_callbacks_travel_with_the_call() -> None:
    carrier = CallbackCarrier(list)
    carrier.callbacks.append(note_in_its_result)
    received = decode(payload_over_the_wire(encode(carrier)))
    assert received("ab") == ["a", "b", "seen"]


def test_a_call_with_universal_callbacks_keeps_its_name(hub: FakeHub) -> None:
    future = submit(hub, len, [])
    future.add_done_callback(print, inCallbackType="universal")
    assert repr(future) == "<Future len([]) not done>"


# ------------------------------------------------------------ those who wait for other futures


async def wait_in_asyncio(future: Any) -> None:
    await asyncio.wait([future])


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("wait", "way_out"),
    [
        (lambda future: concurrent.futures.wait([future]), "scoop_mpi.futures.wait"),
        (lambda future: list(concurrent.futures.as_completed([future])), "as_completed"),
        pytest.param(
            lambda future: asyncio.run(wait_in_asyncio(future)),
            "asyncio.ensure_future",
            marks=pytest.mark.skipif(
                sys.version_info < (3, 11), reason="Python 3.10 makes a task of it"
            ),
        ),
    ],
)
def test_others_who_would_wait_are_told_what_to_use(
    wait: Callable[[Future], object], way_out: str
) -> None:
    with pytest.raises(TypeError, match=f"a future of scoop_mpi.*{way_out}"):
        wait(make_future(abs, -1))
