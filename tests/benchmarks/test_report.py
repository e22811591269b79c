"""What is made of the records: rows, tables, the page."""

from __future__ import annotations

import math

import pytest

from benchmarks.case import Unit, at_least, at_most
from benchmarks.report import BEGIN, END, goal_text, insert, markdown, quantity, rows
from tests.benchmarks.results import CASE, record, results


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5e-6, "s", "2.5 µs"),
        (3600.0, "s", "3.6e+03 s"),
        (0.0, "s", "0 ns"),
        (12_345_678.0, "tasks/s", "12.3 Mtasks/s"),
        (0.5, "tasks/s", "0.5 tasks/s"),
        (6.4e9, "bytes/s", "6.4 GB/s"),
        (17.0, "bytes", "17 B"),
        (0.974, "share", "97.4 %"),
        (1.5, "times", "1.5"),
        (math.inf, "s", "none"),
    ],
)
def test_quantities_have_a_prefix_and_a_unit(value: float, unit: Unit, text: str) -> None:
    assert quantity(value, unit) == text


def test_goals_in_words() -> None:
    assert goal_text(at_most(3e-6), "s") == "at most 3 µs"
    assert goal_text(at_least(0.97), "share") == "at least 97 %"
    assert goal_text(None, "s") == ""


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was ten times slower in the second round, for both.
    records = [
        record("ours", {"rate": 300.0, "seconds": 1.0}, round_=0),
        record("theirs", {"rate": 100.0}, round_=0),
        record("ours", {"rate": 30.0, "seconds": 10.0}, round_=1),
        record("theirs", {"rate": 10.0}, round_=1),
    ]
    row = next(rows([CASE], records))
    assert row.ratio is not None
    assert (row.ratio.least, row.ratio.most) == (3.0, 3.0)
    assert row.is_reached


def test_a_round_without_the_other_is_left_out_of_the_ratio() -> None:
    records = [
        record("ours", {"rate": 300.0, "seconds": 1.0}, round_=0),
        record("theirs", {"rate": 100.0}, round_=0),
        record("ours", {"rate": 30.0, "seconds": 1.0}, round_=1),
        record("theirs", {}, round_=1, error="RuntimeError: broken"),
    ]
    row = next(rows([CASE], records))
    assert row.value.count == 1


def test_each_mpi_and_each_number_of_ranks_has_a_row_of_its_own() -> None:
    places = [("MPICH", 2), ("MPICH", 64), ("Open MPI", 2)]
    records = [
        record("ours", {"seconds": 1.0}, environment=mpi, ranks=ranks, round_=round_)
        for round_, (mpi, ranks) in enumerate(places)
    ]
    found = [row for row in rows([CASE], records) if row.figure is CASE.figures[1]]
    assert [(row.environment, row.ranks) for row in found] == places


def test_a_peer_without_mpi_stands_beside_each_mpi() -> None:
    records = [
        record("ours", {"rate": 8.0, "seconds": 1.0}, environment="MPICH"),
        record("ours", {"rate": 6.0, "seconds": 1.0}, environment="Open MPI"),
        record("theirs", {"rate": 2.0}),
    ]
    found = [row.ratio.median for row in rows([CASE], records) if row.ratio]
    assert found == [4.0, 3.0]


def test_a_goal_that_is_missed_says_no() -> None:
    text = markdown([CASE], results(record("ours", {"seconds": 0.5})))
    assert "| one task |  | 2 | 500 ms |  | (500 ms to 500 ms) | at most 1 ms | **no** |" in text
    assert "| one task again |  | 2 | 500 ms |  | (500 ms to 500 ms) |  |  |" in text


def test_the_report_names_the_machine_the_absent_and_the_failed() -> None:
    failed = record("theirs", {}, error="starting\nRuntimeError: broken\nfinished\n")
    text = markdown([CASE], results(record("ours", {"seconds": 0.5}), failed))
    assert "- cores: 2" in text
    assert "- left out: Ray, not installed" in text
    assert "- speed, theirs: RuntimeError: broken" in text


def test_a_failure_is_told_in_words_even_if_the_launcher_ends_with_a_rule() -> None:
    failed = record("theirs", {}, error="mpiexec ended with 1:\nnot allowed as root\n-----\n")
    text = markdown([CASE], results(record("ours", {"seconds": 0.5}), failed))
    assert "- speed, theirs: not allowed as root" in text


def test_a_page_keeps_what_is_around_the_markers() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = insert(page, "new\n")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert insert(once, "new\n") == once


@pytest.mark.parametrize("page", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_a_page_without_its_markers_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="markers"):
        insert(page, "text")
