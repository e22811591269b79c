"""Draws run.svg, the picture on the first page: which rank makes which call of a map, and when.

    python docs/draw_run.py

The picture is a part of the page, so that its colours are those of the theme, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).resolve().parent / "run.svg"

# Seconds that each call takes. Nobody knows them beforehand.
LENGTHS = (1.1, 2.0, 1.0, 0.9, 3.6, 1.2, 0.9, 1.6, 1.0, 2.2, 1.1, 1.4, 0.8, 1.5, 2.4, 1.0)
# Seconds until each rank asks for calls; rank 0 has them.
READY = (0.0, 0.0, 0.15, 0.3)
RANKS = len(READY)
# Seconds until a rank that has asked for calls has them.
ON_THE_WAY = 0.25

# In the picture's own units, which are pixels at its full width.
WIDTH, LEFT, TOP = 560, 62, 44
ROW, BAR, SECOND = 44, 28, 70.0

WORDS = (
    "A time line of four ranks. Rank 0 begins with the 16 calls of a map. Each rank that has"
    " nothing to do takes half of the calls that another has left, so that all of them end at"
    " about the same time, though some calls take four times as long as others."
)
STYLE = """\
.run text { font: 14px sans-serif; fill: var(--color-foreground-primary, #777); }
.run .number { font-size: 13px; fill: #fff; text-anchor: middle; }
.run .call { fill: #2f6db5; }
.run .taken { stroke: var(--color-foreground-primary, #777); stroke-width: 1.5; fill: none; }
.run .head { fill: var(--color-foreground-primary, #777); }
.run .axis { stroke: var(--color-foreground-muted, #777); }"""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a rank made."""

    rank: int
    number: int
    begin: float

    @property
    def end(self) -> float:
        return self.begin + LENGTHS[self.number]


@dataclass(frozen=True, slots=True)
class Taking:
    """Calls that went from one rank to another."""

    victim: int
    thief: int
    time: float


@dataclass(slots=True)
class Run:
    """A map on some ranks: who is free takes half of what the one with most has left."""

    calls: list[Call] = field(default_factory=list)
    takings: list[Taking] = field(default_factory=list)

    def __post_init__(self) -> None:
        left = [list(range(len(LENGTHS))), *([] for _ in range(1, RANKS))]
        free = list(READY)
        while any(left):
            rank = min(range(RANKS), key=free.__getitem__)
            if not left[rank]:
                victim = max(range(RANKS), key=lambda other: len(left[other]))
                half = len(left[victim]) - len(left[victim]) // 2
                left[victim], left[rank] = left[victim][:-half], left[victim][-half:]
                self.takings.append(Taking(victim, rank, free[rank]))
                free[rank] += ON_THE_WAY
            call = Call(rank, left[rank].pop(0), free[rank])
            self.calls.append(call)
            free[rank] = call.end


def middle(rank: int) -> int:
    """Return how far below the top the row of a rank has its middle."""
    return TOP + ROW * rank + ROW // 2


def lines(run: Run) -> Iterator[str]:
    """Yield the lines of the picture."""
    bottom = TOP + ROW * RANKS + 6
    end = max(call.end for call in run.calls)
    right = LEFT + SECOND * end
    yield (
        f'<svg class="run" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 26}"'
        f' role="img" aria-label="{WORDS}">'
    )
    yield f"<style>\n{STYLE}\n</style>"
    yield f'<text x="{LEFT}" y="20">futures.map(simulate, range({len(LENGTHS)}))</text>'
    for rank in range(RANKS):
        yield f'<text x="0" y="{middle(rank) + 5}">rank {rank}</text>'
    # First what the bars are to cover.
    for taking in run.takings:
        down = 1 if taking.thief > taking.victim else -1
        x = LEFT + SECOND * (taking.time + ON_THE_WAY / 2)
        begin, tip = middle(taking.victim) + down * BAR // 2, middle(taking.thief)
        yield f'<path class="taken" d="M{x:.1f} {begin} V{tip - down * 7}"/>'
        yield (f'<path class="head" d="M{x - 4:.1f} {tip - down * 8} h8 L{x:.1f} {tip} z"/>')
    for call in run.calls:
        x, width = LEFT + SECOND * call.begin, SECOND * LENGTHS[call.number] - 2
        y = middle(call.rank)
        yield (
            f'<rect class="call" x="{x:.1f}" y="{y - BAR // 2}" width="{width:.1f}"'
            f' height="{BAR}" rx="3"/>'
        )
        yield f'<text class="number" x="{x + width / 2:.1f}" y="{y + 5}">{call.number}</text>'
    yield f'<path class="axis" d="M{LEFT} {bottom} H{right:.1f}"/>'
    yield f'<text x="{LEFT}" y="{bottom + 20}">time</text>'
    serial = sum(LENGTHS)
    yield (
        f'<text x="{right:.1f}" y="{bottom + 20}" text-anchor="end">'
        f"{end:.1f} s, and {serial:.1f} s on one rank</text>"
    )
    yield "</svg>"


def draw() -> str:
    """Return the picture."""
    return "\n".join(lines(Run())) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
