"""Random numbers are the same on any number of ranks, as docs/manual/random_numbers.md has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.launch import EXAMPLES, launch, on_ranks

WriteProgram = Callable[..., Path]

on_many = on_ranks(1, 2, 3, 4, 7)

# What the programs below have in common: they print numbers to the last bit.
HEAD = """
import random, sys, time
import numpy as np
from scoop_mpi import futures

def number_of(seed):
    time.sleep(0.0005)
    return np.random.default_rng(seed).standard_normal(3).sum()

def number_below(seed, depth=3):
    own, *others = seed.spawn(3)
    number = np.random.default_rng(own).random()
    if depth:
        number += sum(futures.map(number_below, others, [depth - 1] * 2))
    return number

def show(numbers):
    print(*(float(number).hex() for number in numbers))

"""


@pytest.fixture(scope="module")
def printed_by_the_example() -> str:
    """What the example prints on one rank, for seed 5."""
    return launch(EXAMPLES / "random_numbers.py", "5", ranks=1).check().stdout


@on_many
def test_example_prints_the_same_bits(ranks: int, printed_by_the_example: str) -> None:
    run = launch(EXAMPLES / "random_numbers.py", "5", ranks=ranks).check()
    assert run.stdout.startswith("seed 5\n")
    assert run.stdout == printed_by_the_example


def test_example_has_other_numbers_for_another_seed(printed_by_the_example: str) -> None:
    other = launch(EXAMPLES / "random_numbers.py", "6", ranks=1).check().stdout
    assert not set(other.splitlines()) & set(printed_by_the_example.splitlines())


@on_many
def test_children_of_one_seed_are_what_they_are_without_ranks(
    ranks: int, write_program: WriteProgram
) -> None:
    text = """
    if __name__ == "__main__":
        show(futures.map(number_of, np.random.SeedSequence(2718).spawn(50)))
    """
    run = launch(write_program(HEAD + unindent(text)), ranks=ranks).check()
    children = np.random.SeedSequence(2718).spawn(50)
    expected = [np.random.default_rng(child).standard_normal(3).sum() for child in children]
    assert run.stdout.split() == [float(number).hex() for number in expected]


@on_many
def test_tasks_of_tasks_have_children_of_their_own_child(
    ranks: int, write_program: WriteProgram
) -> None:
    text = """
    if __name__ == "__main__":
        show(futures.map(number_below, np.random.SeedSequence(3).spawn(12)))
    """
    run = launch(write_program(HEAD + unindent(text)), ranks=ranks).check()
    expected = [number_below(child) for child in np.random.SeedSequence(3).spawn(12)]
    assert run.stdout.split() == [number.hex() for number in expected]


def number_below(seed: np.random.SeedSequence, depth: int = 3) -> float:
    """The function of the program, without ranks."""
    own, *others = seed.spawn(3)
    number = np.random.default_rng(own).random()
    if depth:
        number += sum(number_below(other, depth - 1) for other in others)
    return float(number)


@on_many
def test_texts_are_seeds_without_numpy(ranks: int, write_program: WriteProgram) -> None:
    text = """
    def number_at(place):
        time.sleep(0.0005)
        return random.Random(f"2718, {place}").random()

    if __name__ == "__main__":
        show(futures.map(number_at, range(3)))
    """
    # Also where texts have another hash.
    run = launch(
        write_program(HEAD + unindent(text)), ranks=ranks, env={"PYTHONHASHSEED": "random"}
    ).check()
    assert run.stdout.split() == TEXTS


# Of Python 3.10 to 3.13: made from the text itself.
TEXTS = ["0x1.a44b41c14a134p-3", "0x1.7a0cde50e3384p-2", "0x1.b71548efb1ef0p-4"]


def test_children_have_numbers() -> None:
    """The first `spawn` makes children 0, 1, 2 ..., and the next goes on from there."""
    seed = np.random.SeedSequence(7)
    children = [*seed.spawn(3), *seed.spawn(2)]
    for number, child in enumerate(children):
        alone = np.random.SeedSequence(7, spawn_key=(number,))
        assert alone.generate_state(8).tolist() == child.generate_state(8).tolist()


def test_a_seed_that_two_calls_spawn_from_gives_each_others(write_program: WriteProgram) -> None:
    """What the manual warns of, where both run on one rank; not where each gets a copy."""
    text = """
    def grandchild(seed):
        return seed.spawn(1)[0].spawn_key

    if __name__ == "__main__":
        child = np.random.SeedSequence(7).spawn(1)[0]
        print(*futures.map(grandchild, [child, child]))
    """
    program = write_program(HEAD + unindent(text))
    assert launch(program, ranks=1).check().stdout == "(0, 0) (0, 1)\n"
    assert launch("--strict", program, ranks=1).check().stdout == "(0, 0) (0, 0)\n"


def unindent(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())
