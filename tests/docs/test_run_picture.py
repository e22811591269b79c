"""The picture of a run on the first page is what its script draws."""

from __future__ import annotations

from docs.draw_run import FILE, draw


def test_the_picture_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == draw(), "python -m docs.draw_run"
