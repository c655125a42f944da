"""Graphs that change, and the best partition at frozen mu by trying all of them."""

import itertools
from functools import cache

import numpy as np

from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.apart import Apart
from raycluster.kernels.map_equation.local_terms import community_flows, terms


def network_of(links, nodes, order=None, directed=False):
    """The network of {(a, b): weight}, links in the order of the keys or as `order` permutes them."""
    pairs = np.array(list(links), np.int32).reshape(-1, 2)
    weight = np.array(list(links.values()), np.float32)
    if order is not None:
        pairs, weight = pairs[order], weight[order]
    make = flows.directed if directed else flows.undirected
    return make(pairs[:, 0].copy(), pairs[:, 1].copy(), weight, np.arange(nodes, dtype=np.int32), 1)


def apart_of(groups, nodes, value=None):
    """Rules of lists of nodes that must be apart, and of values (N, D)."""
    node = np.array([one for group in groups for one in group], np.int64)
    number = np.array([at for at, group in enumerate(groups) for _ in group], np.int64)
    return Apart.make(node, number, len(groups), value, nodes)


def partitions(nodes):
    """All partitions of that many nodes, each as communities numbered by their lowest node."""

    def extend(head, count):
        if len(head) == nodes:
            yield head
            return
        for community in range(count + 1):
            yield from extend([*head, community], max(count, community + 1))

    return extend([], 0)


def cost(network, of, mu):
    """The codelength at frozen mu, times the total flow, but for a constant."""
    of = np.asarray(of, np.int32)
    return float(terms(community_flows(network, of, int(of.max()) + 1), mu).sum())


def best_cost(network, apart, mu, tied=()):
    """The lowest cost of all partitions that break no rule and part no pair of `tied`.

    A community adds its own share to the cost, whatever the others are, and a rule holds or is broken inside one. So every
    set of nodes is measured once.
    """
    nodes = np.arange(network.nodes)
    share = np.zeros(1 << network.nodes)
    for members in range(1, len(share)):
        rest = 1 - (members >> nodes & 1).astype(np.int32)
        share[members] = terms(community_flows(network, rest, int(rest.max()) + 1), mu)[0]
        is_parted = any(rest[one] != rest[other] for one, other in tied)
        if is_parted or apart.violations(np.where(rest == 0, 0, nodes + 1).astype(np.int32)):
            share[members] = np.inf
    return float(share[_sets_of_partitions(network.nodes)].sum(axis=1).min())


@cache
def _sets_of_partitions(nodes):
    """Communities (P, N) of all partitions as bits of their nodes; 0 where a partition has fewer."""
    of = np.array(list(partitions(nodes)))
    return np.stack([((of == community) << np.arange(nodes)).sum(axis=1) for community in range(nodes)], axis=1)


def planted_links(groups, size, links, seed, within=0.85):
    """{(a, b): weight} of groups whose nodes link to each other more than to others."""
    rng = np.random.default_rng(seed)
    result = {}
    for source in rng.integers(0, groups * size, links).tolist():
        near = rng.random() < within
        target = source // size * size + int(rng.integers(0, size)) if near else int(rng.integers(0, groups * size))
        if source != target:
            result[min(source, target), max(source, target)] = float(np.float32(rng.uniform(0.2, 1)))
    return result


def pairs_of(nodes):
    """All pairs a < b."""
    return list(itertools.combinations(range(nodes), 2))
