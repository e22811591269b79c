"""Every block of code in the documentation does what the page says.

Blocks that can't be run here are skipped one by one, each with its reason: `pytest -rs tests/docs`
lists them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.pages import Block, Step, files, pages, read_page, steps, unbound_names
from tests.launch import ROOT, Run, launch

# Of a page's own program. More than two, so that a task of a task may go to yet another rank.
RANKS = 3

BLOCKS = {page: read_page(page) for page in pages()}
STEPS = [step for blocks in BLOCKS.values() for step in steps(blocks)]
COMMANDS = [step for step in STEPS if step.block.language == "sh" and not step.block.reason]
NOT_RUN = [block for blocks in BLOCKS.values() for block in blocks if block.reason]
PROGRAMS = {
    page: parts
    for page, blocks in BLOCKS.items()
    if (parts := [s for s in steps(blocks) if s.block.language == "python" and not s.block.reason])
}


def name_of(value: object) -> str:
    block = value.block if isinstance(value, Step) else value
    return f"{block.page}:{block.line}" if isinstance(block, Block) else str(value)


@pytest.mark.parametrize("step", COMMANDS, ids=name_of)
def test_command_prints_what_the_page_shows(step: Step, tmp_path: Path) -> None:
    for name, text in files(BLOCKS[step.block.page]).items():
        (tmp_path / name).write_text(text)
    runs = [run_line(line, tmp_path) for line in step.block.text.splitlines()]
    for run in runs:
        run.check(status=step.block.exit_status)
    # As on a terminal, where a program's messages come after what it has printed.
    output = "".join(run.stdout + run.stderr for run in runs)
    assert step.output is not None, f"{step.block}: the page doesn't show what this prints"
    # Where a job fails, some launchers have something to add.
    has_failed = step.block.exit_status != 0
    assert step.output.is_printed_in(output, with_more=has_failed), differ(step.output, output)


def run_line(line: str, directory: Path) -> Run:
    """Run a line of a shell block: `python -m scoop_mpi ...`, by itself or under mpiexec."""
    words = shlex.split(line)
    ranks = None
    if words[:2] == ["mpiexec", "-n"]:
        ranks, words = int(words[2]), words[3:]
    if words[:1] != ["python"]:
        raise ValueError(f"can't run {line!r}: say `% not run: REASON` above the block")
    return launch(ranks=ranks, python=words[1:], cwd=directory)


def test_the_readmes_first_program_prints_what_it_shows(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    shown = re.search(r"```console\n\$ (.*?)\n(.*?)```", readme, re.DOTALL)
    assert program is not None
    assert shown is not None
    command, output = shown.groups()
    (tmp_path / shlex.split(command)[-1]).write_text(program[1])
    assert run_line(command, tmp_path).check().stdout == output


@pytest.mark.parametrize("page", PROGRAMS)
def test_program_of_a_page_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    parts = PROGRAMS[page]
    program = tmp_path / "program.py"
    program.write_text("\n".join(part.block.text for part in parts))
    run = launch(program, ranks=RANKS, cwd=tmp_path).check()
    assert not run.stderr, str(run)
    shown = [part.output for part in parts if part.output is not None]
    expected = join(shown)
    assert expected.is_printed_in(run.stdout), differ(expected, run.stdout)


def join(blocks: Sequence[Block]) -> Block:
    """The output of a whole program, whose parts are shown in blocks of their own."""
    return Block(blocks[0].page, blocks[0].line, "text", "".join(block.text for block in blocks))


def differ(expected: Block, output: str) -> str:
    return f"{expected}: the page shows\n{expected.text}\nbut this was printed:\n{output}"


@pytest.mark.parametrize(
    "block",
    [block for blocks in BLOCKS.values() for block in blocks if block.language == "python"],
    ids=name_of,
)
def test_python_block_can_be_copied_as_it_is(block: Block) -> None:
    assert unbound_names(block.text) == set()


@pytest.mark.parametrize("block", NOT_RUN, ids=name_of)
def test_block_that_is_not_run(block: Block) -> None:
    if block.language == "sh":
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=10)
    pytest.skip(block.reason)
