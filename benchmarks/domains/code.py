"""Functions of installed Python packages, as token n-grams."""

import ast
import itertools
import re
import sysconfig
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.domains.files import Labelled, labelled, lexical

FILES = 3500
"""Files that are read at most, drawn at random."""
LINES = (5, 60)
"""Lines of a function."""


def tokens(text: str) -> list[str]:
    """Return names and signs of a program in pairs and alone."""
    found = re.findall(r"[A-Za-z_]\w*|[^\sA-Za-z_0-9]", text)
    return found + [f"{first} {second}" for first, second in itertools.pairwise(found)]


def _functions() -> dict[str, list[str]]:
    """Return the bodies of functions by their name."""
    paths = sorted(
        {*Path(sysconfig.get_path("stdlib")).rglob("*.py"), *Path(sysconfig.get_path("purelib")).rglob("*.py")}
    )
    bodies: dict[str, list[str]] = defaultdict(list)
    for place in np.random.default_rng(0).permutation(len(paths))[:FILES]:
        try:
            text = paths[place].read_text("utf-8")
            tree = ast.parse(text)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        lines = text.split("\n")
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or node.end_lineno is None:
                continue
            if LINES[0] <= node.end_lineno - node.lineno < LINES[1]:
                bodies[node.name].append("\n".join(lines[node.lineno : node.end_lineno]))
    return bodies


def _renamed(text: str, others: dict[str, str]) -> str:
    """Return a program with names replaced."""
    return re.sub(r"\b[a-z_]\w{2,}\b", lambda match: others.get(match[0], match[0]), text)


def of_one_name() -> Labelled:
    """Return functions by their name: 2 to 22 different bodies, and 3,000 with one."""
    bodies = {name: sorted(set(texts)) for name, texts in _functions().items()}
    several = sorted(name for name, texts in bodies.items() if 2 <= len(texts) <= 22 and len(name) >= 9)
    single = np.random.default_rng(1).permutation(sorted(name for name, texts in bodies.items() if len(texts) == 1))
    rows = [(text, name) for name in [*several, *single[:3000].tolist()] for text in bodies[name]]
    return labelled(lexical([text for text, _ in rows], 512, (1, 1), tokens), [name for _, name in rows])


def changed() -> Labelled:
    """Return 1 to 22 changed copies of 1,500 functions: lines left out, foreign ones added, names replaced."""
    bodies, random = _functions(), np.random.default_rng(5)
    names = random.permutation(sorted(name for name, texts in bodies.items() if 400 < len(texts[0]) < 1800))[:1500]
    rows = []
    for name in names.tolist():
        lines = bodies[name][0].split("\n")
        words = sorted(set(re.findall(r"\b[a-z_]\w{2,}\b", bodies[name][0])))
        for _ in range(min(22, 1 + int(random.geometric(0.17)))):
            kept = [line for line in lines if random.random() > 0.25]
            foreign = bodies[str(random.choice(names))][0].split("\n")
            text = "\n".join([*kept, *foreign[: int(random.integers(0, 4))]])
            others = {word: f"v{random.integers(300)}" if random.random() < 0.6 else word for word in words}
            rows.append((_renamed(text, others), name))
    return labelled(lexical([text for text, _ in rows], 512, (1, 1), tokens), [name for _, name in rows])
