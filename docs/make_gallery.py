"""Makes a page of each program in examples/, and one that lists them, whenever the site is built.

A page has what the program's docstring says, its picture, how it is started, what it prints, and
its source. What it prints is outputs/NAME.txt, as a run on four ranks has printed it. The picture
is pictures/NAME.svg, as draw_examples.py draws it. tests/docs/test_gallery.py holds the former
against another run, and the latter against another drawing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.draw_examples import PICTURES

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples"
OUTPUTS = DOCS / "outputs"
PAGES = DOCS / "gallery"


@dataclass(frozen=True, slots=True)
class Group:
    """Programs that show something of one kind, and the chapter that says more about it."""

    title: str
    chapter: str
    names: tuple[str, ...]


GROUPS = (
    Group("First steps", "manual/map.md", ("map_doc", "pi_calc", "image_filter")),
    Group("Results", "manual/submit.md", ("map_as_completed", "callbacks", "exceptions")),
    Group("Tasks that start tasks", "tutorial.md", ("nested_tree", "tree_traversal", "recursion")),
    Group("Reductions", "manual/reductions.md", ("map_reduce", "map_scan")),
    Group("What travels", "manual/travelling.md", ("lambdas", "shared_constants")),
    Group("Random numbers", "manual/random_numbers.md", ("random_numbers",)),
    Group("With asyncio", "manual/recipes.md", ("asyncio_driver",)),
    Group("With another library", "migration.md", ("genetic_algorithm",)),
)

# What a program's docstring says about how it is started begins with this.
COMMAND = "python -m scoop_mpi "

INDEX = """\
# Examples

Short programs, each about one thing. They are in the directory `examples/`, and each checks its own
result. What they print here is from a run on four ranks. Times, and the order in which results come
in, differ from run to run. So does which rank makes which call: in the pictures that is simulated.
The values in them are what the programs' functions compute.
"""

CARD = """\
- ```{{raw}} html
  :file: ../pictures/{name}.svg
  ```

  {link}
"""

PAGE = """\
# {title}

{text}

```{{raw}} html
:file: ../pictures/{name}.svg
```

{caption}

```sh
python -m scoop_mpi -n 4 examples/{name}.py
```

```{{literalinclude}} ../outputs/{name}.txt
:language: text
```

## The program

```{{literalinclude}} ../../examples/{name}.py
:language: python
:caption: examples/{name}.py
:lines: {first}-
```

{{download}}`Download it <../../examples/{name}.py>`. More about this: [](../{chapter}).
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A program: its name, the paragraphs of its docstring, and the line that follows this."""

    name: str
    paragraphs: tuple[str, ...]
    first_line: int

    @property
    def title(self) -> str:
        """What its first sentence begins with."""
        return re.split("[:,]", self.paragraphs[0])[0].rstrip(".")

    @property
    def link(self) -> str:
        """Its first sentence, which leads to its page."""
        return f"[{self.title}]({self.name}.md){self.paragraphs[0].removeprefix(self.title)}"


def read_example(name: str) -> Example:
    """Return what a program says about itself."""
    module = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(module)
    if text is None:
        raise ValueError(f"examples/{name}.py has no docstring to make a page of")
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n")]
    # The page has the command in a block of its own.
    said = tuple(part for part in paragraphs if not part.startswith(COMMAND))
    return Example(name, said, module.body[1].lineno)


def pages() -> Mapping[str, str]:
    """Return the pages, by the names of their files."""
    made: dict[str, str] = {}
    listed = [INDEX]
    for group in GROUPS:
        examples = [read_example(name) for name in group.names]
        cards = [CARD.format(name=example.name, link=example.link) for example in examples]
        listed += [f"## {group.title}\n", "{.cards .pictures}", *cards]
        for example in examples:
            made[f"{example.name}.md"] = PAGE.format(
                name=example.name,
                title=example.title,
                text="\n\n".join(example.paragraphs),
                caption=PICTURES[example.name].caption,
                first=example.first_line,
                chapter=group.chapter,
            )
    names = [name.removesuffix(".md") for name in made]
    listed += ["```{toctree}", ":hidden:", "", *names, "```", ""]
    return {"index.md": "\n".join(listed), **made}


def write(_: object) -> None:
    """Write the pages into the folder of their own; remove those of programs that are no more."""
    made = pages()
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx call it before it looks for pages."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
