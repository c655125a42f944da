"""Pieces of one identity after an update.

Identities larger than K lie in several communities, their pieces.

Shapes: N rows, P pieces now, O pieces before.
"""

import numpy as np

from raycluster.arrays import Bool, Int32
from raycluster.identities.state import State
from raycluster.pipeline.run import cluster_rows
from raycluster.stages.rejoin import is_trusted, rejoined


def homes(state: State, piece: Int32) -> tuple[Int32, Bool]:
    """Return the first piece (P,) of each identity, and which pieces changed (P,).

    A changed piece has other rows than before. A piece stays with the identity that most of its rows came from, where that
    had several pieces. `piece` (N,) covers the rows of `state` and new ones after them.
    """
    count = int(piece.max(initial=-1)) + 1
    old = np.flatnonzero(state.is_alive)
    key = piece[old].astype(np.int64) << 32 | state.piece[old].astype(np.int64)
    pairs, rows = np.unique(key, return_counts=True)
    now, was = pairs >> 32, pairs & 0xFFFFFFFF
    order = np.lexsort((was, -rows, now))
    first = order[np.unique(now[order], return_index=True)[1]]
    home = np.full(count, -1, np.int64)
    home[now[first]] = state.whole[was[first]]
    is_joined = np.bincount(state.whole, minlength=len(state.whole)) > 1
    result = np.arange(count, dtype=np.int32)
    lowest: dict[int, int] = {}
    for number in np.flatnonzero((home >= 0) & is_joined[np.maximum(home, 0)]).tolist():
        result[number] = lowest.setdefault(int(home[number]), number)
    size_now, size_before = np.bincount(piece, minlength=count), np.bincount(state.piece, minlength=len(state.whole))
    same = (rows == size_now[now]) & (rows == size_before[was])
    is_changed = np.ones(count, bool)
    is_changed[now[same]] = False
    return result, is_changed


def with_rejoined(state: State, piece: Int32, whole: Int32, is_changed: Bool, threads: int) -> Int32:
    """Return the first piece (P,) of each identity, changed pieces re-joined.

    They are joined as a full run joins them.

    Parameters
    ----------
    state : State
        With new rows, and their lists.
    piece : (N,) int32
        Communities in the order of their lowest row.
    whole, is_changed : (P,)
        As `homes` returns them.
    threads : int
        Threads. They change no result.
    """
    size = np.bincount(piece)
    # A re-joined piece fills half a neighbor list at least (`rejoin.LISTS`).
    is_wanted = state.config.communities.fragments and is_trusted(state.limits)
    if not is_wanted or not (is_changed & (2 * size >= state.config.knn.k)).any():
        return whole

    joined = rejoined(
        piece,
        state.lists.neighbor,
        state.vectors,
        state.config,
        lambda vectors, config: cluster_rows(vectors, config, threads),
    )
    group = joined[np.unique(piece, return_index=True)[1]]
    result = whole.copy()
    for number in np.flatnonzero(is_changed | is_changed[group]).tolist():
        one, other = result[number], result[group[number]]
        result[result == max(one, other)] = min(one, other)
    return result
