"""A program of random tasks: each tree of them gives what it would give serially.

The seed decides all but the order of events. To find out what a failure needs, leave out trees, or
kinds of nodes:

    python -m scoop_mpi tests/stress/program.py SEED --first 7 --last 9 --without Constant Threads

A node of a tree has two methods: `run` does something with the ranks of the job, as a task, and
may have its children run as further tasks; `answer` says what comes of it, without any. An error
is a value here, so that it can be compared (see `outcome`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import copy
import functools
import itertools
import operator
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI

from scoop_mpi import futures, shared
from tests.stress import TREES
from tests.stress.values import any_value, difference

_kept: list[Any] = []  # what tasks leave on the rank where they have run


# ------------------------------------------------------------ functions to call


class Failure(Exception):
    """An error of the program's own."""

    def __init__(self, number: int, what: Any) -> None:
        super().__init__(number, what)
        self.number = number


class Uncommon(BaseException):
    """An error that is no `Exception`."""


ERRORS: tuple[Callable[[int], BaseException], ...] = (
    ValueError,
    lambda number: KeyError(number, "text"),
    lambda number: Failure(number, [number]),
    lambda number: OSError(number, "text"),
    lambda number: UnicodeDecodeError("utf-8", b"abc", number % 3, 3, "text"),
    lambda number: Uncommon(number),
    SystemExit,
    asyncio.CancelledError,
    GeneratorExit,
    lambda number: ValueError(np.arange(number % 5)),
)


def fail(number: int) -> Any:
    raise ERRORS[number % len(ERRORS)](number)


def stop(number: int) -> Any:
    raise StopIteration(number)


