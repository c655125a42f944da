"""Communities while a local solve changes them: their members and flows."""

import numba
import numpy as np

from raycluster.arrays import Int32, Int64, Ints
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.local_move import communities_of
from raycluster.kernels.map_equation.local_terms import community_flows


class State:
    """Communities of all nodes, their flows and members.

    A community that changes gets a number that none has had.

    Members are linked lists (`head` per community, `next` per node), so that a change costs the nodes that it moves.
    """

    def __init__(self, network: Network, membership: Int32, flows: Flows | None, apart: Apart) -> None:
        self.network, self.apart = network, apart
        self.exits_elsewhere = 0.0
        """Exits of communities that have no node in the network."""
        count = int(membership.max(initial=-1)) + 1
        alone = np.flatnonzero(membership < 0)
        self.membership = membership.copy()
        self.membership[alone] = count + np.arange(len(alone), dtype=np.int32)
        if flows is None:
            self.flows = community_flows(network, self.membership, count + len(alone))
        else:
            assert len(flows.flow) == count, "flows and communities differ in number"
            self.flows = Flows(*(np.concatenate([a, b[alone]]) for a, b in zip(flows, network.flows, strict=True)))
        self.size = np.bincount(self.membership, minlength=self.count)
        self.head = np.full(self.count, -1, np.int32)
        self.next = np.empty(len(membership), np.int32)
        _push(self.head, self.next, np.arange(len(membership), dtype=np.int32), self.membership)

    @property
    def exits(self) -> float:
        """Exits of all communities."""
        return float(self.flows.enter.sum()) + self.exits_elsewhere

    @property
    def count(self) -> int:
        """The first number that no community has had."""
        return len(self.flows.flow)

    def members(self, communities: Ints) -> Int32:
        """Nodes of these communities, ascending."""
        nodes = np.empty(int(self.size[communities].sum()), np.int32)
        _members(self.head, self.next, communities, nodes)
        nodes.sort()
        return nodes

    def with_empty(self, count: int) -> None:
        """Add communities without members, with the numbers that follow."""
        self.flows = Flows(*(np.concatenate([column, np.zeros(count)]) for column in self.flows))
        self.size = np.concatenate([self.size, np.zeros(count, np.int64)])
        self.head = np.concatenate([self.head, np.full(count, -1, np.int32)])

    def without_last(self, count: int) -> None:
        """Take back the last communities, which are empty."""
        last = self.count - count
        self.flows = Flows(*(column[:last] for column in self.flows))
        self.size, self.head = self.size[:last], self.head[:last]

    def values(self) -> Int32:
        """Value of each community in each column of `apart` (C, D)."""
        held: Int32 = communities_of(self.membership, self.size, self.flows, self.apart.value).held
        return held

    def place(self, nodes: Int32, local: Int32, into: Int32) -> Int32:
        """Give `nodes` other communities; returns the number (L,) of each.

        Parameters
        ----------
        nodes : (R,) int32
            All members of some communities.
        local : (R,) int32
            The new community of each, 0..L-1; a set of nodes that was a community before keeps its number.
        into : (L,) int32
            Number of a community outside `nodes` that takes these nodes in, or -1.
        """
        before = self.membership[nodes]
        number = np.where(into >= 0, into, _same_sets(before, local, len(into)))
        fresh = np.flatnonzero(number < 0)
        number[fresh] = self.count + np.arange(len(fresh))
        self.with_empty(len(fresh))
        left = np.unique(before)
        self.size[left], self.head[left] = 0, -1
        for column in self.flows:
            column[left] = 0.0
        self.membership[nodes] = number[local]
        _push(self.head, self.next, nodes, self.membership)
        np.add.at(self.size, self.membership[nodes], 1)
        return number

    def place_among_themselves(self, nodes: Int32, local: Int32) -> None:
        """Give all members of some communities the communities `local` (R,)."""
        count = int(local.max(initial=-1)) + 1
        number = self.place(nodes, local, np.full(count, -1, np.int32))
        rows, network = self.network.rows, self.network
        within = np.empty(len(nodes))
        _within(rows.start, rows.neighbor, rows.weight, nodes, self.membership, within)
        sums = (network.flow[nodes], network.exit[nodes] - within, network.enter[nodes] - within)
        self.set_flows(number, Flows(*(np.bincount(local, column, count).astype(np.float64) for column in sums)))

    def set_flows(self, number: Ints, flows: Flows) -> None:
        """The flows of the communities of these numbers."""
        for column, values in zip(self.flows, flows, strict=True):
            column[number] = values


def _same_sets(before: Int32, local: Int32, count: int) -> Int64:
    """Return the old number (count,) of each new community with the same nodes, or -1."""
    names, old = np.unique(before, return_inverse=True)
    old_size, new_size = np.bincount(old, minlength=len(names)), np.bincount(local, minlength=count)
    lowest, highest = np.full(count, len(names), np.int64), np.full(count, -1, np.int64)
    np.minimum.at(lowest, local, old)
    np.maximum.at(highest, local, old)
    one = np.flatnonzero((lowest == highest) & (new_size > 0))
    same = one[old_size[lowest[one]] == new_size[one]]
    result = np.full(count, -1, np.int64)
    result[same] = names[lowest[same]]
    return result


@numba.njit(nogil=True, cache=True)
def _push(head, following, nodes, membership):  # type: ignore[no-untyped-def]
    for node in nodes:
        following[node] = head[membership[node]]
        head[membership[node]] = node


@numba.njit(nogil=True, cache=True)
def _members(head, following, communities, nodes):  # type: ignore[no-untyped-def]
    put = 0
    for community in communities:
        node = head[community]
        while node >= 0:
            nodes[put] = node
            put += 1
            node = following[node]


@numba.njit(nogil=True, cache=True)
def _within(start, neighbor, weight, nodes, membership, within):  # type: ignore[no-untyped-def]
    """Weight from each of `nodes` to others of its community."""
    for rank in range(nodes.shape[0]):
        total, own = 0.0, membership[nodes[rank]]
        for at in range(start[nodes[rank]], start[nodes[rank] + 1]):
            if membership[neighbor[at]] == own:
                total += weight[at]
        within[rank] = total
