"""Every program in examples/ on several numbers of ranks: it ends well and prints what it should.

The examples check their own answers against plain Python, and end with a message where these
differ. So here a few words of the output will do.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch import EXAMPLES, ROOT, Run, launch, on_ranks

Check = Callable[[Run], bool]


def prints(*lines: str) -> Check:
    """Each line is among those printed, as it stands."""
    return lambda run: set(lines) <= set(run.stdout.splitlines())


def prints_pi(run: Run) -> bool:
    found = re.search(r"^pi = (\S+) ", run.stdout, re.MULTILINE)
    return found is not None and math.isclose(float(found[1]), math.pi, abs_tol=0.01)


def prints_each_task_once(run: Run) -> bool:
    numbers = re.findall(r"task (\d+) is done", run.stdout)
    return sorted(map(int, numbers)) == list(range(16))


def prints_words(run: Run) -> bool:
    return re.search(r"^\d{5,} words in \d{2,} files$", run.stdout, re.MULTILINE) is not None


def shows_where_it_was_raised(run: Run) -> bool:
    raised = "ZeroDivisionError" in run.stderr and "in reciprocal" in run.stderr
    return raised and "map: -0.5 -1.0 and then the exception" in run.stdout


EXPECTED: dict[str, Check] = {
    "asyncio_driver.py": prints("the best of 2 ** 36 ways to pack 611 kg is worth 838"),
    "callbacks.py": prints("5 of 20 done", "20 of 20 done", "primes below 20000: 2262"),
    "exceptions.py": shows_where_it_was_raised,
    "genetic_algorithm.py": prints("best individual: 60 ones of 60"),
    "image_filter.py": prints("(1200, 1600) pixels: deviation 0.7693, blurred 0.7150"),
    "lambdas.py": prints("lambda: 10 11 12 13 14", "bound method: 2 8 14 20 26"),
    "map_as_completed.py": prints_each_task_once,
    "map_doc.py": prints("squares: 0 1 4 9 16 25 36 49 64 81 ..."),
    "map_reduce.py": prints_words,
    "map_scan.py": prints("e = 1084483/398959 = 2.718281828459"),
    "nested_tree.py": prints("a tree of depth 12 has 4096 leaves"),
    "pi_calc.py": prints_pi,
    "random_numbers.py": prints("descendants in 60 families: 655, at most 50 in one"),
    "recursion.py": prints("500! has 1135 digits"),
    "shared_constants.py": prints("entries: 0.0 1.0 4.0 9.0 16.0 ... 998001.0"),
    "tree_traversal.py": prints("visited 3000 nodes, 215063 steps"),
}
NEEDS_DEAP = {"genetic_algorithm.py"}


def test_no_example_is_left_out() -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_file())


@on_ranks(1, 2, 4)
@pytest.mark.parametrize("name", EXPECTED)
def test_example_prints_its_answer(name: str, ranks: int) -> None:
    if name in NEEDS_DEAP and importlib.util.find_spec("deap") is None:
        pytest.skip("DEAP is not installed")
    run = launch(EXAMPLES / name, ranks=ranks).check()
    assert EXPECTED[name](run), str(run)


@on_ranks(1, 2)
@pytest.mark.parametrize("name", EXPECTED)
def test_example_heeds_the_rules(name: str, ranks: int) -> None:
    if name in NEEDS_DEAP and importlib.util.find_spec("deap") is None:
        pytest.skip("DEAP is not installed")
    run = launch("--strict", EXAMPLES / name, ranks=ranks).check()
    assert EXPECTED[name](run), str(run)


def test_pi_takes_the_number_of_tries() -> None:
    run = launch(EXAMPLES / "pi_calc.py", "10000").check()
    error = re.search(r"\+- (\S+)", run.stdout)
    assert error is not None
    assert float(error[1]) == pytest.approx(1.64 / math.sqrt(10_000), rel=0.02)


@on_ranks(1, 2)
def test_without_deap_the_genetic_algorithm_says_what_it_needs(tmp_path: Path, ranks: int) -> None:
    (tmp_path / "deap.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    example = EXAMPLES / "genetic_algorithm.py"
    run = launch(example, ranks=ranks, env={"PYTHONPATH": path}).check(status=None)
    assert "pip install 'scoop_mpi[deap]'" in run.stderr
