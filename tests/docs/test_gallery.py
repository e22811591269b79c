"""The gallery has every program of examples/; its outputs and pictures are what they compute."""

from __future__ import annotations

import importlib.util
import re
from xml.etree import ElementTree

import pytest

from docs.draw_examples import PICTURES, PICTURES_FOLDER
from docs.make_gallery import GROUPS, OUTPUTS, pages, read_example
from tests.launch import EXAMPLES, launch

NAMES = [name for group in GROUPS for name in group.names]
NEEDS_DEAP = {"genetic_algorithm"}
# What differs from run to run, and from one Python to the next.
VARYING = {
    "map_as_completed": r"\d+\.\d+ s|task \d+",
    "map_reduce": r"^ *\d+ \w+$|\d+",
}
# SVG's name space, in ElementTree's spelling.
SVG = "{http://www.w3.org/2000/svg}"


def lasting(name: str, output: str) -> str:
    """Return what an example has printed, without what varies."""
    return re.sub(VARYING.get(name, "(?!)"), "#", output, flags=re.MULTILINE)


def skip_without_deap(name: str) -> None:
    if name in NEEDS_DEAP and importlib.util.find_spec("deap") is None:
        pytest.skip("DEAP is not installed")


def test_each_program_has_its_page_its_output_and_its_picture() -> None:
    programs = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert sorted(NAMES) == programs
    assert sorted(path.stem for path in OUTPUTS.iterdir()) == programs
    assert sorted(path.stem for path in PICTURES_FOLDER.iterdir()) == programs
    assert sorted(PICTURES) == programs
    assert sorted(pages()) == sorted(["index.md", *(f"{name}.md" for name in programs)])


@pytest.mark.parametrize("name", NAMES)
def test_page_shows_what_the_program_prints(name: str) -> None:
    skip_without_deap(name)
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


@pytest.mark.parametrize("name", NAMES)
def test_picture_shows_what_the_program_computes(name: str) -> None:
    skip_without_deap(name)
    shown = (PICTURES_FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert shown == PICTURES[name].svg(), f"python -m docs.draw_examples {name}"


@pytest.mark.parametrize("name", NAMES)
def test_picture_says_in_words_what_it_shows_and_stands_on_its_page(name: str) -> None:
    picture = ElementTree.parse(PICTURES_FOLDER / f"{name}.svg").getroot()
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == PICTURES[name].words
    made = pages()
    assert f"../pictures/{name}.svg" in made[f"{name}.md"]
    assert PICTURES[name].caption in made[f"{name}.md"]
    assert f"../pictures/{name}.svg" in made["index.md"]


@pytest.mark.parametrize("name", NAMES)
def test_picture_keeps_its_texts_within_its_frame_and_large_enough_for_a_phone(name: str) -> None:
    picture = ElementTree.parse(PICTURES_FOLDER / f"{name}.svg").getroot()
    left, top, width, height = map(float, picture.get("viewBox", "").split())
    # On a phone a unit is about a pixel.
    assert (left, top, width) == (0, 0, 360)
    assert float(picture.get("font-size", "")) >= 11.5
    for text in picture.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", "")) <= width
        assert 8 <= float(text.get("y", "")) <= height - 3
