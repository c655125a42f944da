"""Communities solved again where something changed, all others left alone.

    touched communities -> components of at most 8 nodes: the best of all partitions (`local_exact`)
                        -> all others: rules that they break are cut (`cut`); single nodes move, then communities merge with
                           each other and with their frozen neighbors (`local_moves`), then split (`local_splits`), until
                           nothing gains; communities that this reached are the next round's region

Nodes that are new are first placed among communities as they are. Communities that only gained links to them are solved
again where that opens a gain: one of their nodes would move, or two of them would merge. So are those of which new nodes
are more than a tenth. Most others just take the new node in, and their other nodes are not placed again. Communities that
only lost nodes are solved again where a node would move, or where they fall apart.

One number couples communities, the exits of all of them. With mu frozen it is left out: the result then does not depend on
what else is solved. In graphs whose components have at most 8 nodes it does not even depend on the start. Without mu the
number is carried along, and a change costs what it costs in the whole map equation. That matters where exits are few beside what
large communities could add. On 6,423 faces with exits of 21 of a weight of 53,220 a frozen mu is 5.8 bits. It takes large
identities apart, and BCubed F falls from 0.984 to 0.875. Carried exits leave them whole: 0.983.

With every node touched and every node alone at the start this is a full solve. Undirected and directed networks both work,
but directed flow comes from a walk over the whole graph: a link that changes there changes the flow of every node.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Float64, Int32, Int64, Ints
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.cut import cut_violations
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.local_exact import LARGEST, small_components, solve_small
from raycluster.kernels.map_equation.local_gains import members_near, merging, moving, parted
from raycluster.kernels.map_equation.local_moves import Problem, climb
from raycluster.kernels.map_equation.local_splits import split, whole_components
from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import community_flows, coupling
from raycluster.kernels.map_equation.region import condense
from raycluster.kernels.threads import at_most

ROUNDS = 5
"""Regions solved one after the other, each reached by the one before. Batches of 3 to 17 % of two real sets needed one or
two. Raising it follows longer chains of changes."""
GROWN = 0.1
"""New nodes, as a share of a community's, above which it is solved again whether a node gains or not. 10,000 rows of close
strangers that come in two halves end at a BCubed F of 0.84 without this. Raising it solves fewer again."""
NO_NODES = np.empty(0, np.int32)


@dataclass(frozen=True)
class LocalSolution:
    """Communities after a local solve."""

    communities: Int32
    """(N,): 0, 1, ... in the order of their lowest node."""
    flows: Flows
    """(C,) of each community: strength, exit and enter, in the network's unit."""
    rounds: int
    """Regions that were solved; 0 where all touched components were small."""
    is_complete: bool
    """Whether no node outside the last region gains by a move."""
    solved: int
    """Nodes that were placed again, in all rounds together."""


def solve(
    network: Network,
    membership: Int32,
    touched: Ints,
    mu: float | None,
    *,
    reached: Ints = NO_NODES,
    lost: Ints = NO_NODES,
    flows: Flows | None = None,
    apart: Apart | None = None,
    rounds: int | None = ROUNDS,
    largest_exact: int = LARGEST,
    exits_elsewhere: float = 0.0,
) -> LocalSolution:
    """Solve the communities of the touched nodes again, and those that this reaches.

    Parameters
    ----------
    network : Network
        The graph as it is now. Must-links are contracted, links between what must be apart are left out.
    membership : (N,) int32
        Communities before, 0..C-1; below 0 for a new node, which starts alone.
    touched : integers
        Nodes at the ends of links that appeared, vanished or changed, and nodes whose rules changed.
    mu : float, optional
        `frozen_mu` of the base solve. One more makes every exit a bit dearer, which makes communities larger. None: the
        exits of all communities are carried along, so that every change costs what it costs in the whole map equation.
    reached : integers
        Nodes at the ends of links of new nodes, these included. Their communities are solved again only where that gains.
    lost : integers
        Nodes that had links to nodes that are gone. Their communities are solved again only where that gains, or where they
        fall apart.
    flows : (C,) each
        Flows of the communities before; those of untouched communities must hold. None computes them from all links.
    apart : Apart
        Nodes that no community may hold together. Only touched communities may break it at the start.
    rounds : int
        Regions to be solved at most; None goes on until no node outside gains.
    largest_exact : int, 0..12
        Components up to this size get the best of all partitions.
    exits_elsewhere : float
        Exits of communities that have no node in the network; read only without mu.

    Returns
    -------
    LocalSolution
        The same for the same input, whatever the order of links. Equal gains go to the lowest number.

    Notes
    -----
    Work grows with the touched communities and their links, but for a few passes over the N numbers of `membership`.
    """
    state = State(network, membership, flows, apart if apart is not None else Apart.nothing(network.nodes))
    near = np.union1d(reached, lost).astype(np.int32)
    region = state.members(np.unique(state.membership[np.union1d(touched, near)]))
    state.exits_elsewhere = exits_elsewhere
    exits = float(state.flows.enter[: int(membership.max(initial=-1)) + 1].sum()) + exits_elsewhere
    region, solved = _solve_small(state, region, mu, exits, largest_exact)
    done = 0
    # Regions are small: a second thread costs more than it gains.
    with at_most(1):
        if len(near):
            near = np.intersect1d(near, region)
            is_new = (membership[near] < 0) & ~np.isin(near, touched)
            solved, done = solved + int(is_new.sum()), int(is_new.any())
            lost = np.intersect1d(lost, region)
            region = _opened(state, np.intersect1d(touched, region), near, near[is_new], lost, mu)
        begun = done
        while len(region) and (rounds is None or done < rounds):
            solved, done = solved + len(region), done + 1
            region = _reached(state, *_solve_region(state, region, mu, is_first=done == begun + 1), mu)
    kept = numbered(state.membership)
    after = Flows(*(column[kept] for column in state.flows))
    return LocalSolution(state.membership, after, done, len(region) == 0, solved)


