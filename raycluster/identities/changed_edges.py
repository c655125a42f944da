"""Edges after lists or scores of some rows changed.

Only pairs with such a row are built again.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Bool, Int32
from raycluster.config.stages import Config
from raycluster.identities.state import Edges, Lists, undirected_edges
from raycluster.kernels import edge_rules
from raycluster.limits.in_force import EdgeLimits

NOTICED = 0.05
"""Change of an edge's weight, as a share of the larger one, below which its ends are not solved again. Raising it leaves more
communities alone, at slightly older weights."""


@dataclass(frozen=True)
class EdgeChange:
    """Edges after a change, and what it touched."""

    edges: Edges
    touched: Int32
    """Rows at the ends of edges between old rows that appeared, vanished or changed by more than `NOTICED`, ascending."""
    reached: Int32
    """Rows at the ends of new rows' edges, ascending; new rows without an edge are not among them."""
    lost: Int32
    """Rows that stay and had edges to removed ones, ascending."""
    gone: Edges
    """Edges that were there and are not, or have another weight."""
    came: Edges
    """Edges that were not there, or had another weight."""


def edges_of(config: Config, limits: EdgeLimits, lists: Lists) -> Edges:
    """Return the edges in force of neighbor lists.

    Parameters
    ----------
    config : Config
        Its rule must be threshold or score.
    limits : EdgeLimits
        Limits in force.
    lists : Lists
        Lists of all rows.
    """
    rows = len(lists.neighbor)
    if limits.threshold is not None:  # of the recipe, or one that overrules the scores
        columns = edge_rules.threshold_edges(0, rows, lists.neighbor, lists.similarity, limits.swept_value)
    else:
        assert lists.score is not None, "rule score needs scores"
        columns = edge_rules.score_edges(
            0,
            rows,
            lists.neighbor,
            lists.similarity,
            lists.score,
            limits.swept_value,
            config.edges.combine,
            lowest_similarity=limits.similarity,
            highest_odds=limits.highest_odds if config.edges.weight == "odds" else None,
        )
    return undirected_edges(columns["source"], columns["target"], columns["weight"])


def changed_edges(
    config: Config, limits: EdgeLimits, before: Edges, lists: Lists, is_changed: Bool, num_old: int
) -> EdgeChange:
    """Return the edges after some rows' lists or scores changed.

    Parameters
    ----------
    config, limits
        Rule and limits of edges, as in the last full run.
    before : Edges
        Edges until now.
    lists : Lists
        Lists of all N rows, now.
    is_changed : (N,) bool
        Rows whose lists or scores are others than before, removed rows included.
    num_old : int
        Rows before; the others are new.
    """
    old = is_changed[before.source] | is_changed[before.target]
    removed, fresh = before.only(old), _rebuilt(config, limits, lists, is_changed)
    old_key, new_key = removed.key(), fresh.key()
    place = np.minimum(np.searchsorted(old_key, new_key), max(len(old_key) - 1, 0))
    known = old_key[place] == new_key if len(old_key) else np.zeros(len(new_key), bool)
    weight_before = np.zeros(len(new_key), np.float32)
    weight_before[known] = removed.weight[place[known]]
    moved = np.abs(fresh.weight - weight_before) > NOTICED * np.maximum(fresh.weight, weight_before)
    vanished = removed.only(~np.isin(old_key, new_key))
    # The higher row of a pair is its target: edges of new rows lead there.
    noticed, of_new = fresh.only((moved | ~known) & (fresh.target < num_old)), fresh.only(fresh.target >= num_old)
    # A removed row has no list.
    stays = lists.neighbor[:, 0] >= 0
    of_removed = ~(stays[vanished.source] & stays[vanished.target])
    ends = np.concatenate([vanished.source[of_removed], vanished.target[of_removed]])
    lost = np.unique(ends[stays[ends]])
    vanished = vanished.only(~of_removed)
    touched = np.unique(np.concatenate([vanished.source, vanished.target, noticed.source, noticed.target]))
    reached = np.unique(np.concatenate([of_new.source, of_new.target]))
    other = ~known | (fresh.weight != weight_before)
    same_key = new_key[~other]
    return EdgeChange(
        before.only(~old).with_others(fresh),
        touched,
        reached,
        lost,
        removed.only(~np.isin(old_key, same_key)),
        fresh.only(other),
    )


def _rebuilt(config: Config, limits: EdgeLimits, lists: Lists, is_changed: Bool) -> Edges:
    """Edges with a changed row at an end, from its list or from a list that names it."""
    listing = is_changed.copy()
    names_changed = is_changed[lists.neighbor] & (lists.neighbor >= 0)
    listing |= names_changed.any(axis=1)
    rows = np.flatnonzero(listing).astype(np.int32)
    own = lists.neighbor[rows]
    # An unchanged row's entries count where they name a changed one; all others are left out.
    kept = np.where(is_changed[rows][:, None], own >= 0, names_changed[rows])
    listed = np.unique(np.concatenate([own[kept], rows]))
    local = np.searchsorted(listed, own).astype(np.int32)
    size, k = len(listed), own.shape[1]
    at = np.searchsorted(listed, rows)
    neighbor = np.full((size, k), -1, np.int32)
    neighbor[:, 0] = np.arange(size)
    neighbor[at] = np.where(kept, local, -1)
    neighbor[at, 0] = at
    similarity = np.full((size, k), -1.0, np.float32)
    similarity[at] = lists.similarity[rows]
    score = None
    if lists.score is not None:
        score = np.full((size, k), np.nan, np.float32)
        score[at] = lists.score[rows]
    found = edges_of(config, limits, Lists(neighbor, similarity, score))
    return Edges(listed[found.source], listed[found.target], found.weight)
