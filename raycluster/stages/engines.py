"""The engines that partition weighted edges, and the memory they take.

They are Infomap, our own solver of the map equation, and connected components.

Shapes: N rows, E edges.
"""

import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Float64, Int32, Int64
from raycluster.config.stages import CommunitiesConfig
from raycluster.errors import ResourceError
from raycluster.kernels import map_equation
from raycluster.kernels.components import components
from raycluster.storage.free_memory import available_bytes

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


@dataclass(frozen=True)
class Partition:
    """Communities int32 (N,), dense from 0, and flow float64 (N,) of all rows.

    Flow sums to at most 1.
    """

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

    Parameters
    ----------
    source, target : int32 (E,)
        Rows that an edge joins.
    weight : float32 (E,)
        Edge weights; those of 0 and below are left out.
    rows
        Number of nodes, N.
    config
        Engine, Markov time and seed.
    directed
        Whether flow follows the direction of edges.
    trial
        Added to the seed.
    threads
        Cap for the engine `native`; None is all. They change no community.
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
    """What Infomap itself returns for links (E,) of positive weight.

    Parameters
    ----------
    source, target : int32 (E,)
        Rows that a link joins.
    weight : float32 (E,)
        Above 0.
    seed
        Of the engine's random numbers.
    directed
        Whether flow follows the direction of links.
    """
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
    """Return the engine for that many links.

    `auto` is `infomap` below `NATIVE_FROM` of them and `native` from there on.
    """
    if config.engine != "auto":
        return config.engine
    return "infomap" if links < NATIVE_FROM else "native"


def memory_needed(links: int, rows: int, config: CommunitiesConfig) -> int:
    """Return the bytes at the peak of one trial on up to `links` links.

    They follow from measured bytes per link and per node.

    Parameters
    ----------
    links
        Edges at most.
    rows
        Number of nodes.
    config
        Its engine decides the bytes per link and node.
    """

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

    Parameters
    ----------
    links
        Edges at most.
    rows
        Number of nodes.
    config
        Engine, and `memory_gib` where the step is given a share of the machine.
    """
    needed, allowed = memory_needed(links, rows, config), memory_allowed(config)
    line = (
        f"{engine_for(links, config)} on {rows:,} rows and up to {links:,} edges needs about {needed / 2**30:.2f} GiB; "
        f"{allowed / 2**30:.2f} GiB are there"
    )
    if needed > allowed:
        raise ResourceError(f"{line}: raise the threshold, lower knn.k, or take a driver with more memory.")
    return line if needed > min(LARGE_BYTES, allowed / 2) else None
