"""Which tests start a process of their own: read from their text, so that nobody has to mark them by hand."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.package import tree
from support.paths import ROOT

ON_RAY = "ray"
"""The executor whose name among a test's texts makes it a starter."""


@cache
def process_starters(path: Path, *libraries: str) -> frozenset[str]:
    """Functions and fixtures of a test or support module that use one of `libraries`, themselves or through others.

    Whoever names a starter is one, be it as a call, as a fixture in its parameters or in an import. Every function of a
    module uses its autouse fixtures. The text "ray" counts as well: it names the executor.
    """
    names = _names_by_node(path)
    starters = {*libraries, *_imported_starters(tree(path), libraries)}
    while more := {node.name for node in names if names[node] & starters} - starters:
        starters |= more
    if any(node.name in starters and _is_autouse(node) for node in names):
        starters |= {node.name for node in names}
    return frozenset(starters)


@cache
def _names_by_node(path: Path) -> dict[ast.FunctionDef | ast.ClassDef, set[str]]:
    """What every function and class at the top of a module names."""
    return {node: set(_names(node)) for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def _is_autouse(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a function is a fixture of every test of its module."""
    calls = [decorator for decorator in node.decorator_list if isinstance(decorator, ast.Call)]
    return any(keyword.arg == "autouse" for call in calls for keyword in call.keywords)


def _names(node: ast.AST) -> Iterator[str]:
    """What a function names: variables, its parameters, imports; and `ON_RAY` among its texts."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.arg):
            yield inner.arg
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            yield from (alias.name.split(".")[0] for alias in inner.names)
            yield str(getattr(inner, "module", "")).split(".")[0]
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from {ON_RAY} & {inner.value}


def _imported_starters(module: ast.Module, libraries: tuple[str, ...]) -> Iterator[str]:
    """Names that a module imports from helpers in `support` and that start a process there."""
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("support."):
            path = ROOT / "tests" / f"{str(node.module).replace('.', '/')}.py"
            starters = process_starters(path, *libraries)
            yield from (alias.asname or alias.name for alias in node.names if alias.name in starters)
