"""The rooms of the house: few modules at the root, none too long, a test module for every module."""

import ast

from support.package import PACKAGE, imports, modules, tree
from support.paths import ROOT

MODULES_AT_ROOT = 8
LINES = 300
"""Lines of a module, the most that a reader keeps in mind at once."""

LONGER: set[str] = set()
"""Modules above that length; the list only shrinks."""

UNTESTED: set[str] = set()
"""Modules without a test module of their name; the list only shrinks."""


VERBS = "commands/test_verbs.py"
"""Where a module that only declares a verb is tested: on its command line."""


def relative(module: str) -> str:
    """Path of a module below the package."""
    return str(modules()[module].relative_to(ROOT / PACKAGE))


def is_verb(module: str) -> bool:
    """Whether a module declares a verb of the command line."""
    names = [ast.unparse(node.targets[0]) for node in tree(modules()[module]).body if isinstance(node, ast.Assign)]
    return module.startswith(f"{PACKAGE}.commands.") and "VERB" in names


def has_code(module: str) -> bool:
    """Whether a module defines a function or a class, and is no package's door nor a command."""
    if modules()[module].name in ("__init__.py", "__main__.py"):
        return False
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree(modules()[module]).body)


def test_few_modules_lie_at_the_root() -> None:
    names = sorted(path.name for path in (ROOT / PACKAGE).glob("*.py"))
    assert len(names) <= MODULES_AT_ROOT, names


def test_no_module_is_too_long() -> None:
    long = {relative(module) for module, path in modules().items() if path.read_text().count("\n") > LINES}
    assert long - LONGER == set()


def test_every_module_has_a_test_module_of_its_name() -> None:
    tested = {path.relative_to(ROOT / "tests").parent / path.name[5:] for path in (ROOT / "tests").rglob("test_*.py")}
    untested = {relative(module) for module in modules() if has_code(module) and not is_verb(module)} - {
        str(path) for path in tested
    }
    assert (ROOT / "tests" / VERBS).exists()
    print("without a test module of their name:", *sorted(untested))
    assert untested - UNTESTED == set()


def test_nothing_imports_a_test() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        tests = [name for name in imports(path) if any(piece.startswith("test_") for piece in name.split("."))]
        assert tests == [], path
