"""A span's calls are made exactly once each, whoever takes them, and all of them are reported."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from greenlet import getcurrent, greenlet
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from scoop_mpi.errors import Interrupt, SerializationError
from scoop_mpi.state.worker import Worker
from scoop_mpi.tasks.outcomes import Outcomes
from scoop_mpi.tasks.reduction import Tree
from scoop_mpi.tasks.span import LARGEST_WINDOW, Span, Window
from scoop_mpi.wire.columns import Batch, seal_calls
from scoop_mpi.wire.functions import Functions
from scoop_mpi.wire.messages import Results
from scoop_mpi.wire.serializer import FunctionCodec
from scoop_mpi.wire.values import Sealer
from tests.unit.helpers import (
    Box,
    Unpicklable,
    Ununpicklable,
    batch_over_the_wire,
    bracket,
    over_the_wire,
    payload_over_the_wire,
    the_tree,
)

SEALER = Sealer(1, "node1")


def make_span(function: Callable[..., Any], calls: Any, star: bool = False, **more: Any) -> Span:
    """Return a span at its owner, rank 0."""
    return Span(0, calls, star, Span.deliver, function=function, **more)


def carry_off(span: Span, gift: tuple[int, Any], outlet: Any, **more: Any) -> Span:
    """Return the span that a thief makes of what it was given."""
    start, calls = gift
    batch = calls if isinstance(calls, Batch) else seal_calls(calls, span.star)
    batch = batch_over_the_wire(batch)
    return Span(
        span.owner, batch, batch.star, outlet, key=span.key, base=start, sealer=SEALER, **more
    )


def work_off(span: Span) -> None:
    """Make all calls that are left, as a hub does."""
    while (window := span.claim()) is not None:
        try:
            window.run()
        finally:
            span.retire(window)


def outcomes_of(span: Span) -> tuple[dict[int, Any], dict[int, BaseException]]:
    """Return the values and failures that were reported, by call; each call has one of the two."""
    values: dict[int, Any] = {}
    failures: dict[int, BaseException] = {}
    for outcomes in span.inbox:
        opened, failed = outcomes.open()
        assert len(opened) == outcomes.length
        for offset, value in enumerate(opened):
            number = outcomes.start + offset
            assert number not in values
            assert number not in failures
            if offset in failed:
                assert value is None
                failures[number] = failed[offset]
            else:
                values[number] = value
    return values, failures


def values_of(span: Span) -> list[Any]:
    """Return the values of a span all of whose calls have returned."""
    values, failures = outcomes_of(span)
    assert not failures
    assert span.unreported == 0
    return [values[number] for number in range(span.count)]


def square(x: int) -> int:
    return x * x


# ------------------------------------------------------------ claiming


def test_a_span_is_worked_off_from_the_front() -> None:
    seen: list[int] = []
    span = make_span(seen.append, range(10))
    work_off(span)
    assert seen == list(range(10))
    assert span.unclaimed == 0
    assert span.claim() is None


def test_a_window_has_as_many_calls_as_its_size_says() -> None:
    span = make_span(square, range(10))
    sizes = []
    for size in (1, 4, 100):
        span.window_size = size
        window = span.claim()
        assert window is not None
        sizes.append(list(window.pending))
    assert sizes == [[0], [1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_calls_of_several_arguments_get_them() -> None:
    span = make_span(lambda x, y: (x, y), [(1, 2), (3, 4)], star=True)
    work_off(span)
    assert values_of(span) == [(1, 2), (3, 4)]


def test_windows_grow_while_calls_are_short_and_shrink_when_they_are_long() -> None:
    span = make_span(square, range(10))
    span.resize_window(seconds=0.0, calls=1)
    span.resize_window(seconds=0.0, calls=1)
    assert span.window_size == 4
    span.resize_window(seconds=0.001, calls=1)
    assert span.window_size == 4
    span.resize_window(seconds=1.0, calls=1)
    assert span.window_size == 2
    for _ in range(40):
        span.resize_window(seconds=0.0, calls=1)
    assert span.window_size == LARGEST_WINDOW
    for _ in range(40):
        span.resize_window(seconds=1.0, calls=1)
    assert span.window_size == 1


def test_what_a_suspended_window_has_not_begun_is_claimed_once_the_bulk_is_used_up() -> None:
    span = make_span(square, range(6))
    span.window_size = 4
    suspended, last = span.claim(), span.claim()
    assert suspended is not None
    assert last is not None
    suspended.pending.popleft()  # its loop has begun call 0
    last.run()
    span.retire(last)
    assert span.unclaimed == 3
    taken = span.claim()
    assert taken is not None
    assert (taken.start, list(taken.pending)) == (1, [1, 2, 3])
    assert not suspended.pending


# ------------------------------------------------------------ what calls may raise


def fail(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    "kind", [ValueError, IndexError, SystemExit, GeneratorExit, KeyboardInterrupt]
)
def test_a_call_that_raises_does_not_keep_others_from_being_made(
    kind: type[BaseException],
) -> None:
    span = make_span(lambda x: fail(kind(x)) if x % 2 else x, range(5))
    span.window_size = 4
    work_off(span)
    values, failures = outcomes_of(span)
    assert values == {0: 0, 2: 2, 4: 4}
    assert {number: (type(e), e.args) for number, e in failures.items()} == {
        1: (kind, (1,)),
        3: (kind, (3,)),
    }


@pytest.mark.parametrize("star", [False, True])
def test_stop_iteration_ends_one_call_only(star: bool) -> None:
    items: list[Any] = [iter([5]), iter([]), iter([7])]
    span = make_span(next, [(item,) for item in items] if star else items, star)
    span.window_size = 3
    work_off(span)
    values, failures = outcomes_of(span)
    assert values == {0: 5, 2: 7}
    assert type(failures[1]) is StopIteration


def test_what_a_signal_raises_between_two_calls_is_no_calls_outcome() -> None:
    span = make_span(square, range(4))
    span.window_size = 4
    window = span.claim()
    assert window is not None

    class Interrupted(Exception):
        """What a handler raises."""

    class Interrupting(deque[int]):
        interruptions = 1

        def popleft(self) -> int:
            if len(self) == 2 and self.interruptions:
                self.interruptions -= 1
                raise Interrupted
            return super().popleft()

    window.pending = Interrupting(window.pending)
    with pytest.raises(Interrupted):
        window.run()
    span.retire(window)
    work_off(span)
    assert values_of(span) == [0, 1, 4, 9]


def test_ctrl_c_is_that_calls_outcome_and_is_raised() -> None:
    span = make_span(lambda x: fail(Interrupt()) if x == 1 else x, range(4))
    span.window_size = 4
    with pytest.raises(Interrupt):
        work_off(span)
    values, failures = outcomes_of(span)
    assert values == {0: 0}
    assert [type(error) for error in failures.values()] == [Interrupt]


def test_the_calls_behind_a_ctrl_c_are_left_to_be_claimed() -> None:
    span = make_span(lambda x: fail(Interrupt()) if x == 1 else x, range(4))
    span.window_size = 4
    with suppress(Interrupt):
        work_off(span)
    assert span.unclaimed == 2
    work_off(span)
    assert outcomes_of(span)[0] == {0: 0, 2: 2, 3: 3}
    assert span.unreported == 0


class Incomparable:
    """An argument that can't be compared with anything."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        raise TypeError("it won't be compared")

    __hash__ = None  # type: ignore[assignment]


