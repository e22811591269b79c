"""Records: read as written, joined, and refused if they are something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.records import dump, load, merged
from tests.benchmarks.results import record, results


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    written = results(
        record("ours", {"rate": 1.5, "list": [1.0, 2.0]}),
        record("theirs", {}, error="broken"),
    )
    dump(written, path)
    assert load(path) == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {}, "records": [{}], "absent": {}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json holds no results"):
        load(path)


def test_rounds_of_different_runs_stay_apart() -> None:
    run = results(record("ours", {"rate": 1.0}, round_=0), record("ours", {"rate": 2.0}, round_=1))
    joined = merged([run, run])
    assert [each.round for each in joined.records] == [0, 1, 2, 3]
    assert joined.machine == {"cores": "2"}


def test_no_runs_can_not_be_joined() -> None:
    with pytest.raises(ValueError, match="no results"):
        merged([])


def test_a_metric_is_a_number_or_a_list() -> None:
    found = record("ours", {"rate": 1.0, "list": [1.0]})
    with pytest.raises(TypeError, match="is a list"):
        found.number("list")
    with pytest.raises(TypeError, match="is no list"):
        found.numbers("rate")
