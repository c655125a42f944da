"""What mkdocs fills in while it builds the site, so that no page repeats what is written elsewhere.

    <!-- verbs -->          help of every verb of the console command
    <!-- recipes -->        name and description of every recipe
    <!-- results -->        tables of the JSON files in benchmarks/results but those of the papers
    <!-- result: NAME -->   tables of one of these files
    <!-- file: NAME -->     a file of the repository's root
"""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
REPOSITORY_FILES = "https://github.com/raycluster/raycluster/blob/main/"
"""Where links to files outside docs/ lead."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page; mkdocs calls this per page."""
    for mark, text in (("verbs", verbs), ("recipes", recipes), ("results", results)):
        if f"<!-- {mark} -->" in markdown:
            markdown = markdown.replace(f"<!-- {mark} -->", text())
    markdown = re.sub(r"<!-- result: (\S+) -->", lambda match: result(match[1]), markdown)
    return re.sub(r"<!-- file: (\S+) -->", lambda match: repository_file(match[1]), markdown)


def help_of(name: str, option: str) -> str:
    """Return what `raycluster NAME --help` prints."""
    from raycluster.command_line import parse
    from raycluster.commands import load

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        parse(load(name), [option], f"raycluster {name}")
    return printed.getvalue().rstrip()


def verbs() -> str:
    """Return a section per verb: its screen of help, then every key where it takes keys."""
    from raycluster.commands import VERBS, load

    sections = []
    for name, summary in VERBS.items():
        sections.append(f"## {name}\n\n{summary[:1].upper()}{summary[1:]}.\n\n```text\n{help_of(name, '--help')}\n```")
        if load(name).keys():
            everything = help_of(name, "--help-all").partition("more options:")[2]
            sections.append(f"### Every key of {name}\n\n```text\nmore options:{everything}\n```")
    return "\n\n".join(sections)


def recipes() -> str:
    """Return a table of the recipes."""
    from raycluster.commands.recipes import VERB
    from raycluster.command_line import parse

    answer = VERB.run(parse(VERB, [], "raycluster recipes")[0], {})
    assert answer is not None
    rows = [f"| `{name}` | {' '.join(text.split())} |" for name, text in answer.values.items()]
    return "\n".join(["| recipe | what it does |", "|---|---|", *rows])


def results() -> str:
    """Return a section per JSON file that a benchmark printed, without those that the pages of the papers show."""
    pages = [ROOT / "docs" / "papers.md", ROOT / "docs" / "papers" / "protocols.md"]
    shown = {name for page in pages for name in re.findall(r"<!-- result: (\S+) -->", page.read_text())}
    files = sorted(path for path in RESULTS.glob("*.json") if path.stem not in shown)
    return "\n\n".join(section for path in files if (section := section_of(json.loads(path.read_text()))))


def result(name: str) -> str:
    """Return the section of one JSON file."""
    return section_of(json.loads((RESULTS / f"{name}.json").read_text()))


def section_of(result: dict[str, Any]) -> str:
    """Return date, machine, command and tables of what one benchmark printed; nothing where it has no tables."""
    if not result.get("tables"):
        return ""
    machine = result["machine"]
    parts = [
        f"### {result['benchmark'].replace('_', ' ')}",
        f"{result['date'][:10]}, {machine['processor']}, {machine['cores']} cores, load {machine['load']}, commit "
        f"`{result['commit']}`: `{result['command']}`",
    ]
    for title, rows in result["tables"].items():
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in rows]
        parts += [f"**{title}**", "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *lines])]
    return "\n\n".join(parts)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)


def repository_file(name: str) -> str:
    """Return a file of the repository with its links as they are reached from docs/."""
    text = (ROOT / name).read_text()

    def moved(match: re.Match[str]) -> str:
        target = match[1]
        if target.startswith(("http", "#")):
            return match[0]
        return f"]({target.removeprefix('docs/')})" if target.startswith("docs/") else f"]({REPOSITORY_FILES}{target})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, text)