def number_of(thing: Any) -> int:
    return int(thing.number) if isinstance(thing, Incomparable) else int(thing[0])


@pytest.mark.parametrize(
    "make", [Incomparable, lambda number: np.array([number, number])], ids=["object", "array"]
)
def test_arguments_are_never_compared(make: Callable[[int], Any]) -> None:
    span = make_span(number_of, [make(number) for number in range(6)])
    span.window_size = 4
    window = span.claim()
    assert window is not None
    for count in (2, 3):  # of the bulk, and of the window
        gift = span.give(count)
        assert gift is not None
        work_off(carry_off(span, gift, lambda _, o: span.deliver(o), function=number_of))
    window.run()
    span.retire(window)
    assert values_of(span) == list(range(6))


def test_a_window_that_was_not_opened_is_an_error_of_ours() -> None:
    span = Span(0, seal_calls([1], star=False), False, Span.deliver)
    window = span.claim()
    assert window is not None
    with pytest.raises(RuntimeError, match="not been opened"):
        window.run()


# ------------------------------------------------------------ giving away


def test_calls_are_given_from_the_far_end() -> None:
    span = make_span(square, range(10))
    assert span.give(3) == (7, range(7, 10))
    assert span.give(4) == (3, range(3, 7))
    assert span.unclaimed == 3
    assert span.give(100) == (0, range(3))
    assert span.give(1) is None
    assert span.claim() is None


