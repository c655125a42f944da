"""Nodes that no community may hold together.

They come from cannot-link decisions and from columns whose values exclude each other.

Two forms, because one of them would need a pair per two rows in the other:

    groups   no community holds two nodes of a group. A cannot-link pair is a group of two; the faces of one photo are one
             group. A group of m nodes takes m entries, where pairs would take m (m - 1) / 2.
    values   no community holds two different values of a column; -1 is no value. One entry per node and column.

Shapes: I entries, each one membership of a node in a group; G groups; N nodes; D columns.
"""

from dataclasses import dataclass

import numba
import numpy as np

from raycluster.arrays import Array, Int32, Int64, Ints


@dataclass(frozen=True)
class Apart:
    """Groups and values that keep nodes in different communities; `make` builds it."""

    node: Int32
    """(I,) ascending; the node of each membership."""
    group: Int32
    """(I,) its group, 0..G-1, ascending for one node."""
    first: Int64
    """(G + 1,) where each group begins in `member`."""
    member: Int32
    """(I,) nodes by group, ascending within each."""
    value: Int32
    """(N, D) value of each node in each column, -1 for none; D may be 0."""

    @property
    def groups(self) -> int:
        """Number of groups, G."""
        return len(self.first) - 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept apart."""
        return len(self.node) == 0 and self.value.shape[1] == 0

    @classmethod
    def make(cls, node: Ints, group: Ints, num_groups: int, value: Int32 | None = None, num_nodes: int = 0) -> "Apart":
        """Return rules from memberships in any order.

        A node counts once per group. Groups of one node stay, without effect.

        Parameters
        ----------
        node, group : (I,) integers
            Each membership, node 0..num_nodes - 1 and group 0..num_groups - 1.
        value : (num_nodes, D) int32
            Values of columns; none means no columns.
        """
        # In place: with a million entries, each array that is made on the way takes 8 MB.
        key = group.astype(np.int64)
        key <<= 32
        key |= node
        key = distinct(key)
        member = key.astype(np.int32)  # the lower half
        key >>= 32
        by_group = key.astype(np.int32)
        del key
        first = np.zeros(num_groups + 1, np.int64)
        np.cumsum(np.bincount(by_group, minlength=num_groups), out=first[1:])
        # The same by nodes.
        key = member.astype(np.int64)
        key <<= 32
        key |= by_group
        key.sort()
        by_group = key.astype(np.int32)
        key >>= 32
        values = np.empty((num_nodes, 0), np.int32) if value is None else np.ascontiguousarray(value, np.int32)
        return cls(key.astype(np.int32), by_group, first, member, values)

    @classmethod
    def nothing(cls, num_nodes: int) -> "Apart":
        """No rule for any of `num_nodes` nodes."""
        none = np.empty(0, np.int32)
        return cls.make(none, none, 0, num_nodes=num_nodes)

    def memberships(self, nodes: Int32) -> tuple[Int64, Int32]:
        """Return where the groups of each of `nodes` begin, and the groups themselves."""
        begin, end = np.searchsorted(self.node, nodes, "left"), np.searchsorted(self.node, nodes, "right")
        start = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
        return start, self.group[ranges(begin, end)]

    def mapped(self, to: Ints, value: Int32 | None = None, num_nodes: int = 0) -> "Apart":
        """Return the same rules for other nodes; groups keep their numbers.

        Parameters
        ----------
        to : (N,) integers
            The new node of each node; below 0 it loses its rules.
        value : (num_nodes, D) int32
            Values of the new nodes; none means no columns.
        num_nodes : int
            Number of new nodes.
        """
        node = np.asarray(to)[self.node]
        kept = node >= 0
        return Apart.make(node[kept], self.group[kept], self.groups, value, num_nodes)

    def shared(self, nodes: Int32) -> tuple[Int32, Int32]:
        """Return memberships (node, group) of all groups that hold one of `nodes`.

        `nodes` are ascending. The work grows with these memberships and not with N.
        """
        begin, end = np.searchsorted(self.node, nodes, "left"), np.searchsorted(self.node, nodes, "right")
        groups = np.unique(self.group[ranges(begin, end)])
        begin, end = self.first[groups], self.first[groups + 1]
        return self.member[ranges(begin, end)], np.repeat(groups, end - begin)

    def violations(self, membership: Ints) -> int:
        """Return how many rules the communities `membership` (N,) break.

        Members of a group beyond the first in one community count, and further values of a column in one community.
        """
        broken = 0
        if len(self.member):
            group = np.repeat(np.arange(self.groups, dtype=np.int32), np.diff(self.first))
            broken += len(group) - _distinct(group, membership[self.member])
        for column in self.value.T:
            has = np.flatnonzero(column >= 0)
            pairs = _distinct(membership[has], column[has])
            broken += pairs - len(np.unique(membership[has]))
        return broken


def broken_communities(membership: Int32, apart: Apart) -> Int32:
    """Return the communities that hold two members of a group or two values."""
    key = np.repeat(np.arange(apart.groups, dtype=np.int64), np.diff(apart.first))
    key <<= 32
    key |= membership[apart.member]
    key.sort()
    broken = [key[1:][key[1:] == key[:-1]] & 0xFFFFFFFF]
    for column in apart.value.T:
        has = np.flatnonzero(column >= 0)
        pairs = np.unique(membership[has].astype(np.int64) << 32 | column[has].astype(np.int64)) >> 32
        broken.append(pairs[1:][pairs[1:] == pairs[:-1]])
    return np.unique(np.concatenate(broken)).astype(np.int32)


def _distinct(one: Ints, other: Ints) -> int:
    """Number of different pairs of one[i], other[i], all of them in 0..2^31 - 1."""
    key = one.astype(np.int64)
    key <<= 32
    key |= other
    key.sort()
    return int(np.count_nonzero(key[1:] != key[:-1])) + min(len(key), 1)


def distinct(values: Array) -> Array:
    """Return the different values (M,), ascending.

    By sorting: numpy's hash table is slower here and takes more memory. The values are sorted where they lie.
    """
    values.sort()
    kept = np.ones(len(values), bool)
    kept[1:] = values[1:] != values[:-1]
    return values[kept]


def searched(values: Array, some: Array) -> Int64:
    """Return the places (S,) of some values among ascending ones (M,).

    This is `searchsorted`, in the order of `some`: any other order reads memory anew for every value.
    """
    order = np.argsort(some)
    result: Int64 = np.empty(len(some), np.int64)
    result[order] = np.searchsorted(values, some[order])
    return result


def ranges(begin: Ints, end: Ints) -> Int64:
    """All of begin[0]..end[0]-1, begin[1]..end[1]-1, ... one after the other."""
    length = (end - begin).astype(np.int64)
    offset = np.cumsum(length) - length
    return np.arange(length.sum(), dtype=np.int64) + np.repeat(begin.astype(np.int64) - offset, length)


@numba.njit(nogil=True, cache=True)
def conflict(one, other, a, last_a, b, last_b, group, value):  # type: ignore[no-untyped-def]
    """Return whether two nodes must be apart.

    Parameters
    ----------
    one, other : int
        The nodes.
    a, last_a, b, last_b : int
        Where the groups of one node begin and end, and those of the other.
    group : (I,)
        Groups, ascending per node.
    value : (N, D)
        Values in columns, -1 for none.
    """
    for column in range(value.shape[1]):
        if value[one, column] >= 0 and value[other, column] >= 0 and value[one, column] != value[other, column]:
            return True
    while a < last_a and b < last_b:
        if group[a] == group[b]:
            return True
        if group[a] < group[b]:
            a += 1
        else:
            b += 1
    return False
