"""Which stage does not fit where it is to run, and what to change."""

from collections.abc import Iterator, Sequence

from raycluster.estimate.costs import GIB, PlannedRun, StageForecast
from raycluster.executors.machines import smallest_with
from raycluster.stages import wanted_stages
from raycluster.stages.stage import Stage
from raycluster.storage.object_store import Store

MOST_ROWS = 2**31 - 1
"""Rows that a run can number: it does so in int32."""
LIMITS = {"threshold": "threshold", "early-stop": "theta", "score": "eta", "density-peaks": "closeness"}
"""The limit of every edge rule that has one; raising it leaves fewer edges."""


def problems(entries: Sequence[StageForecast], run: PlannedRun) -> Iterator[str]:
    """Yield one sentence for every limit that is passed."""
    if run.size.rows > MOST_ROWS:
        yield f"All stages will not fit: {run.size.rows:,} rows, and a run numbers at most {MOST_ROWS:,}; split the input."
    stages = {stage.name: stage for stage in wanted_stages(run.config)}
    for entry in entries:
        yield from _memory(entry, stages.get(entry.stage), run)
    yield from _disk(entries, run)
    stored, free = sum(entry.stored_gib for entry in entries), Store(run.output_url).free_bytes
    if free is not None and (left := free / GIB) < stored:
        yield f"The run folder will not fit: it takes {stored:.1f} GiB, {left:.1f} GiB are free; choose another --output."


def _memory(entry: StageForecast, stage: Stage | None, run: PlannedRun) -> Iterator[str]:
    """Yield what lacks memory: the driver, or the workers of a node."""
    limit = run.cost(stage).driver_limit_bytes if stage else None
    needed, there = entry.driver_gib, min(run.driver.memory_gib, float("inf") if limit is None else limit / GIB)
    if needed > there:
        ways = [f"{way}, " for way in _ways(stage, run)] if stage else []
        yield (
            f"{entry.stage} will not fit: it needs {needed:.1f} GiB of the driver's memory, {there:.1f} GiB are there; "
            f"{''.join(ways)}{'or ' if ways else ''}take {_larger_driver(needed)}."
        )
    inside = entry.worker_gib + (0.0 if run.is_apart or not entry.worker_gib else needed)
    if inside > run.worker.memory_gib:
        yield (
            f"{entry.stage} will not fit: its workers need {inside:.1f} GiB of a node's memory, "
            f"{run.worker.memory_gib:.1f} GiB are there; use more --shards, or fewer --workers."
        )


def _larger_driver(needed: float) -> str:
    machine = smallest_with(needed)
    return f"a driver with more memory ({machine.name} has {machine.memory_gib:.0f} GiB)" if machine else "fewer rows"


def _ways(stage: Stage, run: PlannedRun) -> list[str]:
    """Return what makes a stage need less memory: fewer links, or more shards."""
    costs = run.cost(stage), run.cost(stage, links=run.size.links / 2), run.cost(stage, shards=2 * run.size.shards)
    now, fewer, cut = (cost.driver_bytes + cost.worker_bytes for cost in costs)
    if fewer < now:
        limit = LIMITS.get(run.config.edges.rule)
        return [*([f"raise edges.{limit}"] if limit else []), "lower knn.k"]
    return ["use more --shards"] if cut < now else []


def _disk(entries: Sequence[StageForecast], run: PlannedRun) -> Iterator[str]:
    """Yield which nodes lack disk for the most copies that they hold at once."""
    last = max(entries, key=lambda entry: entry.node_disk_gib)
    for role, machine in (("driver", run.driver), ("worker", run.worker)) if run.is_apart else (("node", run.worker),):
        if last.node_disk_gib > machine.disk_gib:
            yield (
                f"{last.stage} will not fit: the copies on each {role} take {last.node_disk_gib:.1f} GiB of disk, "
                f"{machine.disk_gib:.1f} GiB are there; point RAYCLUSTER_SCRATCH at a larger disk, or use knn.storage "
                "float16 or a lower knn.k."
            )


def slow_stages(entries: Sequence[StageForecast], run: PlannedRun) -> Iterator[str]:
    """Yield which stages read copies that the page cache cannot hold."""
    for entry in entries:
        is_driver = entry.where == "driver"
        machine = run.driver if is_driver else run.worker
        left = max(0.0, machine.memory_gib - (entry.driver_gib if is_driver else entry.worker_gib))
        if entry.copies_gib > left:
            yield (
                f"{entry.stage} reads {entry.copies_gib:.1f} GiB of copies and {left:.1f} GiB of memory are "
                "left for them: it waits for the disk more than estimated."
            )
