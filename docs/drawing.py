"""What all pictures of the documentation are drawn with: shapes, colours, and a time line.

A picture is a part of its page, so that its colours are those of the theme, light or dark. Lengths
are in the picture's own units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape

from docs.simulation import Call, Run

STYLE = """\
.picture { font-family: sans-serif; }
.picture text { fill: var(--color-foreground-primary, #777); }
.picture .inside { fill: #fff; text-anchor: middle; }
.picture .middle { text-anchor: middle; }
.picture .end { text-anchor: end; }
.picture .code { font-family: monospace; }
.picture .line { fill: none; stroke: var(--color-foreground-primary, #777); stroke-width: 1.5; }
.picture .head { fill: var(--color-foreground-primary, #777); }
.picture .axis { fill: none; stroke: var(--color-foreground-muted, #777); }
.picture .box {
  fill: var(--color-background-secondary, none); stroke: var(--color-foreground-muted, #777);
}
.picture .wrong { fill: none; stroke: #d9463b; stroke-width: 2; }
.picture .wrong-head { fill: #d9463b; }
.picture .shape { fill: currentColor; }
.picture .stroke { fill: none; stroke: currentColor; stroke-width: 2; }
.picture .dots { fill: none; stroke: currentColor; stroke-width: 5; stroke-linecap: round; }
.picture .pale { opacity: 0.35; }
.picture .rank0 { color: #2f6db5; }
.picture .rank1 { color: #c05a1c; }
.picture .rank2 { color: #23806f; }
.picture .rank3 { color: #96529f; }"""


def short(number: float) -> str:
    """Return a number with at most one decimal."""
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")


@dataclass(slots=True)
class Drawing:
    """A picture: its size, the size of its letters, and the lines that make it up.

    Attributes:
        words: what it shows, for those who don't see it.
        pixels: how wide it is at the most, where there is room.
    """

    words: str
    width: int
    height: int
    letters: int
    pixels: int
    _lines: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: object, kind: str = "") -> None:
        """Write a text, whose base line is at y."""
        self._element("text", kind, escape(str(text), quote=False), x=x, y=y)

    def rectangle(
        self, kind: str, x: float, y: float, width: float, height: float, round: int = 0
    ) -> None:
        self._element("rect", kind, x=x, y=y, width=width, height=height, rx=round)

    def circle(self, kind: str, x: float, y: float, radius: float) -> None:
        self._element("circle", kind, cx=x, cy=y, r=radius)

    def path(self, kind: str, way: str) -> None:
        """Draw lines, in the language of SVG's paths."""
        self._element("path", kind, d=way)

    def dots(self, kind: str, places: Iterable[tuple[float, float]]) -> None:
        """Draw small discs, as lines without a length that have round ends."""
        self.path(f"dots {kind}", "".join(f"M{short(x)} {short(y)}h0" for x, y in places))

    def rows_of_pixels(self, colour: str, size: int, x: float, y: float, way: str) -> None:
        """Draw lines as thick as a pixel, whose upper left corner is where they begin."""
        self._lines.append(
            f'<path fill="none" stroke="{colour}" stroke-width="{size}"'
            f' shape-rendering="crispEdges"'
            f' transform="translate({short(x)} {short(y + size / 2)})" d="{way}"/>'
        )

    def arrow(self, x: float, y: float, to: float, kind: str = "line", head: str = "head") -> None:
        """Draw an arrow to the right."""
        self.path(kind, f"M{short(x)} {short(y)} H{short(to - 7)}")
        self.path(head, f"M{short(to - 8)} {short(y - 4)} v8 L{short(to)} {short(y)} z")

    def arrow_down(self, x: float, y: float, to: float) -> None:
        """Draw an arrow downwards, or upwards if it leads there."""
        down = 1 if to > y else -1
        self.path("line", f"M{short(x)} {short(y)} V{short(to - down * 7)}")
        self.path("head", f"M{short(x - 4)} {short(to - down * 8)} h8 L{short(x)} {short(to)} z")

    def legend(self, ranks: Iterable[int]) -> None:
        """Say at the top which colour is which rank's."""
        for place, rank in enumerate(ranks):
            x = place * self.width // 4
            self.rectangle(f"shape rank{rank}", x, 2, 12, 12, round=2)
            self.text(x + 17, 13, f"rank {rank}")

    def svg(self) -> str:
        """Return the picture, as a file has it."""
        words = escape(self.words)
        head = (
            f'<svg class="picture" xmlns="http://www.w3.org/2000/svg"'
            f' viewBox="0 0 {self.width} {self.height}" font-size="{self.letters}"'
            f' style="max-width: {self.pixels}px" role="img" aria-label="{words}">'
        )
        lines = [head, f"<style>\n{STYLE}\n</style>", *self._lines, "</svg>"]
        return "\n".join(lines) + "\n"

    def _element(self, name: str, kind: str, content: str = "", **numbers: float | str) -> None:
        named = {"class": kind, **numbers} if kind else numbers
        attributes = " ".join(
            f'{key}="{value if isinstance(value, str) else short(value)}"'
            for key, value in named.items()
        )
        end = f">{content}</{name}>" if content else "/>"
        self._lines.append(f"<{name} {attributes}{end}")


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Where the calls of a run stand in a picture: a row for each rank, and time from the left.

    Attributes:
        unit: how wide a unit of time is.
    """

    left: float
    top: float
    row: float
    bar: float
    unit: float

    def x(self, time: float) -> float:
        return self.left + self.unit * time

    def y(self, rank: int) -> float:
        """Return where the row of a rank has its middle."""
        return self.top + self.row * (rank + 0.5)

    def draw(
        self, drawing: Drawing, run: Run, kind: Callable[[Call], str], least: float = 0
    ) -> None:
        """Draw a bar for each call, with its number if it is no narrower than the least."""
        low = drawing.letters * 0.36
        for rank in run.ranks:
            drawing.text(0, self.y(rank) + low, f"rank {rank}")
        for taking in run.takings:
            # The bars cover where it begins.
            down = 1 if taking.thief > taking.victim else -1
            x = self.x((taking.begin + taking.end) / 2)
            begin = self.y(taking.victim) + down * self.bar / 2
            drawing.arrow_down(x, begin, self.y(taking.thief))
        for call in run.calls:
            x, width = self.x(call.begin), self.unit * (call.end - call.begin) - 1.5
            y = self.y(call.rank)
            drawing.rectangle(kind(call), x, y - self.bar / 2, max(width, 1), self.bar, round=3)
            if width >= least:
                drawing.text(x + width / 2, y + low, call.number, "inside")
