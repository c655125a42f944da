"""Rules applied to links and communities.

Tied rows become one node, and links between what must be apart go.

Shapes: N rows, E links; the number of a node is the lowest of its rows, so that nothing is numbered anew.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.identities.rules import Rules
from raycluster.kernels import numba
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import Apart, broken_communities, conflict
from raycluster.kernels.map_equation.local import solve
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu

LINKS_PER_CALL = 2**20
"""Links handled at once, 1 million: scratch of about 30 MB. Results do not depend on it."""


def contracted(
    source: Int32, target: Int32, weight: Float32, rules: Rules, directed: bool = False
) -> tuple[Int32, Int32, Float32]:
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
    directed : bool
        An undirected link inside a node becomes a self-link of twice its weight, since it counted at both ends and a
        self-link counts once. A directed one keeps its weight.
    """
    if rules.node is None and rules.apart.is_empty:
        return source, target, weight
    has_rule = np.zeros(len(rules.apart.value), bool)
    has_rule[rules.apart.node] = True
    has_rule[(rules.apart.value >= 0).any(axis=1)] = True
    put = 0
    for start in range(0, len(source), LINKS_PER_CALL):
        piece = slice(start, start + LINKS_PER_CALL)
        one, other, own = source[piece], target[piece], weight[piece]
        if rules.node is not None:
            inner = one != other
            one, other = rules.node[one], rules.node[other]
            inner &= one == other
            own = own if directed else np.where(inner, 2 * own, own)
        kept = ~_forbidden(one, other, has_rule, rules.apart)
        count = int(kept.sum())
        # What is written lies before what is still to be read.
        source[put : put + count], target[put : put + count], weight[put : put + count] = (
            one[kept],
            other[kept],
            own[kept],
        )
        put += count
    return source[:put], target[:put], weight[:put]


def _forbidden(one: Int32, other: Int32, has_rule: Bool, apart: Apart) -> Bool:
    """Links whose two nodes must be apart."""
    result = np.zeros(len(one), bool)
    both = np.flatnonzero(has_rule[one] & has_rule[other] & (one != other))
    nodes = np.unique(np.concatenate([one[both], other[both]]))
    start, group = apart.memberships(nodes)
    ends = np.searchsorted(nodes, one[both]), np.searchsorted(nodes, other[both])
    parted = np.empty(len(both), bool)
    _conflicts(*ends, start, group, apart.value[nodes], parted)
    result[both] = parted
    return result


@numba.njit(nogil=True, cache=True)
def _conflicts(one, other, start, group, value, parted):  # type: ignore[no-untyped-def]
    for at in range(one.shape[0]):
        parted[at] = conflict(one[at], other[at], start, group, value)


def obeyed(
    source: Int32, target: Int32, weight: Float32, membership: Int32, rules: Rules, directed: bool = False
) -> Int32:
    """Return communities (N,) that break no rule, from those of any solver.

    Parameters
    ----------
    source, target, weight : (E,)
        Links as `contracted` returns them.
    membership : (N,) int32
        Communities of the nodes. Those that break a rule are cut and solved again locally, at the mu of all.
    rules : Rules
        What must hold.
    directed : bool
        Whether links have a direction.
    """
    broken = broken_communities(membership, rules.apart)
    if len(broken):
        make = flows.directed if directed else flows.undirected
        network = make(source, target, weight, np.arange(len(membership), dtype=np.int32), 1)
        own = community_flows(network, membership, int(membership.max()) + 1)
        touched = np.flatnonzero(np.isin(membership, broken))
        membership = solve(network, membership, touched, frozen_mu(own.enter), flows=own, apart=rules.apart).communities
    of_rows = membership.copy() if rules.node is None else membership[rules.node]
    numbered(of_rows)
    return of_rows


def broken_rules(membership: Int32, rules: Rules) -> int:
    """Return how many rules communities of rows (N,) break: 0 after `obeyed`."""
    tied = 0 if rules.node is None else int(np.count_nonzero(membership != membership[rules.node]))
    return tied + rules.apart.violations(membership)
