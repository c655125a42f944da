"""Pages of the documentation keep the rules of the house; README.md stays short."""

import re
from pathlib import Path

import pytest

from support.paths import ROOT
from support.prose import SENTENCE, WORDS, readable

LOGS = {"log-auto.md", "scaling.md"}
"""Pages that record how something was made, in the words of their day."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in LOGS),
]
README_LINES, README_WORDS = 150, 1500
"""Most lines and words of the README: two screens, five minutes."""


def sentences(page: Path) -> list[str]:
    """Return the sentences of a page, without code, tables, headings and the targets of links."""
    text = "\n".join(sentence.text for sentence in readable(page))
    text = re.sub(r"^(?:\||#|!\[|:::|<!--| {4}).*$", "", text, flags=re.M)
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "code", text))
    ends = r"(?<=[.:;?!])\)?\*{0,2}\s|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)"
    return [" ".join(sentence.split()) for sentence in re.split(ends, text) if sentence.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_words(page: Path) -> None:
    found = [
        f"{sentence.line}: {word}: {match[0]}"
        for sentence in readable(page)
        for word, pattern in WORDS.items()
        for match in re.finditer(rf"\b{pattern}\b", re.sub(r"`[^`]*`|\*[^*]+\*", "", sentence.text), re.I)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sentences_are_short(page: Path) -> None:
    assert [sentence for sentence in sentences(page) if len(sentence.split()) > SENTENCE] == []


def test_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= README_LINES
    assert len(text.split()) <= README_WORDS


def test_readme_names_the_test_command() -> None:
    commands = (ROOT / ".ci" / "run").read_text()
    for command in ("make lint", "make test"):
        assert f"\n{command}\n" in commands
        assert f"`{command}`" in (ROOT / "README.md").read_text()


def test_versions_agree() -> None:
    from raycluster import __version__

    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text()
