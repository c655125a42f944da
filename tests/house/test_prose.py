"""How we write: words that a stranger stumbles over, docstrings without their sections, numbers without a sentence."""

import ast
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.package import docstrings, tree
from support.paths import ROOT
from support.prose import SENTENCE, WORDS, readable

NAMES = {"told", "found", "part", "each", "known", "given", "settled", "of", "wanted"}
"""Words of rule 8 that name neither a parameter nor an attribute; `source` does only beside a `target`, as an edge's end."""

FIRST_LINE = 80
"""Characters of a docstring's first line at most."""

PARAMETERS = 2
"""Parameters a function may have before its docstring needs a section for them."""


def python_files() -> Iterator[Path]:
    """Files of the package and of the jobs."""
    for folder in ("raycluster", "jobs"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def words(path: Path) -> list[str]:
    """Words to avoid."""
    return [
        f"{sentence.line}: {word}: {match[0]}"
        for sentence in readable(path)
        for word, pattern in WORDS.items()
        for match in re.finditer(rf"\b{pattern}\b", re.sub(r"`[^`]*`|--[\w-]+", "", sentence.text), re.I)
    ]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of a file."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of a function's parameters without `self`."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if arg]
    return [name for name in names if name not in ("self", "cls")]


def names(path: Path) -> list[str]:
    """Parameters and attributes whose names are no nouns of the domain."""
    bad = [
        f"{function.lineno}: {function.name}({name})"
        for function in functions(path)
        for name in arguments(function)
        if name in NAMES or (name == "source" and "target" not in arguments(function))
    ]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            fields = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
            bad += [f"{name.lineno}: {node.name}.{name.id}" for name in fields if getattr(name, "id", None) in NAMES]
    return bad


def first_lines(path: Path) -> list[str]:
    """Docstrings whose first line is too long or no whole sentence."""
    nodes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    lines = [(getattr(node, "lineno", 1), (ast.get_docstring(node) or ".").splitlines()[0]) for node in nodes]
    return [f"{at}: {line}" for at, line in lines if len(line) > FIRST_LINE or line[-1] not in ".:?"]


def long_sentences(path: Path) -> list[str]:
    """Sentences of docstrings with too many words."""
    return [
        f"{text.line}: {len(sentence.split())} words: {' '.join(sentence.split())[:60]}"
        for text in docstrings(path)
        for sentence in re.split(r"(?<=[.:;?!])\s|\n\s*\n|\n\s*-{3,}\s*\n|\n(?= *[\w-]+ {2,}\S)", text.text)
        if len(sentence.split()) > SENTENCE
    ]


def sections(path: Path) -> list[str]:
    """Public functions of more than two parameters whose docstring has no section for them.

    A method without a docstring has that of the class it inherits from.
    """
    heirs = {
        id(member)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.bases
        for member in node.body
    }
    return [
        f"{function.lineno}: {function.name}"
        for function in functions(path)
        if not function.name.startswith("_")
        and len(arguments(function)) > PARAMETERS
        and "Parameters\n" not in (ast.get_docstring(function) or "")
        and not (id(function) in heirs and ast.get_docstring(function) is None)
    ]


def documented(path: Path) -> list[str]:
    """Parameters that a docstring documents and the signature lacks."""
    return [
        f"{function.lineno}: {function.name}: {name}"
        for function in functions(path)
        for name in _documented(ast.get_docstring(function) or "")
        if name not in arguments(function)
    ]


def _documented(docstring: str) -> list[str]:
    """Names of a docstring's section `Parameters`; `a, b : int` are two."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}$|\Z)", docstring, re.M | re.S)
    lines = section[1].splitlines() if section else []
    groups = [line.partition(" :")[0] for line in lines if line and not line.startswith(" ")]
    return [name.strip(" *") for group in groups for name in group.split(",")]


def constants(path: Path) -> list[str]:
    """Numbers of a module without a sentence: a text below them, a comment on their line or above it."""
    lines, body = path.read_text().splitlines(), tree(path).body
    bare = []
    for node, after in itertools.zip_longest(body, body[1:]):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name | ast.Tuple) and _is_number(getattr(node, "value", None)):
            explained = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            near = lines[max(0, node.lineno - 2) : node.end_lineno]
            if not explained and "#" not in "".join(near[-1:]) and not near[0].startswith("#"):
                bare.append(f"{node.lineno}: {ast.unparse(target)}")
    return bare


def _is_number(node: ast.AST | None) -> bool:
    """Whether an expression consists of numbers alone."""
    leaves = [leaf for leaf in ast.walk(node) if isinstance(leaf, ast.Constant | ast.Name)] if node else []
    return bool(leaves) and all(isinstance(leaf, ast.Constant) and type(leaf.value) in (int, float) for leaf in leaves)


CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "words": words,
    "names": names,
    "first lines": first_lines,
    "long sentences": long_sentences,
    "sections": sections,
    "documented": documented,
    "constants": constants,
}


def files(check: str) -> list[Path]:
    """What a check reads: the Python files, and of the words the README too."""
    return [*python_files(), *([ROOT / "README.md"] if check == "words" else [])]


def findings(check: str) -> dict[str, list[str]]:
    """What a check finds, by file."""
    return {str(path.relative_to(ROOT)): found for path in files(check) if (found := CHECKS[check](path))}


@pytest.mark.parametrize("check", CHECKS)
def test_prose_is_for_strangers(check: str) -> None:
    assert findings(check) == {}
