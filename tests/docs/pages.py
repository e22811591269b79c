"""The code blocks of a documentation page, and what can be run of them.

A page is written for its readers, so what it promises is read off what it shows:

- A Python block with a caption is a file of that name. Without one it is a part of the page's
  program: all such parts, one after the other, are run once.
- A shell block starts programs, as the reader would.
- A text block after one of these is what it prints; "..." stands for anything. With a caption it is
  a file.

What a reader needn't see is said in comments of MyST's, right above a block:

    % not run: REASON        the block is not tested, because ...
    % exit status 1          the command fails with this status
    % in any order           the lines of the output may come in any order
"""

from __future__ import annotations

import builtins
import doctest
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

from tests.launch import ROOT

DOCS = ROOT / "docs"
# They show no programs, but diagrams, and what benchmarks have measured.
NOT_TESTED = {"design.md", "performance.md", "scale.md"}

# Its pages are made when the site is built; see test_gallery.py.
MADE = "gallery/"

_FENCE = re.compile(r"```(?:\{code-block\} )?(?P<language>\{\S+\}.*|\S*)$")
_COMMENT = re.compile(r"% (?P<note>.*)$")
_OPTION = re.compile(r":(?P<name>\w+): (?P<value>.*)$")
_LANGUAGES = ("python", "sh", "text")
_NOT_RUN = "not run: "
_STATUS = "exit status "
_ANY_ORDER = "in any order"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, which begins at `line`."""

    page: str
    line: int
    language: str
    text: str
    caption: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"

    @property
    def reason(self) -> str:
        """Why this block is not run; empty if it is."""
        return self._note(_NOT_RUN)

    @property
    def exit_status(self) -> int:
        """The status with which this command is to end."""
        return int(self._note(_STATUS) or 0)

    def _note(self, start: str) -> str:
        found = [note.removeprefix(start) for note in self.notes if note.startswith(start)]
        return found[0] if found else ""

    def is_printed_in(self, output: str, *, with_more: bool = False) -> bool:
        """Say whether `output` is what this block shows; `with_more`: or begins with it."""
        if _ANY_ORDER in self.notes:
            return _are_the_same_lines(self.text.splitlines(), output.splitlines())
        if with_more:
            return _fits(f"{self.text}...end\n", f"{output}end\n")
        return _fits(self.text, output)


def _fits(shown: str, printed: str) -> bool:
    """Compare word by word; "..." is any text, and by itself any number of words, also none."""
    # The two blanks between words are one before the dots and one after, where nothing is between.
    want = "  ".join(shown.split()).replace("  ...", " ...").replace("...  ", "... ")
    got = "  ".join(printed.split())
    return doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS)


def _are_the_same_lines(shown: list[str], printed: list[str]) -> bool:
    """Say whether each line that is shown was printed, once, and nothing else."""
    left = list(printed)
    for line in shown:
        fitting = [candidate for candidate in left if _fits(line, candidate)]
        if not fitting:
            return False
        left.remove(fitting[0])
    return not left


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a page runs, and what it prints then; None if the page doesn't show it."""

    block: Block
    output: Block | None


def read_page(page: str) -> list[Block]:
    """Return the blocks of a page, which is named by its path under docs/."""
    return find_blocks(page, (DOCS / page).read_text(encoding="utf-8"))


def find_blocks(page: str, text: str) -> list[Block]:
    """Return the blocks in the text of a page.

    Raises:
        ValueError: it is not clear what a block, or a comment, is for.
    """
    blocks: list[Block] = []
    lines = iter(enumerate(text.splitlines(), 1))
    notes: list[str] = []
    for number, line in lines:
        if comment := _COMMENT.match(line):
            notes.append(comment["note"])
        elif fence := _FENCE.match(line):
            caption, text = _read_block(lines)
            language = fence["language"]
            if not language.startswith("{"):  # else it is a directive, {toctree} and the like
                blocks.append(Block(page, number, language, text, caption, tuple(notes)))
            notes = []
        elif notes:
            raise ValueError(f"{page}, line {number}: no block follows the comment {notes[-1]!r}")
    for block in blocks:
        _check(block)
    return blocks


def _read_block(lines: Iterator[tuple[int, str]]) -> tuple[str, str]:
    caption = ""
    text: list[str] = []
    for _, line in lines:
        if line == "```":
            break
        if not text and (option := _OPTION.match(line)):
            caption = option["value"]
        else:
            text.append(line)
    return caption, "\n".join(text) + "\n"


def _check(block: Block) -> None:
    """Refuse what would go untested because nobody knows what it is."""
    if block.language not in _LANGUAGES:
        raise ValueError(f"{block}: the language is {block.language!r}, not one of {_LANGUAGES}")
    for note in block.notes:
        if note != _ANY_ORDER and not note.startswith((_NOT_RUN, _STATUS)):
            raise ValueError(f"{block}: the comment {note!r} means nothing")


def files(blocks: list[Block]) -> dict[str, str]:
    """Return the files that a page shows, by name."""
    return {block.caption: block.text for block in blocks if block.caption}


def steps(blocks: list[Block]) -> list[Step]:
    """Return what a page runs, in order: shell blocks, and parts of its own program.

    Raises:
        ValueError: a text block is neither a file nor what a command prints.
    """
    found: list[Step] = []
    for block in blocks:
        if block.caption:
            continue
        if block.language != "text":
            found.append(Step(block, None))
        elif not block.reason:
            if not found or found[-1].output is not None:
                raise ValueError(f"{block}: there is no command whose output this could be")
            found[-1] = Step(found[-1].block, block)
    return found


def unbound_names(source: str) -> set[str]:
    """Return the names that a program uses and nobody has given a value."""
    top = symtable.symtable(source, "<block>", "exec")
    bound = {
        symbol.get_name()
        for symbol in top.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    used = {
        symbol.get_name()
        for table in _tables(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table is top)
    }
    return used - bound - set(dir(builtins)) - {"__file__"}


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def pages() -> list[str]:
    """Return the pages whose blocks are tested: the tutorial, the manual and the like."""
    names = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    return sorted(name for name in names - NOT_TESTED if not name.startswith(MADE))
