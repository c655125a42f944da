"""One section of the report: a chart, the table beside it, and how to read both.

A section holds aggregates only, so its size does not grow with the rows of a set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Section:
    """A section as the template shows it."""

    name: str
    """Anchor, and the name of its chart's place in the documentation."""
    title: str
    reading: str
    """How to read it, one sentence or two."""
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[Cell, ...]] = ()
    """The table: what the chart shows, as numbers."""
    chart: Mapping[str, Any] | None = None
    """Vega-Lite specification."""
    missing: str | None = None
    """Why there is no chart."""
    notes: tuple[str, ...] = field(default=())
    """Further sentences, such as what is in force."""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), "every row has a cell per column"


def words(value: Cell) -> str:
    """Return a cell as people read it.

    Thousands are apart, a fraction has three digits, and none is a dash.
    """
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return value


def share(value: float | None) -> str | None:
    """Return a share in percent; none stays none."""
    return None if value is None else f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def size_words(value: float) -> str:
    """Return bytes in the unit that reads best."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:,.0f}\N{NO-BREAK SPACE}{unit}" if value >= 100 else f"{value:.3g}\N{NO-BREAK SPACE}{unit}"
