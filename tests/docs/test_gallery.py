"""The gallery has every program of examples/, and what it shows is what they print."""

from __future__ import annotations

import importlib.util
import re

import pytest

from docs.make_gallery import GROUPS, OUTPUTS, pages, read_example
from tests.launch import EXAMPLES, launch

NAMES = [name for group in GROUPS for name in group.names]
NEEDS_DEAP = {"genetic_algorithm"}
# What differs from run to run, and from one Python to the next.
VARYING = {
    "map_as_completed": r"\d+\.\d+ s|task \d+",
    "map_reduce": r"^ *\d+ \w+$|\d+",
}


def lasting(name: str, output: str) -> str:
    """Return what an example has printed, without what varies."""
    return re.sub(VARYING.get(name, "(?!)"), "#", output, flags=re.MULTILINE)


def test_each_program_has_its_page_and_its_output() -> None:
    programs = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert sorted(NAMES) == programs
    assert sorted(path.stem for path in OUTPUTS.iterdir()) == programs
    assert sorted(pages()) == sorted(["index.md", *(f"{name}.md" for name in programs)])


@pytest.mark.parametrize("name", NAMES)
def test_page_shows_what_the_program_prints(name: str) -> None:
    if name in NEEDS_DEAP and importlib.util.find_spec("deap") is None:
        pytest.skip("DEAP is not installed")
    shown = (OUTPUTS / f"{name}.txt").read_text(encoding="utf-8")
    printed = launch(EXAMPLES / f"{name}.py", ranks=4).check().stdout
    assert lasting(name, printed) == lasting(name, shown), (
        f"python -m scoop_mpi -n 4 examples/{name}.py > docs/outputs/{name}.txt"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_programs_docstring_stands_once_on_its_page(name: str) -> None:
    example = read_example(name)
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert lines[example.first_line - 1].startswith(("import ", "from "))
    assert '"""' in lines[example.first_line - 3]
    assert not any(part.startswith("python ") for part in example.paragraphs)
