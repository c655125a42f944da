"""Where a run was cut, and what other limits would have given.

Shapes: N rows, K neighbors per row with the row itself at rank 0.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float64
from raycluster.errors import RayclusterError
from raycluster.limits import valley
from raycluster.pipeline.sweep import swept_tables
from raycluster.review import charts
from raycluster.review.opened_run import OpenedRun
from raycluster.review.section import Section
from raycluster.stages.communities import identities_of
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.knn import is_uniform
from raycluster.storage.tables import Tables, for_all

MOST_SCORES = 50_000_000
"""Scores that a histogram reads, 200 MB. Larger sets are read by evenly chosen shards."""
BINS = 40
"""Bins of the histogram, so that a valley is several wide. More show more noise of small sets."""
SWEEP_SECONDS = 10.0
"""Seconds after which no further limit is tried. More give more points for large sets."""
MOST_VALUES = 2**27
"""Coordinates of a set that is swept, 512 MiB of memory: a sweep holds all vectors. Larger sets have no sweep here."""
STEPS = (0.0, 0.25, -0.5, 0.5, -1.0, 1.0, -0.25, 0.75, -0.75, 1.5, 2.0)
"""Limits that are tried, in multiples of the reserve from the one in force, the most useful first."""


def score_section(run: OpenedRun) -> Section:
    """Return the scores of neighbor pairs, with the limit in force and the valley."""
    title = "Scores and the limit in force"
    reading = (
        "Pairs of one identity gather at the right, strangers at the left; the limit should lie in the valley between. "
        "A limit on a slope splits or joins many clusters when it moves a little."
    )
    tables = run.tables
    if tables is None or is_uniform(tables):
        return Section("scores", title, reading, missing=run.without or "All rows are alike.")
    limits = limits_of(tables)
    is_scored = tables.config.relations.score == "all" and limits.threshold is None
    stage, column = ("relations", "score") if is_scored else ("knn", "similarity")
    low, high, count = _histogram(tables, stage, column)
    bins = [{"low": float(low[at]), "high": float(high[at]), "amount": int(count[at])} for at in range(len(count))]
    marks: list[tuple[str, float]] = [(f"limit in force, {limits.swept_value:.3f}", limits.swept_value)]
    notes = [f"The limit in force is {limits.swept_value:.4f} ({limits.swept_name or 'none'})."]
    if is_scored and limits.valley:
        floor = float(valley.SCORES[np.argmin(np.abs(valley.SCORES - limits.swept_value)) - valley.ABOVE])
        marks.append((f"valley, {floor:.3f}", floor))
        notes.append(f"The floor of the set's valley is at {floor:.3f}; the limit lies a little above it.")
    elif is_scored:
        notes.append("The set shows no valley of its own, so the limit is the model's.")
    if limits.similarity is not None:
        notes.append(f"An edge also needs a similarity of {limits.similarity:.4f}.")
    name = "score" if is_scored else "similarity"
    table = [(line["low"], line["high"], line["amount"]) for line in bins if line["amount"]]
    lowest, highest = bins[0]["low"], bins[-1]["high"]
    shown = [{"name": mark, "value": value} for mark, value in marks if lowest <= value <= highest]
    return Section(
        "scores", title, reading, (f"{name} from", "to", "pairs"), table,
        charts.histogram(bins, f"{name} of a row and a neighbor", "pairs", shown), notes=tuple(notes),
    )  # fmt: skip


def _histogram(tables: Tables, stage: str, column: str) -> tuple[Float64, Float64, Float64]:
    """Return low, high and count of the bins of a column of pairs.

    Scores are binned by angle, as the valley is.
    """
    angles = np.linspace(0, math.pi / 2, BINS + 1)
    edges = np.sin(angles) ** 2 if stage == "relations" else np.linspace(-1, 1, 2 * BINS + 1)
    numbers = sorted(tables.finished(stage))
    per_shard = max(1, tables.rows * tables.config.knn.k // max(len(numbers), 1))
    step = max(1, math.ceil(len(numbers) * per_shard / MOST_SCORES))
    count = np.zeros(len(edges) - 1)
    for number in numbers[::step]:
        values = tables.block(stage, number, [column])[column][:, 1:]
        neighbor = tables.block("knn", number, ["neighbor"])["neighbor"][:, 1:]
        count += np.histogram(values[(neighbor >= 0) & ~np.isnan(values)], edges)[0]
    has = np.flatnonzero(count)
    kept = slice(has[0], has[-1] + 1) if len(has) else slice(0, 1)
    return edges[:-1][kept], edges[1:][kept], count[kept]


NUMBERS = {
    "clusters": "clusters",
    "alone": "rows alone",
    "largest": "largest cluster",
    "exit_weight": "exit weight E",
}


@dataclass(frozen=True)
class Swept:
    """What another limit gives."""

    limit: float
    clusters: int
    alone: int
    largest: int
    exit_weight: float
    """E: weight of edges that leave each cluster, summed over clusters."""


def sweep_section(run: OpenedRun) -> Section:
    """Return what the limit does to the result, without labels."""
    title = "What another limit would give"
    reading = (
        "Each line is one number of the result over the limit; the dashed line is the limit in force. Where all lines are "
        "flat, the result does not hang on the limit."
    )
    missing = run.without or _too_much(run)
    lines = [] if missing else swept(run)
    if not missing and len(lines) < 2:
        missing = "The recipe has no limit to move, or one pass took too long."
    if missing:
        size = run.size
        only = (None, len(size), int((size == 1).sum()), int(size.max(initial=0)), run.exit_weight, True)
        return Section("sweep", title, reading, ("limit", *NUMBERS.values(), "in force"), [only], missing=missing)
    assert run.tables is not None
    limits = limits_of(run.tables)
    now = next(line for line in lines if line.limit == limits.swept_value)
    drawn = [
        {"limit": line.limit, "what": name, "value": getattr(line, key)}
        for line in lines
        for key, name in NUMBERS.items()
    ]
    return Section(
        "sweep", title, reading, ("limit", *NUMBERS.values(), "in force"),
        [(f"{line.limit:.4f}", line.clusters, line.alone, line.largest, line.exit_weight, line is now) for line in lines],
        charts.sweep(drawn, limits.swept_value, f"limit ({limits.swept_name})"),
        notes=(f"A limit is set by --limit, or --edges.{limits.swept_name}.",),
    )  # fmt: skip


def _too_much(run: OpenedRun) -> str | None:
    """Return why a set is not swept here; none where it is."""
    tables = run.tables
    assert tables is not None
    if is_uniform(tables) or limits_of(tables).swept_name is None:
        return "The recipe has no limit to move."
    if tables.rows * tables.width > MOST_VALUES:
        return "The set is too large to try other limits while a report is made."
    return None


def swept(run: OpenedRun) -> list[Swept]:
    """Return what the limits of `STEPS` give, in their order.

    As many are tried as `SWEEP_SECONDS` allow, and two at least.
    """
    tables = run.tables
    assert tables is not None
    limits, reserve = limits_of(tables), tables.config.edges.reserve
    lines: dict[float, Swept] = {}
    began = time.monotonic()
    for step in STEPS:
        limit = limits.swept_value + step * reserve
        if not 0 < limit < 1 or (len(lines) > 1 and time.monotonic() - began > SWEEP_SECONDS):
            continue
        try:
            lines[limit] = _at(tables, limit)
        except RayclusterError:  # a limit below what is stored, or a graph that this machine cannot hold
            continue
    return [lines[limit] for limit in sorted(lines)]


def _at(tables: Tables, limit: float) -> Swept:
    """Return what one limit gives."""
    there = swept_tables(tables, limit)
    identity, edges = identities_of(there), edges_in_force(there)
    size = np.bincount(for_all(tables, identity))
    leaves = identity[edges["source"]] != identity[edges["target"]]
    exit_weight = 2 * float(np.maximum(edges["weight"][leaves], 0).sum(dtype=np.float64))
    return Swept(limit, len(size), int((size == 1).sum()), int(size.max()), exit_weight)
