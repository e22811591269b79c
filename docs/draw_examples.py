"""Draws pictures/NAME.svg, the picture of each program in examples/.

    python -m docs.draw_examples [NAME ...]

The values that they show are computed by the programs' own functions. Who makes which call, and
when, is simulated: it differs from run to run, and the pictures should not. They are files of the
repository, because a build of the site would need DEAP to draw them; tests/docs/test_gallery.py
compares.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate, groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from docs.drawing import Drawing, TimeLine, short
from docs.simulation import Run

PICTURES_FOLDER = Path(__file__).resolve().parent / "pictures"

WIDTH = 360
RANKS = range(4)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a program.

    Attributes:
        height: how high it is.
        draw: draws it.
        words: what it shows, for those who don't see it.
        caption: what stands below it on the program's page.
    """

    height: int
    draw: Callable[[Drawing], None]
    words: str
    caption: str

    def svg(self) -> str:
        """Return the picture, as its file has it."""
        drawing = Drawing(self.words, WIDTH, self.height, letters=12, pixels=480)
        self.draw(drawing)
        return drawing.svg()


@dataclass(slots=True)
class Recorder:
    """Stands for `futures` in a program: makes each call at once, and notes who started it.

    Attributes:
        arguments: those of each call, in the order in which they began.
        results: what they returned.
        started: for each of them the calls that it started.
    """

    arguments: list[tuple[Any, ...]] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    started: list[list[int]] = field(default_factory=list)
    _under_way: list[int] = field(default_factory=list)

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any]) -> list[Any]:
        return [self._call(function, arguments) for arguments in zip(*iterables, strict=True)]

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(self._call(function, arguments))
        return future

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        number = len(self.arguments)
        if self._under_way:
            self.started[self._under_way[-1]].append(number)
        self.arguments.append(arguments)
        self.results.append(None)
        self.started.append([])
        self._under_way.append(number)
        self.results[number] = function(*arguments)
        self._under_way.pop()
        return self.results[number]


def program(name: str) -> Any:
    """Import a program of examples/."""
    return import_module(f"examples.{name}")


def constants(**values: Any) -> Any:
    """Return what stands for `shared` in a program that has set these constants."""
    return SimpleNamespace(getConst=values.__getitem__)


def places_in_tree(started: Sequence[Sequence[int]]) -> list[tuple[float, int]]:
    """Return for each node how far from the left it stands, counted in leaves, and how deep."""
    places = [(0.0, 0) for _ in started]
    leaves = 0

    def place(node: int, depth: int) -> float:
        nonlocal leaves
        if started[node]:
            across = [place(child, depth + 1) for child in started[node]]
            x = (across[0] + across[-1]) / 2
        else:
            x = float(leaves)
            leaves += 1
        places[node] = (x, depth)
        return x

    place(0, 0)
    return places


def draw_tree(drawing: Drawing, run: Run, top: float, step: float, radius: float) -> None:
    """Draw the tree of a run's calls, each in the colour of the rank that made it."""
    places = places_in_tree(run.started)
    leaves = max(x for x, _ in places) + 1
    unit = WIDTH / leaves

    def at(node: int) -> tuple[float, float]:
        x, depth = places[node]
        return unit * (x + 0.5), top + step * depth

    for node, children in enumerate(run.started):
        x, y = at(node)
        ways = (f"M{short(x)} {short(y)}L{' '.join(map(short, at(child)))}" for child in children)
        if children:
            drawing.path("axis", "".join(ways))
    for node, rank in sorted(run.rank_of().items()):
        drawing.circle(f"shape rank{rank}", *at(node), radius)


def map_doc(drawing: Drawing) -> None:
    square = program("map_doc").square
    ranks = Run([1.0] * 100).rank_of()
    drawing.legend(RANKS)
    for number in range(100):
        x, y = number % 10 * 36, 26 + number // 10 * 19
        drawing.rectangle(f"shape rank{ranks[number]}", x, y, 35, 18)
        drawing.text(x + 17.5, y + 13.5, square(number), "inside")


