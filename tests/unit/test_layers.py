"""The layers: no module imports from a layer above its own, and none from itself by a detour."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "scoop_mpi"
# Beside the folders, and what design.md calls their layers.
BESIDE = {"__main__": "command", "__init__": "fronts", "_version": "base"}
ROW = re.compile(r"^\| `?(\w+)(?:/`)? \|[^|]*\|(.*)\|$", re.MULTILINE)


def layers() -> dict[str, set[str]]:
    """Return the layers of design.md, the highest first, each with the modules that it names."""
    _, _, text = (ROOT / "docs" / "design.md").read_text().partition("\n## Layers\n")
    text, _, _ = text.partition("\n## ")
    rows = {name: set(re.findall(r"`(\w+)`", modules)) for name, modules in ROW.findall(text)}
    del rows["layer"]
    return rows


def module_files() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "for_children" not in path.parts:
            yield path.relative_to(PACKAGE)


def layer_of(module: Path) -> str:
    if len(module.parts) > 1:
        return module.parts[0]
    if module.stem in BESIDE:
        return BESIDE[module.stem]
    return next(name for name, modules in layers().items() if module.stem in modules)


def imports_of(module: Path) -> Iterator[Path]:
    """Yield the files of the package that a module imports, wherever in it, also for types."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert not node.level, f"{module} has a relative import"
            first, *parts = node.module.split(".")
            if first == "scoop_mpi":
                for alias in node.names:
                    yield found(*parts, alias.name) or found(*parts) or Path("__init__.py")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, *parts = alias.name.split(".")
                if first == "scoop_mpi":
                    yield found(*parts) or Path("__init__.py")


def found(*parts: str) -> Path | None:
    for path in (Path(*parts, "__init__.py"), Path(*parts).with_suffix(".py") if parts else None):
        if path is not None and (PACKAGE / path).is_file():
            return path
    return None


MODULES = list(module_files())


def test_the_table_names_each_module_and_no_other() -> None:
    named = {(name, module) for name, modules in layers().items() for module in modules}
    there = {(layer_of(path), path.stem) for path in MODULES if not path.stem.startswith("_")}
    assert named == there


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_from_its_layer_and_those_below(module: Path) -> None:
    order = list(layers())
    own = order.index(layer_of(module))
    above = {str(other) for other in imports_of(module) if order.index(layer_of(other)) < own}
    assert not above


def test_there_is_no_circle() -> None:
    graph = {module: set(imports_of(module)) - {module} for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_one_module_imports_greenlet_and_few_import_mpi(module: Path) -> None:
    text = (PACKAGE / module).read_text()
    if re.search(r"^\s*(from|import) greenlet\b", text, re.MULTILINE):
        assert module == Path("engine/greenlets.py")
    if re.search(r"^\s*(from|import) mpi4py\b", text, re.MULTILINE):
        assert module in {Path("transport/mpi.py"), Path("launch/mpi_library.py")}


def test_a_rank_imports_nothing_that_few_want() -> None:
    """Each module takes its time on every rank of every job."""
    program = "import sys, scoop_mpi.job.rank, scoop_mpi.transport.mpi; print(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    loaded = set(run.stdout.split())
    few_want = {"asyncio", "cloudpickle", "dataclasses", "hashlib", "inspect", "json", "numpy"}
    few_want |= {"multiprocessing", "socket", "subprocess", "tempfile"}
    few_want |= {f"scoop_mpi.{name}" for name in ("journal", "engine.isolation", "job.isolated")}
    assert loaded & few_want == set()
