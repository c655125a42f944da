"""edges -> communities: the one global step, by the map equation (Infomap or our own solver) or connected components.

A shard of this stage is a trial: seed + j on the whole edge list. The lowest codelength wins, ties go to the lowest trial.
With `communities.fragments` pieces of identities larger than K are then joined (`raycluster.stages.rejoin`).
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from raycluster.arrays import Int32, Int64, Vectors
from raycluster.config.stages import CommunitiesConfig, Config
from raycluster.errors import ResourceError
from raycluster.kernels import map_equation
from raycluster.kernels.components import components
from raycluster.kernels.edge_rules import Columns
from raycluster.stages import edges
from raycluster.stages import rejoin as fragments
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

OfRows = Callable[[], tuple[Int32, Vectors]]
"""Neighbors (N, K) and unit vectors (N, D) of all rows."""
LINKS_A_CALL = 2**20
NATIVE_FROM = 1_000_000
"""Links from which engine `auto` is `native`: below, Infomap takes seconds and, as the reference, is kept."""
_BYTES = {
    "infomap": {"link": 235, "node": 300},
    "native": {"link": 28, "node": 250},
    "components": {"link": 40, "node": 24},
}


@dataclass(frozen=True)
class Partition:
    """Communities of all rows: `communities` int32 (N,) dense from 0, `flow` float64 (N,) summing to at most 1."""

    communities: Int32
    flow: npt.NDArray[np.float64]
    codelength: float
    """Bits of the map equation; 0 for connected components."""


def partition(
    source: Int32,
    target: Int32,
    weight: npt.NDArray[np.float32],
    rows: int,
    config: CommunitiesConfig,
    directed: bool,
    trial: int = 0,
    threads: int | None = None,
) -> Partition:
    """One trial on the edges (E,) of `rows` nodes. Nodes without an edge are singletons, and so is one that Infomap
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
    source: Int32, target: Int32, weight: npt.NDArray[np.float32], rows: int, seed: int, directed: bool
) -> tuple[Int64, npt.NDArray[np.float64], float]:
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


def infomap_result(
    source: Int32, target: Int32, weight: npt.NDArray[np.float32], seed: int, directed: bool
) -> Any:  # fmt: skip
    """What Infomap itself returns for links (E,) of positive weight."""
    from infomap import Network

    network = Network()
    for start in range(0, len(source), LINKS_A_CALL):
        part = slice(start, start + LINKS_A_CALL)
        network.add_links(np.column_stack([source[part], target[part], weight[part].astype(np.float64)]))
    return network.run(two_level=True, seed=seed, num_trials=1, flow_model="directed" if directed else "undirected")


def written_partition(result: Any) -> tuple[Int64, Int64, npt.NDArray[np.float64]]:
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
    """Bytes at the peak of one trial on up to `links` links, from measured bytes a link and a node, those included."""

    def of(engine: str, links: int) -> int:
        return links * (_BYTES[engine]["link"] + 12) + rows * _BYTES[engine]["node"]

    engine = engine_for(links, config)
    below = of("infomap", NATIVE_FROM) if config.engine == "auto" and engine == "native" else 0
    return max(below, of(engine, links))


def memory_allowed(config: CommunitiesConfig) -> int:
    """Bytes this step may use: as configured, or what the machine has available now."""
    return int(config.memory_gib * 2**30) if config.memory_gib is not None else int(psutil.virtual_memory().available)


def require_memory(links: int, rows: int, config: CommunitiesConfig) -> str:
    """One line that says what `links` edges need; raises ResourceError where that is more than there is."""
    needed, allowed = memory_needed(links, rows, config), memory_allowed(config)
    line = (
        f"{engine_for(links, config)} on {rows:,} rows and up to {links:,} edges needs about {needed / 2**30:.2f} GiB; "
        f"{allowed / 2**30:.2f} GiB are there"
    )
    if needed > allowed:
        raise ResourceError(
            f"{line}: raise the threshold, lower knn.k, or run the driver on a machine with more memory."
        )
    return line


def whole(found: Partition, config: Config, threads: int | None, of_rows: OfRows) -> Partition:
    """The same partition, with fragments of one identity made one where `communities.fragments` asks for it; for that alone
    `of_rows` is called."""
    if not config.communities.fragments:
        return found
    merged = fragments.merged(found.communities, *of_rows(), config, threads or 1)
    return replace(found, communities=numbered_by_first_row(merged))


def best_of(graph: Columns, rows: int, config: Config, threads: int | None, of_rows: OfRows) -> Partition:
    """The trial with the lowest codelength on the edges in force, of all that are configured, made `whole`."""
    chosen, directed = config.communities, config.edges.directed
    found = [
        partition(**graph, rows=rows, config=chosen, directed=directed, trial=trial, threads=threads)
        for trial in range(trials(chosen))
    ]
    return whole(min(found, key=lambda each: each.codelength), config, threads, of_rows)


def compute(run: Run, trial: int) -> Part:
    """Run one trial on the whole edge list."""
    gathered, config = edges.load(run), run.config
    found = partition(
        **gathered,
        rows=run.rows,
        config=config.communities,
        directed=config.edges.directed,
        trial=trial,
        threads=run.threads,
    )
    found = whole(found, config, run.threads, lambda: edges.rows_of(run))
    rows = np.arange(run.rows, dtype=np.int32)
    table = schemas.from_columns(schemas.COMMUNITIES, row=rows, community=found.communities, flow=found.flow)
    facts = {"codelength": found.codelength, "links": len(gathered["source"])}
    return Part([table], facts)


def best_trial(run: Run) -> int:
    """The trial with the lowest codelength, ties to the lowest number."""
    codelengths = [run.marker("communities", trial)["codelength"] for trial in range(trials(run.config.communities))]
    return int(np.argmin(codelengths))


def trials(config: CommunitiesConfig) -> int:
    """Trials there are to run; connected components have nothing random."""
    return 1 if config.engine == "components" else config.trials


COMMUNITIES = Stage(
    name="communities",
    settings=lambda config: {**config.communities.__dict__, "memory_gib": None},
    compute=compute,
    shards=lambda run: trials(run.config.communities),
    on_driver=lambda config: trials(config.communities) == 1,
)
