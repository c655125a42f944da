"""Splits of communities, and components that are best whole, at frozen mu.

Single moves and merges find neither.
A community is solved again from single nodes, and the better of the two partitions stays.
A component whose communities
gain only where all of them merge at once is compared as a whole.
"""

import numba
import numpy as np

from raycluster.arrays import Bool, Float64, Int32
from raycluster.kernels.components import components
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import Apart, broken_communities
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.links import Rows
from raycluster.kernels.map_equation.local_move import LEAST_GAIN
from raycluster.kernels.map_equation.local_moves import Problem, climb
from raycluster.kernels.map_equation.local_terms import community_flows, coupling, terms


def split(problem: Problem, membership: Int32, mu: float) -> Int32:
    """Return communities where those are split that gain by it.

    Communities that hold a frozen node stay whole. One that falls apart into pieces without links between them is always
    split: h of two such pieces is never above h of both together.

    Parameters
    ----------
    problem : Problem
        M nodes.
    membership : (M,) int32
        Communities 0.. before. The result is numbered by the lowest node.
    mu : float
        Bits per unit of exit.
    """
    count = int(membership.max(initial=-1)) + 1
    held, nodes = _free(problem, membership, count)
    network = within(problem.network, nodes, membership)
    base = _components(network)
    base_flows = community_flows(network, base, int(base.max(initial=-1)) + 1)
    # Communities that stay whole are not here, but their exits count.
    stay = community_flows(problem.network, membership, count).enter[held].sum()
    inner = Problem(network, np.zeros(len(nodes), bool), Apart.nothing(len(nodes)), problem.exits_outside + float(stay))
    parts, _ = climb(inner, np.arange(len(nodes), dtype=np.int32), mu)
    part_flows = community_flows(network, parts, int(parts.max(initial=-1)) + 1)
    whole_of_part = np.empty(len(part_flows.flow), np.int64)
    whole_of_part[parts] = base
    change = np.bincount(whole_of_part, terms(part_flows, 0.0), len(base_flows.flow)) - terms(base_flows, 0.0)
    exits = np.bincount(whole_of_part, part_flows.enter, len(base_flows.flow)) - base_flows.enter
    is_free = np.ones(len(base_flows.flow), bool)
    gains = _accepted(change, exits, base_flows.flow, is_free, inner.total(base_flows), mu)
    result = membership.copy()
    result[nodes] = count + np.where(gains[base], parts + np.int32(len(base_flows.flow)), base)
    numbered(result)
    return result


def pieces(problem: Problem, membership: Int32) -> Int32:
    """Return communities where those are split that fall apart.

    Their pieces have no links between them. Communities that hold a frozen node stay whole.

    Parameters
    ----------
    problem : Problem
        M nodes.
    membership : (M,) int32
        Communities 0.. before. The result is numbered by the lowest node.
    """
    count = int(membership.max(initial=-1)) + 1
    _, nodes = _free(problem, membership, count)
    result = membership.copy()
    result[nodes] = count + _components(within(problem.network, nodes, membership))
    numbered(result)
    return result


def _free(problem: Problem, membership: Int32, count: int) -> tuple[Bool, Int32]:
    """Which communities (C,) hold a frozen node, and the nodes of all others."""
    held = np.zeros(count, bool)
    held[membership[problem.frozen]] = True
    return held, np.flatnonzero(~held[membership]).astype(np.int32)


def whole_components(problem: Problem, membership: Int32, mu: float) -> Int32:
    """Return communities where components are one that are best whole.

    Components with a frozen node stay as they are: they go on outside the region.

    Parameters
    ----------
    problem : Problem
        M nodes.
    membership : (M,) int32
        Communities 0.. before. The result is numbered by the lowest node.
    mu : float
        Bits per unit of exit.
    """
    component = _components(problem.network)
    count = int(component.max(initial=-1)) + 1
    parts = community_flows(problem.network, membership, int(membership.max(initial=-1)) + 1)
    component_of_part = np.empty(len(parts.flow), np.int64)
    component_of_part[membership] = component
    wholes = community_flows(problem.network, component, count)
    change = terms(wholes, 0.0) - np.bincount(component_of_part, terms(parts, 0.0), count)
    exits = wholes.enter - np.bincount(component_of_part, parts.enter, count)
    is_free = np.ones(count, bool)
    is_free[component[problem.frozen]] = False
    is_free[broken_communities(component, problem.apart)] = False
    gains = _accepted(change, exits, wholes.flow, is_free, problem.total(parts), mu)
    result = np.where(gains[component], component, membership + np.int32(count)).astype(np.int32)
    numbered(result)
    return result


def _accepted(change: Float64, exits: Float64, flow: Float64, is_free: Bool, total: float, mu: float) -> Bool:
    """Which changes (C,) of terms and exits gain, the best first."""
    cost = np.empty(len(exits))
    _couplings(total, exits, mu, cost)
    cost += change
    result = is_free & (cost < -LEAST_GAIN * flow)
    if total < 0:
        return result
    chosen = np.flatnonzero(result)
    for one in chosen[np.argsort(cost[chosen], kind="stable")].tolist():
        result[one] = change[one] + coupling(total, exits[one], mu) < -LEAST_GAIN * flow[one]
        total = max(total + exits[one], 0.0) if result[one] else total
    return result


@numba.njit(nogil=True, cache=True)
def _couplings(total, exits, mu, cost):  # type: ignore[no-untyped-def]
    for at in range(exits.shape[0]):
        cost[at] = coupling(total, exits[at], mu)


def _components(network: Network) -> Int32:
    """Return the connected component of each node."""
    rows = network.rows
    ends = np.repeat(np.arange(len(rows.start) - 1, dtype=np.int32), np.diff(rows.start))
    return components(ends, rows.neighbor, len(rows.start) - 1).astype(np.int32)


def within(network: Network, nodes: Int32, membership: Int32) -> Network:
    """Return the network of some nodes with only the links inside communities.

    Flows are unchanged: those of links that are left out count as well.

    Parameters
    ----------
    network : Network
        M nodes.
    nodes : (R,) int32, ascending
        All members of some communities.
    membership : (M,) int32
        Communities.
    """
    rows = network.rows
    place = np.empty(len(membership), np.int32)
    place[nodes] = np.arange(len(nodes), dtype=np.int32)
    most = int((rows.start[nodes + 1] - rows.start[nodes]).sum())
    start, neighbor, weight = np.zeros(len(nodes) + 1, np.int64), np.empty(most, np.int32), np.empty(most, np.float32)
    put = _keep_within(rows.start, rows.neighbor, rows.weight, nodes, place, membership, start, neighbor, weight)
    flows = (column[nodes] for column in network.flows)
    return Network(Rows(start, neighbor[:put], weight[:put]), *flows)


@numba.njit(nogil=True, cache=True)
def _keep_within(  # type: ignore[no-untyped-def]
    start, neighbor, weight, nodes, place, membership, new_start, new_neighbor, new_weight
):
    """Write the links inside communities; returns their number."""
    put = 0
    for rank in range(nodes.shape[0]):
        node = nodes[rank]
        for at in range(start[node], start[node + 1]):
            if membership[neighbor[at]] == membership[node]:
                new_neighbor[put], new_weight[put] = place[neighbor[at]], weight[at]
                put += 1
        new_start[rank + 1] = put
    return put
