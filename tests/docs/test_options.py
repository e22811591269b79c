"""The manual has every option that `--help` has, and none that it hasn't."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS
from tests.launch import launch

OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
MANUAL = DOCS / "manual" / "launching.md"
# Has the names that SCOOP gave some of them.
MIGRATION = DOCS / "migration.md"


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The options that `--help` names, each at the beginning of a line."""
    lines = launch("--help", ranks=None).check().stdout.splitlines()
    heads = [re.split(r"\s{2,}", line.strip())[0] for line in lines if line.startswith("  -")]
    return {option for head in heads for option in OPTION.findall(head)}


def options_in_code(page: str) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    return {option for code in re.findall(r"`([^`]+)`", text) for option in OPTION.findall(code)}


def test_each_option_is_in_the_manual(known: set[str]) -> None:
    assert "--hostfile" in known
    pages = (MANUAL.read_text(encoding="utf-8"), MIGRATION.read_text(encoding="utf-8"))
    assert known - {"-h"} <= set.union(*map(options_in_code, pages))


def test_each_option_in_the_manuals_tables_is_known(known: set[str]) -> None:
    rows = re.findall(r"^\| (`-[^|]*) \|", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    named = options_in_code("\n".join(rows))
    assert "--hostfile" in named
    assert named - {"-vv"} <= known
