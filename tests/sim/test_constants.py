"""Constants that go: by deletion, or when nobody in the job refers to them any more."""

from __future__ import annotations

import gc
import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scoop_mpi import futures, shared
from scoop_mpi.engine.hub import running
from scoop_mpi.errors import SerializationError
from scoop_mpi.state.constants import PLACED_BYTES
from tests.sim.simulation import Simulation, compute

SIZES = (1, 2, 4, 9)
SEEDS = range(6)
RANKS_PER_NODE = (1, 2, 3, 16)  # by the seed
Element = shared.SharedElementEncapsulation


class Ranks:
    """What each rank of a simulated job keeps in a global of its own."""

    def __init__(self) -> None:
        self.kept: dict[int, list[Any]] = {}

    @property
    def here(self) -> list[Any]:
        return self.kept.setdefault(running().runtime.rank, [])


ranks = Ranks()


def run_everywhere(program: Callable[[], Any], *, is_quick: bool = False) -> None:
    """Run `program` on jobs of all sizes and seeds, some ranks of which now and then can't share.

    Args:
        program: what the root runs.
        is_quick: whether a few orders of events are enough.
    """
    for size, seed in itertools.product(SIZES, SEEDS[:2] if is_quick else SEEDS):
        ranks.kept.clear()
        simulation = Simulation(size, seed, RANKS_PER_NODE[seed % 4], memory_failures=0.1)
        try:
            simulation.run(program)
        except BaseException as error:
            error.args = (*error.args, f"(size {size}, seed {seed})")
            raise
        finally:
            ranks.kept.clear()


def is_empty() -> bool:
    constants = running().runtime.constants
    return not constants.held() and not len(constants.holds)


def wait_until_empty() -> None:
    """Wait until this rank has heard that all constants are gone."""
    for _ in range(1000):
        running().runtime.step()
        if is_empty():
            return
        compute(0.001)
    runtime = running().runtime
    left = [name for name, _ in runtime.constants.held()], runtime.constants.holds._entries
    raise AssertionError(f"rank {runtime.rank} still has {left}")


def look_everywhere(_: int) -> None:
    compute(0.01)
    wait_until_empty()


def assert_all_gone() -> None:
    """Fail unless all constants go from all ranks, as far as tasks get about."""
    gc.collect()  # the interpreter's own cycles: exceptions, frames
    wait_until_empty()
    list(futures.map(look_everywhere, range(2 * running().runtime.size)))


class Table:
    """An object with a method, and with something large if need be."""

    def __init__(self, offset: int, length: int = 0) -> None:
        self.offset = offset
        self.numbers = np.arange(length)

    def look_up(self, x: int) -> int:
        compute(0.0005 * (x % 4))
        return x + self.offset


def element_of(offset: int, length: int = 0) -> Element:
    return Element(Table(offset, length).look_up)


def test_an_element_goes_after_its_last_call() -> None:
    def program() -> None:
        for offset in range(4):
            length = PLACED_BYTES // 8 if offset % 2 else 0
            element = element_of(offset, length)
            assert list(futures.map(element, range(9))) == list(range(offset, offset + 9))
        del element
        assert_all_gone()

    run_everywhere(program)


def test_an_element_lives_while_calls_of_it_are_under_way() -> None:
    def program() -> None:
        fs = [futures.submit(element_of(offset), 1) for offset in range(8)]
        gc.collect()
        assert [future.result() for future in fs] == list(range(1, 9))
        results = [futures.map(element_of(offset), range(5)) for offset in range(4)]
        assert [sum(found) for found in results] == [10, 15, 20, 25]
        fs.clear()
        results.clear()
        assert_all_gone()

    run_everywhere(program)


def call(element: Element, x: int) -> Any:
    compute(0.001)
    return element(x)


def pass_on(element: Element, depth: int) -> Any:
    """Hand it from task to task, each of which may be anywhere."""
    compute(0.001)
    if not depth:
        return element
    return futures.submit(pass_on, element, depth - 1).result()


def make_there(offset: int) -> Element:
    compute(0.001)
    return element_of(offset)


def raise_with(offset: int) -> None:
    compute(0.001)
    raise ValueError(element_of(offset))