def pi_calc(drawing: Drawing) -> None:
    module = program("pi_calc")
    recorder = Recorder()
    with patch.object(module, "futures", recorder):
        pi, error = module.estimate_pi(512)
    ranks = Run([1.0] * len(recorder.arguments)).rank_of()
    side, left, top = 270, 45, 28
    inside: dict[int, list[tuple[float, float]]] = {rank: [] for rank in RANKS}
    outside: dict[int, list[tuple[float, float]]] = {rank: [] for rank in RANKS}
    for number, (seed, tries) in enumerate(recorder.arguments):
        source = random.Random(seed)
        for _ in range(tries):
            x, y = source.random(), source.random()
            kind = inside if x * x + y * y <= 1 else outside
            kind[ranks[number]].append((left + side * x, top + side * (1 - y)))
    hits = sum(map(len, inside.values()))
    if hits != sum(recorder.results):
        raise ValueError("the darts are not those that the program has thrown")
    drawing.legend(RANKS)
    drawing.rectangle("axis", left, top, side, side)
    for rank in RANKS:
        drawing.dots(f"rank{rank}", inside[rank])
        drawing.dots(f"rank{rank} pale", outside[rank])
    drawing.path("line", f"M{left} {top} A{side} {side} 0 0 1 {left + side} {top + side}")
    drawing.text(WIDTH / 2, 316, f"4 * {hits} / 512 darts: pi = {pi:.2f} ± {error:.2f}", "middle")


