"""Which of a program's names exist on every rank: those that it binds outside its main guard.

The program's syntax tree tells. Apart from `program`, since only the root has to know, and reading
syntax trees takes a while to import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator


def names_on_every_rank(source: str | bytes, path: str) -> set[str]:
    """Return the names that a module binds outside its main guard, and only there.

    Args:
        source: the module's, which is valid Python.
        path: where it was read, for Python's own warnings. They come once for each path and line.
    """
    names: set[str] = set()
    on_root: set[str] = set()
    _collect_names(ast.parse(source, path).body, names, on_root)
    return names - on_root


def _collect_names(body: list[ast.stmt], names: set[str], on_root: set[str]) -> None:
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                names.update(alias.asname or alias.name.partition(".")[0] for alias in found)
            case ast.If(test=test) if _is_main_guard(test):
                branches = (statement.body, statement.orelse)
                guarded, other = reversed(branches) if _is_inverted(test) else branches
                _collect_names(guarded, on_root, on_root)
                _collect_names(other, names, on_root)
            case _:
                names.update(_assigned_names(statement))
                for field in ("body", "orelse", "finalbody"):
                    _collect_names(getattr(statement, field, []), names, on_root)
                for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
                    _collect_names(part.body, names, on_root)


def _is_main_guard(test: ast.expr) -> bool:
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    values = {node.value for node in ast.walk(test) if isinstance(node, ast.Constant)}
    return "__name__" in names and "__main__" in values


def _is_inverted(test: ast.expr) -> bool:
    return any(isinstance(node, ast.NotEq | ast.NotIn | ast.Not) for node in ast.walk(test))


def _assigned_names(statement: ast.stmt) -> Iterator[str]:
    targets: list[ast.expr] = []
    match statement:
        case ast.Assign(targets=found):
            targets = found
        case ast.AnnAssign(target=target) | ast.For(target=target) | ast.AugAssign(target=target):
            targets = [target]
        case ast.With(items=items):
            targets = [item.optional_vars for item in items if item.optional_vars]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id
