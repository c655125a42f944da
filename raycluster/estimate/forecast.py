"""Laws times rates: what every stage takes on given machines, and which of them does not fit."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import psutil

from raycluster.config.stages import Config
from raycluster.estimate import costs, sample, verdict
from raycluster.estimate.laws import Scale
from raycluster.estimate.machines import PRICES_OF, at_hand, named
from raycluster.estimate.options import EstimateOptions
from raycluster.estimate.probe import Rates, probe
from raycluster.estimate.report import table
from raycluster.estimate.stored import stored_rates
from raycluster.executors.progress import Progress
from raycluster.models.requirements import with_model
from raycluster.pipeline.run import Execution, on_ray
from raycluster.stages import communities, edges
from raycluster.stages.knn import require_rows, settled
from raycluster.storage.parquet_input import describe_input, make_plan, row_shards


def dry_run(
    input_url: str, output_url: str, config: Config, execution: Execution, options: EstimateOptions
) -> dict[str, Any]:
    """What a run would take: stages with their tasks, time, money, memory and disk; what will not fit; what was assumed.

    Prints it as a table on stderr. Writes nothing to `output_url`. Raises InputError and ConfigError as the run would
    for what its plan can see.
    """
    progress = Progress()
    config = with_model(config)
    described = describe_input(input_url)
    began = time.perf_counter()
    plan, _ = make_plan(config, described, execution.shards)
    planned = time.perf_counter() - began
    require_rows(config.knn, plan["input"]["rows"], described["url"])
    rows, width = options.rows or plan["input"]["rows"], plan["input"]["width"]
    config = settled(config, rows)
    shards = row_shards(rows, width, execution.shards)
    _, most = edges.bounds(config, rows)
    scale = Scale(rows, width, max(len(plan["pieces"]), row_shards(rows, width, None)), shards, most, most)
    place, load = _place(execution, options, shards), os.getloadavg()[0]
    each, basis = _known_edges(plan, config, options, rows, width)
    scale = _with_edges(scale, each)
    seconds = options.probe_seconds
    rates = probe(config, scale, seconds, progress.say) if seconds else stored_rates(config, scale)
    if each is None:
        basis = "generated rows" if options.probe_seconds else "the most there can be"
        scale = _with_edges(scale, (rates.edges, rates.links))
    scale = replace(scale, share=min(1.0, rates.share * (rows / rates.rows[-1]) ** rates.share_growth))
    entries = [costs.planning(config, scale, planned, plan["input"]["rows"], place)]
    entries += costs.stages(config, scale, rates, place)
    found = {
        "rows": rows,
        "width": width,
        "files": len(described["files"]),
        "shards": shards,
        "edges": {"stored": int(scale.edges), "in_force": int(scale.links), "at_most": most, "from": basis},
        "driver": asdict(place.driver),
        "worker": asdict(place.worker),
        "nodes": place.nodes,
        "stages": entries,
        "hours": round(sum(stage["hours"] for stage in entries), 4),
        "usd": _added([stage["usd"] for stage in entries]),
        "driver_gib_at_most": round(communities.memory_needed(most, rows, config.communities) / costs.GIB, 3),
        "will_not_fit": list(verdict.problems(entries, config, scale, place, output_url)),
        "slow": list(verdict.slow(entries, place)),
        "rates": _told(rates),
        "assumed": list(_assumed(config, rates, place, load)),
        "config": asdict(config),
    }
    print(table(found), file=sys.stderr)
    return found


def _known_edges(
    plan: dict[str, Any], config: Config, options: EstimateOptions, rows: int, width: int
) -> tuple[tuple[float, float] | None, str]:
    """Edges a row, stored and in force, and what says so; none where only the probe can."""
    if options.edges_per_row is not None:
        return (options.edges_per_row, options.edges_per_row), "as given"
    if options.probe_seconds and options.rows is None and sample.worth_it(config, rows, width):
        return sample.edges_a_row(plan, config, len(os.sched_getaffinity(0))), "a sample of the input"
    return None, ""


def _with_edges(scale: Scale, each: tuple[float, float] | None) -> Scale:
    """The scale with so many edges a row, stored and in force, as far as there can be."""
    stored, in_force = (min(count * scale.rows, scale.edges) for count in each or (scale.edges, scale.links))
    return replace(scale, edges=stored, links=in_force)


def _added(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 2) if len(known) == len(amounts) else None


def _place(execution: Execution, options: EstimateOptions, shards: int) -> costs.Place:
    here = at_hand()
    worker = named(options.machine) if options.machine else here
    driver = named(options.driver or options.machine) if options.driver or options.machine else here
    ray = on_ray(shards, execution) or (options.machine is not None and execution.executor != "local")
    return costs.Place(driver, worker, options.nodes, execution, ray, own_bytes() / costs.GIB)


def _told(rates: Rates) -> dict[str, Any]:
    """The rates with the seconds of a task and of a unit of work, for the record."""
    return {
        "from": "a probe of this machine" if rates.seconds else "stored rates of a two-core machine",
        "rows": list(rates.rows),
        "seconds": round(rates.seconds, 1),
        "threads": rates.threads,
        "gemm_gflops": round(rates.gemm_gflops, 1),
        "once": {name: asdict(rate) for name, rate in rates.once.items()},
        "tasks": {name: asdict(rate) for name, rate in rates.tasks.items()},
        "copy_seconds": rates.copy_seconds,
        "compression": {name: round(share, 3) for name, share in rates.compression.items()},
    }


def _assumed(config: Config, rates: Rates, place: costs.Place, load: float) -> Iterator[str]:
    """What no measurement on this machine backs; `load` is how busy it was."""
    cores = len(os.sched_getaffinity(0))
    if rates.seconds and load > cores / 2:
        yield f"this machine stays as busy as it was: a load of {load:.1f} on {cores} cores slows the probe"
    if not rates.seconds:
        yield "rates are stored ones of a two-core machine, not this one's (--estimate.probe-seconds measures)"
    if os.environ.get("RAY_ADDRESS") and not place.apart:
        yield "the cluster is this machine alone (--estimate.machine and --estimate.nodes say otherwise)"
    if place.ray:
        yield f"Ray starts in {costs.RAY_SECONDS['start']:.0f} s and a stage's workers in {costs.RAY_SECONDS['stage']:.0f} s"
    if place.apart:
        yield f"a core of {place.worker.name} is as fast as one of the machine at hand, threads share a task evenly"
        yield f"prices: {PRICES_OF}; spot workers cost less"
    if place.worker.gpus and place.worker.gpu_tflops:
        yield f"a GPU of {place.worker.name} sustains {place.worker.gpu_tflops:.0f} TFLOP/s in exact search and networks"
    if config.communities.fragments:
        yield "pieces of identities larger than K are not looked at again: that clusters K / 4 rows of each on the driver"
    yield "kNN grows with the pairs it compares, communities with links x log links, everything else with the rows"


def own_bytes() -> int:
    """Memory that this process holds before a run: its libraries."""
    return int(psutil.Process().memory_info().rss)
