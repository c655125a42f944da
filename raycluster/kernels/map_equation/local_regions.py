"""Whole communities solved again, or tested for splits.

All others are frozen.

Shapes: N nodes of the graph, R of the region, C communities.
"""

import numpy as np

from raycluster.arrays import Int32, Int64, Ints
from raycluster.kernels.map_equation.cut import cut_violations
from raycluster.kernels.map_equation.local_moves import Problem, climb
from raycluster.kernels.map_equation.local_splits import pieces, split, whole_components
from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import community_flows
from raycluster.kernels.map_equation.region import Region, condense


def solve_region(
    state: State, nodes: Int32, mu: float | None, is_first: bool, is_thorough: bool = True
) -> tuple[Ints, Ints]:
    """Solve one region; returns the communities that changed.

    Those of them that were frozen and took something in come apart as well.

    Parameters
    ----------
    state : State
        Communities now; changed in place.
    nodes : (R,) int32
        All members of some communities, ascending.
    mu : float, optional
        Bits per unit of exit; none carries the exits of all communities.
    is_first : bool
        Whether communities may break rules.
    is_thorough : bool
        Whether splits are sought. Else only communities that fall apart are split, which takes a third less time.
    """
    if len(nodes) == 0:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    region, membership = _as_problem(state, nodes, mu)
    problem, num = region.problem, len(nodes)
    if is_first and not problem.apart.is_empty:
        membership = cut_violations(problem.network, membership, problem.apart)
    membership = _improve(problem, membership, 0.0 if mu is None else mu, is_thorough)
    into = np.full(int(membership.max()) + 1, -1, np.int32)
    into[membership[num:]] = region.around
    before = state.count
    number = state.place(nodes, membership[:num], into)
    state.set_flows(number, community_flows(problem.network, membership, len(into)))
    joined = np.unique(number[membership[:num]][into[membership[:num]] >= 0])
    return np.union1d(joined, number[number >= before]), joined


def _improve(problem: Problem, membership: Int32, mu: float, is_thorough: bool) -> Int32:
    """Move and merge until nothing gains, then split; each opens ways."""
    while True:
        membership, is_done = climb(problem, membership, mu)
        if is_done:
            # Splits are dearer: they are tested once nothing moves.
            parts = split(problem, membership, mu) if is_thorough else pieces(problem, membership)
            better = whole_components(problem, parts, mu) if is_thorough else parts
            if np.array_equal(better, membership):
                return membership
            membership = better


def splitting(state: State, communities: Ints, mu: float | None) -> Int64:
    """Return the communities that gain by a split, ascending.

    Nothing is changed.

    Parameters
    ----------
    state : State
        Communities now.
    communities : integers
        Those to be tested.
    mu : float, optional
        Bits per unit of exit; none carries the exits of all communities.
    """
    nodes = state.members(np.unique(communities))
    if len(nodes) == 0:
        return np.empty(0, np.int64)
    region, membership = _as_problem(state, nodes, mu)
    num = len(nodes)
    parts = split(region.problem, membership, 0.0 if mu is None else mu)[:num]
    pairs = np.unique(state.membership[nodes].astype(np.int64) << 32 | parts) >> 32
    return np.unique(pairs[1:][pairs[1:] == pairs[:-1]])


def _as_problem(state: State, nodes: Int32, mu: float | None) -> tuple[Region, Int32]:
    """Return a region and its communities: those of the nodes, then frozen ones."""
    exits = np.nan
    if mu is None:
        own = np.unique(state.membership[nodes])
        exits = max(state.exits - float(state.flows.enter[own].sum()), 0.0)
    region = condense(state.network, nodes, state.membership, state.flows, state.apart, state.values(), exits)
    names, start = np.unique(state.membership[nodes], return_inverse=True)
    return region, np.concatenate([start, len(names) + np.arange(len(region.around))]).astype(np.int32)
