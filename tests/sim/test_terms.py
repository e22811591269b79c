"""Calls with terms: they are made as any, on whichever rank, and known by their name."""

from __future__ import annotations

import operator
import sys
from typing import Any

import pytest

from scoop_mpi import futures
from scoop_mpi.errors import DependencyError
from scoop_mpi.futures import Future
from tests.sim.simulation import compute
from tests.sim.test_jobs import add, run_everywhere, square

NUMBERS = list(range(12))
HAS_NOTES = sys.version_info >= (3, 11)


def fail(x: int) -> int:
    compute(0.001)
    raise ValueError(f"no {x}")


def fail_by_a_task(x: int) -> Any:
    return futures.options(name="inner").submit(fail, x).result()


def notes_of(error: BaseException | None) -> list[str]:
    return [note.split(", rank")[0] for note in getattr(error, "__notes__", [])]


def test_they_return_what_they_would_without() -> None:
    def program() -> None:
        named = futures.options(name="squares")
        assert [named.submit(square, x).result() for x in NUMBERS] == [x * x for x in NUMBERS]
        fs = [named.submit(add, x, y=1) for x in NUMBERS]
        assert [future.result() for future in fs] == [x + 1 for x in NUMBERS]
        assert list(named.map(square, NUMBERS)) == [x * x for x in NUMBERS]
        assert list(named.map(add, NUMBERS, NUMBERS, buffersize=3)) == [2 * x for x in NUMBERS]
        assert sorted(named.map_as_completed(square, NUMBERS)) == [x * x for x in NUMBERS]
        assert named.mapReduce(square, operator.add, NUMBERS) == 506
        assert named.mapScan(square, operator.add, range(4)) == [0, 1, 5, 14]

    run_everywhere(program)


def test_an_error_says_which_call_it_was() -> None:
    def program() -> None:
        named = futures.options(name="run 7")
        for error in (
            named.submit(fail, 1).exception(),
            next(f for f in futures.as_completed([named.submit(fail, 1)])).exception(),
        ):
            assert isinstance(error, ValueError)
            assert notes_of(error) == (["call of fail (run 7), arguments (1)"] if HAS_NOTES else [])
        with pytest.raises(ValueError, match="no 0") as caught:
            list(named.map(fail, NUMBERS))
        named_call = "call 0 of map fail (run 7), arguments (0)"
        assert notes_of(caught.value) == ([named_call] if HAS_NOTES else [])
        outer = futures.options(name="outer").submit(fail_by_a_task, 3).exception()
        if HAS_NOTES:
            assert notes_of(outer) == [
                "call of fail (inner), arguments (3)",
                "call of fail_by_a_task (outer), arguments (3)",
            ]

    run_everywhere(program)


def test_what_is_said_of_it_names_it() -> None:
    def program() -> None:
        named = futures.options(name="run 7")
        future = named.submit(square, 3)
        assert repr(future) == "<Future square(3) (run 7) not done>"
        failing = named.submit(fail, 1)
        error = named.submit(square, failing).exception()
        assert isinstance(error, DependencyError)
        assert str(error).startswith("square (run 7) was not called")
        with pytest.raises(RuntimeError, match=r"stop \(run 7\) raised StopIteration"):
            list(named.map(stop, NUMBERS))
        assert future.result() == 9

    run_everywhere(program)


def stop(x: int) -> int:
    raise StopIteration(x)


def test_universal_callbacks_and_terms() -> None:
    def program() -> None:
        future = futures.options(name="run 7").submit(square, 3)
        future.add_done_callback(square_of, inCallbackType="universal")
        assert future.result() == 9

    run_everywhere(program, is_quick=True)


def square_of(future: Future) -> None:
    assert future.result() == 9
