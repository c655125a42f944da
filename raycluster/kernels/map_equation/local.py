"""Communities solved again where something changed, all others left alone.

    touched communities -> components of at most 8 nodes: the best of all partitions (`local_exact`)
                        -> all others: rules that they break are cut (`cut`); single nodes move, then communities merge with
                           each other and with their frozen neighbors (`local_moves`), then split (`local_splits`), until
                           nothing gains; communities that this reached are the next round's region

Nodes that are new are first placed among communities as they are. Then single nodes move (`local_single`). These are the
ends of links that came with new nodes or went with old ones, and the nodes next to every move. All other nodes stay.

A community is solved whole where two would merge, or where one would split or falls apart. So is one that is touched, and
one of which new nodes are more than a tenth.

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
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.local_exact import LARGEST, small_components, solve_small
from raycluster.kernels.map_equation.local_gains import members_near, merging, moving, parted
from raycluster.kernels.map_equation.local_regions import solve_region, splitting
from raycluster.kernels.map_equation.local_single import move_singly
from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import coupling
from raycluster.kernels.threads import at_most

ROUNDS = 5
"""Rounds, each with what the one before reached. Batches of 3 to 17 % of two real sets needed one or two. Raising it follows
longer chains of changes."""
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
    """Rounds that changed something; 0 where all touched components were small."""
    is_complete: bool
    """Whether nothing next to what changed gains any more."""
    solved: int
    """Nodes that were placed again, in all rounds together: new ones, those that moved, and those of communities solved whole."""


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
        Nodes at the ends of links that appeared, vanished or changed, and nodes whose rules changed. Their communities are
        solved whole.
    mu : float, optional
        `frozen_mu` of the base solve. One more makes every exit a bit dearer, which makes communities larger. None: the
        exits of all communities are carried along, so that every change costs what it costs in the whole map equation.
    reached : integers
        Nodes at the ends of links of new nodes, these included. They move where that gains.
    lost : integers
        Nodes that had links to nodes that are gone. They move where that gains; communities that fall apart are solved whole.
    flows : (C,) each
        Flows of the communities before; those of untouched communities must hold. None computes them from all links.
    apart : Apart
        Nodes that no community may hold together. Only touched communities may break it at the start.
    rounds : int
        Rounds at most; None goes on until nothing gains.
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
    # Regions are small: a second thread costs more than it gains.
    with at_most(1):
        near = np.intersect1d(near, region).astype(np.int32)
        new = near[(membership[near] < 0) & ~np.isin(near, touched)]
        if len(new):
            solve_region(state, new, mu, is_first=False)
        done, solved = int(len(new) > 0), solved + len(new)
        front = Front(near, new, _begun(state, np.intersect1d(touched, region), np.intersect1d(lost, region), new))
        begun = done
        while (is_open := front.is_open(state, mu)) and (rounds is None or done < rounds):
            moved, region = _opened(state, front, mu)
            done, solved = done + 1, solved + len(moved) + len(region)
            front = _reached(state, *solve_region(state, region, mu, is_first=done == begun + 1), mu)
    kept = numbered(state.membership)
    after = Flows(*(column[kept] for column in state.flows))
    return LocalSolution(state.membership, after, done, not is_open, solved)


@dataclass(frozen=True)
class Front:
    """What the next round starts from."""

    near: Int32
    """Nodes that may gain by a move, ascending."""
    linking: Int32
    """Nodes whose links may join two communities that gain by a merge, ascending."""
    whole: Int64
    """Communities whose nodes are all placed again."""

    def is_open(self, state: State, mu: float | None) -> bool:
        """Return whether a round would change something, or place communities again."""
        return bool(len(self.whole) or moving(state, self.near, mu).any() or len(merging(state, self.linking, mu)))


def _begun(state: State, touched: Ints, lost: Ints, new: Int32) -> Int64:
    """Return the communities that are solved whole in the first round.

    Parameters
    ----------
    touched, lost : integers
        Nodes whose communities are solved in any case, and where they fall apart.
    new : int32
        Nodes that have been placed.
    """
    into, count = np.unique(state.membership[new], return_counts=True)
    grown = into[count > GROWN * state.size[into]]
    apart = parted(state, state.membership[lost])
    return np.unique(np.concatenate([state.membership[touched], grown, apart])).astype(np.int64)


def _opened(state: State, front: Front, mu: float | None) -> tuple[Int32, Int32]:
    """Move single nodes; returns them, and the nodes to be solved whole.

    The latter are all members of some communities.
    """
    moved, left = move_singly(state, front.near, mu)
    merges = merging(state, np.union1d(front.linking, moved).astype(np.int32), mu)
    changed = np.union1d(left[state.size[left] > 0], state.membership[moved])
    return moved, state.members(np.unique(np.concatenate([front.whole, merges, splitting(state, changed, mu)])))


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


def _reached(state: State, changed: Ints, joined: Ints, mu: float | None) -> Front:
    """Return the front after a round.

    Parameters
    ----------
    changed : integers
        Communities that changed, those that were solved whole.
    joined : integers
        Those of them that were frozen and took something in.
    """
    near = members_near(state, changed, NO_NODES)
    return Front(near, state.members(joined), splitting(state, joined, mu))