def image_filter(drawing: Drawing) -> None:
    module = program("image_filter")
    image = module.make_image()
    blurred = module.blur(image)
    blocks = module.split(image)
    ranks = Run([1.0] * len(blocks)).rank_of()
    step, cell, top = 30, 3, 44
    rows = (module.ROWS - 2) // step + 1
    left = WIDTH - cell * ((module.COLUMNS - 2) // step + 1)
    drawing.legend(RANKS)
    drawing.text(0, top - 8, "before")
    drawing.text(left, top - 8, "after")
    # Without its border, which the blurred image lacks.
    draw_pixels(drawing, image[1:-1:step, 1:-1:step], 0, top, cell)
    draw_pixels(drawing, blurred[::step, ::step], left, top, cell)
    height = cell * rows / len(blocks)
    for number in range(len(blocks)):
        y = top + height * number
        drawing.rectangle(f"shape rank{ranks[number]}", WIDTH / 2 - 8, y, 16, height - 1)


def draw_pixels(drawing: Drawing, image: Any, left: float, top: float, cell: int) -> None:
    """Draw an image, each pixel as a square in one of six greys."""
    greys = [f"#{grey:02x}{grey:02x}{grey:02x}" for grey in range(30, 256, 45)]
    levels = ((image + 1.5) / 3 * len(greys)).astype(int).clip(0, len(greys) - 1)
    # Those of a row that are alike and beside each other are one line.
    ways: list[list[str]] = [[] for _ in greys]
    for row, line in enumerate(levels.tolist()):
        column = 0
        for level, alike in groupby(line):
            length = len(list(alike))
            ways[level].append(f"M{cell * column} {cell * row}h{cell * length}")
            column += length
    for grey, way in zip(greys, ways, strict=True):
        drawing.rows_of_pixels(grey, cell, left, top, "".join(way))


def map_as_completed(drawing: Drawing) -> None:
    simulate = program("map_as_completed").simulate
    with patch("time.sleep"):
        lengths = [duration for _, duration in map(simulate, range(16))]
    run = Run(lengths, ready=(0.0, 0.001, 0.002, 0.003), on_the_way=0.003)
    line = TimeLine(left=52, top=0, row=32, bar=20, unit=305 / run.end)
    line.draw(drawing, run, lambda call: f"shape rank{call.rank}", least=15)
    low = draw_arrivals(drawing, run, line, "results")
    drawing.text(WIDTH, low, f"{run.end:.2f} s, and {sum(lengths):.2f} s on one rank", "end")


def callbacks(drawing: Drawing) -> None:
    module = program("callbacks")
    # To find that a number is prime takes about as many divisions as its root has units.
    lengths = [(number + 1) ** 1.5 for number in range(module.TASKS)]
    run = Run(lengths, ready=(0.0, 4.0, 4.5, 5.0), on_the_way=1.0, by_themselves=True)
    line = TimeLine(left=52, top=0, row=32, bar=20, unit=305 / run.end)
    line.draw(drawing, run, lambda call: f"shape rank{call.rank}", least=15)
    draw_arrivals(drawing, run, line, "done")


def draw_arrivals(drawing: Drawing, run: Run, line: TimeLine, unit: str) -> float:
    """Draw below a time line a dot for each result that rank 0 takes note of, and count them.

    Returns:
        Where the base line of the text below them is.
    """
    step = 4
    bottom = line.y(len(run.ranks)) - 8 + step * len(run.calls)
    for count in range(0, len(run.calls) + 1, 5):
        y = bottom - step * count
        drawing.path("axis" if count == 0 else "axis pale", f"M{line.left} {short(y)} H{WIDTH}")
        if count:
            drawing.text(line.left - 6, y + 4, f"{count} {unit}" if count == 5 else count, "end")
    noted = sorted(run.calls, key=lambda call: (run.noted(call), call.end))
    for count, call in enumerate(noted, start=1):
        place = (line.x(run.noted(call)), bottom - step * count)
        drawing.dots(f"rank{call.rank}", [place])
    drawing.text(line.left, bottom + 16, "time")
    return bottom + 16


def exceptions(drawing: Drawing) -> None:
    reciprocal = program("exceptions").reciprocal
    numbers = [-2, -1, 0, 1, 2]
    drawing.text(0, 13, "on any rank")
    drawing.text(166, 13, "where result() is called")
    for row, number in enumerate(numbers):
        y = 22 + 30 * row
        try:
            outcome, fails = f"returns {reciprocal(number)}", False
        except ZeroDivisionError as error:
            outcome, fails = f"raises {type(error).__name__}", True
        drawing.rectangle("wrong" if fails else "box", 1, y, 116, 24, round=3)
        drawing.text(59, y + 16, f"reciprocal({number})", "code middle")
        if fails:
            drawing.arrow(118, y + 12, 160, "wrong", "wrong-head")
        else:
            drawing.arrow(118, y + 12, 160)
        drawing.rectangle("wrong" if fails else "box", 161, y, 198, 24, round=3)
        drawing.text(170, y + 16, outcome)


def nested_tree(drawing: Drawing) -> None:
    module = program("nested_tree")
    recorder = Recorder()
    with patch.object(module, "futures", recorder):
        leaves = recorder.submit(module.count_leaves, 5).result()
    run = Run([1.0] * len(recorder.started), started=recorder.started)
    drawing.legend(RANKS)
    draw_tree(drawing, run, top=34, step=30, radius=4.8)
    drawing.text(WIDTH / 2, 208, f"{leaves} leaves", "middle")


def tree_traversal(drawing: Drawing) -> None:
    module = program("tree_traversal")
    recorder = Recorder()
    with (
        patch.object(module, "futures", recorder),
        patch.object(module, "shared", constants(children=module.grow_tree(70))),
    ):
        nodes, steps = recorder.submit(module.traverse, 0).result()
    work = [1.0 + module.visit(node) for (node,) in recorder.arguments]
    run = Run(work, started=recorder.started)
    depth = max(depth for _, depth in places_in_tree(recorder.started))
    drawing.legend(RANKS)
    draw_tree(drawing, run, top=30, step=210 / depth, radius=4.8)
    drawing.text(WIDTH / 2, 264, f"{nodes} nodes, {steps} steps", "middle")


def recursion(drawing: Drawing) -> None:
    module = program("recursion")
    recorder = Recorder()
    with patch.object(module, "futures", recorder):
        recorder.submit(module.factorial, 6)
    for depth, ((number,), result) in enumerate(
        zip(recorder.arguments, recorder.results, strict=True)
    ):
        x, y = 17 * depth, 2 + 27 * depth
        is_last = not recorder.started[depth]
        kind = "shape rank0" if is_last else "box"
        drawing.rectangle(kind, x + 0.5, y, WIDTH - 2 * x - 1, 24, round=3)
        if is_last:
            drawing.text(WIDTH / 2, y + 16, f"factorial({number}) = {result}", "inside")
        else:
            below = recorder.results[depth + 1]
            text = f"factorial({number}) = {number} * {below} = {result}"
            drawing.rectangle("shape rank0", x + 0.5, y, 16, 24, round=3)
            drawing.rectangle("shape rank0", WIDTH - x - 16.5, y, 16, 24, round=3)
            drawing.text(WIDTH / 2, y + 16, text, "middle")
    bottom = 2 + 27 * len(recorder.arguments) + 6
    drawing.path("axis", f"M0 {bottom} H{WIDTH}")
    drawing.text(0, bottom + 16, "time")
    drawing.rectangle("shape rank0", 120, bottom + 7, 11, 11, round=2)
    drawing.text(136, bottom + 16, "runs")
    drawing.rectangle("box", 220, bottom + 7, 11, 11, round=2)
    drawing.text(236, bottom + 16, "waits")


# Each verse of the rhyme tells this of the one before.
RHYME = (
    "the house that Jack built",
    "the malt that lay in",
    "the rat that ate",
    "the cat that killed",
    "the dog that worried",
    "the cow that tossed",
    "the maiden that milked",
    "the man that kissed",
)


def map_reduce(drawing: Drawing) -> None:
    count_words = program("map_reduce").count_words
    verses = [" ".join(RHYME[number::-1]) for number in range(len(RHYME))]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.txt" for number in range(len(verses))]
        for file, verse in zip(files, verses, strict=True):
            file.write_text(verse, encoding="utf-8")
        row = [(count_words(file), {rank_}) for file, rank_ in zip(files, ranks_of(8), strict=True)]
    drawing.legend(RANKS)
    step, top, gap = WIDTH / len(row), 42, 64
    drawing.text(0, top - 8, "Words in each of 8 files, then added up two by two:")
    places = [step * (number + 0.5) for number in range(len(row))]
    while True:
        for x, (words, ranks) in zip(places, row, strict=True):
            # What several ranks have counted rank 0 adds up.
            rank = min(ranks) if len(ranks) == 1 else 0
            drawing.rectangle(f"shape rank{rank}", x - 21.5, top, 43, 34, round=3)
            drawing.text(x, top + 14, f"the {words['the']}", "inside")
            drawing.text(x, top + 28, f"rat {words['rat']}", "inside")
        if len(row) == 1:
            return
        pairs = list(zip(row[::2], row[1::2], strict=True))
        row = [(left + right, ours | theirs) for (left, ours), (right, theirs) in pairs]
        above = [sum(pair) / 2 for pair in zip(places[::2], places[1::2], strict=True)]
        for number, x in enumerate(places):
            way = f"M{short(x)} {top + 34} L{short(above[number // 2])} {top + gap}"
            drawing.path("axis", way)
        places, top = above, top + gap


def ranks_of(calls: int) -> list[int]:
    """Return which rank makes each of some calls that take equally long."""
    return [rank for _, rank in sorted(Run([1.0] * calls).rank_of().items())]


def map_scan(drawing: Drawing) -> None:
    gain = program("map_scan").gain
    gains = list(map(gain, range(40)))
    balance = list(accumulate(gains))
    step = WIDTH / len(gains)
    drawing.legend(RANKS)
    drawing.text(0, 38, "gain of each year, on all ranks")
    zero = 96
    for year, (amount, rank) in enumerate(zip(gains, ranks_of(len(gains)), strict=True)):
        height = abs(amount) * 0.75
        y = zero - height if amount > 0 else zero
        drawing.rectangle(f"shape rank{rank}", step * year, y, step - 1.5, height)
    drawing.path("axis", f"M0 {zero} H{WIDTH}")
    drawing.text(0, 150, "balance after each year, added up on rank 0")
    top, low = 172, min(balance)
    unit = 100 / (max(balance) - low)
    zero = top + 100 + unit * low
    drawing.path("axis", f"M0 {short(zero)} H{WIDTH}")
    for year, total in enumerate(balance):
        height = abs(total) * unit
        y = zero - height if total > 0 else zero
        drawing.rectangle("shape rank0", step * year, y, step - 1.5, height)
    drawing.text(WIDTH - 2, top - 4, balance[-1], "end")


def lambdas(drawing: Drawing) -> None:
    module = program("lambdas")
    power = module.power_function(3)
    (cell,) = power.__closure__
    polynomial = module.Polynomial(1, 2, 3)
    owner = type(polynomial).__name__
    method = polynomial.derivative.__name__
    rows = [
        ("lambda", True, "offset = 10"),
        ("closure", True, f"{power.__code__.co_freevars[0]} = {cell.cell_contents}"),
        ("partial", False, "pow, 2"),
        ("callable object", False, f"{owner}, {polynomial.coefficients}"),
        ("bound method", False, f"{owner}.{method}, {polynomial.coefficients}"),
        ("function written in C", False, "math.factorial"),
    ]
    for row, (name, is_code, values) in enumerate(rows):
        y = 2 + 46 * row
        drawing.text(0, y + 12, name)
        drawing.rectangle("shape rank0", 1, y + 18, 44, 20, round=3)
        drawing.text(23, y + 32, "code" if is_code else "name", "inside")
        drawing.text(52, y + 32, f"and {values}" if is_code else values, "code")
        if row:
            drawing.path("axis pale", f"M0 {y - 3} H{WIDTH}")


def shared_constants(drawing: Drawing) -> None:
    module = program("shared_constants")
    table = [number * number for number in range(10_000)]
    values = constants(table=table, scale=lambda value: value / 100)
    indices = range(0, 10_000, 10)
    with patch.object(module, "shared", values):
        entry = module.scaled_entry(indices[3])
    ranks = ranks_of(len(indices))
    drawing.rectangle("box", 1, 2, 104, 186, round=3)
    drawing.text(53, 20, "rank 0", "middle")
    for y, name, what in ((40, "table", "10,000 numbers"), (92, "scale", "a function")):
        drawing.rectangle("shape rank0", 7, y, 92, 44, round=3)
        drawing.text(53, y + 18, name, "inside code")
        drawing.text(53, y + 34, what, "inside")
    drawing.text(53, 160, f"{ranks.count(0)} calls", "middle")
    for rank in RANKS[1:]:
        y = 2 + 64 * (rank - 1)
        calls = ranks.count(rank)
        drawing.rectangle("box", 271, y, 88, 58, round=3)
        drawing.text(315, y + 16, f"rank {rank}", "middle")
        drawing.rectangle("shape rank0", 277, y + 22, 76, 12, round=2)
        drawing.text(315, y + 50, f"{calls} calls", "middle")
        drawing.arrow(106, y + 28, 270, "stroke rank0", "shape rank0")
        drawing.text(188, y + 22, "once", "middle")
        xs = range(116, 262, 8)
        drawing.dots(f"rank{rank}", ((x, y + 46) for x in xs))
    drawing.dots("rank1", [(6, 209)])
    drawing.text(16, 213, "a call, which is sent with its index alone")
    index = indices[3]
    drawing.text(0, 235, f"scaled_entry({index}) = scale(table[{index}]) = {entry}", "code")


def genetic_algorithm(drawing: Drawing) -> None:
    module = program("genetic_algorithm")
    toolbox = module.make_toolbox()
    toolbox.register("map", map)
    statistics = module.tools.Statistics(lambda individual: individual.fitness.values[0])
    statistics.register("best", max)
    statistics.register("mean", lambda values: sum(values) / len(values))
    state = random.getstate()
    random.seed(64)
    _, logbook = module.algorithms.eaSimple(
        toolbox.population(n=module.POPULATION),
        toolbox,
        cxpb=0.5,
        mutpb=0.2,
        ngen=module.GENERATIONS,
        stats=statistics,
        verbose=False,
    )
    random.setstate(state)
    left, top, bottom = 28, 12, 190
    unit = (WIDTH - left - 8) / module.GENERATIONS
    floor = 20
    lift = (bottom - top) / (module.BITS - floor)

    def at(generation: int, ones: float) -> str:
        return f"{short(left + unit * generation)} {short(bottom - lift * (ones - floor))}"

    for ones in range(floor, module.BITS + 1, 10):
        drawing.path("axis pale", f"M{at(0, ones)} H{WIDTH - 8}")
        drawing.text(left - 6, bottom - lift * (ones - floor) + 4, ones, "end")
    for generation in range(0, module.GENERATIONS + 1, 10):
        drawing.text(left + unit * generation, bottom + 16, generation, "middle")
    drawing.text(WIDTH / 2, bottom + 34, "generation", "middle")
    drawing.text(left + 8, top + 14, f"ones of {module.BITS}")
    for row, (name, rank) in enumerate((("best", 0), ("mean", 1))):
        places = [at(*place) for place in enumerate(logbook.select(name))]
        drawing.path(f"stroke rank{rank}", "M" + " L".join(places))
        y = bottom - 60 + 22 * row
        drawing.path(f"stroke rank{rank}", f"M210 {y} h20")
        drawing.text(237, y + 4, f"{name} of {module.POPULATION}")


def random_numbers(drawing: Drawing) -> None:
    drawing.rectangle("shape rank0", 120, 2, 100, 24, round=3)
    drawing.text(170, 18, "the seed", "inside")
    for call, rank in enumerate(ranks_of(4)):
        x = 8 + 84 * call
        drawing.path("axis", f"M170 26 L{x + 36} 60")
        drawing.rectangle("shape rank0", x, 60, 72, 24, round=3)
        drawing.text(x + 36, 76, f"child {call}", "inside")
        drawing.path("axis", f"M{x + 36} 84 V112")
        drawing.rectangle(f"shape rank{rank}", x, 112, 72, 24, round=3)
        drawing.text(x + 36, 128, f"call {call}", "inside")


def asyncio_driver(drawing: Drawing) -> None:
    steps = ("submit some calls", "await the first that ends", "look at its result")
    for row, step in enumerate(steps):
        y = 2 + 48 * row
        drawing.rectangle("shape rank0", 20, y, 200, 26, round=3)
        drawing.text(120, y + 17, step, "inside")
        if row:
            drawing.path("axis", f"M120 {y - 22} V{y}")
    drawing.path("axis", "M220 111 H300 V63 H220")
    drawing.text(232, 92, "submit")
    drawing.text(232, 106, "the next")


PICTURES = {
    "random_numbers": Picture(
        140,
        random_numbers,
        "A seed, its four children, and a call with each, in the colours of the ranks that make"
        " the calls.",
        "Each call has a generator of its own, from a child of the seed. So its numbers are the"
        " same, whichever rank makes the call.",
    ),
    "asyncio_driver": Picture(
        130,
        asyncio_driver,
        "Three steps: submit some calls, await the first that ends, look at its result. From the"
        " last a line leads back to the second: submit the next.",
        "As many calls are always under way as there were at the beginning.",
    ),
    "map_doc": Picture(
        216,
        map_doc,
        "The squares of the numbers from 0 to 99, in the colours of the ranks that computed them.",
        "One way in which four ranks may share the hundred calls, and what these return. It is"
        " another in each run. The results are always in the order of the numbers.",
    ),
    "pi_calc": Picture(
        322,
        pi_calc,
        "Darts in a square with a quarter circle, in the colours of the ranks that threw them.",
        "The program with 512 darts, two for each task. Those outside the circle are pale. Each"
        " dart is where it is on any number of ranks; only the colours differ from run to run.",
    ),
    "image_filter": Picture(
        168,
        image_filter,
        "Rings with noise on the left, and with less of it on the right. Between them are the 16"
        " blocks of rows, in the colours of the ranks that blurred them.",
        "Each thirtieth pixel, before and after. In between are the 16 blocks of rows, each in"
        " the colour of the rank that blurred it.",
    ),
    "map_as_completed": Picture(
        222,
        map_as_completed,
        "A time line of 16 tasks on four ranks. Below, a dot for each result that the loop gets.",
        "A simulated run, with the tasks' true lengths. An arrow is half of what a rank has left,"
        " on its way to one that has none. Each dot is a result that the loop gets, in the colour"
        " of the rank that ran the task. The loop is on rank 0, which runs tasks too; meanwhile"
        " results of other ranks wait.",
    ),
    "callbacks": Picture(
        238,
        callbacks,
        "A time line of 20 tasks on four ranks. Below, a dot for each callback on rank 0.",
        "A simulated run, with lengths that are estimated. Each dot is a callback, in the colour of"
        " the rank that ran its task. Callbacks run on rank 0, between the tasks that it runs"
        " itself. So several may run one after the other.",
    ),
    "exceptions": Picture(
        176,
        exceptions,
        "Five calls with arrows to their results. The third of them raises ZeroDivisionError, and"
        " so does result().",
        "Each future brings its own outcome. The red one raises where its result is asked for;"
        " the others are not disturbed.",
    ),
    "nested_tree": Picture(
        214,
        nested_tree,
        "A binary tree of depth 5. The colours of the nodes are those of the ranks that ran them.",
        "A tree of depth 5 in place of 12, in a simulated run. Each node is a task. A rank with"
        " nothing to do takes the oldest task that another has, and with it all that it spawns.",
    ),
    "tree_traversal": Picture(
        270,
        tree_traversal,
        "An irregular tree of 70 nodes, in the colours of the ranks that visited them.",
        "The program's tree with 70 nodes in place of 3000, in a simulated run. Each rank goes"
        " down a branch, and takes over part of another one when it has come to its end.",
    ),
    "recursion": Picture(
        218,
        recursion,
        "Seven calls of factorial, each of which waits for the one below it.",
        "The factorial of 6 in place of 500. Each task starts the one below it, waits for its"
        " result, and multiplies. All run on rank 0: there is never one to spare for another.",
    ),
    "map_reduce": Picture(
        272,
        map_reduce,
        "Eight boxes with how often two words occur in a file. They are joined two by two, in"
        " three steps, to one box with the totals.",
        'The words of eight verses of "The House That Jack Built", a file each. Counts that are'
        " on the same rank are added up there, the others on rank 0.",
    ),
    "map_scan": Picture(
        280,
        map_scan,
        "Bars of the gains of 40 years, in the colours of the ranks that computed them, and bars"
        " of the running total.",
        "The gains come from all ranks. Rank 0 adds them up in order, while further ones are"
        " computed.",
    ),
    "lambdas": Picture(
        276,
        lambdas,
        "For each kind of callable, what is sent to another rank: its code or its name, and the"
        " values that belong to it.",
        "What goes to another rank with the calls: code or a name, and the values that belong to"
        " it. What has a name every rank has imported itself.",
    ),
    "shared_constants": Picture(
        242,
        shared_constants,
        "Rank 0 sends a table and a function to each of three ranks once, and many calls, which"
        " are small.",
        "The table and the function go to each rank once. Each of the thousand calls, here shared"
        " evenly, brings no more than a number.",
    ),
    "genetic_algorithm": Picture(
        230,
        genetic_algorithm,
        "The number of ones in the best individual, and their mean number, rise to 60 within 40"
        " generations.",
        "The best individual of each generation, and the mean of all 200. They are the same on"
        " any number of ranks.",
    ),
}


def main(names: Sequence[str]) -> None:
    """Draw the pictures of these programs, or of all."""
    PICTURES_FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        (PICTURES_FOLDER / f"{name}.svg").write_text(PICTURES[name].svg(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
