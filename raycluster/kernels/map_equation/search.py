"""The search: nodes move, modules of them merge, and nodes move again from there.

A round moves the nodes, then the modules as nodes of a network of their own, and so on until nothing moves. The next round starts
with single nodes in the modules that were found. It ends where a round gains next to nothing.

Shapes: N nodes, M modules.
"""

import numba
import numpy as np

from raycluster.arrays import Float64, Int32
from raycluster.kernels.map_equation.aggregate import module_network
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.moves import move
from raycluster.kernels.map_equation.terms import g

MOST_ROUNDS = 50
"""Rounds at most; one to three were made on nine tested graphs. It keeps a graph without structure from taking forever."""
ROUND_GAIN = 5e-5
"""Share of the codelength that a round must gain for another to follow. From 5e-6 to 5e-4 no codelength of five noisy graphs
changed by 0.0001 %."""
PASS_GAIN = 1e-5
"""Bits that a pass over the nodes must gain for another to follow. 1e-6 changed no codelength of these graphs, 1e-3 up to
0.011 %."""


def search(network: Network, threads: int) -> tuple[Int32, float]:
    """Return modules (N,), of numbers below N, and the codelength in bits.

    A node without links is a module of its own. The result does not depend on `threads`.
    """
    membership = np.arange(network.nodes, dtype=np.int32)
    if not network.flow.any():
        return membership, 0.0
    top, shortest = network, np.inf
    for _ in range(MOST_ROUNDS):
        # Phase 1: single nodes.
        _, is_done, modules = move(network, membership, top.flows, threads, PASS_GAIN)
        top = module_network(network, membership, modules, threads)
        # Phase 2: modules, modules of modules, ... as nodes.
        while True:
            upper = np.arange(top.nodes, dtype=np.int32)
            moved, _, modules = move(top, upper, top.flows, threads, PASS_GAIN)
            if moved == 0:
                break
            is_done = False
            top = module_network(top, upper, modules, threads)
            np.take(upper, membership, out=membership)
        length = codelength_of(network.flow, *top.flows)
        gained, shortest = shortest - length, min(length, shortest)
        if is_done or gained <= ROUND_GAIN * length:
            break
    # No move leads from many modules to a single one: it is tried at the end, and wins ties.
    together = -float(_plogp(network.flow, network.flow.sum()))
    if together <= shortest:
        linked = (np.diff(network.rows.start) > 0) | (network.flow > 0)
        membership[linked] = np.flatnonzero(linked)[0]
    return membership, min(shortest, together)


def codelength_of(nodes: Float64, flow: Float64, leaving: Float64, entering: Float64) -> float:
    """Return the map equation in bits.

    Parameters
    ----------
    nodes : float64 (N,)
        Flow of the nodes, in any unit.
    flow, leaving, entering : float64 (M,)
        Flow, exit and enter of the modules, in the same unit.
    """
    total = nodes.sum()
    return float(_module_bits(flow, leaving, entering, total) - _plogp(nodes, total))


@numba.njit(nogil=True, cache=True)
def _module_bits(flow, leaving, entering, total):  # type: ignore[no-untyped-def]
    """Bits of the modules, of which the nodes' own are still to be taken."""
    bits, index = 0.0, 0.0
    for module in range(flow.shape[0]):
        # Rounding may leave a directed exit or enter slightly below 0.
        out, into = max(leaving[module], 0.0) / total, max(entering[module], 0.0) / total
        bits += g(out + flow[module] / total) - g(out) - g(into)
        index += into
    return g(index) + bits


@numba.njit(nogil=True, cache=True)
def _plogp(flow, total):  # type: ignore[no-untyped-def]
    """Sum of p log2 p over p = flow (N,) / total, in the order of the nodes."""
    bits = 0.0
    for value in flow:
        bits += g(value / total)
    return bits
