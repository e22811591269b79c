"""The reference has every public name, and tab completion shows these and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import pytest

import scoop_mpi
import scoop_mpi.joblib
from scoop_mpi import MPIPoolExecutor, Pool, futures, shared
from scoop_mpi.job import scoop_futures
from tests.docs.pages import DOCS
from tests.unit.helpers import make_future

# What a page documents: after a directive such as `.. autofunction::`, or in the lines below it.
DOCUMENTED = re.compile(r"^(?:\.\. \w+::| {3,}) +(?:[\w.]*\.)?(\w+)(?:\(\))?$", re.MULTILINE)
# A class, and the names of its methods.
CLASS = re.compile(
    r"^\.\. autoclass:: (?:[\w.]*\.)?(\w+)(?:\(\))?\n +:members: (.*)$", re.MULTILINE
)
# A module that programs import, by the heading of its part of the page.
MODULE = re.compile(r"^## scoop_mpi\.(\w+)$", re.MULTILINE)
PAGE = (DOCS / "reference.md").read_text(encoding="utf-8")
NAMES = set(DOCUMENTED.findall(PAGE))

MODULES = [scoop_mpi, futures, shared, scoop_mpi.joblib]


def shown(thing: object) -> set[str]:
    """Return what tab completion shows, unless one begins with an underscore."""
    return {name for name in dir(thing) if not name.startswith("_")}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_public_names_are_in_the_reference(module: ModuleType) -> None:
    assert set(module.__all__) <= NAMES


@pytest.mark.parametrize(
    "module", [*MODULES[1:], scoop_futures], ids=lambda module: module.__name__
)
def test_public_names_of_a_module_are_shown_and_no_others(module: ModuleType) -> None:
    assert shown(module) == set(module.__all__)
    assert all(hasattr(module, name) for name in dir(module))


def test_the_package_shows_its_modules_too() -> None:
    assert shown(scoop_mpi) == {*scoop_mpi.__all__, *MODULE.findall(PAGE)} - {"__version__"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_future(abs, -1),
        lambda: futures.options(name="first"),
        MPIPoolExecutor,
        Pool,
    ],
    ids=["Future", "Options", "MPIPoolExecutor", "Pool"],
)
@pytest.mark.filterwarnings("ignore:scoop_mpi was not started")
def test_methods_in_the_reference_are_shown_and_no_others(make: Callable[[], object]) -> None:
    thing = make()
    methods = dict(CLASS.findall(PAGE))[type(thing).__name__]
    assert shown(thing) == set(methods.split(", "))
