"""What `packaging/` has for conda and Apptainer says the same as pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from scoop_mpi import __version__
from tests.launch import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPE = ROOT / "packaging" / "conda" / "recipe.yaml"
DEFINITION = ROOT / "packaging" / "apptainer" / "scoop_mpi.def"
# Of Apptainer; it refuses others.
SECTIONS = {"arguments", "files", "post", "environment", "runscript", "test", "labels", "help"}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- conda


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """The recipe, with its own variables filled in."""
    text = RECIPE.read_text(encoding="utf-8")
    for name, value in yaml.safe_load(text)["context"].items():
        text = text.replace(f"${{{{ {name} }}}}", value)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def as_conda_has_it(requirement: Requirement) -> str:
    return f"{requirement.name} {requirement.specifier}".strip()


def lowest(pyproject: dict[str, Any]) -> str:
    """Return the first Python of pyproject.toml, which names no last one."""
    found: str = pyproject["project"]["requires-python"]
    assert re.fullmatch(r">=3\.\d+", found)
    return found.removeprefix(">=")


def test_the_recipe_has_this_version() -> None:
    # Of the file's own text: YAML makes a number of 3.10, and of 1.0.
    text = RECIPE.read_text(encoding="utf-8")
    assert re.findall(r'^  version: "(.*)"$', text, re.MULTILINE) == [__version__]


def test_the_recipe_needs_what_the_package_needs(
    recipe: dict[str, Any], pyproject: dict[str, Any]
) -> None:
    needed = [Requirement(text) for text in pyproject["project"]["dependencies"]]
    python, *others = recipe["requirements"]["run"]
    assert python == f"python >={lowest(pyproject)}"
    assert others == [as_conda_has_it(each) for each in needed if each.marker is None]
    # What holds for some Pythons only can't be said, so conda has to have no others for them.
    assert [as_conda_has_it(each) for each in needed if each.marker] == ["greenlet >=3.1"]


def test_the_recipe_builds_as_the_package_is_built(
    recipe: dict[str, Any], pyproject: dict[str, Any]
) -> None:
    build = [Requirement(text) for text in pyproject["build-system"]["requires"]]
    assert recipe["requirements"]["host"] == [
        f"python {lowest(pyproject)}.*",
        "pip",
        *map(as_conda_has_it, build),
    ]
    assert recipe["build"]["noarch"] == "python"
    assert (RECIPE.parent / recipe["source"]["path"]).resolve() == ROOT


def test_the_recipe_says_of_the_package_what_pyproject_says(
    recipe: dict[str, Any], pyproject: dict[str, Any]
) -> None:
    project = pyproject["project"]
    assert recipe["package"]["name"] == project["name"]
    assert recipe["about"] == {
        "summary": project["description"],
        "license": project["license"],
        "license_file": project["license-files"][0],
    }
    scripts = [f"{name} = {function}" for name, function in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_the_recipe_tests_modules_that_there_are(
    recipe: dict[str, Any], pyproject: dict[str, Any]
) -> None:
    test = recipe["tests"][0]["python"]
    assert test["python_version"] == f"{lowest(pyproject)}.*"
    assert "scoop_mpi" in test["imports"]
    assert all(find_spec(name) for name in test["imports"])


# ---------------------------------------------------------------- Apptainer


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """The sections of the definition, by name; "": what stands before them."""
    header, *rest = re.split(r"^%", DEFINITION.read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = dict(part.split("\n", 1) for part in rest)
    assert len(parts) == len(rest)
    return {"": header, **parts}


@pytest.fixture(scope="module")
def arguments(sections: dict[str, str]) -> dict[str, str]:
    return dict(line.strip().split("=") for line in sections["arguments"].strip().splitlines())


def test_the_definition_has_sections_that_apptainer_knows(sections: dict[str, str]) -> None:
    assert set(sections) - {""} == SECTIONS
    lines = [line for line in sections[""].splitlines() if line and not line.startswith("#")]
    assert lines == ["Bootstrap: docker", "From: python:{{ PYTHON }}-slim"]


def test_the_definitions_python_and_mpi_are_those_of_the_package(
    sections: dict[str, str], arguments: dict[str, str], pyproject: dict[str, Any]
) -> None:
    project = pyproject["project"]
    assert SpecifierSet(project["requires-python"]).contains(arguments["PYTHON"])
    assert f"Programming Language :: Python :: {arguments['PYTHON']}" in project["classifiers"]
    named = {arguments["MPI"], *re.findall(r"`(\w+)`", sections[""])}
    assert named == {"mpich", "openmpi", "impi"}
    assert named <= set(project["optional-dependencies"])
    used = re.findall(r"\{\{ (\w+) \}\}", "".join(sections.values()))
    assert set(used) == set(arguments)


def test_the_definition_copies_what_an_installation_needs(
    sections: dict[str, str], pyproject: dict[str, Any]
) -> None:
    copied = {line.split()[0] for line in sections["files"].splitlines() if line.strip()}
    assert all((ROOT / name).exists() for name in copied)
    project = pyproject["project"]
    needed = {"pyproject.toml", "setup.cfg", "MANIFEST.in", project["readme"], project["name"]}
    assert copied == needed | set(project["license-files"])


@pytest.mark.parametrize("name", ["post", "environment", "runscript", "test"])
def test_a_shell_can_read_the_definitions_scripts(
    name: str, sections: dict[str, str], arguments: dict[str, str], tmp_path: Path
) -> None:
    text = sections[name]
    for argument, value in arguments.items():
        text = text.replace(f"{{{{ {argument} }}}}", value)
    assert "{{" not in text
    script = tmp_path / "script"
    script.write_text(text)
    result = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