def test_windows_are_taken_from_only_once_the_bulk_is_gone() -> None:
    span = make_span(square, list(range(6)))
    span.window_size = 3
    window = span.claim()
    assert window is not None
    assert span.give(100) == (3, [3, 4, 5])
    assert span.give(2) == (1, [1, 2])
    window.run()
    span.retire(window)
    assert [tuple(outcomes) for outcomes in span.inbox] == [(0, 1, [0], {})]


def test_a_thief_can_be_stolen_from() -> None:
    span = make_span(square, range(10), key=3)
    gift = span.give(8)
    assert gift is not None
    thief = carry_off(span, gift, lambda _, o: span.deliver(o), function=square)
    second_gift = thief.give(5)
    assert second_gift is not None
    assert second_gift[0] == 5
    second = carry_off(thief, second_gift, lambda _, o: span.deliver(o), function=square)
    for each in (second, span, thief):
        work_off(each)
    assert values_of(span) == [x * x for x in range(10)]


def test_a_batch_is_given_on_without_being_opened() -> None:
    span = make_span(type, [Box(1), Ununpicklable(), Ununpicklable()], key=3)
    gift = span.give(3)
    assert gift is not None
    thief = carry_off(span, gift, lambda _, o: span.deliver(o), function=type)
    gift = thief.give(2)
    assert gift is not None
    assert isinstance(gift[1], Batch)


# ------------------------------------------------------------ reporting


def test_what_has_ended_of_a_window_is_reported_once() -> None:
    span = make_span(square, range(4))
    span.window_size = 4
    window = span.claim()
    assert window is not None
    span.harvest(window)
    window.values += [0, 1]
    span.harvest(window)
    span.harvest(window)
    window.values += [4, 9]
    span.retire(window)
    assert [tuple(outcomes) for outcomes in span.inbox] == [(0, 2, [0, 1], {}), (2, 2, [4, 9], {})]


def test_failures_are_reported_by_their_offset() -> None:
    errors = {number: ValueError(number) for number in (1, 3)}
    span = make_span(lambda x: fail(errors[x]) if x in errors else x, range(4))
    span.window_size = 4
    window = span.claim()
    assert window is not None
    window.run()
    window.values, rest = window.values[:2], window.values[2:]
    span.harvest(window)
    window.values += rest
    span.retire(window)
    assert [outcomes.failures for outcomes in span.inbox] == [{1: errors[1]}, {1: errors[3]}]


@pytest.fixture
def eager_collection() -> Iterator[None]:
    """Have the garbage collector run as often as it can."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is there already need not be looked at each time
    gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class FailsWhenCollected:
    """Garbage of the user's: whenever some is collected, the window's own thread gets on."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.itself = self

    def __del__(self) -> None:
        window = self.window
        if len(window.values) < window.size:
            window.failures[len(window.values)] = ValueError("collected")
            window.values.append(None)
            FailsWhenCollected(window)


@pytest.mark.usefixtures("eager_collection")
def test_calls_may_fail_while_their_window_is_harvested() -> None:
    size = 3000
    span = make_span(square, range(size))
    span.window_size = size
    window = span.claim()
    assert window is not None
    window.pending.clear()
    for number in range(500):
        window.failures[number] = ValueError(number)
        window.values.append(None)
    FailsWhenCollected(window)
    span.harvest(window)
    assert len(window.values) < size, "some are left for later"
    while len(window.values) < size:
        gc.collect()
    span.retire(window)
    assert sorted(outcomes_of(span)[1]) == list(range(size))


