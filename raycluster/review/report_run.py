"""How healthy a run is, what it took, and what changed since the previous one."""

from collections import Counter
from typing import Any

from raycluster.errors import RayclusterError
from raycluster.pipeline import health
from raycluster.pipeline.diff import diff
from raycluster.review import charts
from raycluster.review.opened_run import OpenedRun
from raycluster.review.section import Section, share, size_words

MEASURES = {
    "near_outside": ("near neighbors left outside", health.MOST_OUTSIDE, "at most"),
    "conflicts": ("pairs on which score and similarity disagree", health.MOST_CONFLICTS, "at most"),
    "doubtful": ("rows whose best score is doubtful", health.MOST_DOUBTFUL, "at most"),
    "in_groups": ("rows in tight groups within their cluster", health.MOST_IN_GROUPS, "at most"),
    "loose": ("pairs within clusters below the threshold", health.MOST_LOOSE, "at most"),
    "borderline": ("pairs about the threshold, of those above it", health.MOST_BORDERLINE, "at most"),
    "within": ("score within clusters", health.LEAST_WITHIN, "at least"),
    "shared": ("rows that share a cluster", health.LEAST_SHARED, "at least"),
    "largest": ("rows in the largest cluster", health.LARGE, "at most"),
    "weakest_cut": ("edges across the largest cluster's weakest cut", health.WEAK_CUT, "at least"),
}
"""Numbers of the health check: in words, the bound from which confidence is low, and its side."""
DEAREST_SHARDS = 10
"""Slowest shards that are listed."""


def health_section(run: OpenedRun) -> Section:
    """Return the health check that closed the run."""
    title = "Health check"
    reading = (
        "A bar beyond its red mark lowers the confidence: most shares must stay below their mark, those marked "
        "'at least' above it."
    )
    found = run.summary.get("confidence")
    if not found:
        return Section("health", title, reading, missing="This run has no health check; updates have none.")
    rows, drawn = [], []
    for key, (name, bound, side) in MEASURES.items():
        value = found.get(key)
        is_fine = None if value is None else (value <= bound if side == "at most" else value >= bound)
        rows.append((name, share(value), f"{side} {share(bound)}", is_fine))
        if value is not None:
            drawn.append({"name": name, "value": value, "limit": bound})
    notes = (
        f"Confidence is {found['level']}: {found['why']}.",
        f"What to do: {found['what_to_do']}.",
        *(() if found.get("is_decided", True) else ("The set shows no limit of its own.",)),
    )
    return Section(
        "health", title, reading, ("measure", "share", "bound", "fine"), rows,
        charts.bars(drawn, "share") if drawn else None,
        missing=None if drawn else "Nothing was measured.", notes=notes,
    )  # fmt: skip


def change_section(run: OpenedRun, previous: str | None) -> Section:
    """Return what became of the clusters of the run folder `previous`.

    None is the one that an update went on from.
    """
    title = "What changed since the previous run"
    reading = (
        "Bars count clusters by what became of them; many split or regrouped clusters deserve a comparison by eye."
    )
    before = previous or run.summary.get("previous")
    if not before:
        return Section(
            "changes", title, reading, missing="No previous run was passed; --previous RUN0 compares with one."
        )
    try:
        change = diff(str(before), run.store.url)
    except RayclusterError as error:
        if previous:
            raise
        return Section("changes", title, reading, missing=str(error))
    drawn: list[dict[str, Any]] = [{"name": name, "value": count} for name, count in change.clusters.items()]
    notes = [
        f"{change.rows_moved:,} of {change.rows_common:,} rows of both runs moved; {change.rows_new:,} rows are new, "
        f"{change.rows_gone:,} are gone."
    ]
    if (lineage := run.results.table("lineage.parquet")) is not None:
        events = Counter(lineage["event"].to_pylist())
        if events:
            counted = ", ".join(f"{count:,} {name}" for name, count in events.most_common())
            notes.append(f"Events of lineage.parquet: {counted}.")
    return Section(
        "changes", title, reading, ("clusters", "number"), [(line["name"], line["value"]) for line in drawn],
        charts.bars(drawn, "clusters", is_logarithmic=True), notes=tuple(notes),
    )  # fmt: skip


def cost_section(run: OpenedRun, usd_hour: float | None) -> Section:
    """Return seconds, rows per second, bytes, retries and the slowest shards.

    `usd_hour` is what the machines cost.
    """
    title = "What it took"
    reading = (
        "The longest bar is the stage to speed up first; rows per second are of the whole set and of wall-clock time."
    )
    summary = run.summary
    seconds = summary.get("seconds")
    if not isinstance(seconds, dict):
        seconds = {"update": float(seconds)} if seconds else {}
    work = _work(run)
    count = int(summary.get("rows", run.labels.num_rows))
    rows = []
    for name in dict.fromkeys([*seconds, *work]):
        took, done = seconds.get(name), work.get(name, {})
        rate = count / took if took else None
        stored = done.get("bytes")
        rows.append(
            (name, took, rate, None if stored is None else size_words(stored), done.get("shards"), done.get("retries"),
             _or_none(done.get("peak")))
        )  # fmt: skip
    total = sum(seconds.values())
    notes = [f"In all {total:,.1f} s for {count:,} rows, {count / total:,.0f} rows per second."] if total else []
    peaks = [done["peak"] for done in work.values() if done.get("peak")]
    if peaks:
        notes.append(f"The largest process held {size_words(max(peaks))} at its peak.")
    if total and usd_hour is not None:
        notes.append(f"At {usd_hour:.4g} US dollars per hour it cost {total / 3600 * usd_hour:.2g} US dollars.")
    workers = run.results.manifest.get("workers", {})
    slow = sorted(((took, name, at) for name, done in work.items() for at, took in done["seconds"]), reverse=True)
    slow = slow or [(shard["seconds"], shard["stage"], shard["shard"]) for shard in workers.get("slowest", [])]
    if nodes := workers.get("shards_by_node"):
        notes.append(f"Shards by node: {', '.join(f'{node} {count:,}' for node, count in nodes.items())}.")
    if slow:
        shards = "; ".join(f"{name} {at}: {took:,.2f} s" for took, name, at in slow[:DEAREST_SHARDS])
        notes.append(f"Slowest shards: {shards}.")
    drawn = [{"name": name, "value": took} for name, took in seconds.items()]
    return Section(
        "cost", title, reading,
        ("stage", "seconds", "rows per second", "stored", "shards", "retries", "peak memory"), rows,
        charts.bars(drawn, "seconds", is_logarithmic=True) if drawn else None,
        missing=None if drawn else "The run recorded no seconds.", notes=tuple(notes),
    )  # fmt: skip


def _or_none(peak: float | None) -> str | None:
    return size_words(peak) if peak else None


def _work(run: OpenedRun) -> dict[str, dict[str, Any]]:
    """Return what markers and attempts record of every stage."""
    if run.tables is None:
        return {}
    folder, work = run.tables.folder, {}
    for name, path in folder.folders.items():
        files = folder.store.files(path)
        markers = [(number, folder.marker(name, number)) for number in sorted(folder.finished(name))]
        if not markers:
            continue
        attempts = sum("/attempts/" in file for file in files)
        work[name] = {
            "bytes": sum(folder.store.size(marker.key) for _, marker in markers),
            "shards": len(markers),
            "retries": max(attempts - len(markers), 0),
            "seconds": [(number, float(marker.facts.get("seconds", 0.0))) for number, marker in markers],
            "peak": max(int(marker.facts.get("peak_bytes", 0)) for _, marker in markers),
        }
    return work
