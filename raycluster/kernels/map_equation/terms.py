"""The terms of the map equation, and its change where a node changes its module.

    L = g(sum enter_m) - sum g(enter_m) - sum g(exit_m) + sum g(exit_m + flow_m) - sum g(flow_a),   g(x) = x log2 x

(Rosvall and Bergstrom 2008; without directions enter = exit.) A node that moves changes the terms of two modules and the sum
over enter. Flows are in any one unit, and L in bits times that unit.

Shapes: a module's state is a row (8,) of float64, a cache line. A node has flow, exit (`leaving`) and enter (`entering`). Weights
are half of what flows along a link both ways.
"""

import math

import numba
import numpy as np

FLOW, EXIT, ENTER, TERM, LOG_EXIT, LOG_ENTER, LOG_BOTH = range(7)
"""Columns of a module's state: flow, exit, enter, its terms of L, and log2 of exit, of enter and of exit + flow."""
_NATURAL = 1 / math.log(2)
"""Bits per unit of the natural logarithm: the slope of log2 at 1."""


@numba.njit(nogil=True, cache=True)
def g(x):  # type: ignore[no-untyped-def]
    """x log2 x; 0 for 0, and for what rounding has left below it."""
    return x * math.log2(x) if x > 0.0 else 0.0


@numba.njit(nogil=True, cache=True)
def log2(x):  # type: ignore[no-untyped-def]
    """log2 x; 0 where there is none, as for empty modules and modules without exit."""
    return math.log2(x) if x > 0.0 else 0.0


@numba.njit(nogil=True, cache=True)
def term(flow, leaving, entering):  # type: ignore[no-untyped-def]
    """Return what a module adds to L, apart from its part of the sum over enter.

    Parameters
    ----------
    flow, leaving, entering : float
        Flow, exit and enter of the module.
    """
    out = g(leaving)
    return g(leaving + flow) - out - (out if entering == leaving else g(entering))


@numba.njit(nogil=True, cache=True)
def put(state, flow, leaving, entering):  # type: ignore[no-untyped-def]
    """Set the state of a module, with the logarithms that bounds are made of.

    Parameters
    ----------
    state : float64 (8,)
        Written.
    flow, leaving, entering : float
        Flow, exit and enter of the module.
    """
    state[FLOW], state[EXIT], state[ENTER] = flow, leaving, entering
    state[TERM] = term(flow, leaving, entering)
    state[LOG_EXIT], state[LOG_ENTER], state[LOG_BOTH] = log2(leaving), log2(entering), log2(leaving + flow)


@numba.njit(nogil=True, cache=True)
def leaving_change(own, flow, leaving, entering, to_own, total):  # type: ignore[no-untyped-def]
    """Return the change of L where a node leaves its module.

    The old g of the sum over enter is taken off; the new one is added by `joining_change`.

    Parameters
    ----------
    own : float64 (8,)
        State of the module.
    flow, leaving, entering : float
        Flow, exit and enter of the node.
    to_own : float
        Weight of its links to the module.
    total : float
        Sum over enter of all modules.
    """
    rest = own[ENTER] - entering + 2 * to_own
    return term(own[FLOW] - flow, own[EXIT] - leaving + 2 * to_own, rest) - own[TERM] - g(total)


@numba.njit(nogil=True, cache=True)
def joining_change(to, flow, leaving, entering, weight, total):  # type: ignore[no-untyped-def]
    """Return the change of L where a node joins a module.

    Parameters
    ----------
    to : float64 (8,)
        State of the module.
    flow, leaving, entering : float
        Flow, exit and enter of the node.
    weight : float
        Weight of its links to the module.
    total : float
        Sum over enter of all modules, without the node.
    """
    more_out, more_in = leaving - 2 * weight, entering - 2 * weight
    return g(total + more_in) + term(to[FLOW] + flow, to[EXIT] + more_out, to[ENTER] + more_in) - to[TERM]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def joining_bound(to, flow, leaving, entering, weight, total, log_total):  # type: ignore[no-untyped-def]
    """Return a lower bound of `joining_change`, without a logarithm.

    It comes from tangents: g is convex, log2 concave.

    Parameters
    ----------
    to : float64 (8,)
        State of the module. Exit or enter of 0 gives -inf or NaN, which rules nothing out.
    flow, leaving, entering : float
        Flow, exit and enter of the node.
    weight : float
        Weight of its links to the module.
    total, log_total : float
        Sum over enter of all modules, without the node, and its log2.
    """
    more_out, more_in = leaving - 2 * weight, entering - 2 * weight
    # Below 0 the tangents lie on the wrong side.
    if more_out < 0.0 or more_in < 0.0:
        return -np.inf
    return (
        total * log_total + more_in * (log_total + _NATURAL) + (more_out + flow) * (to[LOG_BOTH] + _NATURAL)
        - more_out * to[LOG_EXIT] - (to[EXIT] + more_out) * _NATURAL * more_out / to[EXIT]
        - more_in * to[LOG_ENTER] - (to[ENTER] + more_in) * _NATURAL * more_in / to[ENTER]
    )  # fmt: skip