def _opened(state: State, touched: Ints, near: Int32, new: Int32, lost: Ints, mu: float | None) -> Int32:
    """Place new nodes; returns the nodes of the communities to be solved.

    Parameters
    ----------
    touched : integers
        Nodes whose communities are solved in any case.
    near : int32
        Nodes at the ends of links that came with new nodes or went with old ones.
    new : int32
        Nodes to be placed.
    lost : integers
        Nodes that lost links.
    """
    if len(new):
        _solve_region(state, new, mu, is_first=False)
    gaining = np.concatenate([touched, near[moving(state, near, mu)]])
    into, count = np.unique(state.membership[new], return_counts=True)
    grown = into[count > GROWN * state.size[into]]
    chosen = np.unique(np.concatenate([state.membership[gaining], merging(state, new, mu), grown]))
    return state.members(np.union1d(chosen, parted(state, state.membership[lost])))


def _solve_small(state: State, region: Int32, mu: float | None, exits: float, largest: int) -> tuple[Int32, int]:
    """Solve small components; returns the rest of the region, and the nodes solved.

    The rest is whole communities.
    A community that lost a link may reach into a small component. What is left of it is a community of its own.
    """
    first, small = small_components(state.network, region, largest)
    nodes = state.members(np.unique(state.membership[np.union1d(region, small)]))
    is_small = np.isin(nodes, small, assume_unique=True)
    name = state.membership[nodes].astype(np.int64)
    ascending = np.argsort(small, kind="stable")
    bits = np.full(len(first) - 1, mu) if mu is not None else _slopes(state, first, small, exits)
    name[is_small] = state.count + solve_small(state.network, first, small, state.apart, bits)[ascending]
    _, local = np.unique(name, return_inverse=True)
    state.place_among_themselves(nodes, local.astype(np.int32))
    return nodes[~is_small], len(small)


def _slopes(state: State, first: Int64, small: Int32, exits: float) -> Float64:
    """Bits per unit of exit of each small component, for half of its flow."""
    half = np.add.reduceat(state.network.flow[small], first[:-1]) / 2 if len(small) else np.empty(0)
    return np.array([coupling(exits, one, 0.0) / one if one > 0 else 0.0 for one in half], np.float64)


def _solve_region(state: State, nodes: Int32, mu: float | None, is_first: bool) -> tuple[Ints, Ints]:
    """Solve one region.

    Returns the communities that changed, and those of them that were frozen and took something in.
    """
    exits = np.nan
    if mu is None:
        own = np.unique(state.membership[nodes])
        exits = max(state.exits - float(state.flows.enter[own].sum()), 0.0)
    region = condense(state.network, nodes, state.membership, state.flows, state.apart, state.values(), exits)
    problem, num = region.problem, len(nodes)
    _, start = np.unique(state.membership[nodes], return_inverse=True)
    membership = np.concatenate([start, start.max() + 1 + np.arange(len(region.around))]).astype(np.int32)
    if is_first and not problem.apart.is_empty:
        membership = cut_violations(problem.network, membership, problem.apart)
    membership = _improve(problem, membership, 0.0 if mu is None else mu)
    into = np.full(int(membership.max()) + 1, -1, np.int32)
    into[membership[num:]] = region.around
    before = state.count
    number = state.place(nodes, membership[:num], into)
    state.set_flows(number, community_flows(problem.network, membership, len(into)))
    joined = np.unique(number[membership[:num]][into[membership[:num]] >= 0])
    return np.union1d(joined, number[number >= before]), joined


def _improve(problem: Problem, membership: Int32, mu: float) -> Int32:
    """Move, merge and split in turn until nothing gains; each opens ways."""
    while True:
        better = whole_components(problem, split(problem, climb(problem, membership, mu), mu), mu)
        if np.array_equal(better, membership):
            return membership
        membership = better


def _reached(state: State, changed: Ints, joined: Ints, mu: float | None) -> Int32:
    """Return the nodes of the communities to be solved next.

    These are the frozen ones that took something in, and those with a node that gains by a move, next to a community
    that changed.
    """
    near = members_near(state, changed, state.members(joined))
    gaining = near[moving(state, near, mu)]
    return state.members(np.union1d(joined, state.membership[gaining]))
