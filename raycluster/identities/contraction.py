"""Rules applied to links and communities.

Tied rows become one node, and links between what must be apart go.

Shapes: N rows, E links; the number of a node is the lowest of its rows, so that nothing is numbered anew.
"""

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64
from raycluster.identities.rules import Rules
from raycluster.kernels import numba
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import Apart, broken_communities, conflict
from raycluster.kernels.map_equation.local import solve

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
        Communities of the nodes. Those that break a rule are cut and solved again locally.
    rules : Rules
        What must hold.
    directed : bool
        Whether links have a direction.
    """
    broken = broken_communities(membership, rules.apart)
    if len(broken):
        membership = membership.copy()
        if directed or rules.apart.value.shape[1]:
            # Directed flow and values of communities need all links and all rows.
            make = flows.directed if directed else flows.undirected
            network = make(source, target, weight, np.arange(len(membership), dtype=np.int32), 1)
            touched = np.flatnonzero(np.isin(membership, broken))
            membership = solve(network, membership, touched, None, apart=rules.apart).communities
        else:
            _solve_apart(source, target, weight, membership, broken, rules.apart)
    of_rows = membership.copy() if rules.node is None else membership[rules.node]
    numbered(of_rows)
    return of_rows


def _solve_apart(source: Int32, target: Int32, weight: Float32, membership: Int32, broken: Int32, apart: Apart) -> None:
    """Solve broken communities again, in place, on the links that reach them."""
    is_broken = np.zeros(int(membership.max()) + 1, bool)
    is_broken[broken] = True
    own, near = _community_flows(source, target, weight, membership, is_broken)
    inside = np.flatnonzero(is_broken[membership]).astype(np.int32)
    member, group = apart.shared(inside)
    nodes = np.unique(np.concatenate([inside, source[near], target[near], member]))
    names, local = np.unique(membership[nodes], return_inverse=True)
    ends = np.searchsorted(nodes, source[near]).astype(np.int32), np.searchsorted(nodes, target[near]).astype(np.int32)
    network = flows.undirected(*ends, weight[near], np.arange(len(nodes), dtype=np.int32), 1)
    numbers = np.unique(group, return_inverse=True)[1]
    place = np.searchsorted(nodes, member)
    rules = Apart.make(place, numbers, int(numbers.max(initial=-1)) + 1, apart.value[nodes], len(nodes))
    here = flows.Flows(*(column[names] for column in own))
    # Nodes around have only the links that reach broken communities: none of them is solved, and no component is whole.
    solved = solve(
        network,
        local.astype(np.int32),
        np.searchsorted(nodes, inside),
        None,
        flows=here,
        apart=rules,
        rounds=1,
        largest_exact=0,
        exits_elsewhere=float(own.enter.sum() - here.enter.sum()),
    ).communities
    # A community with nodes around keeps its number; all others of the solve are new.
    number = np.full(int(solved.max()) + 1, -1, np.int32)
    around = ~is_broken[membership[nodes]]
    number[solved[around]] = membership[nodes[around]]
    fresh = np.flatnonzero(number < 0)
    number[fresh] = len(is_broken) + np.arange(len(fresh), dtype=np.int32)
    membership[nodes] = number[solved]


def _community_flows(
    source: Int32, target: Int32, weight: Float32, membership: Int32, is_broken: Bool
) -> tuple[flows.Flows, Int64]:
    """Flows of all communities, and the links that reach a broken one."""
    count = len(is_broken)
    strength, exits, near = np.zeros(count), np.zeros(count), []
    for start in range(0, len(source), LINKS_PER_CALL):
        piece = slice(start, start + LINKS_PER_CALL)
        one, other, own = membership[source[piece]], membership[target[piece]], weight[piece].astype(np.float64)
        is_loop = source[piece] == target[piece]
        strength += np.bincount(one, own, count) + np.bincount(other, np.where(is_loop, 0.0, own), count)
        leaves = np.where(one != other, own, 0.0)
        exits += np.bincount(one, leaves, count) + np.bincount(other, leaves, count)
        near.append(start + np.flatnonzero(is_broken[one] | is_broken[other]))
    return flows.Flows(strength, exits, exits), np.concatenate(near)


def broken_rules(membership: Int32, rules: Rules) -> int:
    """Return how many rules communities of rows (N,) break: 0 after `obeyed`."""
    tied = 0 if rules.node is None else int(np.count_nonzero(membership != membership[rules.node]))
    return tied + rules.apart.violations(membership)


def out_of_place(membership: Int32, rules: Rules) -> Int64:
    """Return the rows whose communities break a rule.

    `membership` (N,) is -1 for a row without a community.
    """
    alone = membership < 0
    own = membership.copy()
    own[alone] = int(membership.max(initial=-1)) + 1 + np.arange(int(alone.sum()), dtype=np.int32)
    result = np.flatnonzero(np.isin(own, broken_communities(own, rules.apart)))
    if rules.node is None:
        return result
    parted = np.flatnonzero(own != own[rules.node])
    return np.union1d(result, np.union1d(parted, rules.node[parted]))
