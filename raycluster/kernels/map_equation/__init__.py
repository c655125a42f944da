"""Two-level map equation: the partition that describes a walk in the fewest bits.

    L(M) = q H(Q) + sum_m p_m H(P_m)        (Rosvall and Bergstrom 2008; flow and objective as in Infomap)

    links -> flow -> moves <-> aggregate        search: the order in which they are used

One global solution, whatever the components: no module is restricted to one thread's share of the graph.

Shapes: N nodes, E links.
"""

import time
from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Float32, Float64, Int32, Ints
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.moves import useful_threads
from raycluster.kernels.map_equation.search import codelength_of, search
from raycluster.kernels.threads import at_most


@dataclass(frozen=True)
class Solution:
    """A partition and what it costs."""

    communities: Int32
    """(N,): 0, 1, ... in the order of their lowest node. Nodes without links are alone."""
    codelength: float
    """Bits per step."""
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
    """Return the best partition that one search finds.

    Parameters
    ----------
    source, target : int32 (E,)
        The ends of the links, in 0..num_nodes - 1. Links between the same nodes add up, undirected ones either way round.
        The flow of a self-link stays where it is.
    weight : float32 (E,)
        Finite. Links whose weight is not above 0 are left out.
    num_nodes : int
        Number of nodes N.
    directed : bool
        Whether links have a direction.
    seed : int
        Decides the order in which nodes are taken. Another may find a slightly shorter or longer code.
    threads : int, optional
        Cap on numba's threads. The result depends neither on it nor on the order of the links.

    Returns
    -------
    Solution

    Notes
    -----
    Takes about 28 to 32 bytes per link, the links themselves included, and 120 per node, 10 more for each thread after the first.
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
    communities: Ints,
    *,
    directed: bool = False,
    threads: int | None = None,
) -> float:
    """Return the bits per step of a partition.

    Parameters
    ----------
    source, target, weight : int32, int32 and float32 (E,)
        The links, as for `solve`.
    communities : integers (N,)
        Any numbers.
    directed : bool
        Whether links have a direction.
    threads : int, optional
        Cap on numba's threads. The result does not depend on it.
    """
    membership = np.unique(communities, return_inverse=True)[1].astype(np.int32)
    with at_most(useful_threads(len(source), threads or numba.config.NUMBA_NUM_THREADS)) as count:
        network = _network(source, target, weight, np.arange(len(membership), dtype=np.int32), directed, count)
        within = flows.flow_within(network.rows, membership)
    if not network.flow.any():
        return 0.0
    flow, leaving, entering = (
        np.bincount(membership, of_nodes).astype(np.float64)
        for of_nodes in (network.flow, network.exit - within, network.enter - within)
    )
    return codelength_of(network.flow, flow, leaving, entering)


def _network(
    source: Int32, target: Int32, weight: Float32, number: Int32, directed: bool, threads: int
) -> flows.Network:
    """Return the network of links, whose ends are checked.

    Nodes take the number (N,).
    """
    assert len(source) == len(target) == len(weight), "source, target and weight differ in length"
    for ends in (source, target):
        assert len(ends) == 0 or (ends.min() >= 0 and ends.max() < len(number)), "an end of a link is no node"
    return (flows.directed if directed else flows.undirected)(source, target, weight, number, threads)
