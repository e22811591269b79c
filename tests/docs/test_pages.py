"""How pages are read: what is run, what is compared, and what is refused."""

from __future__ import annotations

import pytest

from tests.docs.pages import Block, files, find_blocks, steps, unbound_names

PAGE = """\
# A page

```{toctree}
another
```

```{raw} html
:file: picture.svg
```

```{code-block} python
:caption: prog.py
print("hello")
```

% exit status 3
```sh
python -m scoop_mpi prog.py
```

```text
hello
```

```python
print(1)
```

% not run: it needs Slurm
```sh
srun true
```
"""


def block(text: str, *notes: str) -> Block:
    return Block("page.md", 1, "text", text, notes=notes)


def test_files_and_steps_of_a_page() -> None:
    blocks = find_blocks("page.md", PAGE)
    assert files(blocks) == {"prog.py": 'print("hello")\n'}
    command, part, srun = steps(blocks)
    assert (command.block.line, command.block.exit_status) == (17, 3)
    assert command.output is not None
    assert command.output.text == "hello\n"
    assert (part.block.text, part.output) == ("print(1)\n", None)
    assert srun.block.reason == "it needs Slurm"


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```pyhton\nprint(1)\n```\n", "the language is 'pyhton'"),
        ("```\nprint(1)\n```\n", "the language is ''"),
        ("% not rum: why\n```sh\ntrue\n```\n", "'not rum: why' means nothing"),
        ("% not run: why\n\n```sh\ntrue\n```\n", "no block follows the comment"),
    ],
)
def test_what_would_go_untested_is_refused(page: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        find_blocks("page.md", page)


def test_output_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no command whose output this could be"):
        steps(find_blocks("page.md", "```text\nhello\n```\n"))


def test_dots_stand_for_anything() -> None:
    shown = block("rank ... (...):\nend\n")
    assert shown.is_printed_in("rank 1 (node):\nend\n")
    assert not shown.is_printed_in("rank 1 (node):\nmiddle\nend\n")


@pytest.mark.parametrize("between", ["", "b\n", "b\nc d\n"])
def test_a_line_of_dots_stands_for_any_lines(between: str) -> None:
    shown = block("a\n...\nz\n")
    assert shown.is_printed_in(f"a\n{between}z\n")
    assert not shown.is_printed_in(f"a\n{between}y\n")
    assert not shown.is_printed_in(f"az\n{between}")


def test_more_may_follow_only_where_it_may() -> None:
    shown = block("failed\n")
    assert shown.is_printed_in("failed\nmpiexec: status 1\n", with_more=True)
    assert not shown.is_printed_in("failed\nmpiexec: status 1\n")
    assert not shown.is_printed_in("it failed\n", with_more=True)


def test_lines_in_any_order() -> None:
    assert block("a\nb\n", "in any order").is_printed_in("b\na\n")
    assert block("... a\n... b\n", "in any order").is_printed_in("1 b\n2 a\n")
    assert not block("a\nb\n", "in any order").is_printed_in("b\nb\n")
    assert not block("a\nb\n", "in any order").is_printed_in("b\na\nc\n")
    assert not block("a\nb\n").is_printed_in("b\na\n")


def test_names_that_a_block_takes_from_another() -> None:
    source = "import math\n\ndef f(x):\n    y = x + math.pi + z\n    return [g(i) for i in y]\n"
    assert unbound_names(source) == {"z", "g"}
    assert unbound_names("if __name__ == '__main__':\n    print(len([]))\n") == set()
