"""The package's own files as data: its modules, what they import, the prose and the constants in them."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.paths import ROOT

PACKAGE = "raycluster"


@cache
def modules() -> dict[str, Path]:
    """Path of every module of the package, by its dotted name; a package's name is that of its `__init__.py`."""
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names a file imports, also inside functions: modules of this package, modules or members of others.

    What only a type checker reads (`if TYPE_CHECKING`) is left out.
    """
    names: set[str] = set()
    for node in _executed(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself; write the full name"
            names |= {_module(str(node.module), alias.name) for alias in node.names}
    return frozenset(names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from (inner for statement in child.orelse for inner in ast.walk(statement))
        else:
            yield child
            yield from _executed(child)


def _module(package: str, name: str) -> str:
    """`package.name`, or the package alone where it is ours and the name is no module of it."""
    full = f"{package}.{name}"
    return package if package in modules() and full not in modules() else full


@dataclass(frozen=True)
class Sentence:
    """A piece of prose in a file and the line it begins on."""

    line: int
    text: str


def prose(path: Path) -> list[Sentence]:
    """Docstrings, comments and the texts of errors in a Python file."""
    return [*docstrings(path), *comments(path), *error_texts(path)]


def docstrings(path: Path) -> list[Sentence]:
    """Docstrings of modules, classes and functions, and the texts that stand below a constant or an attribute."""
    found = [node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)]
    return [Sentence(node.lineno, node.value) for node in found if _is_text(node)]


def comments(path: Path) -> list[Sentence]:
    """Comments without their hash, but for those that steer a tool."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    found = [Sentence(token.start[0], token.string.lstrip("# ")) for token in tokens if token.type == tokenize.COMMENT]
    return [comment for comment in found if not comment.text.startswith(("noqa", "type:", "fmt:", "ruff:", "!"))]


def error_texts(path: Path) -> list[Sentence]:
    """Texts, also pieces of f-strings, in `raise` statements and in the building of errors."""
    texts: dict[tuple[int, int], Sentence] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error")):
            for inner in ast.walk(node):
                if _is_text(inner):
                    texts[inner.lineno, inner.col_offset] = Sentence(inner.lineno, inner.value)
    return list(texts.values())


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
