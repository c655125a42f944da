"""Sentences under the fields of a configuration dataclass, for --help-all."""

import ast
import inspect
import itertools
import textwrap
import typing
from functools import cache


@cache
def _docs(section: type) -> dict[str, str]:
    """Return the string that follows each field in the source of a dataclass."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(section)))
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    docs = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            docs[field.target.id] = inspect.cleandoc(str(ast.literal_eval(text.value)))
    return docs


def field_docs(section: type, dotted: str) -> list[str]:
    """Return the lines of documentation of a key of a section, such as `fit.steps`.

    None where it has none.
    """
    *outer, name = dotted.split(".")
    for field in outer:
        section = typing.get_type_hints(section)[field]
    return textwrap.wrap(_docs(section).get(name, ""), 96)
