"""Rules applied to links and communities.

Tied rows become one node, and links between what must be apart go.

Shapes: N rows, E links; the number of a node is the lowest of its rows, so that nothing is numbered anew.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64, UInt8
from raycluster.identities.rules import Rules
from raycluster.kernels import numba
from raycluster.kernels.map_equation.apart import Apart, broken_communities, conflict

LINKS_PER_CALL = 2**18
"""Links handled at once, 260,000: scratch of about 10 MB. Results do not depend on it."""
ALL_BITS = 0b11111110
"""Bits of a node with values of columns, which any other one may exclude."""


def contracted(source: Int32, target: Int32, weight: Float32, rules: Rules) -> tuple[Int32, Int32, Float32]:
    """Return the links of the nodes that the rules make, without forbidden ones.

    The arrays are overwritten, so that no second copy of all links is needed.

    Parameters
    ----------
    source, target : (E,) int32
        Rows at the ends of each link.
    weight : (E,) float32
        Weights.
    rules : Rules
        Tied rows, and what must be apart.
    """
    if rules.ties.is_empty and rules.apart.is_empty:
        return source, target, weight
    put = 0
    bits = rule_bits(rules.apart)
    for start in range(0, len(source), LINKS_PER_CALL):
        piece = slice(start, start + LINKS_PER_CALL)
        *columns, parted = links_of_nodes(source[piece], target[piece], weight[piece], rules, bits)
        # What is written lies before what is still to be read.
        kept = slice(put, put + int(np.count_nonzero(~parted)))
        source[kept], target[kept], weight[kept] = (column[~parted] for column in columns)
        put = kept.stop
    return source[:put], target[:put], weight[:put]


def rule_bits(apart: Apart) -> UInt8:
    """Return bits (N,) of which two nodes that must be apart share one.

    A node without rules has none. Groups share seven bits, so that other nodes may share one, too. The lowest bit is free.
    """
    result = np.zeros(len(apart.value), np.uint8)
    _add_bits(apart.node, apart.group, result)
    if apart.value.shape[1]:
        result[(apart.value >= 0).any(axis=1)] = ALL_BITS
    return result


@numba.njit(nogil=True, cache=True)
def _add_bits(node, group, result):  # type: ignore[no-untyped-def]
    for at in range(node.shape[0]):
        result[node[at]] |= np.uint8(2 << group[at] % 7)


def links_of_nodes(
    source: Int32, target: Int32, weight: Float32, rules: Rules, bits: UInt8
) -> tuple[Int32, Int32, Float32, Bool]:
    """Return links of rows as those of nodes, and which of them are forbidden.

    A link inside a node becomes a self-link of twice its weight, since it counted at both ends and a self-link counts once.

    Parameters
    ----------
    source, target, weight : (E,)
        Links of rows.
    rules : Rules
        Tied rows, and what must be apart.
    bits : (N,) uint8
        As `rule_bits` returns them.
    """
    if not rules.ties.is_empty:
        inner = source != target
        source, target = rules.ties.of(source), rules.ties.of(target)
        inner &= source == target
        weight = np.where(inner, 2 * weight, weight)
    return source, target, weight, _forbidden(source, target, bits, rules.apart)


def _forbidden(one: Int32, other: Int32, bits: UInt8, apart: Apart) -> Bool:
    """Links whose two nodes must be apart."""
    result = np.zeros(len(one), bool)
    _conflicts(one, other, bits, apart.node, apart.group, apart.value, result)
    return result


@numba.njit(nogil=True, cache=True)
def _conflicts(one, other, bits, node, group, value, parted):  # type: ignore[no-untyped-def]
    """Write which pairs must be apart."""
    for at in range(one.shape[0]):
        a, b = one[at], other[at]
        if a != b and bits[a] & bits[b]:
            parted[at] = conflict(
                a, b, np.searchsorted(node, a), np.searchsorted(node, a, "right"),
                np.searchsorted(node, b), np.searchsorted(node, b, "right"), group, value,
            )  # fmt: skip


def broken_rules(membership: Int32, rules: Rules) -> int:
    """Return how many rules communities of rows (N,) break: 0 after a solve."""
    tied = np.count_nonzero(membership[rules.ties.row] != membership[rules.ties.node])
    return int(tied) + rules.apart.violations(membership)


def out_of_place(membership: Int32, rules: Rules) -> Int64:
    """Return the rows whose communities break a rule.

    `membership` (N,) is -1 for a row without a community.
    """
    alone = membership < 0
    own = membership.copy()
    own[alone] = int(membership.max(initial=-1)) + 1 + np.arange(int(alone.sum()), dtype=np.int32)
    result = np.flatnonzero(np.isin(own, broken_communities(own, rules.apart)))
    parted = np.flatnonzero(own[rules.ties.row] != own[rules.ties.node])
    return np.union1d(result, np.union1d(rules.ties.row[parted], rules.ties.node[parted]))