def outcome(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """Return what a call returns, or raises."""
    try:
        return "returned", function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return "raised", error.with_traceback(None)


def itself(x: Any) -> Any:
    return x


def tagged(x: Any) -> tuple[str, Any]:
    return "tagged", x


def idle(x: Any) -> tuple[str, Any]:
    time.sleep(0.002)
    return "idle", x


def busy(x: Any) -> tuple[str, Any]:
    return "busy", sum(range(20_000)) and x


def with_loop(x: Any) -> tuple[str, Any]:
    async def main() -> tuple[str, Any]:
        await asyncio.sleep(0)
        return "looped", x

    return asyncio.run(main())


class Model:
    """An object whose methods are called."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.weights = np.arange(number * 100)

    def predict(self, x: Any) -> tuple[int, Any]:
        return int(self.weights.sum()), x

    def __call__(self, x: Any) -> tuple[str, int, Any]:
        return "called", self.number, x

    @staticmethod
    def of_no_object(x: Any) -> tuple[str, Any]:
        return "static", x

    @classmethod
    def of_class(cls, x: Any) -> tuple[str, Any]:
        return cls.__name__, x


def closure(number: int) -> Callable[[Any], Any]:
    table = {number: "closure"}

    def look_up(x: Any) -> tuple[str, Any]:
        return table[number], x

    return look_up


def keyed(x: Any, *, number: int) -> tuple[int, Any]:
    return number, x


FUNCTIONS: tuple[Callable[[int], Callable[[Any], Any]], ...] = (
    lambda number: tagged,
    lambda number: idle,
    lambda number: busy,
    lambda number: with_loop,
    lambda number: lambda x: (number, x),
    closure,
    lambda number: functools.partial(keyed, number=number),
    lambda number: functools.partial(operator.getitem, {None: 1, **dict.fromkeys("abc", number)}),
    lambda number: Model(number).predict,
    Model,
    lambda number: Model.of_no_object,
    lambda number: Model.of_class,
    lambda number: type,
    lambda number: repr,
    lambda number: fail if number % 2 else tagged,
    lambda number: stop if number % 2 else tagged,
)


def any_function(rng: random.Random) -> Callable[[Any], Any]:
    return rng.choice(FUNCTIONS)(rng.randrange(100))


def numbered(function: Callable[[Any], Any], item: tuple[int, Any]) -> tuple[int, Any]:
    """Call a function; tell which call it was."""
    return item[0], outcome(function, item[1])


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; the rank goes on with other tasks meanwhile."""
    while not condition():
        shared.getConst("never set", timeout=0.005)


# ------------------------------------------------------------ nodes


class Node:
    def run(self) -> Any:
        """Do it with the ranks of the job."""
        raise NotImplementedError

    def answer(self) -> Any:
        """Say what comes of it."""
        raise NotImplementedError


def run(node: Node) -> Any:
    return node.run()


def outcome_of(node: Node) -> tuple[str, Any]:
    return outcome(node.run)


@dataclass
class Called(Node):
    """A call of a function, by itself."""

    function: Callable[[Any], Any]
    value: Any

    def run(self) -> Any:
        return self.function(self.value)

    answer = run


@dataclass
class Submitted(Node):
    """Each child is submitted as a call of its own; `how` says as a call of what."""

    children: list[Node]
    how: int
    is_waited_for: bool
    is_reversed: bool

    def submit(self) -> list[Any]:
        hows: tuple[Callable[[Node], Any], ...] = (
            lambda node: futures.submit(run, node),
            lambda node: futures.submit(node.run),
            lambda node: futures.submit(functools.partial(run, node)),
            lambda node: futures.submit(lambda: node.run()),
            lambda node: futures.submit(run, node=node),
        )
        return [hows[self.how % len(hows)](child) for child in self.children]

    def run(self) -> Any:
        fs = self.submit()
        if self.is_waited_for:
            done, not_done = futures.wait(fs)
            assert len(done) == len(fs)
            assert not not_done
            assert all(future.done() for future in fs)
        if self.is_reversed:
            return [outcome(future.result) for future in reversed(fs)][::-1]
        return [outcome(future.result) for future in fs]

    def answer(self) -> Any:
        return [outcome(child.answer) for child in self.children]


@dataclass
class AsCompleted(Submitted):
    """The futures are taken as they are done."""

    def run(self) -> Any:
        fs = self.submit()
        seen: list[Any] = []
        if self.is_waited_for:
            for future in fs:
                future.add_done_callback(seen.append)
        found = {future: outcome(future.result) for future in futures.as_completed(fs)}
        if self.is_waited_for:
            wait_for(lambda: len(seen) >= len(fs))  # another thread may have begun a callback
            assert sorted(map(id, seen)) == sorted(map(id, fs)), "a callback was not called once"
        return [found[future] for future in fs]


@dataclass
class Limited(Submitted):
    """Futures are waited for in very little time first, or polled."""

    seconds: float

    def run(self) -> Any:
        fs = self.submit()
        for future in fs:
            outcome(future.result, self.seconds)
            if self.is_waited_for:
                future.done()
        futures.wait(fs, timeout=self.seconds)
        return [outcome(future.result) for future in fs]


@dataclass
class Cancelled(Submitted):
    """Some of the futures are cancelled, at once or in a while."""

    def run(self) -> Any:
        fs = self.submit()
        if self.is_waited_for:
            futures.wait(fs, timeout=0.002)
        chosen = fs[::2] if self.is_reversed else fs
        cancelled = {future: future.cancel() for future in chosen}
        pairs = zip(fs, self.children, strict=True)
        return [self.check(future, child, cancelled) for future, child in pairs]

    def check(self, future: Any, child: Node, cancelled: dict[Any, bool]) -> str | None:
        kind, value = outcome(future.result)
        if cancelled.get(future):
            is_right = future.cancelled() and type(value) is CancelledError
            return None if is_right else f"was cancelled, and {kind} {value!r}"
        return difference((kind, value), outcome(child.answer))

    def answer(self) -> Any:
        return [None] * len(self.children)


@dataclass
class MapOfNodes(Node):
    """The children are run by a map."""

    children: list[Node]
    is_left: bool

    def run(self) -> Any:
        results = futures.map(outcome_of, self.children)
        if self.is_left:  # the rest of them is of no interest any more
            return list(itertools.islice(results, 1))
        return list(results)

    def answer(self) -> Any:
        children = self.children[:1] if self.is_left else self.children
        return [outcome(child.answer) for child in children]


@dataclass
class Mapped(Node):
    """A function of any kind is applied to values of any kind, in one of several ways."""

    function: Callable[[Any], Any]
    values: list[Any]
    how: int

    def run(self) -> Any:
        function = functools.partial(numbered, self.function)
        items = list(enumerate(self.values))
        hows: tuple[Callable[[], Any], ...] = (
            lambda: futures.map(function, items),
            lambda: futures.map(function, iter(items)),
            lambda: futures.map(function, items, timeout=1000, chunksize=3),
            lambda: futures.map(function, items, buffersize=3),
            lambda: futures.map(lambda i, value: function((i, value)), range(10**6), self.values),
            lambda: sorted(futures.map_as_completed(function, items), key=operator.itemgetter(0)),
            lambda: futures.map(shared.SharedElementEncapsulation(function), items),
            lambda: futures.mapScan(lambda item: [function(item)], operator.add, items)[-1],
            lambda: futures.mapReduce(lambda item: [function(item)], operator.add, items),
        )
        return list(hows[self.how % len(hows)]())

    def answer(self) -> Any:
        return [(i, outcome(self.function, value)) for i, value in enumerate(self.values)]


@dataclass
class MapThatFails(Node):
    """Some calls of a map raise: its results come up to the first of them."""

    function: Callable[[int], Any]
    count: int
    failing: frozenset[int]
    is_reduced: bool

    def call(self, number: int) -> list[Any]:
        return fail(number) if number in self.failing else [outcome(self.function, number)]

    def run(self) -> Any:
        if self.is_reduced:
            return outcome(futures.mapReduce, self.call, operator.add, range(self.count))
        return self.take(futures.map(self.call, range(self.count)))

    def take(self, results: Any) -> Any:
        taken: list[Any] = []
        return outcome(lambda: taken.extend(results)), taken

    def answer(self) -> Any:
        if self.is_reduced:
            parts = map(self.call, range(self.count))
            return outcome(lambda: functools.reduce(operator.add, list(parts)))
        return self.take(map(self.call, range(self.count)))


@dataclass
class Mutated(Node):
    """Arguments are changed by the calls that get them, and returned."""

    values: list[Any]

    @staticmethod
    def change(values: list[Any], array: Any, box: dict[str, Any]) -> Any:
        values.append(len(values))
        array += 1
        box["values"] = values
        return values, array, box

    def arguments(self) -> list[tuple[Any, ...]]:
        return [
            (copy.deepcopy(self.values), np.arange(10.0 * i), {"number": i})
            for i in range(len(self.values))
        ]

    def run(self) -> Any:
        fs = [futures.submit(self.change, *arguments) for arguments in self.arguments()]
        mapped = futures.map(self.change, *zip(*self.arguments(), strict=True))
        return [[future.result() for future in fs], list(mapped)]

    def answer(self) -> Any:
        return [[self.change(*arguments) for arguments in self.arguments()] for _ in range(2)]


class _Scratch(threading.local):
    """A buffer of each thread's, that it uses again and again."""

    def __init__(self) -> None:
        self.buffer = np.zeros(3000)


_scratch = _Scratch()


def fill_scratch(number: int) -> Any:
    """Return a buffer that the next call on this rank, in the same thread, fills again."""
    _scratch.buffer[:] = number
    return _scratch.buffer


@dataclass
class Reused(Node):
    """Results are changed after they have been returned."""

    count: int

    def run(self) -> Any:
        fs = [futures.submit(fill_scratch, number) for number in range(self.count)]
        mapped = list(futures.map(fill_scratch, range(self.count)))
        return [[future.result() for future in fs], mapped]

    def answer(self) -> Any:
        return [[np.full(3000, float(number)) for number in range(self.count)] for _ in range(2)]


def read(name: str, number: int) -> Any:
    """Read a constant; its arrays must be read-only."""
    value = shared.getConst(name, timeout=0)
    for array in value if isinstance(value, list) else []:
        if isinstance(array, np.ndarray):
            assert not array.flags.writeable
    return number, value


@dataclass
class Constant(Node):
    """A constant is set, read by tasks, deleted, and set again."""

    name: str
    values: list[Any]
    readers: int

    def run(self) -> Any:
        found = []
        for value in self.values, self.values[::-1]:
            shared.setConst(**{self.name: value})
            found.append(list(futures.map(read, [self.name] * self.readers, range(self.readers))))
            assert outcome(shared.setConst) == ("returned", None)
            try:
                shared.setConst(**{self.name: None})
            except TypeError:
                found.append(futures.submit(read, self.name, number=0).result())
            shared.delConst(self.name)
            found.append(futures.submit(read, self.name, 1).result())
        return found

    def answer(self) -> Any:
        found: list[Any] = []
        for value in self.values, self.values[::-1]:
            found += [[(i, value) for i in range(self.readers)], (0, value), (1, None)]
        return found


def element_of(function: Callable[[Any], Any]) -> Any:
    return shared.SharedElementEncapsulation(function)


@dataclass
class Elements(Node):
    """Shared elements are made by tasks, returned, kept on ranks for a while, and handed on."""

    functions: list[Callable[[Any], Any]]
    value: Any
    is_kept: bool

    def run(self) -> Any:
        elements = list(futures.map(element_of, self.functions))
        if self.is_kept:
            _kept.extend(elements)
        elif len(_kept) > 3:
            _kept.clear()
        fs = [futures.submit(outcome, element, self.value) for element in elements]
        del elements
        return [future.result() for future in fs]

    def answer(self) -> Any:
        return [outcome(function, self.value) for function in self.functions]


def gathered(*values: Any, **named: Any) -> list[Any]:
    return [*values, *named.values()]


def appended(values: list[Any], value: Any) -> list[Any]:
    return [*values, value]


@dataclass
class Graph(Node):
    """The futures of the children are arguments of further calls."""

    children: list[Node]
    how: int

    def run(self) -> Any:
        if self.how == len(self.children):
            return futures.submit(run_later, self.children).result()
        fs = [futures.submit(outcome_of, child) for child in self.children]
        hows: tuple[Callable[[], Any], ...] = (
            lambda: futures.submit(itself, fs).result(),
            lambda: futures.submit(gathered, *fs).result(),
            lambda: futures.submit(gathered, **{f"f{i}": f for i, f in enumerate(fs)}).result(),
            lambda: futures.submit(gathered, *fs[:-1], last=fs[-1]).result(timeout=1000),
            lambda: list(futures.submit(itself, dict(enumerate(fs))).result().values()),
            lambda: list(futures.map(itself, fs)),
            lambda: list(futures.map(itself, fs, buffersize=2)),
            lambda: [value for (value,) in futures.map(itself, [(f,) for f in fs])],
            lambda: futures.mapReduce(lambda value: [value], operator.add, fs),
            lambda: functools.reduce(
                functools.partial(futures.submit, appended), fs, futures.submit(list)
            ).result(),
        )
        return hows[self.how % len(hows)]()

    def answer(self) -> Any:
        return [outcome(child.answer) for child in self.children]


def run_later(children: list[Node]) -> Any:
    """Return a future."""
    return futures.submit(gathered, *[futures.submit(outcome_of, child) for child in children])


@dataclass
class FailedGraph(Node):
    """Calls wait for futures that may fail, or are cancelled."""

    children: list[Node]
    is_cancelled: bool

    def run(self) -> Any:
        fs = [futures.submit(run, child) for child in self.children]
        after = [futures.submit(itself, futures.submit(itself, [future])) for future in fs]
        if self.is_cancelled:
            last = futures.submit(gathered, *after)
            if last.cancel():
                assert last.cancelled()
                assert type(outcome(last.result)[1]) is CancelledError
        return [self.what_came(future) for future in after]

    @staticmethod
    def what_came(future: Any) -> Any:
        kind, value = outcome(future.result)
        if kind == "returned":
            return kind, value[0]
        assert type(value) is futures.DependencyError, value
        return kind, value.__cause__

    def answer(self) -> Any:
        return [outcome(child.answer) for child in self.children]


CHOSEN = contextvars.ContextVar("CHOSEN", default="as the import left it")


def change_chosen(number: int) -> tuple[int, str, str]:
    """Change a context variable, and put it back."""
    found = CHOSEN.get()
    token = CHOSEN.set(f"changed by {number}")
    try:
        return number, found, CHOSEN.get()
    finally:
        CHOSEN.reset(token)


@dataclass
class InContext(Node):
    """Tasks change a context variable, each its own."""

    count: int

    def run(self) -> Any:
        fs = [futures.submit(change_chosen, number) for number in range(self.count)]
        mapped = list(futures.map(lambda number: change_chosen(number)[0], range(self.count)))
        return [future.result() for future in fs], mapped, CHOSEN.get()

    def answer(self) -> Any:
        numbers = range(self.count)
        seen = [(number, CHOSEN.get(), f"changed by {number}") for number in numbers]
        return seen, list(numbers), CHOSEN.get()


@dataclass
class CalledBack(Node):
    """Callbacks submit tasks, and wait for them."""

    children: list[Node]

    def run(self) -> Any:
        found: dict[int, Any] = {}

        def call_back(number: int, future: Any) -> None:
            came = None  # if it is interrupted: then nobody looks at it any more
            try:
                if not isinstance(outcome(future.exception)[1], KeyboardInterrupt):
                    came = outcome(lambda: futures.submit(itself, outcome(future.result)).result())
            finally:
                found[number] = came

        fs = [futures.submit(run, child) for child in self.children]
        for number, future in enumerate(fs):
            future.add_done_callback(functools.partial(call_back, number))
        for future in fs:
            outcome(future.result)
        wait_for(lambda: len(found) == len(fs))
        return [found[number] for number in range(len(fs))]

    def answer(self) -> Any:
        return [("returned", outcome(child.answer)) for child in self.children]


@dataclass
class OwnMessages(Node):
    """The task calls MPI by itself."""

    value: Any
    tag: int
    count: int

    def run(self) -> Any:
        world, alone = MPI.COMM_WORLD, MPI.COMM_SELF
        rank = world.rank
        found = []
        for i in range(self.count):
            sent = (i, self.value)
            found.append(world.sendrecv(sent, rank, self.tag, source=rank, recvtag=self.tag))
            if threading.current_thread() is threading.main_thread():
                assert alone.allreduce(i) == i  # MPI forbids this to several threads at a time
            array, received = np.arange(i), np.empty(i, int)
            alone.Sendrecv(array, 0, self.tag, received, 0, self.tag)
            assert (received == array).all()
        return found

    def answer(self) -> Any:
        return [(i, self.value) for i in range(self.count)]


@dataclass
class Threads(Node):
    """Threads of the program's run the children, while this task goes on waiting for others."""

    children: list[Node]

    def run(self) -> Any:
        found: list[Any] = [None] * len(self.children)

        def work(number: int) -> None:
            found[number] = outcome(self.children[number].run)

        threads = [
            threading.Thread(target=work, args=(number,)) for number in range(len(self.children))
        ]
        for thread in threads:
            thread.start()
        # Not `join`: what a thread waits for may have begun beneath this very task.
        wait_for(lambda: not any(thread.is_alive() for thread in threads))
        return found

    def answer(self) -> Any:
        return [outcome(child.answer) for child in self.children]


# ------------------------------------------------------------ trees


def any_tree(rng: random.Random, depth: int, without: Collection[str]) -> Node:
    """Return a tree of tasks, which `rng` decides.

    Args:
        rng: decides.
        depth: of the tree, at the most.
        without: kinds of nodes, by name, in whose place are simple calls. The others stay the same.
    """

    def children(most: int = 4) -> list[Node]:
        return [any_tree(rng, depth - 1, without) for _ in range(rng.randint(1, most))]

    def values() -> list[Any]:
        return [any_value(rng) for _ in range(rng.choice((1, 2, 5, 20)))]

    def submission() -> tuple[list[Node], int, bool, bool]:
        return children(), rng.randrange(5), rng.random() < 0.5, rng.random() < 0.5

    leaves: list[Callable[[], Node]] = [
        lambda: Called(any_function(rng), any_value(rng)),
        lambda: Mapped(any_function(rng), values(), rng.randrange(9)),
        lambda: MapThatFails(
            any_function(rng),
            count := rng.choice((1, 2, 9, 300)),
            frozenset(rng.sample(range(count), rng.randrange(min(count, 3)))),
            rng.random() < 0.5,
        ),
        lambda: Mutated(values()[:5]),
        lambda: Constant(f"constant{rng.getrandbits(64)}", values()[:5], rng.randint(1, 6)),
        lambda: Elements([any_function(rng) for _ in range(3)], any_value(rng), rng.random() < 0.3),
        lambda: OwnMessages(any_value(rng), rng.randrange(30_000), rng.choice((1, 5, 50))),
        lambda: Reused(rng.choice((1, 10, 100))),
        lambda: InContext(rng.choice((1, 5, 50))),
    ]
    inner: list[Callable[[], Node]] = [
        lambda: Submitted(*submission()),
        lambda: AsCompleted(*submission()),
        lambda: Limited(*submission(), rng.choice((0.0, 0.001, 0.02))),
        lambda: Cancelled(*submission()),
        lambda: MapOfNodes(children(8), rng.random() < 0.2),
        lambda: Threads(children(2)),
        lambda: CalledBack(children()),
        lambda: Graph(children(6), rng.randrange(10)),
        lambda: FailedGraph(children(), rng.random() < 0.3),
    ]
    makers = inner if depth and rng.random() < 0.75 else leaves
    node = rng.choice(makers)()
    return Called(tagged, 1) if type(node).__name__ in without else node


def wait_until_freed() -> None:
    """Wait until no constant is left, after all that referred to one has gone."""
    _kept.clear()
    while shared.elements:
        list(futures.map(forget, range(20)))


def forget(_: int) -> None:
    _kept.clear()
    time.sleep(0.001)


# Nodes that leave something behind if they are interrupted amid it, or wait for threads.
_NOT_TO_INTERRUPT = ("Constant", "Elements", "OwnMessages", "Threads")
# It begins when it is told to: the signal must not come before there is who catches it.
_INTERRUPT = (
    "import os, sys, time; sys.stdin.readline(); "
    "time.sleep(float(sys.argv[2])); os.kill(int(sys.argv[1]), 2); sys.stdin.read()"
)


def interrupt(function: Callable[[], Any], seconds: float) -> None:
    """Call a function, have Ctrl-C come from outside after a while, and return once it has."""
    words = sys.executable, "-S", "-c", _INTERRUPT, str(os.getpid()), str(seconds)
    process = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    try:
        process.stdin.write(b"now\n")
        process.stdin.flush()
        outcome(function)
        while True:
            time.sleep(0.001)
    except KeyboardInterrupt:
        pass
    finally:
        process.communicate()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=TREES - 1)
    parser.add_argument("--without", nargs="*", default=[])
    asked = parser.parse_args(arguments)
    for number in range(asked.first, asked.last + 1):
        rng = random.Random(f"{asked.seed} {number}")
        tree = any_tree(rng, rng.choice((0, 1, 2, 2, 3)), asked.without)
        # An error that is printed here tells which tree it was; its repr may be long.
        print(f"tree {number}: {tree!r:.500}", flush=True)
        expected = outcome(copy.deepcopy(tree).answer)
        if rng.random() < 0.2 and "Interrupts" not in asked.without:
            bare = any_tree(rng, 2, (*asked.without, *_NOT_TO_INTERRUPT))
            if "with_loop" not in repr(bare):  # asyncio complains if it is interrupted at its start
                interrupt(bare.run, rng.random() * 0.3)
        found = outcome(tree.run)
        text = difference(found, expected, "result")
        if text is not None:
            sys.exit(f"tree {number} of seed {asked.seed}: {text}")
        if rng.random() < 0.2:
            wait_until_freed()
    wait_until_freed()
    print("all are right")


if __name__ == "__main__":
    main(sys.argv[1:])
