"""The page on troubleshooting has every message of the package, and none that there isn't.

Messages are found by their looks: every text of three words or more in the package's source is
either on the page, or below, with the reason why it is not. So a new one can't be forgotten.

What a message is filled with stands as "..." on both sides. The page gives as much of a message's
beginning as is needed to know it by.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.launch import ROOT

PAGE = DOCS / "troubleshooting.md"
PACKAGE = ROOT / "scoop_mpi"

# Of a definition list: `message`, and on the next line what it means.
ENTRY = re.compile(r"^(?P<quote>`+) ?(?P<text>.+?) ?(?P=quote)\n: ", re.MULTILINE)
FILLED_IN = re.compile(r"%[sdr]|%\(\w+\)\w+")

# Texts that aren't messages, by their beginnings.
NO_MESSAGES = {
    "Run a Python program on all ranks": "the command line's help",
    "examples: mpiexec -n 4": "the command line's help",
    "[.......] rank ... (...)": "how a line of the log begins; see manual/logging.md",
    "...scoop_mpi: rank ... (...) ...": "how it is said which rank could not import the program",
    "On rank ... (...):": "how a remote traceback begins; see manual/pitfalls.md",
    "argument ...: ...": "a part of: a call of ...",
    "the function of the call": "a part of: a call of ...",
    "(unknown: its pickle is damaged)": "a part of: an object of type ... can't be unpickled",
    "Choose the plugin that speaks": "a part of: ... processes, but each of them is alone",
    "Use the mpiexec of the MPI": "a part of: ... processes, but each of them is alone",
    "Open MPI's mpiexec": "a part of: ... processes, but each of them is alone",
    "MPICH's or Intel MPI's mpiexec": "a part of: ... processes, but each of them is alone",
    "Install mpi4py for": "a part of: ... processes, but each of them is alone",
}


def texts(path: Path) -> Iterator[str]:
    """Yield the texts in a module that a user may get to see."""
    for node in visible_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        text = ""
        if isinstance(node, ast.JoinedStr):
            parts = (v.value if isinstance(v, ast.Constant) else "..." for v in node.values)
            text = "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        text = " ".join(FILLED_IN.sub("...", text).split())
        if text.count(" ") >= 2:
            yield text


def visible_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, but for docstrings, parts of f-strings, reprs, types and options' help."""
    yield node
    if isinstance(node, ast.JoinedStr):
        return
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        is_repr = isinstance(child, ast.FunctionDef) and child.name == "__repr__"
        is_type = isinstance(child, ast.Subscript)  # tuple["Parcel | None"], before that exists
        if not (is_docstring or is_repr or is_type or is_option(child)):
            yield from visible_nodes(child)


def is_option(node: ast.AST) -> bool:
    """Whether this calls argparse, whose own texts `--help` shows."""
    function = node.func if isinstance(node, ast.Call) else None
    name = getattr(function, "attr", "")
    return name in ("ArgumentParser", "add_argument", "add_argument_group")


MESSAGES = sorted({text for path in PACKAGE.glob("*.py") for text in texts(path)})
ENTRIES = [match["text"] for match in ENTRY.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_explained(message: str) -> None:
    known = [text for text in (*ENTRIES, *NO_MESSAGES) if message.startswith(text)]
    assert known, (
        f"docs/troubleshooting.md should tell what causes this message, and what helps:\n\n"
        f"`{message}`\n: ...\n"
    )


@pytest.mark.parametrize("text", [*ENTRIES, *NO_MESSAGES])
def test_entry_is_still_a_message(text: str) -> None:
    assert any(message.startswith(text) for message in MESSAGES), (
        f"there is no message any more that begins with {text!r}"
    )


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_says_enough_to_be_found(entry: str) -> None:
    words = [word for word in entry.split() if word.strip(".,:()'")]
    assert len(words) >= 2, f"{entry!r} would fit too many messages"
