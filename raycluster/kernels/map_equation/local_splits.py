"""What single moves and merges cannot find at frozen mu: splits of communities, and components that are best whole.

A community is solved again from single nodes, and the better of the two partitions stays. A component whose communities
gain only where all of them merge at once is compared as a whole.
"""

import numba
import numpy as np

from raycluster.arrays import Bool, Int32
from raycluster.kernels.components import components
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import Apart, broken_communities
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.links import Rows, packed
from raycluster.kernels.map_equation.local_moves import LEAST_GAIN, Problem, climb
from raycluster.kernels.map_equation.local_terms import community_flows, terms


def split(problem: Problem, of: Int32, mu: float) -> Int32:
    """The communities `of` (M,), 0.., with those split that gain; numbered by their lowest node.

    Communities that hold a frozen node stay whole. One that falls apart into pieces without links between them is always
    split: h of two such pieces is never above h of both together.
    """
    held = np.zeros(len(of), bool)
    held[of[problem.frozen]] = True
    network = within(problem.network, of, held[of])
    base = _pieces(network, of, held)
    inner = Problem(network, np.zeros(len(of), bool), Apart.nothing(len(of)))
    parts = climb(inner, np.arange(len(of), dtype=np.int32), mu)
    base_flows = community_flows(problem.network, base, int(base.max(initial=-1)) + 1)
    part_flows = community_flows(problem.network, parts, int(parts.max(initial=-1)) + 1)
    whole_of_part = np.empty(len(part_flows.flow), np.int64)
    whole_of_part[parts] = base
    change = np.bincount(whole_of_part, terms(part_flows, mu), len(base_flows.flow)) - terms(base_flows, mu)
    gains = change < -LEAST_GAIN * base_flows.flow
    gains[base[held[of]]] = False
    result = np.where(gains[base], parts + np.int32(len(base_flows.flow)), base).astype(np.int32)
    numbered(result)
    return result


def whole_components(problem: Problem, of: Int32, mu: float) -> Int32:
    """The communities `of` (M,), with every component made one community where that is better and breaks no rule.

    Components with a frozen node stay as they are: they go on outside the region.
    """
    rows = problem.network.rows
    ends = np.repeat(np.arange(len(of), dtype=np.int32), np.diff(rows.start))
    component = components(ends, rows.neighbor, len(of)).astype(np.int32)
    count = int(component.max(initial=-1)) + 1
    parts = community_flows(problem.network, of, int(of.max(initial=-1)) + 1)
    component_of_part = np.empty(len(parts.flow), np.int64)
    component_of_part[of] = component
    change = terms(community_flows(problem.network, component, count), mu) - np.bincount(
        component_of_part, terms(parts, mu), count
    )
    gains = change < -LEAST_GAIN * np.bincount(component, problem.network.flow, count)
    gains[component[problem.frozen]] = False
    gains[broken_communities(component, problem.apart)] = False
    result = np.where(gains[component], component, of + np.int32(count)).astype(np.int32)
    numbered(result)
    return result


def _pieces(network: Network, of: Int32, held: Bool) -> Int32:
    """Communities cut into the connected components of their own links, but for those that are `held` (C,)."""
    rows = network.rows
    ends = np.repeat(np.arange(len(of), dtype=np.int32), np.diff(rows.start))
    piece = components(ends, rows.neighbor, len(of)).astype(np.int32)
    result = np.where(held[of], of + np.int32(piece.max(initial=-1) + 1), piece).astype(np.int32)
    numbered(result)
    return result


def within(network: Network, of: Int32, left_out: Bool) -> Network:
    """The network with only the links inside communities, flows unchanged; nodes in `left_out` (M,) have no links."""
    rows = network.rows
    kept = Rows(rows.start, rows.neighbor.copy(), rows.weight.copy())
    length = np.empty(len(of), np.int64)
    _keep_within(kept.start, kept.neighbor, kept.weight, of, left_out, length)
    return Network(packed(kept, length), network.flow, network.exit, network.enter)


@numba.njit(nogil=True, cache=True)
def _keep_within(start, neighbor, weight, of, left_out, length):  # type: ignore[no-untyped-def]
    for node in range(of.shape[0]):
        put = start[node]
        for at in range(start[node], start[node + 1]):
            if of[neighbor[at]] == of[node] and not left_out[node]:
                neighbor[put], weight[put] = neighbor[at], weight[at]
                put += 1
        length[node] = put - start[node]
