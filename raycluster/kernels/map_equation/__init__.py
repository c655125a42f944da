"""Two-level map equation: the partition of a graph that describes a random walker's path with the fewest bits.

    L(M) = q H(Q) + sum_m p_m H(P_m)        (Rosvall and Bergstrom 2008; flow and objective as in Infomap)

    links -> flow -> moves <-> aggregate        search: what is done with them

One global solution, whatever the components; no module is restricted to one thread's part of the graph.
"""

import time
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.moves import useful_threads
from raycluster.kernels.map_equation.search import codelength_of, search
from raycluster.kernels.threads import at_most


@dataclass(frozen=True)
class Solution:
    """What `solve` found."""

    communities: Int32
    """(N,): 0, 1, ... in the order of their lowest node. Nodes without links are alone."""
    codelength: float
    """Bits a step."""
    flow: Float64
    """(N,): how often the walker visits each node; sums to 1, nodes without links have 0."""
    seconds: dict[str, float]
    """Time for `network`, which is rows and flow, and for `search`."""


def solve(
    source: Int32,
    target: Int32,
    weight: Float32,
    num_nodes: int,
    *,
    directed: bool = False,
    seed: int = 0,
    threads: int | None = None,
) -> Solution:
    """The best partition found from one start.

    source, target int32 (E,) in 0..num_nodes - 1; weight float32 (E,), finite. Links without positive weight are left out;
    those between the same nodes (undirected: either way round) add up; a self-link counts as flow that stays. `seed`
    decides the order in which nodes are taken: another may find a slightly shorter or longer code. `threads` caps the
    numba threads. Neither that nor the order of the links changes the result. Takes about 28 to 32 bytes a link, the
    links themselves included, and 120 a node, 10 more for each thread after the first.
    """
    began = time.perf_counter()
    number = np.random.default_rng(seed).permutation(num_nodes).astype(np.int32)
    with at_most(useful_threads(len(source), threads or numba.config.NUMBA_NUM_THREADS)) as count:
        network = _network(source, target, weight, number, directed, count)
        ready = time.perf_counter()
        modules, codelength = search(network, count)
    communities = modules[number]
    numbered(communities)
    flow = network.flow[number]
    flow /= flow.sum() or 1.0
    seconds = {"network": ready - began, "search": time.perf_counter() - ready}
    return Solution(communities, codelength, flow, seconds)


def codelength(
    source: Int32,
    target: Int32,
    weight: Float32,
    communities: npt.NDArray[np.integer],
    *,
    directed: bool = False,
    threads: int | None = None,
) -> float:
    """Bits of the partition `communities` (N,), any integers, of the graph of these links, as `solve` takes them."""
    of = np.unique(communities, return_inverse=True)[1].astype(np.int32)
    with at_most(useful_threads(len(source), threads or numba.config.NUMBA_NUM_THREADS)) as count:
        network = _network(source, target, weight, np.arange(len(of), dtype=np.int32), directed, count)
        within = flows.flow_within(network.rows, of)
    if not network.flow.any():
        return 0.0
    held, leaving, entering = (
        np.bincount(of, each).astype(np.float64)
        for each in (network.flow, network.exit - within, network.enter - within)
    )
    return codelength_of(network.flow, held, leaving, entering)


def _network(
    source: Int32, target: Int32, weight: Float32, number: Int32, directed: bool, threads: int
) -> flows.Network:
    assert len(source) == len(target) == len(weight), "source, target and weight differ in length"
    for ends in (source, target):
        assert len(ends) == 0 or (ends.min() >= 0 and ends.max() < len(number)), "an end of a link is no node"
    return (flows.directed if directed else flows.undirected)(source, target, weight, number, threads)
