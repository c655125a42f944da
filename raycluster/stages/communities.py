"""edges -> communities: the one global step.

It takes the map equation, by Infomap or our own solver, or connected components.

A task of this stage is a trial: seed + j on the whole edge list. The lowest codelength wins, ties go to the lowest trial.

Shapes: N rows, E edges.
"""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raycluster.arrays import Float32, Float64, Int32, Int64
from raycluster.config.stages import CommunitiesConfig, Config
from raycluster.errors import ResourceError
from raycluster.kernels import map_equation
from raycluster.kernels.components import components
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.stages.edges import edges_at_most, edges_in_force
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import is_uniform
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.free_memory import available_bytes
from raycluster.storage.tables import Facts, Output, Tables, Task

SAMPLE_ROWS = 256
"""Rows whose exact neighbors forecast the number of edges of a configured threshold: within a tenth on real sets."""
LINKS_PER_CALL = 2**20
"""Links handed to Infomap at once. Fewer copy less at a time; more are not faster."""
LARGE_BYTES = 2**30
"""Memory from which people read a line on it; also from half of the memory that is free."""
NATIVE_FROM = 1_000_000
"""Links from which engine `auto` is `native`: below, Infomap takes seconds and, as the reference, is kept."""
_BYTES = {  # peak bytes per link and per node, measured on 1 to 20 million links
    "infomap": {"link": 235, "node": 300},
    "native": {"link": 28, "node": 250},
    "components": {"link": 40, "node": 24},
}
RATES = {"infomap": 1.0e-7, "native": 1.8e-8, "components": 1.8e-8}
"""Seconds per link and per doubling of the links on two cores of an EPYC (Zen 4), for a dry run that measures nothing."""


@dataclass(frozen=True)
class Partition:
    """Communities of all rows: `communities` int32 (N,) dense from 0, `flow` float64 (N,) summing to at most 1."""

    communities: Int32
    flow: Float64
    codelength: float
    """Bits of the map equation; 0 for connected components."""


def partition(
    source: Int32,
    target: Int32,
    weight: Float32,
    rows: int,
    config: CommunitiesConfig,
    directed: bool,
    trial: int = 0,
    threads: int | None = None,
) -> Partition:
    """One trial on the edges (E,) of `rows` nodes.

    Nodes without an edge are singletons, and so is one that Infomap
    leaves out; the map equation leaves out edges whose weight is not positive.

    Communities are numbered by their lowest row. The same edges in the same order and the same seed give the same
    result; edges come in row order whatever the shards. `threads` caps those of engine `native`; it changes nothing else.
    """
    engine = engine_for(len(source), config)
    if engine == "components":
        membership = components(source, target, rows)
        flow, codelength = np.zeros(rows), 0.0
    elif engine == "native":
        found = map_equation.solve(
            source, target, weight, rows, directed=directed, seed=config.seed + trial, threads=threads
        )
        membership, flow, codelength = found.communities.astype(np.int64), found.flow, found.codelength
    else:
        membership, flow, codelength = _infomap(source, target, weight, rows, config.seed + trial, directed)
    return Partition(numbered_by_first_row(membership), flow, codelength)


def _infomap(
    source: Int32, target: Int32, weight: Float32, rows: int, seed: int, directed: bool
) -> tuple[Int64, Float64, float]:
    membership = np.arange(rows, dtype=np.int64)
    flow = np.zeros(rows)
    if (weight <= 0).any():
        positive = weight > 0
        source, target, weight = source[positive], target[positive], weight[positive]
    if len(source) == 0:
        return membership, flow, 0.0
    result = infomap_result(source, target, weight, seed, directed)
    node, module, rate = written_partition(result)
    membership[node] = module + rows
    flow[node] = rate
    return membership, flow, float(result.codelength)


def infomap_result(source: Int32, target: Int32, weight: Float32, seed: int, directed: bool) -> Any:
    """What Infomap itself returns for links (E,) of positive weight."""
    from infomap import Network

    network = Network()
    for start in range(0, len(source), LINKS_PER_CALL):
        part = slice(start, start + LINKS_PER_CALL)
        network.add_links(np.column_stack([source[part], target[part], weight[part].astype(np.float64)]))
    return network.run(two_level=True, seed=seed, num_trials=1, flow_model="directed" if directed else "undirected")


def written_partition(result: Any) -> tuple[Int64, Int64, Float64]:
    """Node, module and flow (M,) of the nodes in a result of Infomap.

    Through a file that the engine writes: its Python iterators crash in a process that has imported faiss.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "partition.clu")
        result.write_clu(path)
        node, module, flow = np.loadtxt(path, ndmin=2).T
    return node.astype(np.int64), module.astype(np.int64), flow


def numbered_by_first_row(membership: npt.NDArray[np.integer]) -> Int32:
    """The same partition with communities 0, 1, ... in the order of their lowest row."""
    _, first, inverse = np.unique(membership, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int32)
    number[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return number[inverse]


def engine_for(links: int, config: CommunitiesConfig) -> str:
    """The engine for that many links: `auto` is `infomap` below `NATIVE_FROM` of them and `native` from there on."""
    if config.engine != "auto":
        return config.engine
    return "infomap" if links < NATIVE_FROM else "native"


def memory_needed(links: int, rows: int, config: CommunitiesConfig) -> int:
    """Bytes at the peak of one trial on up to `links` links, from measured bytes per link and per node."""

    def of(engine: str, links: int) -> int:
        return links * (_BYTES[engine]["link"] + 12) + rows * _BYTES[engine]["node"]

    engine = engine_for(links, config)
    below = of("infomap", NATIVE_FROM) if config.engine == "auto" and engine == "native" else 0
    return max(below, of(engine, links))


def memory_allowed(config: CommunitiesConfig) -> int:
    """Bytes this step may use: as configured, or what the machine has available now."""
    return int(config.memory_gib * 2**30) if config.memory_gib is not None else available_bytes()


def require_memory(links: int, rows: int, config: CommunitiesConfig) -> str | None:
    """Return a line on the memory that `links` edges need; none where that is little.

    Raises ResourceError where that is more than there is.
    """
    needed, allowed = memory_needed(links, rows, config), memory_allowed(config)
    line = (
        f"{engine_for(links, config)} on {rows:,} rows and up to {links:,} edges needs about {needed / 2**30:.2f} GiB; "
        f"{allowed / 2**30:.2f} GiB are there"
    )
    if needed > allowed:
        raise ResourceError(f"{line}: raise the threshold, lower knn.k, or take a driver with more memory.")
    return line if needed > min(LARGE_BYTES, allowed / 2) else None


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
    columns = tables.block("communities", best_trial(tables), ["community", "flow"])
    return columns["community"], columns["flow"]


def foresee(tables: Tables) -> str | None:
    """Return what this step will need, if that is much.

    Raises ResourceError where it cannot fit.
    """
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