def test_a_reduction_is_reported_when_its_window_ends_and_not_before() -> None:
    span = make_span(str, range(7), reduction=bracket)
    span.window_size = 7
    window = span.claim()
    assert window is not None
    window.run()
    span.harvest(window)
    assert not span.inbox
    span.retire(window)
    assert span.inbox[0] == Outcomes(0, 7, ["((0 1) (2 3))", "(4 5)", "6"], {})


class Watching:
    """Counts notifications."""

    def __init__(self) -> None:
        self.times = 0

    def notify(self) -> None:
        self.times += 1


def test_whoever_waits_is_notified_of_each_delivery() -> None:
    span = make_span(square, range(3))
    span.watcher = watching = Watching()
    work_off(span)
    assert watching.times == 3
    assert span.unreported == 0


def test_a_span_says_when_the_last_call_is_accounted_for() -> None:
    span = make_span(square, range(4))
    assert not span.settle((1, 2, 2, [4, 9], {}))
    assert span.settle((1, 0, 2, [0, 1], {}))


def test_its_repr_tells_what_is_left() -> None:
    span = make_span(square, range(4))
    span.claim()
    assert repr(span) == "<Span square of rank 0, 4 calls left of 4>"
    assert "(sealed)" in repr(Span(2, seal_calls([1], star=False), False, Span.deliver))


# ------------------------------------------------------------ stolen spans


def stolen_span(function: Any, items: list[Any], star: bool = False, **more: Any) -> Span:
    """Return a span as a thief receives it, whose outcomes stay here."""
    payload = payload_over_the_wire(FunctionCodec().seal(function))
    batch = batch_over_the_wire(seal_calls(items, star))
    return Span(
        0, batch, star, Span.deliver, function_payload=payload, sealer=SEALER, key=1, **more
    )


def test_a_stolen_span_is_opened_before_it_runs() -> None:
    span = stolen_span(lambda x: x + 1, [1, 2, 3])
    span.open(Functions(1, print))
    work_off(span)
    assert values_of(span) == [2, 3, 4]


def test_a_stolen_reduction_brings_its_operation() -> None:
    operation = FunctionCodec().seal(lambda x, y: x * y)
    span = stolen_span(square, [1, 2, 3, 4], reduction_payload=operation)
    span.window_size = 4
    span.open(Functions(1, print))
    work_off(span)
    assert span.inbox[0] == Outcomes(0, 4, [576], {})


def test_a_function_that_cannot_be_opened_fails_every_call() -> None:
    class Broken:
        def __call__(self) -> None: ...

        def __reduce__(self) -> Any:
            return Ununpicklable().__reduce__()

    span = stolen_span(Broken(), [1, 2, 3])
    span.open(Functions(1, print))
    work_off(span)
    _, failures = outcomes_of(span)
    assert sorted(failures) == [0, 1, 2]
    for error in failures.values():
        assert isinstance(error, SerializationError)
        assert "the function of the call" in str(error)
        assert "refuses to be unpickled" in str(error)


@pytest.mark.parametrize("star", [False, True])
def test_an_argument_that_cannot_be_opened_fails_its_call_alone(star: bool) -> None:
    items: list[Any] = [Box(0), Ununpicklable(), Box(2), Unpicklable()]
    span = stolen_span(repr, [(item,) for item in items] if star else items, star)
    span.window_size = 2
    span.open(Functions(1, print))
    work_off(span)
    values, failures = outcomes_of(span)
    assert values == {0: "Box(0)", 2: "Box(2)"}
    assert "a call of repr: an argument: " in str(failures[1])
    assert "refuses to be unpickled" in str(failures[1])
    assert "refuses to be pickled" in str(failures[3])


# ------------------------------------------------------------ any interleaving


class Broken(Box):
    """An argument that can be sent, but not opened."""

    def __reduce__(self) -> Any:
        return Ununpicklable().__reduce__()


