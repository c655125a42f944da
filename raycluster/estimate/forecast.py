"""A dry run: what every stage takes on chosen machines, and what does not fit."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict

import pyarrow as pa

from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.fitted import resolved_for
from raycluster.config.stages import Config
from raycluster.estimate import costs
from raycluster.estimate.costs import GIB, PlannedRun, StageForecast
from raycluster.estimate.probe import probe
from raycluster.estimate.rates import Rates, stored_rates
from raycluster.estimate.report import table
from raycluster.estimate.verdict import problems, slow_stages
from raycluster.executors.machines import PRICES_OF, Machine, at_hand, named
from raycluster.executors.sizing import own_bytes, own_threads, uses_ray
from raycluster.limits.expected_edges import edges_per_row, is_worthwhile
from raycluster.models.requirements import with_model
from raycluster.pipeline.plan import make_plan, row_shards
from raycluster.stages import wanted_stages
from raycluster.stages.edges import edges_at_most
from raycluster.stages.ingest import read_unit_rows
from raycluster.stages.stage import ProblemSize
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.records import Plan

EdgesForecast = TypedDict("EdgesForecast", {"stored": int, "in_force": int, "at_most": int, "from": str})
"""Edges to expect and edges that the rule can make at most, and what the former are estimated from."""


@dataclass(frozen=True)
class Forecast:
    """What a run takes, and what will not fit."""

    rows: int
    width: int
    files: int
    shards: int
    edges: EdgesForecast
    driver: Machine
    worker: Machine
    nodes: int
    stages: tuple[StageForecast, ...]
    hours: float
    usd: float | None
    driver_gib_at_most: float
    """Memory of the driver, beyond libraries, if there were as many edges as there can be."""
    will_not_fit: tuple[str, ...]
    slow: tuple[str, ...]
    rates: Rates
    assumed: tuple[str, ...]
    """What no measurement on this machine backs."""
    config: Config

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain lists and mappings."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        values["rates"]["from"] = values["rates"].pop("basis")
        return values


def dry_run(
    input_url: str, output_url: str, config: Config, execution: Execution, options: EstimateOptions
) -> Forecast:  # fmt: skip
    """Return what a run would take, and print it as a table on stderr.

    Parameters
    ----------
    input_url, output_url, config, execution
        As the run has them. Its plan's errors are raised, and nothing is written to the output.
    options
        What to assume.
    """
    load, began = os.getloadavg()[0], time.perf_counter()
    plan = make_plan(with_model(config), describe_input(input_url), execution.shards)
    seconds = time.perf_counter() - began
    widest = _widest(plan, output_url, with_model(config), execution, options)
    counted, basis = _counted_edges(plan, widest.config, options)
    run = _with_edges(widest, counted)
    rates = probe(run, options.probe_seconds) if options.probe_seconds else stored_rates(run.config, run.size)
    size = replace(_with_edges(widest, counted or rates.edges_per_row).size, share=rates.share_at(run.size.rows))
    run = replace(run, size=size, plan_seconds=seconds)
    stages = tuple(costs.forecasts(run, rates))
    prices = [stage.usd for stage in stages if stage.usd is not None]
    forecast = Forecast(
        size.rows, size.width, len(plan.input.files), size.shards,
        {"stored": int(size.edges), "in_force": int(size.links), "at_most": int(widest.size.edges), "from": basis},
        run.driver, run.worker, run.nodes, stages,
        hours=round(sum(stage.hours for stage in stages), 4),
        usd=round(sum(prices), 2) if len(prices) == len(stages) else None,
        driver_gib_at_most=round(max(widest.cost(stage).driver_bytes for stage in wanted_stages(run.config)) / GIB, 3),
        will_not_fit=tuple(problems(stages, run)), slow=tuple(slow_stages(stages, run)),
        rates=rates, assumed=tuple(_assumed(run, rates, load)), config=run.config,
    )  # fmt: skip
    print(table(forecast), file=sys.stderr)
    return forecast


def _widest(plan: Plan, output: str, config: Config, execution: Execution, options: EstimateOptions) -> PlannedRun:
    """Return the run where it is to happen, with the most edges there can be."""
    here, rows, width = at_hand(), options.rows or plan.input.rows, plan.input.width
    worker = named(options.machine) if options.machine else here
    driver = named(options.driver) if options.driver else worker
    _, most = edges_at_most(config, rows)
    shards, pieces = row_shards(rows, width, execution.shards), max(len(plan.pieces), row_shards(rows, width, None))
    has_ray = uses_ray(shards, execution) or (options.machine is not None and execution.executor != "local")
    size, id_type = ProblemSize(rows, width, pieces, shards, most, most), pa.type_for_alias(plan.input.id_type)
    return PlannedRun(
        resolved_for(config, rows), size, id_type, output, execution, driver, worker, options.nodes, has_ray,
        base_gib=own_bytes() / GIB, plan_seconds=0.0,
    )  # fmt: skip


def _counted_edges(plan: Plan, config: Config, options: EstimateOptions) -> tuple[tuple[float, float] | None, str]:
    """Return edges per row as counted before a probe, if any, and what they are from."""
    if options.edges_per_row is not None:
        return (options.edges_per_row, options.edges_per_row), "as given"
    if options.probe_seconds == 0:
        return None, "the most there can be"
    if options.rows is not None or not is_worthwhile(config, plan.input.rows, plan.input.width):
        return None, "generated rows"
    return edges_per_row(read_unit_rows(plan, config), config, own_threads()), "a sample of the input"


def _with_edges(run: PlannedRun, per_row: tuple[float, float] | None) -> PlannedRun:
    """Return the run with so many edges per row, as far as there can be."""
    stored, in_force = (min(count * run.size.rows, run.size.edges) for count in per_row or (math.inf, math.inf))
    return replace(run, size=replace(run.size, edges=stored, links=in_force))


def _assumed(run: PlannedRun, rates: Rates, load: float) -> Iterator[str]:
    """Yield what no measurement on this machine backs; `load` is how busy it was."""
    cores, worker = own_threads(), run.worker.name
    if rates.seconds and load > cores / 2:
        yield f"this machine stays as busy as it was: a load of {load:.1f} on {cores} cores slows the probe"
    if not rates.seconds:
        yield "rates are stored ones of a two-core machine, not this one's (--estimate.probe-seconds measures)"
    if os.environ.get("RAY_ADDRESS") and not run.is_apart:
        yield "the cluster is this machine alone (--estimate.machine and --estimate.nodes change that)"
    if run.has_ray:
        yield f"Ray starts in {costs.RAY_START_SECONDS:.0f} s and a stage's workers in {costs.RAY_STAGE_SECONDS:.0f} s"
    if run.is_apart:
        yield f"a core of {worker} is as fast as one of the machine at hand, threads share a task evenly"
        yield f"prices: {PRICES_OF}; spot workers cost less"
    if tflops := run.worker.gpu_tflops:
        yield f"a GPU of {worker} sustains {tflops:.0f} TFLOP/s in exact search and networks"
    yield from filter(None, (run.cost(stage).assumes for stage in wanted_stages(run.config)))
    yield "kNN grows with the pairs it compares, communities with links x log links, everything else with the rows"
