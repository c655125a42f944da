"""The search: nodes move, modules of them merge, and nodes move again from there, until a round gains next to nothing."""

import numba
import numpy as np

from raycluster.arrays import Float64, Int32
from raycluster.kernels.map_equation.aggregate import module_network
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.moves import g, move

MOST_ROUNDS = 50
ROUND_GAIN = 5e-5
"""Part of the codelength that a round must gain for another to follow."""
PASS_GAIN = 1e-5
"""Bits that a pass over the nodes must gain for another to follow."""


def search(network: Network, threads: int) -> tuple[Int32, float]:
    """Modules int32 (N,), of numbers below N, and the codelength in bits. A node without links is a module."""
    if not network.flow.any():
        return np.arange(network.nodes, dtype=np.int32), 0.0
    of, top = np.arange(network.nodes, dtype=np.int32), network
    shortest = np.inf
    for _ in range(MOST_ROUNDS):
        _, settled, modules = move(network, of, top.flows, threads, PASS_GAIN)
        top = module_network(network, of, modules, threads)
        while True:
            upper = np.arange(top.nodes, dtype=np.int32)
            moved, _, modules = move(top, upper, top.flows, threads, PASS_GAIN)
            if moved == 0:
                break
            settled = False
            top = module_network(top, upper, modules, threads)
            np.take(upper, of, out=of)
        length = codelength_of(network.flow, *top.flows)
        gained, shortest = shortest - length, min(length, shortest)
        if settled or gained <= ROUND_GAIN * length:
            break
    together = -float(_plogp(network.flow, network.flow.sum()))
    if together <= shortest:
        linked = (np.diff(network.rows.start) > 0) | (network.flow > 0)
        of[linked] = np.flatnonzero(linked)[0]
    return of, min(shortest, together)


def codelength_of(nodes: Float64, flow: Float64, leaving: Float64, entering: Float64) -> float:
    """The map equation in bits, from the flow of `nodes` (N,) and of modules (M,), in any one unit."""
    total = nodes.sum()
    return float(_of_modules(flow, leaving, entering, total) - _plogp(nodes, total))


@numba.njit(nogil=True, cache=True)
def _of_modules(flow, leaving, entering, total):  # type: ignore[no-untyped-def]
    bits, index = 0.0, 0.0
    for module in range(flow.shape[0]):
        out, into = max(leaving[module], 0.0) / total, max(entering[module], 0.0) / total
        bits += g(out + flow[module] / total) - g(out) - g(into)
        index += into
    return g(index) + bits


@numba.njit(nogil=True, cache=True)
def _plogp(x, total):  # type: ignore[no-untyped-def]
    bits = 0.0
    for each in x:
        bits += g(each / total)
    return bits