def together(element: Element) -> Element:
    return Element(lambda x: element(x) + shared.getConst("holder")["inner"](0))


def test_elements_come_from_anywhere_in_anything() -> None:
    """As arguments, results, in exceptions, closures, and constants that are deleted since."""

    def program() -> None:
        element = element_of(100)
        assert list(futures.map(call, [element] * 6, range(6))) == list(range(100, 106))
        assert [pass_on(element, depth)(1) for depth in range(4)] == [101] * 4
        made = list(futures.map(make_there, range(6)))
        assert [futures.submit(call, found, 1).result() for found in made] == list(range(1, 7))
        del made
        error = futures.submit(raise_with, 7).exception()
        assert error is not None
        assert error.args[0](1) == 8
        del error
        inner = element_of(50)
        shared.setConst(holder={"inner": inner})
        del inner
        outer = together(element)
        assert list(futures.map(outer, range(5))) == list(range(150, 155))
        borrowed = shared.getConst("holder")["inner"]
        shared.delConst("holder")
        assert futures.submit(call, borrowed, 1).result() == 51
        del element, outer, borrowed
        assert_all_gone()

    run_everywhere(program)


def keep_here(element: Element | None, x: int) -> int:
    """Keep an element in a global of this rank's."""
    ranks.here.append(element)
    compute(0.001)
    return x


def ask_kept(x: int) -> int:
    compute(0.001)
    return x + sum(int(element(0)) for element in ranks.here)


def forget_kept(_: int) -> None:
    compute(0.005)
    ranks.here.clear()


def test_an_element_lives_while_a_rank_keeps_it() -> None:
    def program() -> None:
        list(futures.map(keep_here, [element_of(1)] * 9, range(9)))
        gc.collect()
        compute(0.05)
        kept = list(itertools.chain.from_iterable(ranks.kept.values()))
        assert [type(element) for element in kept] == [Element] * 9
        kept.clear()
        list(futures.map(ask_kept, [0] * 9))
        ranks.kept.clear()
        assert_all_gone()

    run_everywhere(program)


def do_something(seed: int, depth: int) -> int:
    """Make, call, keep, forget, hand on and return elements, at random."""
    rng = random.Random(seed)
    compute(0.001 * rng.random())
    elements = list(ranks.here) if rng.random() < 0.5 else []
    elements.append(element_of(seed % 10, rng.choice([0, 0, 0, 3000])))
    if rng.random() < 0.3:
        ranks.here.extend(elements)
    if rng.random() < 0.3:
        ranks.here.clear()
    total = sum(int(rng.choice(elements)(0)) for _ in range(2))
    if depth:
        chosen = rng.choice(elements)
        fs = [futures.submit(call, chosen, x) for x in range(2)]
        fs += [futures.submit(do_something, rng.randrange(1000), depth - 1) for _ in range(2)]
        total += sum(futures.map(chosen, range(3)))
        total += sum(future.result() for future in fs)
    return total


def test_elements_made_and_forgotten_at_random() -> None:
    """Whatever is called is there: else a call would raise LookupError."""

    def program() -> None:
        rng = random.Random(running().runtime.size)
        list(futures.map(do_something, [rng.randrange(1000) for _ in range(6)], [2] * 6))
        ranks.kept.clear()
        assert_all_gone()

    run_everywhere(program)


def set_and_delete(x: int) -> Any:
    """Set, read and delete a name again and again, which others read, too."""
    for turn in range(3):
        shared.setConst(**{f"mine{x}": (x, turn)})
        seen = futures.submit(shared.getConst, f"mine{x}", timeout=0)
        assert seen.result() == (x, turn)
        compute(0.001)
        shared.delConst(f"mine{x}")
        assert futures.submit(shared.getConst, f"mine{x}", timeout=0).result() is None
    return x


def test_a_deleted_name_can_be_set_again_and_is_what_it_was_set_to() -> None:
    def program() -> None:
        assert list(futures.map(set_and_delete, range(6))) == list(range(6))
        assert_all_gone()

    run_everywhere(program)


def delete_if_there(name: str) -> None:
    compute(0.001)
    elements = shared.elements
    for worker in elements:
        constants = elements[worker]
        if name in constants:
            compute(0.001)
            del constants[name]
    assert shared.getConst(name, timeout=0) is None


