"""The words and the length of a sentence that the house allows, in Python and in Markdown."""

import re
from pathlib import Path

from support.package import Sentence, prose

WORDS = {
    "tell": r"(?:tell|tells|telling|told)",
    "judge": r"judg(?:e?ments?|es?|ed|ing)",
    "believe": r"(?:believ(?:e|es|ed|ing)|belief)",
    "say": r"(?:say|says|said|saying)",
    "know": r"(?:know|knows|known|knew)",
    "sure": r"(?:sure|surely)",
    "ask": r"ask(?:s|ed|ing)?",
    "look": r"look(?:s|ed|ing)?",
    "settle": r"settle(?:s|d)?",
    "of one that": r"of (?:one|ones|those|what|all) (?:that|who|which|there)",
    "such as there are": r"such as (?:there|they) (?:is|are)",
    "a for per": r"(?:\d[\d,._]*|[KMGT]i?B|bytes?|bits?|seconds?|minutes?|ms|us|µs|rows?|times?|one|once|two|twice|three|four)"
    r" an? (?:row|shard|link|pair|rank|query|quer|vector|worker|node|list|step|stage|edge|actor|process|core|second|"
    r"minute|hour|identity|cluster|probe|file|machine|thread|neighbor|number|member|GPU|CPU|trial|batch|sample|copy)s?",
}
"""Words of rules 2 to 4 of the style, as regular expressions of whole words."""

SENTENCE = 25
"""Words of a sentence at most."""


def readable(path: Path) -> list[Sentence]:
    """The prose of a file: of Python its docstrings, comments and errors, of Markdown all but code."""
    if path.suffix == ".py":
        return prose(path)
    text = re.sub(r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), path.read_text(), flags=re.M | re.S)
    return [Sentence(number, line) for number, line in enumerate(text.splitlines(), 1)]
