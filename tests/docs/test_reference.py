"""The reference has every public name."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

import scoop_mpi
from scoop_mpi import futures, shared
from tests.docs.pages import DOCS

# What a page documents: after a directive such as `.. autofunction::`, or in the lines below it.
DOCUMENTED = re.compile(r"^(?:\.\. \w+::| {3,}) +(?:[\w.]*\.)?(\w+)(?:\(\))?$", re.MULTILINE)
NAMES = set(DOCUMENTED.findall((DOCS / "reference.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("module", [scoop_mpi, futures, shared], ids=lambda module: module.__name__)
def test_public_names_are_in_the_reference(module: ModuleType) -> None:
    assert set(module.__all__) <= NAMES
