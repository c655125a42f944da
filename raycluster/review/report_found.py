"""What a run found: sizes of clusters, strengths, and their reliability.

Shapes: N rows, C clusters.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raycluster.arrays import Int64
from raycluster.errors import ConfigError, RayclusterError
from raycluster.models.card import load_card
from raycluster.review import charts
from raycluster.review.opened_run import OpenedRun
from raycluster.review.section import Section, share

EACH_UP_TO = 10
"""Sizes that have a point of their own; larger ones share logarithmic bins."""
PER_DECADE = 8
"""Bins per decade of larger sizes. More show more noise."""


def size_section(run: OpenedRun) -> Section:
    """Return clusters by size, with the running share of rows."""
    rows = size_bins(run.size)
    table = [
        (line["size"] if line["size"] == line["last"] else f"{line['size']:,}–{line['last']:,}", line["clusters"],
         line["rows"], share(line["rows_up_to"]))
        for line in rows
    ]  # fmt: skip
    return Section(
        "sizes",
        "What was found",
        "Blue dots count the clusters of a size; the orange line is the share of rows in clusters up to that size. "
        "A lone dot far to the right is a cluster to check first.",
        ("rows of a cluster", "clusters", "rows", "share of rows up to here"),
        table,
        charts.sizes(rows),
    )


def size_bins(size: Int64) -> list[dict[str, Any]]:
    """Return the bins of sizes (C,) that hold a cluster.

    Each has size, last, clusters, rows and rows_up_to.
    """
    largest = int(size.max(initial=1))
    decades = np.arange(1, np.log10(max(largest, 10)) + 1 / PER_DECADE, 1 / PER_DECADE)
    bounds = np.unique([*range(1, EACH_UP_TO + 1), *np.floor(10**decades).astype(int) + 1, largest + 1])
    place = np.searchsorted(bounds, size, side="right") - 1
    clusters = np.bincount(place, minlength=len(bounds))
    rows = np.bincount(place, size, len(bounds)).astype(np.int64)
    up_to = np.cumsum(rows) / max(rows.sum(), 1)
    return [
        {
            "size": int(bounds[at]),
            "last": int(min(bounds[at + 1] - 1, largest)) if at + 1 < len(bounds) else largest,
            "clusters": int(clusters[at]),
            "rows": int(rows[at]),
            "rows_up_to": float(up_to[at]),
        }
        for at in np.flatnonzero(clusters).tolist()
    ]


def strength_section(run: OpenedRun) -> Section:
    """Return a histogram of strengths."""
    strength = run.strength[~np.isnan(run.strength)]
    count, edges = np.histogram(strength, 20, (0.0, 1.0))
    bins = [
        {"low": round(float(edges[at]), 2), "high": round(float(edges[at + 1]), 2), "amount": int(count[at])}
        for at in range(len(count))
    ]
    return Section(
        "strength",
        "Strength of rows",
        "Strength is the probability that a row is of the majority identity of its cluster; rows at the left are the "
        "first to check. Rows alone have none.",
        ("strength from", "to", "rows"),
        [(line["low"], line["high"], line["amount"]) for line in bins if line["amount"]],
        charts.histogram(bins, "strength", "rows") if len(strength) else None,
        missing=None if len(strength) else "No row shares a cluster.",
    )


def reliability_section(run: OpenedRun, measured: Sequence[Mapping[str, float]] | None) -> Section:
    """Return how far strengths can be relied on, by the card and in this run.

    `measured` is the table `strength` of `raycluster.evaluation.evaluate`.
    """
    lines: list[dict[str, Any]] = [
        {"of": "the model, on generated sets", "mean": line["mean_probability"], "right": line["share_same"],
         "rows": int(line["count"])}
        for line in _of_card(run)
    ]  # fmt: skip
    lines += [
        {"of": "this run", "mean": line["mean_strength"], "right": line["share_right"], "rows": int(line["rows"])}
        for line in measured or ()
    ]
    return Section(
        "reliability",
        "How reliable strength is",
        "On the dashed line, strength is right as often as it promises; below it promises too much, above it too little.",
        ("of", "mean strength", "share of right rows", "rows"),
        [(line["of"], line["mean"], line["right"], line["rows"]) for line in lines],
        charts.reliability(lines) if lines else None,
        missing=None if lines else "This recipe has no calibrated strength, and no true labels were passed (--truth).",
        notes=() if measured else ("With --truth FILE, the reliability of this run is drawn as well.",),
    )


def _of_card(run: OpenedRun) -> Sequence[Mapping[str, float]]:
    """Return the reliability of strength of the model's card.

    Empty where the run has no such model.
    """
    model = run.config.get("model")
    if not model or run.config.get("relations", {}).get("score") != "all":
        return ()
    try:
        card, _ = load_card(str(model))
    except (ConfigError, RayclusterError):
        return ()
    return card.curves.get("strength", []) if card.strength else ()
