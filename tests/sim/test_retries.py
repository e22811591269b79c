"""Calls that are made again if they fail: on any number of ranks the same comes of it."""

from __future__ import annotations

import operator
import sys
from collections import Counter
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.errors import SerializationError
from tests.sim.simulation import compute
from tests.sim.test_jobs import add, run_everywhere, square

NUMBERS = list(range(12))
HAS_NOTES = sys.version_info >= (3, 11)
CALLS: Counter[object] = Counter()  # one process has all ranks


class Busy(Exception):
    """What a call raises that may be made again."""


def fails(x: int, times: int = 2, error: type[BaseException] = Busy) -> int:
    """Fail some times for each x, then return."""
    compute(0.001)
    CALLS[x] += 1
    if CALLS[x] <= times:
        raise error(f"{x} for the {CALLS[x]}. time")
    return x * x


def fails_within(x: int) -> Any:
    return futures.submit(fails, x)


def fails_by_a_map(x: int) -> int:
    return sum(futures.map(fails, [x, x + 1000]))


@pytest.fixture(autouse=True)
def fresh_calls() -> None:
    CALLS.clear()


def run_afresh(program: Any) -> None:
    def afresh() -> None:
        CALLS.clear()
        program()

    run_everywhere(afresh)


def test_each_front_gets_the_results() -> None:
    def program() -> None:
        retrying = futures.options(retries=2, retry_on=Busy)
        assert [retrying.submit(fails, x).result() for x in NUMBERS] == [x * x for x in NUMBERS]
        CALLS.clear()
        submitted = [retrying.submit(fails, x, times=x % 3) for x in NUMBERS]
        assert [future.result() for future in submitted] == [x * x for x in NUMBERS]
        assert dict(CALLS) == {x: x % 3 + 1 for x in NUMBERS}
        for way in (retrying.map, retrying.map_as_completed):
            CALLS.clear()
            assert sorted(way(fails, NUMBERS)) == [x * x for x in NUMBERS]
            assert set(CALLS.values()) == {3}
        CALLS.clear()
        assert retrying.mapReduce(fails, operator.add, NUMBERS) == 506
        CALLS.clear()
        assert retrying.mapScan(fails, operator.add, range(4)) == [0, 1, 5, 14]

    run_afresh(program)


def test_what_does_not_fail_is_called_once() -> None:
    def program() -> None:
        retrying = futures.options(retries=5)
        assert list(retrying.map(square, NUMBERS)) == [x * x for x in NUMBERS]
        assert retrying.submit(fails, 3, times=0).result() == 9
        assert CALLS == {3: 1}

    run_afresh(program)


def test_the_last_error_is_raised_and_tells_of_the_others() -> None:
    def program() -> None:
        error = futures.options(retries=2).submit(fails, 5, times=9).exception()
        assert isinstance(error, Busy)
        assert str(error) == "5 for the 3. time"
        assert CALLS == {5: 3}
        if HAS_NOTES:
            (note,) = [note for note in error.__notes__ if "attempts" in note]
            first, *others = note.splitlines()
            assert first == "3 attempts:"
            starts = [
                "attempt 1: Busy: 5 for the 1. time, rank ",
                "attempt 2: Busy: 5 for the 2. t",
            ]
            assert [line.startswith(start) for line, start in zip(others, starts, strict=True)]

    run_afresh(program)


@pytest.mark.parametrize("error", [KeyError, SystemExit, GeneratorExit, RecursionError])
def test_other_errors_are_raised_at_once(error: type[BaseException]) -> None:
    def program() -> None:
        retrying = futures.options(retries=3, retry_on=(Busy, OSError))
        raised = retrying.submit(fails, 1, 1, error).exception()
        assert isinstance(raised, error)
        assert CALLS == {1: 1}
        assert retrying.submit(fails, 2, 3, ConnectionError).result() == 4
        assert CALLS == {1: 1, 2: 4}

    run_afresh(program)


def test_calls_within_are_made_again_with_it() -> None:
    def program() -> None:
        retrying = futures.options(retries=3)
        assert retrying.submit(fails_within, 3).result() == 9
        assert CALLS[3] == 3
        more = futures.options(retries=9)
        assert more.submit(fails_by_a_map, 4).result() == 16 + 1004**2
        nested = futures.options(retries=1).submit(retrying.submit, fails, 6)
        assert nested.result() == 36  # type: ignore[comparison-overlap] # a future stands for its result

    run_afresh(program)


def test_the_pause_between_leaves_the_rank_to_other_tasks() -> None:
    def program() -> None:
        later = futures.options(retries=3, backoff=0.5).submit(fails, 1)
        rest = [futures.submit(add, x, x) for x in NUMBERS]
        assert later.result() == 1
        assert [future.result() for future in rest] == [2 * x for x in NUMBERS]

    run_afresh(program)


def test_what_cant_be_sent_is_made_again_here() -> None:
    def program() -> None:
        unsendable = (x for x in range(3))  # a generator

        def call(x: int) -> int:
            assert unsendable is not None
            return fails(x)

        try:
            assert futures.options(retries=2).submit(call, 3).result() == 9
        except SerializationError:  # a thief has asked for the first attempt
            assert not CALLS[3]

    run_afresh(program)
