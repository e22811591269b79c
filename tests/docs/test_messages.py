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

# Modules whose texts aren't messages.
PAGES = {"info.py": "the page that --info prints"}

# Texts that aren't messages, by their beginnings.
NO_MESSAGES = {
    "the command line's help": (
        "Run a Python program on several ranks",
        "examples: python -m scoop_mpi",
        "number (0 or more)",
        "number (1 or more)",
        "number of seconds (0 or more)",
        "number of threads (1 or more, or keep)",
        "niceness (-20 to 19)",
        "quoted list of options",
        "name (letters, digits",
    ),
    "what --install-kernel says when it is done": ("The kernel ... was written to ...",),
    "a part of: scoop_mpi is not running": ("A notebook needs a kernel",),
    "what is asserted of scoop_mpi itself": ("only the registrar's constants",),
    "an answer to one of SCOOP's options; see migration.md": (
        "scoop_mpi: ...: ...",
        "there are no brokers to start",
        "the MPI's mpiexec reaches the hosts",
        "MPI carries the data",
        "mpiexec tells the hosts where it is",
        "put its commands into the job script",
        "MPI is the backend",
        "the log goes to stderr",
    ),
    "a part of: ..., but each of them is alone in its MPI world": (
        "several processes (this is number ...)",
        "Start it with",
        "`srun --mpi=",
        "the mpiexec that belongs to",
    ),
    "a part of: rank ... got ... from rank ...": (
        "a part of ... calls that were combined",
        "it is no broker",
        "it is not about constants",
        "it is not for a worker",
        "it is not for the broker",
        "it is of an unknown kind",
        "it knows nothing of these calls",
        "nobody had asked it to",
        "nothing was proposed",
        "rank 0 alone may",
    ),
    "what a broken invariant says, in the traceback of a fault of ours": (
        "... is in the ledger as ...",
        "... waits in two queues",
        "... waits, and is done",
        "...: calls ... to ... are in, and held",
        "the calls of ... don't add up",
    ),
    "what a job says of its journal as it ends; see manual/failures.md": (
        "... results were taken from the journal",
    ),
    "what the command for journals says; see manual/failures.md": (
        "... bytes belong to no whole record",
        "... is the journal of ... from now on",
        "... results are whole",
        "... results written to",
        "... (...): ... results",
        "Say what is in a journal",
    ),
    "a part of: the journal keeps no calls of ...": ("it can't be pickled",),
    "a part of: the job was lost before the program's end": (
        "goes on with ...",
        "without --journal all is made again",
    ),
    "a part of: the process of ...": (
        "(as the system does where memory runs out)",
        "has left Python with the status ...",
        "was ended by ...",
    ),
    "a program, for a process of ours": ("import sys; sys.path.insert",),
    "a part of an event log": (
        "(... before these)",
        "... ..., of which the repr raised ...",
        "from rank ...:",
        "to rank ...:",
    ),
    "a part of: call of ..., arguments ...": (
        ", rank ... on ...",
        "<... of length ...>",
        "<... of shape ..., ...>",
    ),
    "a part of: a call of ...": ("argument ...: ...", "the function of the call"),
    "a part of: there is no module ... that could be run with -m": ("; try ..., without .py",),
    "Python's own words": (
        "EOF when reading a line",
        "Error in sys.excepthook:",
        "Original exception was:",
        "sys.excepthook is missing",
    ),
    "a part of: an object of type ... can't be unpickled": ("(unknown: its pickle is damaged)",),
    "a part of: the program's standard input is empty": ("... is another file",),
    "a part of: the job has ... cores but one task": ("sbatch -n", "qsub -l select=1"),
    "a part of: No memory to share on this node, where there is none": (
        "this system has no files without a name",
    ),
    "a part of: there is no mpiexec of ...": ("What was found is another MPI's",),
    "a part of: No memory to share on this node": (
        "large constants are copied to each rank",
        "there are ... segments of them already",
        "rank ... gets copies of large constants",
        "... is not what the node's leader has placed",
    ),
    "what --info says of the hashes": (
        "alike on all ranks",
        "differ between the ranks",
        "...; ... ...",
    ),
    "what --info says of the constants": (
        "O_TMPFILE in ...",
        "copied to each rank: ...",
        "shared on a node, by ...",
    ),
    "how a line of the log begins; see manual/logging.md": ("[.......] rank ... (...)",),
    "how a remote traceback begins; see manual/pitfalls.md": ("On rank ... (...):",),
    "how it is said which rank could not import the program": ("...scoop_mpi: rank ... (...) ...",),
    "what -i greets with": ("scoop_mpi ..., number of ranks", ".... Python ..."),
    "the name of a thread": ("scoop_mpi executor: helper", "scoop_mpi executor: results"),
    "a part of: a call has failed, and is made again": ("attempt ...:",),
    "a program": ("from scoop_mpi import futures, shared",),
    "a module's docstring": ("SCOOP's names, as scoop_mpi has them.",),
    "an MPI and its version": ("... (MPI ...",),
}
# Whole texts.
NAMES = {
    "IBM Spectrum MPI",
    "MPICH's or Intel MPI's mpiexec",
    "Open MPI's mpiexec",
    "a PMIx launcher",
    # A kernel's, as Jupyter's menus have it.
    "... (... ...)",
    # Which rank, and where in the program, as parts of messages.
    "rank ... (...)",
    "rank ... on ...",
    "... (..., line ...)",
    "..., line ...: ...",
}
BEGINNINGS = [beginning for group in NO_MESSAGES.values() for beginning in group]


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


MODULES = [path for path in PACKAGE.rglob("*.py") if path.name not in PAGES]
TEXTS = {text for path in MODULES for text in texts(path)}
MESSAGES = sorted(TEXTS - NAMES)
ENTRIES = [match["text"] for match in ENTRY.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_explained(message: str) -> None:
    known = [text for text in (*ENTRIES, *BEGINNINGS) if message.startswith(text)]
    assert known, (
        f"docs/troubleshooting.md should tell what causes this message, and what helps:\n\n"
        f"`{message}`\n: ...\n"
    )


@pytest.mark.parametrize("text", [*ENTRIES, *BEGINNINGS])
def test_entry_is_still_a_message(text: str) -> None:
    assert any(message.startswith(text) for message in MESSAGES), (
        f"there is no message any more that begins with {text!r}"
    )


def test_names_are_still_there() -> None:
    assert NAMES <= TEXTS


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_says_enough_to_be_found(entry: str) -> None:
    words = [word for word in entry.split() if word.strip(".,:()'")]
    assert len(words) >= 2, f"{entry!r} would fit too many messages"
