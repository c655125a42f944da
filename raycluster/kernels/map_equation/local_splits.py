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
from raycluster.kernels.map_equation.links import Rows, packed
from raycluster.kernels.map_equation.local_moves import LEAST_GAIN, Problem, climb
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
    held = np.zeros(len(membership), bool)
    held[membership[problem.frozen]] = True
    network = within(problem.network, membership, held[membership])
    base = _pieces(network, membership, held)
    base_flows = community_flows(problem.network, base, int(base.max(initial=-1)) + 1)
    # Nodes of communities that stay whole are alone here, but count with the exits of their community.
    is_held = np.zeros(len(base_flows.flow), bool)
    is_held[base[held[membership]]] = True
    outside = problem.exits_outside + float(base_flows.enter[is_held].sum() - network.enter[held[membership]].sum())
    inner = Problem(network, np.zeros(len(membership), bool), Apart.nothing(len(membership)), outside)
    parts = climb(inner, np.arange(len(membership), dtype=np.int32), mu)
    part_flows = community_flows(problem.network, parts, int(parts.max(initial=-1)) + 1)
    whole_of_part = np.empty(len(part_flows.flow), np.int64)
    whole_of_part[parts] = base
    change = np.bincount(whole_of_part, terms(part_flows, 0.0), len(base_flows.flow)) - terms(base_flows, 0.0)
    exits = np.bincount(whole_of_part, part_flows.enter, len(base_flows.flow)) - base_flows.enter
    gains = _accepted(change, exits, base_flows.flow, ~is_held, problem.total(base_flows), mu)
    result = np.where(gains[base], parts + np.int32(len(base_flows.flow)), base).astype(np.int32)
    numbered(result)
    return result


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
    rows = problem.network.rows
    ends = np.repeat(np.arange(len(membership), dtype=np.int32), np.diff(rows.start))
    component = components(ends, rows.neighbor, len(membership)).astype(np.int32)
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


def _pieces(network: Network, membership: Int32, held: Bool) -> Int32:
    """Return connected pieces of all communities but those that are `held` (C,)."""
    rows = network.rows
    ends = np.repeat(np.arange(len(membership), dtype=np.int32), np.diff(rows.start))
    piece = components(ends, rows.neighbor, len(membership)).astype(np.int32)
    result = np.where(held[membership], membership + np.int32(piece.max(initial=-1) + 1), piece).astype(np.int32)
    numbered(result)
    return result


def within(network: Network, membership: Int32, left_out: Bool) -> Network:
    """Return the network with only the links inside communities, flows unchanged.

    Parameters
    ----------
    network : Network
        M nodes.
    membership : (M,) int32
        Communities.
    left_out : (M,) bool
        Nodes that have no links in the result.
    """
    rows = network.rows
    kept = Rows(rows.start, rows.neighbor.copy(), rows.weight.copy())
    length = np.empty(len(membership), np.int64)
    _keep_within(kept.start, kept.neighbor, kept.weight, membership, left_out, length)
    return Network(packed(kept, length), network.flow, network.exit, network.enter)


@numba.njit(nogil=True, cache=True)
def _keep_within(start, neighbor, weight, membership, left_out, length):  # type: ignore[no-untyped-def]
    for node in range(membership.shape[0]):
        put = start[node]
        for at in range(start[node], start[node + 1]):
            if membership[neighbor[at]] == membership[node] and not left_out[node]:
                neighbor[put], weight[put] = neighbor[at], weight[at]
                put += 1
        length[node] = put - start[node]
