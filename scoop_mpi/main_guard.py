"""Which of a program's names exist on every rank: those that it binds outside its main guard.

And which of these may get another value on the root. The program's syntax tree tells. Apart from
`program`, since only the root has to know, and reading syntax trees takes a while to import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator


def names_on_every_rank(tree: ast.Module) -> set[str]:
    """Return the names that a module binds outside its main guard, and only there."""
    names: set[str] = set()
    on_root: set[str] = set()
    _collect_names(tree.body, names, on_root)
    return names - on_root


def rebindable_names(tree: ast.Module) -> set[str]:
    """Return the names bound outside the main guard that may be bound anew on the root alone.

    Within the guard, that is, or by a function that declares them global.
    """
    names: set[str] = set()
    on_root: set[str] = set()
    _collect_names(tree.body, names, on_root)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            on_root.update(node.names)
    return names & on_root


def insert_call(tree: ast.Module, name: str) -> bool:
    """Have the main guard begin with a call of the global `name`; return whether there is one."""
    return _insert_call(tree.body, name)


def _insert_call(body: list[ast.stmt], name: str) -> bool:
    has_inserted = False
    for statement in body:
        if isinstance(statement, ast.If) and _is_main_guard(statement.test):
            guarded = statement.orelse if _is_inverted(statement.test) else statement.body
            if guarded:
                call = ast.Expr(ast.Call(ast.Name(name, ast.Load()), [], []))
                guarded.insert(0, ast.fix_missing_locations(ast.copy_location(call, statement)))
                has_inserted = True
            continue
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            has_inserted |= _insert_call(getattr(statement, field, []), name)
        for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            has_inserted |= _insert_call(part.body, name)
    return has_inserted


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
