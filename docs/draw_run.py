"""Draws run.svg, the picture on the first page: which rank makes which call of a map, and when.

python -m docs.draw_run
"""

from __future__ import annotations

from pathlib import Path

from docs.drawing import Drawing, TimeLine
from docs.simulation import Run

FILE = Path(__file__).resolve().parent / "run.svg"

# Seconds that each call takes. Nobody knows them beforehand.
LENGTHS = (1.1, 2.0, 1.0, 0.9, 3.6, 1.2, 0.9, 1.6, 1.0, 2.2, 1.1, 1.4, 0.8, 1.5, 2.4, 1.0)
RUN = Run(LENGTHS, ready=(0.0, 0.0, 0.15, 0.3), on_the_way=0.25)

LINE = TimeLine(left=62, top=44, row=44, bar=28, unit=47)
WORDS = (
    "A time line of four ranks. Rank 0 begins with the 16 calls of a map. Each rank that has"
    " nothing to do takes half of the calls that another has left, so that all of them end at"
    " about the same time, though some calls take four times as long as others."
)


def draw() -> str:
    """Return the picture."""
    bottom = LINE.top + LINE.row * len(RUN.ranks) + 6
    right = LINE.x(RUN.end)
    picture = Drawing(WORDS, width=400, height=252, letters=14, pixels=480)
    picture.text(LINE.left, 20, f"futures.map(simulate, range({len(LENGTHS)}))")
    LINE.draw(picture, RUN, lambda _: "shape rank0")
    picture.path("axis", f"M{LINE.left} {bottom} H{right:.1f}")
    picture.text(LINE.left, bottom + 20, "time")
    serial = sum(LENGTHS)
    picture.text(right, bottom + 20, f"{RUN.end:.1f} s, and {serial:.1f} s on one rank", "end")
    return picture.svg()


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
