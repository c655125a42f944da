"""The limit of similarity that the rows of a living clustering pick now.

A threshold is picked from whole neighbor lists, strangers at their end included. Updates do not follow these. What is missing
from a list can only be a row that came since the last full run. So the rows that are read are compared with those alone: the
work grows with what came, and not with the set.

A row that was removed leaves a hole. Lists with one are searched anew.

Shapes: N rows, S rows that are read, K neighbors.
"""

import numba
import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.identities.neighbors import hits_of, is_listed, put
from raycluster.identities.state import State
from raycluster.limits.agreed import AGREED
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import MAX_ROWS, pick_threshold
from raycluster.limits.random_pairs import sample_pairs


def threshold_of(state: State, threads: int) -> float | None:
    """Return the threshold that a full run of the rows would pick.

    It is None where the threshold is configured, or scores decide: of all rows, or of a sample.

    Parameters
    ----------
    state : State
        The clustering now.
    threads : int
        Threads. They change no result.
    """
    has_scores = state.config.edges.rule != "threshold" or state.limits.facts.get("basis") == AGREED
    if has_scores or not state.limits.picked:
        return None
    live, rows = np.flatnonzero(state.is_searched).astype(np.int32), rows_read(state)
    neighbor, similarity = whole_lists(state, rows, threads)
    pairs = sample_pairs(state.vectors[live])
    return pick_threshold(similarity, pairs, Lists(neighbor, state.vectors), len(live))[0]


def rows_read(state: State) -> Int32:
    """Return the rows (S,) that a threshold is picked from, evenly spread."""
    live = np.flatnonzero(state.is_searched).astype(np.int32)
    return live[:: -(-len(live) // MAX_ROWS)]


def share_with_holes(state: State) -> float:
    """Return the share of the rows read that must be searched anew.

    Their lists lost a row.
    """
    return float(_has_hole(state, rows_read(state)).mean())


def whole_lists(state: State, rows: Int32, threads: int) -> tuple[Int32, Float32]:
    """Return the lists (S, K) of some rows as a search of all rows has them.

    They are neighbors and similarities.

    Parameters
    ----------
    state : State
        The clustering now.
    rows : (S,) int32
        Rows to be listed.
    threads : int
        Threads. They change no result.
    """
    k = min(state.lists.neighbor.shape[1], int(state.is_searched.sum()))
    neighbor, similarity = state.lists.neighbor[rows][:, :k], state.lists.similarity[rows][:, :k]
    came = state.is_searched & (np.arange(state.num_rows) >= state.base.rows)
    if came.any():
        # A row that did not come is the head of its hits, and one more than came is requested.
        hits, near = hits_of(state.vectors, rows, came, min(k, int(came.sum()) + 1), state.reading, threads)
        _merge(neighbor, similarity, hits, near)
    again = np.flatnonzero(_has_hole(state, rows))
    if len(again):
        found = hits_of(state.vectors, rows[again], state.is_searched, k, state.reading, threads)
        neighbor[again], similarity[again] = found
    return neighbor, similarity


def _has_hole(state: State, rows: Int32) -> Bool:
    """Which lists (S,) name fewer rows than there are."""
    k = min(state.lists.neighbor.shape[1], int(state.is_searched.sum()))
    return np.asarray((state.lists.neighbor[rows] >= 0).sum(axis=1) < k)


@numba.njit(nogil=True, cache=True)
def _merge(neighbor, similarity, hits, near):  # type: ignore[no-untyped-def]
    """Put hits into lists.

    Both are sorted by similarity, the row itself first.
    """
    k = neighbor.shape[1]
    for line in range(neighbor.shape[0]):
        for at in range(1, hits.shape[1]):
            row, own = hits[line, at], near[line, at]
            if row < 0 or (neighbor[line, k - 1] >= 0 and similarity[line, k - 1] >= own):
                break  # no further hit is nearer
            if not is_listed(neighbor[line], row):
                put(neighbor[line], similarity[line], row, own)