def test_all_ranks_may_delete_the_same() -> None:
    def program() -> None:
        for turn in range(2):
            shared.setConst(contested=turn)
            list(futures.map(delete_if_there, ["contested"] * 8))
            assert shared.getConst("contested", timeout=0) is None
        assert_all_gone()

    run_everywhere(program)


def test_elements_are_those_of_each_rank() -> None:
    def program() -> None:
        shared.setConst(first=1, second=[2])
        futures.submit(shared.setConst, third=3).result()
        found: dict[str, Any] = {}
        for constants in shared.elements.values():
            found.update(constants)
        assert found == {"first": 1, "second": [2], "third": 3}
        mine = shared.elements[0]
        assert list(mine)[:2] == ["first", "second"]
        with pytest.raises(TypeError, match="setConst"):
            mine["fourth"] = 4
        with pytest.raises(KeyError):
            del mine["fourth"]
        for constants in list(shared.elements.values()):
            constants.clear()
        assert not shared.elements
        with pytest.raises(KeyError, match="first"):
            shared.delConst("first")
        assert_all_gone()

    run_everywhere(program, is_quick=True)


def test_an_element_can_be_deleted_all_the_same() -> None:
    def program() -> None:
        element = element_of(1)
        for constants in list(shared.elements.values()):
            constants.clear()
        with pytest.raises(LookupError, match="has been deleted"):
            futures.submit(element, 1).result()
        del element
        assert_all_gone()

    run_everywhere(program, is_quick=True)


def test_an_element_of_a_constant_s_name() -> None:
    def program() -> None:
        with pytest.raises(KeyError, match="doubled"):
            Element("doubled")
        shared.setConst(doubled=lambda x: 2 * x)
        element = Element("doubled")
        assert list(futures.map(element, range(4))) == [0, 2, 4, 6]
        shared.delConst("doubled")
        with pytest.raises(LookupError, match="doubled has been deleted"):
            element(1)
        assert_all_gone()

    run_everywhere(program, is_quick=True)


def undecorated_by_name(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method so that its name tells nothing of it."""

    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


class Base:
    def scaled(self, x: int) -> tuple[str, int]:
        compute(0.001)
        return "base", x


class Derived(Base):
    scale = 3
    __slots__ = ()

    def scaled(self, x: int) -> tuple[str, int]:
        compute(0.001)
        return "derived", x

    def __private(self, x: int) -> int:
        compute(0.001)
        return self.scale * x

    @undecorated_by_name
    def decorated(self, x: int) -> int:
        return self.__private(x)

    @classmethod
    def of_class(cls, x: int) -> int:
        return cls.scale + x

    twice = lambda self, x: 2 * self.scale * x  # noqa: E731

    def elements(self) -> list[Element]:
        methods = [self.__private, self.decorated, self.of_class, self.twice]
        return [Element(method) for method in (*methods, self.scaled, super().scaled)]


def test_methods_are_the_very_ones_whatever_their_names() -> None:
    def program() -> None:
        private, decorated, of_class, twice, scaled, super_scaled = Derived().elements()
        assert list(futures.map(private, range(6))) == [0, 3, 6, 9, 12, 15]
        assert list(futures.map(decorated, range(6))) == [0, 3, 6, 9, 12, 15]
        assert list(futures.map(of_class, range(6))) == [3, 4, 5, 6, 7, 8]
        assert list(futures.map(twice, range(6))) == [0, 6, 12, 18, 24, 30]
        assert list(futures.map(scaled, range(6))) == [("derived", x) for x in range(6)]
        assert list(futures.map(super_scaled, range(6))) == [("base", x) for x in range(6)]
        appended = Element([].append)
        assert list(futures.map(appended, range(6))) == [None] * 6

    run_everywhere(program, is_quick=True)


def test_what_cannot_be_an_element_leaves_nothing() -> None:
    def program() -> None:
        with pytest.raises(TypeError, match="needs a callable, not 5"):
            Element(5)  # type: ignore[arg-type]
        generator = (x for x in range(0))
        with pytest.raises(SerializationError, match="generator"):
            Element(lambda: generator)
        assert_all_gone()

    run_everywhere(program, is_quick=True)
