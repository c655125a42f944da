"""Charts as Vega-Lite specifications, each with the few numbers that it draws.

Colors are of middle brightness, so that they read on light and on dark pages. Text takes the page's color through CSS.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from raycluster.errors import ConfigError
from raycluster.review.thumbnails import INSTALL

BLUE, ORANGE, RED, GREEN = "#3d85c6", "#d9822b", "#cc4444", "#3a9a5b"
HEIGHT = 220
"""Pixels of a chart's height: two charts and their tables fit a laptop's screen."""
Rows = Sequence[Mapping[str, Any]]
Spec = dict[str, Any]


def altair() -> Any:
    """Return Altair. Raises ConfigError with the line that installs it."""
    try:
        import altair as module
    except ImportError as error:
        raise ConfigError(f"Charts need Altair. {INSTALL}") from error
    return module


def _spec(chart: Any) -> Spec:
    """Return a chart as a specification that is as wide as its place."""
    spec: Spec = chart.properties(width="container", height=HEIGHT).to_dict()
    spec.pop("$schema", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["config"] = {"axis": {"labelOverlap": True, "grid": False}, "legend": {"orient": "top", "title": None}}
    return spec


def sizes(rows: Rows) -> Spec:
    """Return clusters by size, both logarithmic, and the running share of rows.

    Rows have size, clusters and rows_up_to.
    """
    alt = altair()
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("size:Q", title="rows of a cluster", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s"))
    )
    dots = base.mark_point(color=BLUE, filled=True, size=45).encode(
        y=alt.Y(
            "clusters:Q", title="clusters", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", titleColor=BLUE)
        ),
        tooltip=["size:Q", "clusters:Q"],
    )
    line = base.mark_line(color=ORANGE, interpolate="step-after").encode(
        y=alt.Y(
            "rows_up_to:Q",
            title="share of rows up to here",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", titleColor=ORANGE),
        ),
        tooltip=["size:Q", alt.Tooltip("rows_up_to:Q", format=".1%")],
    )
    return _spec(alt.layer(dots, line).resolve_scale(y="independent"))


def histogram(rows: Rows, title: str, amount: str, marks: Rows = ()) -> Spec:
    """Return a histogram with vertical lines.

    Parameters
    ----------
    rows
        Bins: low, high and amount.
    title, amount
        What is binned, and what is counted.
    marks
        Lines: value and name.
    """
    alt = altair()
    bars = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("low:Q", title=title, bin="binned"),
            x2="high:Q",
            y=alt.Y("amount:Q", title=amount, axis=alt.Axis(format="~s")),
            tooltip=["low:Q", "high:Q", "amount:Q"],
        )
    )
    if not marks:
        return _spec(bars)
    color = alt.Color("name:N", scale=alt.Scale(range=[RED, GREEN, ORANGE]))
    lines = alt.Chart(alt.Data(values=list(marks))).mark_rule(strokeWidth=2).encode(x="value:Q", color=color)
    return _spec(alt.layer(bars, lines))


def sweep(rows: Rows, in_force: float, title: str) -> Spec:
    """Return clusters, rows alone, the largest cluster and exit weight over a limit.

    Parameters
    ----------
    rows
        Each with limit, what and value.
    in_force
        The limit of the run.
    title
        Name of the limit.
    """
    alt = altair()
    color = alt.Color("what:N", scale=alt.Scale(range=[BLUE, ORANGE, RED, GREEN]))
    lines = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(point=True)
        .encode(
            x=alt.X("limit:Q", title=title, scale=alt.Scale(zero=False)),
            y=alt.Y("value:Q", title="number, or weight", scale=alt.Scale(type="symlog"), axis=alt.Axis(format="~s")),
            color=color,
            tooltip=["what:N", "limit:Q", alt.Tooltip("value:Q", format=",.4~f")],
        )
    )
    rule = (
        alt.Chart(alt.Data(values=[{"limit": in_force}])).mark_rule(strokeDash=[4, 3], color="#888").encode(x="limit:Q")
    )
    return _spec(alt.layer(lines, rule))


def reliability(rows: Rows) -> Spec:
    """Return promised against actual share of right rows.

    Rows have mean, right, rows and of.
    """
    alt = altair()
    scale = alt.Scale(domain=[0, 1])
    ideal = alt.Chart(alt.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])).mark_line(color="#888", strokeDash=[4, 3])
    dots = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(point=True)
        .encode(
            x=alt.X("mean:Q", title="strength", scale=scale),
            y=alt.Y("right:Q", title="share of right rows", scale=scale),
            color=alt.Color("of:N", scale=alt.Scale(range=[BLUE, ORANGE])),
            tooltip=["of:N", "mean:Q", "right:Q", alt.Tooltip("rows:Q", format=",")],
        )
    )
    return _spec(alt.layer(ideal.encode(x="x:Q", y="y:Q"), dots))


def bars(rows: Rows, title: str, is_logarithmic: bool = False) -> Spec:
    """Return horizontal bars in the order of rows.

    Parameters
    ----------
    rows
        Each with name and value; a limit is drawn as a tick.
    title
        What the values are.
    is_logarithmic
        Whether small values show beside large ones.
    """
    alt = altair()
    scale = alt.Scale(type="symlog") if is_logarithmic else alt.Scale()
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=200))
    )
    shown = base.mark_bar(color=BLUE).encode(
        x=alt.X("value:Q", title=title, scale=scale), tooltip=["name:N", alt.Tooltip("value:Q", format=",.4~f")]
    )
    if not any("limit" in row for row in rows):
        return _spec(shown)
    ticks = base.mark_tick(color=RED, thickness=3).encode(x="limit:Q", tooltip=["name:N", "limit:Q"])
    return _spec(alt.layer(shown, ticks))
