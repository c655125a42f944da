"""Which stage does not fit where it is to run, and what to change."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raycluster.config.stages import Config
from raycluster.estimate.costs import GIB, Place
from raycluster.estimate.laws import Scale
from raycluster.estimate.machines import smallest_with
from raycluster.stages import communities
from raycluster.storage.object_store import Store

MOST_ROWS = 2**31 - 1
"""Rows are numbered in int32."""


def problems(
    stages: list[dict[str, Any]], config: Config, scale: Scale, place: Place, output: str
) -> Iterator[str]:  # fmt: skip
    """One sentence for every limit that is passed."""
    if scale.rows > MOST_ROWS:
        yield f"All stages will not fit: {scale.rows:,} rows, and a run numbers at most {MOST_ROWS:,}; split the input."
    for stage in stages:
        yield from _memory(stage, config, place)
    yield from _disk(stages, place)
    stored = sum(stage["stored_gib"] for stage in stages)
    free = _free_gib(output)
    if free is not None and stored > free:
        yield f"The run folder will not fit: it takes {stored:.1f} GiB, {free:.1f} GiB are free; choose another --output."


def _memory(stage: dict[str, Any], config: Config, place: Place) -> Iterator[str]:
    name, needed, there = stage["stage"], stage["driver_gib"], place.driver.memory_gib
    if name == "communities" and config.communities.memory_gib is not None:
        there = min(there, communities.memory_allowed(config.communities) / GIB)
    if needed > there:
        yield (
            f"{name} will not fit: it needs {needed:.1f} GiB of the driver's memory, {there:.1f} GiB are there; "
            f"{_advice(name, config)}{_larger(needed)}."
        )
    inside = stage["worker_gib"] + (0.0 if place.apart or not stage["worker_gib"] else needed)
    if inside > place.worker.memory_gib:
        yield (
            f"{name} will not fit: its workers need {inside:.1f} GiB of a node's memory, "
            f"{place.worker.memory_gib:.1f} GiB are there; use more --shards, or fewer --workers."
        )


def _advice(stage: str, config: Config) -> str:
    if stage in ("communities", "labels"):
        limit = {"threshold": "raise edges.threshold", "early-stop": "raise edges.theta", "score": "raise edges.eta"}
        ways = [way for way in (limit.get(config.edges.rule), "lower knn.k") if way]
        return f"{', '.join(ways)}, or take "
    return "use more --shards, or take " if stage in ("ingest", "embeddings", "knn", "edges") else "take "


def _larger(needed: float) -> str:
    machine = smallest_with(needed)
    return f"a driver with more memory ({machine.name} has {machine.memory_gib:.0f} GiB)" if machine else "fewer rows"


def _disk(stages: list[dict[str, Any]], place: Place) -> Iterator[str]:
    """Copies stay until the run ends, so the last stage that reads any has them all."""
    needed = max(stage["node_disk_gib"] for stage in stages)
    stage = next(stage["stage"] for stage in stages if stage["node_disk_gib"] == needed)
    apart = (("driver", place.driver), ("worker", place.worker))
    for role, machine in apart if place.apart else (("node", place.worker),):
        if needed > machine.disk_gib:
            yield (
                f"{stage} will not fit: the copies on each {role} take {needed:.1f} GiB of disk, {machine.disk_gib:.1f} GiB "
                "are there; point RAYCLUSTER_SCRATCH at a larger disk, or use knn.storage float16 or a lower knn.k."
            )


def slow(stages: list[dict[str, Any]], place: Place) -> Iterator[str]:
    """One sentence for every stage whose copies the page cache cannot hold: rates are measured with those that it can."""
    for stage in stages:
        machine = place.worker if stage["where"] == "workers" else place.driver
        left = machine.memory_gib - max(stage["worker_gib"], stage["driver_gib"] if stage["where"] == "driver" else 0.0)
        if stage["copies_gib"] > max(left, 0.0):
            yield (
                f"{stage['stage']} reads {stage['copies_gib']:.1f} GiB of copies and {max(left, 0.0):.1f} GiB of memory are "
                "left for them: it waits for the disk more than estimated."
            )


def _free_gib(output: str) -> float | None:
    """Free disk where the run folder is to be; none for an object store."""
    store = Store(output)
    if not store.is_local:
        return None
    place = Path(store.url.removeprefix("file://")).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free / GIB