ERRORS: dict[str, type[BaseException]] = {
    "ValueError": ValueError,
    "IndexError": IndexError,
    "StopIteration": StopIteration,
    "KeyboardInterrupt": KeyboardInterrupt,
    "Interrupt": Interrupt,
}
kinds = st.sampled_from(["plain", "plain", "box", "broken", *ERRORS])
which = st.integers(0, 99)


class Interleavings(RuleBasedStateMachine):
    """One owner's span, and all spans that thieves made of it, each worked off by greenlets."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = []
        self.suspensions: list[int] = []
        self.calls_made: Counter[int] = Counter()
        self.spans: list[Span] = []
        self.running: list[Window] = []
        self.suspended: list[greenlet] = []
        self.thieves = Worker(1, 2, "node1", lambda: 0)  # sends what all thieves report
        self.under_way: list[Results] = []
        self.main = getcurrent()
        self.is_reduction = False

    @initialize(
        calls=st.lists(st.tuples(kinds, st.integers(0, 2)), min_size=1, max_size=12),
        star=st.booleans(),
        is_reduction=st.booleans(),
    )
    def begin(self, calls: list[tuple[str, int]], star: bool, is_reduction: bool) -> None:
        self.kinds = [kind for kind, _ in calls]
        self.suspensions = [times for _, times in calls]
        self.is_reduction = is_reduction
        items: list[Any] = []
        for number, kind in enumerate(self.kinds):
            make = {"box": Box, "broken": Broken}.get(kind, int)
            items.append((make(number), kind) if star else make(number))
        self.spans = [make_span(self.call, items, star, reduction=self.reduction, key=1)]

    @property
    def owner(self) -> Span:
        return self.spans[0]

    @property
    def reduction(self) -> Any:
        return bracket if self.is_reduction else None

    def call(self, item: Any, kind: str | None = None) -> str:
        """What the span's calls do."""
        number = item.content if isinstance(item, Box) else item
        self.calls_made[number] += 1
        for _ in range(self.suspensions[number]):
            self.main.switch()
        assert kind in (None, self.kinds[number])
        if self.kinds[number] in ERRORS:
            raise ERRORS[self.kinds[number]](number)
        return str(number)

    def work(self, span: Span, windows: int) -> None:
        """What a greenlet does."""
        while windows and (window := span.claim()) is not None:
            windows -= 1
            self.running.append(window)
            try:
                window.run()
            finally:
                self.running.remove(window)
                span.retire(window)

    def enter(self, place: greenlet, *arguments: Any) -> None:
        with suppress(Interrupt):
            place.switch(*arguments)
        if not place.dead:
            self.suspended.append(place)

    @rule(which=which, windows=st.integers(1, 3))
    def start(self, which: int, windows: int) -> None:
        self.enter(greenlet(self.work), self.spans[which % len(self.spans)], windows)

    @precondition(lambda self: self.suspended)
    @rule(which=which)
    def resume(self, which: int) -> None:
        self.enter(self.suspended.pop(which % len(self.suspended)))

    @rule(which=which, size=st.integers(1, 8))
    def resize(self, which: int, size: int) -> None:
        self.spans[which % len(self.spans)].window_size = size

    @rule(which=which, count=st.integers(1, 8))
    def give(self, which: int, count: int) -> None:
        span = self.spans[which % len(self.spans)]
        before = span.unclaimed
        gift = span.give(count)
        if gift is not None:
            thief = carry_off(
                span,
                gift,
                self.thieves.reports.add,
                function=self.call,
                reduction=self.reduction,
            )
            assert 0 < thief.count <= count
            assert span.unclaimed == before - thief.count
            self.spans.append(thief)

    @precondition(lambda self: self.running)
    @rule(which=which)
    def harvest(self, which: int) -> None:
        window = self.running[which % len(self.running)]
        window.span.harvest(window)

    @rule()
    def flush(self) -> None:
        for send in self.thieves.reports.take(is_low=False):
            message = over_the_wire(send.message)
            assert isinstance(message, Results)
            self.under_way.append(message)

    @precondition(lambda self: self.under_way)
    @rule(which=which)
    def deliver(self, which: int) -> None:
        for segment in self.under_way.pop(which % len(self.under_way)).segments:
            assert self.owner.settle(segment) == (self.owner.unreported == 0)

    @precondition(lambda self: self.under_way)
    @rule(which=which)
    def deliver_what_will_come_again(self, which: int) -> None:
        for segment in self.under_way[which % len(self.under_way)].segments:
            assert self.owner.settle(segment) == (self.owner.unreported == 0)

    def teardown(self) -> None:
        if not self.spans:
            return
        while self.suspended or any(span.unclaimed for span in self.spans):
            while self.suspended:
                self.resume(0)
            for number, span in enumerate(self.spans):
                if span.unclaimed:
                    self.start(number, 1)
        self.flush()
        while self.under_way:
            self.deliver(0)
        assert self.owner.unreported == 0
        self.check_calls()
        if self.is_reduction:
            self.check_reduction()
        else:
            self.check_outcomes()

    def check_calls(self) -> None:
        for number, kind in enumerate(self.kinds):
            times = self.calls_made[number]
            assert times == 1 or (kind == "broken" and times == 0)

    def is_expected(self, number: int, error: BaseException) -> bool:
        kind = self.kinds[number]
        if kind == "broken":
            return isinstance(error, SerializationError) and not self.calls_made[number]
        if kind == "Interrupt" and type(error) is KeyboardInterrupt:  # it has come from a thief
            return error.args == (number,)
        return type(error) is ERRORS[kind] and error.args == (number,)

    def check_outcomes(self) -> None:
        values, failures = outcomes_of(self.owner)
        assert sorted([*values, *failures]) == list(range(self.owner.count))
        for number, value in values.items():
            assert value == str(number)
            assert self.kinds[number] not in ERRORS
        for number, error in failures.items():
            assert self.is_expected(number, error)

    def check_reduction(self) -> None:
        tree = Tree(bracket, self.owner.count)
        accounted: list[int] = []
        has_failed = False
        for outcomes in self.owner.inbox:
            values, failures = outcomes.open()
            accounted += range(outcomes.start, outcomes.start + outcomes.length)
            if failures:
                has_failed = True
                ((offset, error),) = failures.items()
                assert self.is_expected(outcomes.start + offset, error)
            else:
                tree.add(outcomes.start, outcomes.length, values, failures)
        assert sorted(accounted) == list(range(self.owner.count))
        if not has_failed:
            assert tree.result(None) == the_tree(self.owner.count)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=30)


