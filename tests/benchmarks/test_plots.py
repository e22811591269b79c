"""The pictures: which lines there are, and that files come of them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.plots import curves, draw, efficiencies
from tests.benchmarks.results import record


def test_a_line_goes_through_the_medians_of_all_rounds() -> None:
    records = [
        record("ours", {"sizes": [1.0, 2.0], "rates": [rate, 10 * rate]}, round_=round_)
        for round_, rate in enumerate([1.0, 5.0, 3.0])
    ]
    (curve,) = curves(records, "speed", "sizes", "rates")
    assert (curve.xs, curve.ys) == ((1.0, 2.0), (3.0, 30.0))


def test_runs_on_several_numbers_of_ranks_have_lines_of_their_own() -> None:
    records = [
        record("ours", {"sizes": [1.0], "rates": [1.0]}, ranks=16, round_=0),
        record("ours", {"sizes": [1.0, 2.0], "rates": [1.0, 2.0]}, ranks=64, round_=1),
    ]
    found = curves(records, "speed", "sizes", "rates")
    assert [curve.label for curve in found] == ["ours, 16 ranks", "ours, 64 ranks"]


def test_without_the_case_speedup_efficiency_comes_from_the_uneven_load() -> None:
    of_jobs = [
        record(
            "ours",
            {"serial_seconds": 1.0, "map_efficiency": share},
            case="uneven",
            ranks=ranks,
        )
        for ranks, share in ((16, 0.8), (2, 0.9))
    ]
    (curve,) = efficiencies(of_jobs, "serial_seconds", "uneven")
    assert (curve.xs, curve.ys) == ((2.0, 16.0), (0.9, 0.8))


def test_only_what_was_measured_is_drawn(tmp_path: Path) -> None:
    records = [
        record("ours", {"sizes": [1.0, 2.0], "rates": [1.0, 2.0]}, case="bandwidth"),
        record("ours", {"percentiles": [float(p) for p in range(101)]}, case="roundtrip"),
        record("theirs", {}, case="metg", error="broken"),
    ]
    folder = tmp_path / "plots"
    assert draw(records, folder) == [folder / "bandwidth.png", folder / "roundtrip.png"]
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
