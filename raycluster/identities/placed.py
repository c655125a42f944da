"""Communities of all rows after a change, and clusters from them."""

import numpy as np

from raycluster.arrays import Bool, Int32, Ints
from raycluster.identities.contraction import contracted
from raycluster.identities.grown import Mode
from raycluster.identities.rules import Rules
from raycluster.identities.state import State
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation import local
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import broken_communities
from raycluster.kernels.map_equation.local_moves import climb
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu
from raycluster.kernels.map_equation.region import condense


def placed(
    grown: State, touched: Ints, reached: Ints, lost: Ints, rules: Rules, mode: Mode, num_old: int
) -> tuple[Int32, local.LocalSolution]:
    """Return communities (N,), numbered by their lowest row, and the solve.

    Parameters
    ----------
    grown : State
        With the rows, lists and edges of now, and the communities of before; -1 for new and for removed rows.
    touched : integers
        Rows whose communities are solved again.
    reached : integers
        New rows, and rows that have edges to them. They move where that gains.
    lost : integers
        Rows that had edges to removed ones. They move where that gains; communities that fall apart are solved again.
    rules : Rules
        What must hold.
    mode : "local" or "attach"
        `attach` only places new rows.
    num_old : int
        Rows before.
    """
    rows, edges = grown.num_rows, grown.edges
    graph = contracted(edges.source.copy(), edges.target.copy(), edges.weight.copy(), rules)
    network = flows.undirected(*graph, np.arange(rows, dtype=np.int32), 1)
    start = grown.piece
    if not rules.ties.is_empty:
        touched, reached, lost = (np.union1d(rows, rules.ties.of(rows)) for rows in (touched, reached, lost))
    # Removed rows left their community: it is solved again where an edge vanished, and loses a lonely row otherwise.
    _, start_numbers = np.unique(start[start >= 0], return_inverse=True)
    start = start.copy()
    start[start >= 0] = start_numbers
    if mode == "attach":
        solution = _attached(network, start, num_old, grown.base.mu, rules)
    else:
        touched, reached, lost = (rows[grown.is_alive[rows]] for rows in (touched, reached, lost))
        solution = local.solve(network, start, touched, None, reached=reached, lost=lost, apart=rules.apart)
    piece = solution.communities
    piece[rules.ties.row] = piece[rules.ties.node]
    numbered(piece)
    return piece, solution


def _attached(network: flows.Network, start: Int32, num_old: int, mu: float, rules: Rules) -> local.LocalSolution:
    """Place new rows among communities that stay as they are."""
    lonely = np.flatnonzero(start < 0)
    count = int(start.max(initial=-1)) + 1
    membership = start.copy()
    membership[lonely] = count + np.arange(len(lonely), dtype=np.int32)
    own = community_flows(network, membership, count + len(lonely))
    new = lonely[lonely >= num_old].astype(np.int32)
    held = np.full((count + len(lonely), rules.apart.value.shape[1]), -1, np.int32)
    for column, values in zip(held.T, rules.apart.value.T, strict=True):
        column[membership[values >= 0]] = values[values >= 0]
    region = condense(network, new, membership, own, rules.apart, held)
    size = len(new) + len(region.around)
    # Where no edge led out of a community, exits to the new rows give the price of an exit.
    placed, _ = climb(region.problem, np.arange(size, dtype=np.int32), mu or frozen_mu(own.enter))
    name = np.full(int(placed.max(initial=-1)) + 1, -1, np.int32)
    name[placed[len(new) :]] = region.around
    fresh = np.flatnonzero(name < 0)
    name[fresh] = int(membership.max(initial=-1)) + 1 + np.arange(len(fresh), dtype=np.int32)
    membership[new] = name[placed[: len(new)]]
    numbered(membership)
    flows_now = community_flows(network, membership, int(membership.max(initial=-1)) + 1)
    return local.LocalSolution(membership, flows_now, 1, True, len(new))


def joined(piece: Int32, whole: Int32, rules: Rules, is_alive: Bool) -> Int32:
    """Return clusters (N,): pieces of one identity together, unless a rule parts them.

    Parameters
    ----------
    piece, whole : (N,) and (P,) int32
        Communities, and the first piece of the identity of each.
    rules : Rules
        What must hold.
    is_alive : (N,) bool
        Rows that are not removed.
    """
    cluster = whole[piece]
    broken = broken_communities(cluster, rules.apart)
    cluster = np.where(np.isin(cluster, broken), piece, cluster).astype(np.int32)
    assert (np.bincount(piece)[piece[~is_alive]] == 1).all(), "a removed row is in a community"
    numbered(cluster)
    return cluster