# ------------------------------------------------------------ real threads


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Have Python switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def index_error_now_and_then(x: int) -> int:
    if x % 50 == 49:
        raise IndexError(x)
    return x * x


@pytest.mark.usefixtures("restless_threads")
@pytest.mark.parametrize("window_size", [1, 64, LARGEST_WINDOW])
def test_threads_that_claim_give_and_harvest_lose_nothing(window_size: int) -> None:
    for _ in range(20):
        span = make_span(index_error_now_and_then, list(range(1000)))
        span.window_size = window_size
        is_over = threading.Event()

        def run(span: Span = span) -> None:
            work_off(span)

        def steal(span: Span = span) -> None:
            while (gift := span.give(7)) is not None:
                start, calls = gift
                assert not isinstance(calls, Batch)
                stolen = Span(
                    0,
                    calls,
                    False,
                    lambda _, outcomes: span.deliver(outcomes),
                    function=index_error_now_and_then,
                    base=start,
                )
                work_off(stolen)

        def harvest(span: Span = span, is_over: threading.Event = is_over) -> None:
            while not is_over.is_set():
                for window in list(span.windows):
                    span.harvest(window)

        workers = [threading.Thread(target=target) for target in (run, run, steal)]
        harvester = threading.Thread(target=harvest)
        for thread in (*workers, harvester):
            thread.start()
        for thread in workers:
            thread.join()
        is_over.set()
        harvester.join()
        values, failures = outcomes_of(span)
        assert span.unreported == 0
        assert sorted(failures) == list(range(49, 1000, 50))
        assert values == {x: x * x for x in range(1000) if x % 50 != 49}
