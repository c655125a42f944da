"""edges -> communities: the one global step.

It takes the map equation, by Infomap or our own solver, or connected components.

A task of this stage is a trial: seed + j on the whole edge list. The lowest codelength wins, ties go to the lowest trial.

Shapes: N rows, E edges.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int32
from raycluster.config.stages import CommunitiesConfig, Config
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.stages.edges import edges_at_most, edges_in_force
from raycluster.stages.engines import (
    LARGE_BYTES,
    Partition,
    engine_for,
    memory_allowed,
    memory_needed,
    partition,
    require_memory,
)
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import is_uniform
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables, Task

SAMPLE_ROWS = 256
"""Rows whose exact neighbors forecast the number of edges of a configured threshold: within a tenth on real sets."""
RATES = {"infomap": 1.0e-7, "native": 1.8e-8, "components": 1.8e-8}
"""Seconds per link and per doubling of the links on two cores of an EPYC (Zen 4), for a dry run that measures nothing."""


def trials(config: CommunitiesConfig) -> int:
    """Return the trials to run; connected components have nothing random."""
    return 1 if config.engine == "components" else config.trials


def trial_tasks(tables: Tables) -> Sequence[Task]:
    """Return one task of all rows per trial."""
    return [Task(number, 0, tables.rows) for number in range(trials(tables.config.communities))]


def open_communities(tables: Tables) -> ShardFunction:
    """Return the function of one trial; the edge list is gathered once."""
    graph, config, rows = edges_in_force(tables), tables.config, np.arange(tables.rows, dtype=np.int32)

    def run_trial(task: Task) -> Output:
        if is_uniform(tables):
            result = Partition(np.zeros(tables.rows, np.int32), np.full(tables.rows, 1 / tables.rows), 0.0)
        else:
            result = trial(task.number)
        columns = {"row": rows, "community": result.communities, "flow": result.flow}
        return Output([columns], {"codelength": result.codelength, "links": len(graph["source"])})

    def trial(number: int) -> Partition:
        return partition(
            **graph,
            rows=tables.rows,
            config=config.communities,
            directed=config.edges.directed,
            trial=number,
            threads=tables.threads,
        )

    return run_trial


def best_trial(tables: Tables) -> int:
    """Return the trial with the lowest codelength, ties to the lowest number."""
    return int(np.argmin([facts["codelength"] for facts in tables.task_facts("communities")]))


def communities_of(tables: Tables) -> tuple[Int32, Float64]:
    """Return community int32 and flow float64 (N,) of the best trial."""
    trial = best_trial(tables)
    columns = tables.block("communities", trial, ["community", "flow"])
    return columns["community"], columns["flow"]


def identities_of(tables: Tables) -> Int32:
    """Return the community (N,) of every row after all steps of the recipe.

    The stage rejoin is one of them.
    """
    if not tables.config.communities.fragments:
        return communities_of(tables)[0]
    return np.asarray(tables.block("rejoin", 0, ["community"])["community"])


def foresee(tables: Tables) -> str | None:
    """Return what this step will need, if that is much.

    Raises ResourceError where it cannot fit.
    """
    if tables.is_given("edges"):
        return None  # they are counted before communities are found
    config, rows = tables.config, tables.rows
    least, most = edges_at_most(config, rows)
    if config.edges.rule == "threshold" and config.edges.threshold is not None and config.knn.k < rows:
        vectors = vectors_of(tables)
        sample = np.unique(np.linspace(0, rows - 1, min(rows, SAMPLE_ROWS)).astype(np.int32))
        _, similarity = exact_top_k(vectors[sample], sample, vectors, config.knn.k, tables.threads)
        above = (similarity[:, 1:] >= config.edges.threshold).sum() / len(sample)
        least, most = int(above * rows / 2), int(above * rows)
    require_memory(least, rows, config.communities)
    needed, engine = memory_needed(most, rows, config.communities), engine_for(most, config.communities)
    if needed <= min(LARGE_BYTES, memory_allowed(config.communities) / 2):
        return None
    return f"{engine} will need at most {needed / 2**30:.2f} GiB, for up to {most:,} edges"


def announce(tables: Tables) -> str | None:
    """Return what the edges in force need, if that is much.

    Raises ResourceError where it does not fit.
    """
    return require_memory(len(edges_in_force(tables)["source"]), tables.rows, tables.config.communities)


def headline(tables: Tables) -> Facts:
    """Return the edges in force and the codelength of the best trial."""
    facts = tables.task_facts("communities")[best_trial(tables)]
    return {"edges": facts["links"], "codelength": facts["codelength"]}


def with_engine(size: ProblemSize, config: Config) -> Config:
    """Return the configuration with the engine for so many links and any memory."""
    engine = engine_for(int(size.links), config.communities)
    chosen: dict[str, Any] = {"engine": engine, "memory_gib": None}
    return replace(config, communities=replace(config.communities, **chosen))


def _cost(size: ProblemSize, config: Config) -> Cost:
    needed = float(memory_needed(int(size.links), size.rows, config.communities))
    count, memory_gib = trials(config.communities), config.communities.memory_gib
    return Cost(
        tasks=count,
        work=(size.links * math.log2(size.links + 2) + size.rows) * count,
        rate=RATES[engine_for(int(size.links), config.communities)],
        driver_bytes=needed if count == 1 else 0.0,
        driver_limit_bytes=None if memory_gib is None else memory_gib * 2**30,
        worker_bytes=0.0 if count == 1 else needed,
        stored_rows=float(size.rows * count),
        streams={"edges": 20.0 * size.edges * count},
        compression=0.9,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.COMMUNITIES


COMMUNITIES = Stage(
    name="communities",
    reads=("edges",),
    writes=_schema,
    settings=lambda config: {**config.communities.__dict__, "memory_gib": None, "fragments": None},
    tasks=trial_tasks,
    is_global=lambda config: trials(config.communities) == 1,
    open=open_communities,
    resolved=with_engine,
    foresee=foresee,
    announce=announce,
    headline=headline,
    cost=_cost,
)
