"""The bell: the program does its rank's duties when it next comes by, and only then."""

from __future__ import annotations

from threading import get_ident
from typing import Any, cast

import pytest

from scoop_mpi.current import HotPath
from scoop_mpi.engine.bell import Bell
from scoop_mpi.engine.runtime import Runtime


class Path:
    """What the hot path touches."""

    def __init__(self) -> None:
        self.ready: dict[Any, None] = {}
        self.thread = get_ident()
        self.depth = 0


class Duties:
    """Counts steps, and tells how many calls each was to keep here."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.now = self.last_step = 0.0
        self.kept: list[int] = []

    def clock(self) -> float:
        return self.now

    def step(self, *, keep: int) -> None:
        self.last_step = self.now
        self.kept.append(keep)


class House:
    """A bell, and who hears it."""

    def __init__(self, size: int = 2) -> None:
        self.queue: dict[Any, None] = {}
        self.path = Path()
        self.duties = Duties(size)
        self.attended = 0
        path, duties = cast(HotPath, self.path), cast(Runtime, self.duties)
        self.bell = Bell(path, duties, self.queue, self.attend)

    def attend(self) -> None:
        self.attended += 1

    def submit(self, task: str) -> None:
        self.path.ready[task] = None

    def claim(self, task: str) -> None:
        del self.path.ready[task]


@pytest.fixture
def house() -> House:
    house = House()
    house.submit("first")
    house.claim("first")
    return house


def test_of_the_first_future_maps_hear_and_no_duties_are_done() -> None:
    house = House()
    assert not house.bell.has_futures
    house.submit("a task")
    assert house.bell.has_futures
    assert house.path.ready is house.queue
    assert house.duties.kept == []
    assert list(house.queue) == ["a task"]


def test_who_rings_before_the_first_future_is_heard_by_it() -> None:
    house = House()
    house.bell.ask()
    house.submit("a task")
    assert house.bell.has_futures
    assert house.duties.kept == [0]


@pytest.mark.parametrize("way", ["submit", "claim"])
def test_the_program_does_the_duties_once_as_it_comes_by(house: House, way: str) -> None:
    house.submit("a task")
    assert house.duties.kept == []
    house.bell.ask()
    house.bell.ask()
    if way == "submit":
        house.submit("another")
    else:
        house.claim("a task")
    assert house.duties.kept == [0]
    assert house.attended == 1
    assert house.path.ready is house.queue
    house.submit("one more")
    assert house.duties.kept == [0]


def test_a_task_that_is_not_there_is_missed_as_without_a_bell(house: House) -> None:
    house.bell.ask()
    with pytest.raises(KeyError):
        house.claim("a task")
    assert house.duties.kept == [0]


def test_the_program_may_be_asked_for_by_name(house: House) -> None:
    house.bell.answer()
    assert house.duties.kept == []
    house.bell.ask()
    house.bell.answer()
    assert house.duties.kept == [0]


def test_other_threads_do_not_answer(house: House) -> None:
    house.path.thread += 1
    house.bell.ask()
    house.submit("a task")
    assert list(house.queue) == ["a task"]
    assert house.duties.kept == []


def test_the_pump_leaves_the_duties_to_a_program_that_comes_by_soon(house: House) -> None:
    assert not house.bell.leave_to_program()  # nothing is known of it
    house.duties.now += 1e-4
    house.submit("soon")
    assert house.bell.leave_to_program()
    house.duties.now += 1e-4
    house.submit("soon again")
    assert house.bell.leave_to_program()
    assert not house.bell.leave_to_program()  # it has not come by since
    house.duties.now += 1e-2
    house.submit("late")
    assert not house.bell.leave_to_program()


def test_the_task_that_rings_stays_here_unless_all_are_needed(house: House) -> None:
    house.bell.leave_to_program()
    house.submit("a task")
    assert house.duties.kept == [1]
    house.bell.leave_to_program()
    house.bell.ask()
    house.submit("another")
    assert house.duties.kept == [1, 0]
    house.bell.leave_to_program()
    house.submit("one more")
    assert house.duties.kept == [1, 0, 1]


def test_on_one_rank_there_is_nobody_to_be_served() -> None:
    house = House(size=1)
    for _ in range(3):
        assert not house.bell.leave_to_program()
        house.submit("a task")
    assert house.duties.kept == []


def test_a_bell_that_hangs_before_another_queue_has_not_rung(house: House) -> None:
    house.bell.ask()
    queue: dict[Any, None] = {}
    house.bell.hang_before(queue)
    house.submit("a task")
    assert list(queue) == ["a task"]
    assert house.duties.kept == []


def test_who_rings_just_as_the_queue_changes_rings_for_the_new_one(house: House) -> None:
    house.bell.ask()
    rung = house.path.ready
    queue: dict[Any, None] = {}
    house.bell.hang_before(queue)
    house.path.ready = rung  # as a thread does that has been held up
    house.submit("a task")
    assert list(queue) == ["a task"]
    assert house.duties.kept == [0]
    assert house.path.ready is queue


def test_who_wants_to_know_hears_of_the_program_s_calls_and_of_no_others() -> None:
    house = House()
    heard: list[Any] = []

    def hear(task: Any) -> bool:
        heard.append(task)
        return bool(task == "kept out")

    house.bell.on_submit = hear
    house.bell.hang_before(house.queue)
    for task in ("first", "kept out"):
        house.submit(task)
    house.path.depth = 1
    house.submit("of a task")
    house.path.depth = 0
    house.bell.ask()
    house.submit("as it rings")
    house.submit("last")
    assert heard == ["first", "kept out", "as it rings", "last"]
    assert list(house.queue) == ["first", "of a task", "as it rings", "last"]
    assert len(house.duties.kept) == 1
    house.claim("first")
    assert "first" not in house.queue
    with pytest.raises(KeyError):
        house.claim("first")
