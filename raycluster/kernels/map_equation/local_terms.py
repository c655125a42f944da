"""The map equation with mu frozen: a sum of independent terms, one per community.

    L = sum_i h(i) + constant,
    h(i) = mu enter_i - g(enter_i) - g(exit_i) + g(exit_i + flow_i),   g(x) = x log2 x

    mu = log2(e E),   E = sum_i enter_i,   e = 2.718...

Only g(E) couples communities in the map equation, and mu is its derivative (Rosvall and Bergstrom 2008, linearized in E).
Undirected links have enter = exit. A change of E by d makes an error of d^2 / (2 ln 2 E). Flows are in any one unit:
with the weights of links as unit, the terms are bits times weight, and L has to be divided by the total flow.

Shapes: all arguments broadcast; `joint` is the weight between two sides, which is half of what flows both ways.
"""

import math
from typing import Any

import numba
import numpy as np

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels.map_equation.flow import Flows, Network, flow_within
from raycluster.kernels.map_equation.terms import g


@numba.njit(nogil=True, cache=True)
def term(flow, leaving, entering, mu):  # type: ignore[no-untyped-def]
    """Return h of one community: what it adds to the codelength.

    Parameters
    ----------
    flow, leaving, entering : float
        Of the community.
    mu : float
        Bits per unit of exit.
    """
    out = g(leaving)
    return mu * entering + g(leaving + flow) - out - (out if entering == leaving else g(entering))


@numba.njit(nogil=True, cache=True)
def coupling(total, change, mu):  # type: ignore[no-untyped-def]
    """Return what a change of the exits costs beyond the terms at mu 0.

    Parameters
    ----------
    total : float
        Exits of all communities before the change, or below 0 where mu is frozen.
    change : float
        Change of these exits.
    mu : float
        Bits per unit of exit; read only where it is frozen.
    """
    return mu * change if total < 0.0 else g(total + change) - g(total)


def frozen_mu(entering: Float64) -> float:
    """Return mu = log2(e E) in bits from what enters each community (M,).

    It is 0 where nothing does, which makes no exit dear.
    """
    total = float(np.sum(entering))
    return math.log2(math.e * total) if total > 0 else 0.0


def exits_change(total: Float64, change: Float64) -> Float64:
    """Return what a change of all exits costs beyond the terms at mu 0.

    This is `coupling` of arrays.
    """
    result: Float64 = _g(np.maximum(total + change, 0.0)) - _g(total)
    return result


def terms(communities: Flows, mu: float) -> Float64:
    """h of each community (M,)."""
    flow, leaving, entering = (np.asarray(column, np.float64) for column in communities)
    total: Float64 = mu * entering + _g(leaving + flow) - _g(leaving) - _g(entering)
    return total


def merge_gain(one: Flows, other: Flows, joint: Float64 | float, mu: float) -> Float64:
    """Return the bits, times the unit of flow, that merging two communities saves.

    Parameters
    ----------
    one, other : Flows
        Flows of the two.
    joint : float
        Weight between them.
    mu : float
        Bits per unit of exit.

    Notes
    -----
    `gain / min(one.flow, other.flow)` ranks suggestions.
    """
    lost = 2 * np.asarray(joint, np.float64)
    both = Flows(one.flow + other.flow, one.exit + other.exit - lost, one.enter + other.enter - lost)
    gain: Float64 = terms(one, mu) + terms(other, mu) - terms(both, mu)
    return gain


def move_gain(node: Flows, home: Flows, to: Flows, joint_home: Any, joint_to: Any, mu: float) -> Float64:
    """Return the bits, times the unit of flow, that a node saves by a move.

    Parameters
    ----------
    node, home, to : Flows
        Flows of the node, of its community with it, and of the community that it moves to.
    joint_home, joint_to : float
        Weight between the node and the others of `home`, and all of `to`.
    mu : float
        Bits per unit of exit.
    """
    rest = Flows(
        home.flow - node.flow, home.exit - node.exit + 2 * joint_home, home.enter - node.enter + 2 * joint_home
    )
    more = Flows(to.flow + node.flow, to.exit + node.exit - 2 * joint_to, to.enter + node.enter - 2 * joint_to)
    gain: Float64 = terms(home, mu) + terms(to, mu) - terms(rest, mu) - terms(more, mu)
    return gain


def community_flows(network: Network, membership: Any, count: int) -> Flows:
    """Return the flows of communities.

    Parameters
    ----------
    network : Network
        N nodes.
    membership : (N,) int32
        Community of each node.
    count : int
        Number of communities.
    """
    within = flow_within(network.rows, membership)
    sums = (
        np.bincount(membership, column, count).astype(np.float64)
        for column in (network.flow, network.exit - within, network.enter - within)
    )
    return Flows(*sums)


def flows_of_links(source: Int32, target: Int32, weight: Float32, membership: Int32, count: int) -> Flows:
    """Return the flows of communities from undirected links, without a network.

    Parameters
    ----------
    source, target, weight : (E,)
        Links of N nodes; their order decides the last digits.
    membership : (N,) int32
        Community of each node.
    count : int
        Number of communities.
    """
    strength, exits = np.zeros(count), np.zeros(count)
    add_links(source, target, weight, membership, 1.0, strength, exits)
    return Flows(strength, exits, exits)


@numba.njit(nogil=True, cache=True)
def add_links(one, other, own, membership, sign, strength, exits):  # type: ignore[no-untyped-def]
    """Add links to the strength and the exits of communities.

    Parameters
    ----------
    one, other, own : (E,)
        Links.
    membership : (N,)
        Community of each node.
    sign : float
        1, or -1 for links that go.
    strength, exits : (C,) float64
        Changed in place.
    """
    for at in range(one.shape[0]):
        a, b, weight = membership[one[at]], membership[other[at]], sign * own[at]
        strength[a] += weight
        if one[at] != other[at]:
            strength[b] += weight
        if a != b:
            exits[a] += weight
            exits[b] += weight


def _g(x: Float64) -> Float64:
    result: Float64 = np.where(x > 0, x * np.log2(np.where(x > 0, x, 1.0)), 0.0)
    return result
