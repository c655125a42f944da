"""Tables as Markdown for people, and as JSON for the documentation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Rows = list[Row]
Tables = Iterator[tuple[str, Rows]]
"""Titles and rows; a title that returns replaces its table, so that a long table can be shown while it grows."""


def markdown(rows: Rows) -> str:
    """Return a Markdown table; rows may lack columns, and numbers have four digits."""
    names = list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
    lines = [names, ["---"] * len(names), *([_cell(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def publish(tables: Tables, path: Path | None, facts: dict[str, Any]) -> dict[str, Rows]:
    """Print every table as soon as it is complete, and return all.

    After each, `facts` and the tables so far are written to `path` as JSON.
    """
    finished: dict[str, Rows] = {}
    for title, rows in tables:
        finished[title] = rows
        print(f"\n### {title}\n\n{markdown(rows)}", flush=True)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({**facts, "tables": finished}, indent=2) + "\n", "utf-8")
    return finished
