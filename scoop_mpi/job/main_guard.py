"""The main guard: where a program's statements stop being everybody's.

Every rank executes what a program says outside ``if __name__ == "__main__":``, and the root alone
what it says under it. So a program is cut into parts, before, at and after its guards, which are
executed one after the other in one namespace: between them `program` notes what names have come to
mean (see `meanings`). Nothing else tells when the root's import ends and its program begins.

``if scoop.IS_ORIGIN:`` is a main guard too, as is ``__name__ == "__main__" and main()``.

Apart from `program`, since this knows of Python's syntax, and `program` of files and modules.
"""

from __future__ import annotations
import __future__

import ast
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

_FUTURE_FLAGS = 0
for _feature in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _feature).compiler_flag


class Part(NamedTuple):
    """Some statements of a program, in one piece.

    Attributes:
        code: the statements.
        guarded: None if there is no main guard among them. Otherwise this is a single statement,
            which is a guard or contains one, and these are the names that it binds under it: on
            the root alone, or (by an ``else``) on all ranks but the root.
        unguarded: the names that such a statement binds elsewhere than under the guard.
    """

    code: CodeType
    guarded: frozenset[str] | None = None
    unguarded: frozenset[str] = frozenset()


def parts(tree: ast.Module, path: str) -> list[Part]:
    """Return a program, cut at its main guards.

    Args:
        tree: the program's.
        path: where it was read, for tracebacks and for Python's own warnings.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    found: list[Part] = []
    flags = 0
    for statements, guarded, unguarded in _stretches(tree.body):
        if found and _is_text(statements[0]):
            statements[0] = ast.copy_location(ast.Pass(), statements[0])  # else the docstring
        code = compile(ast.Module(statements, []), path, "exec", flags=flags, dont_inherit=True)
        flags |= code.co_flags & _FUTURE_FLAGS
        found.append(Part(code, guarded, unguarded))
    return found


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


_Stretch = tuple[list[ast.stmt], frozenset[str] | None, frozenset[str]]


def _stretches(body: list[ast.stmt]) -> Iterator[_Stretch]:
    """Yield statements that belong together, and the names of `Part`."""
    plain: list[ast.stmt] = []
    for statement in body:
        guarded: set[str] = set()
        unguarded: set[str] = set()
        if not _collect_names([statement], unguarded, guarded):
            plain.append(statement)
            continue
        if plain:
            yield plain, None, frozenset()
            plain = []
        yield [statement], frozenset(guarded), frozenset(unguarded - guarded)
    if plain:
        yield plain, None, frozenset()


def _collect_names(body: list[ast.stmt], unguarded: set[str], guarded: set[str]) -> bool:
    """Add the names that some statements bind; return whether there is a main guard in them."""
    has_guard = False
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                unguarded.add(name)
            case ast.ClassDef(name=name):
                unguarded.add(name)
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                unguarded.update(alias.asname or alias.name.partition(".")[0] for alias in found)
            case ast.If(test=test) if _is_main_guard(test):
                has_guard = True
                _collect_names([*statement.body, *statement.orelse], guarded, guarded)
            case ast.Expr(value=value) if _is_main_guard(value):
                has_guard = True
            case _:
                unguarded.update(_assigned_names(statement))
                for field in ("body", "orelse", "finalbody"):
                    inner = getattr(statement, field, [])
                    has_guard |= _collect_names(inner, unguarded, guarded)
                for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
                    has_guard |= _collect_names(part.body, unguarded, guarded)
    return has_guard


def _is_main_guard(test: ast.expr) -> bool:
    words = set()
    for node in ast.walk(test):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.Constant(value=str(word)):
                words.add(word)
    return "IS_ORIGIN" in words or {"__name__", "__main__"} <= words


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


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
