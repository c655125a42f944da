"""Small random graphs for the map equation, and its terms on dense matrices."""

import numpy as np

from raycluster.kernels.map_equation import flow as flows


def random_links(nodes, links, seed, lightest=0.1):
    """source, target and weight of any links: self-links, duplicates and both directions among them."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, nodes, (2, links)).astype(np.int32)
    return pairs[0], pairs[1], rng.uniform(lightest, 2, links).astype(np.float32)


def planted_links(groups, size, links, seed, within=0.8):
    """Links of groups whose nodes link to each other more than to others; nodes are numbered at random."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, groups * size, links)
    near = source // size * size + rng.integers(0, size, links)
    target = np.where(rng.random(links) < within, near, rng.integers(0, groups * size, links))
    number = rng.permutation(groups * size).astype(np.int32)
    return number[source], number[target], rng.uniform(0.2, 1, links).astype(np.float32)


def network(links, nodes, directed=False, tasks=1):
    """The network of links, its nodes numbered as they are."""
    make = flows.directed if directed else flows.undirected
    return make(*links, np.arange(nodes, dtype=np.int32), tasks)


def weights(rows, nodes):
    """The weights in rows as a matrix (N, N); entries of one neighbor add up."""
    matrix = np.zeros((nodes, nodes))
    np.add.at(matrix, (np.repeat(np.arange(nodes), np.diff(rows.start)), rows.neighbor), rows.weight)
    return matrix


def module_flows(graph, membership):
    """Flow, exit and enter (M,) of the modules of a network, by sums over its matrix."""
    count = int(membership.max()) + 1
    matrix = weights(graph.rows, graph.nodes)
    inside = np.array([matrix[np.ix_(membership == m, membership == m)].sum() for m in range(count)])
    flow, leaving, entering = (np.bincount(membership, values, count) for values in graph.flows)
    return flows.Flows(flow, leaving - inside, entering - inside)


def plogp(values):
    """Sum of x log2 x."""
    values = np.asarray(values, np.float64)
    values = values[values > 0]
    return float((values * np.log2(values)).sum())


def code(graph, membership):
    """The map equation of a network in bits, term by term."""
    total = graph.flow.sum()
    flow, leaving, entering = (np.maximum(values, 0) / total for values in module_flows(graph, membership))
    return (
        plogp([entering.sum()]) - plogp(entering) - plogp(leaving) + plogp(leaving + flow) - plogp(graph.flow / total)
    )
