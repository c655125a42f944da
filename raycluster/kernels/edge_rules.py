"""Edge rules: which of a row's neighbors become edges, and with what weight. Arrays in, columns of the edges table out.

A pair that both ends list is stored once, by the end with the lower row, unless the rule is directed.
"""

from typing import Any, Literal, get_args

import numba
import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64

Columns = dict[str, Any]
Combine = Literal["mean", "geometric", "minimum", "maximum"]
MOST_ODDS = 32.0
COMBINE = get_args(Combine)
GAP_WINDOW = 20
"""Gaps that FaceMap compares the next gap with; its published default. Raising it cuts later: no list is cut before rank
GAP_WINDOW + 2."""
GAP_Z = 3.0
"""Standard score above which a gap cuts the list; FaceMap's published default. Raising it keeps more neighbors."""


def _columns(source: Int32, target: Int32, weight: Float32, similarity: Float32, **known: Float32) -> Columns:
    """Columns of the edges table; `nep` and `score` are NaN where the rule knows none."""
    nothing = np.full(len(source), np.nan, np.float32)
    found: Columns = {"source": source, "target": target, "weight": weight, "nep": nothing, "score": nothing}
    return {**found, "similarity": similarity, **known}


@numba.njit(nogil=True, cache=True)
def rank_of(row, neighbors, length):  # type: ignore[no-untyped-def]
    for rank in range(length):
        if neighbors[rank] == row:
            return rank
    return -1


@numba.njit(nogil=True, cache=True)
def _undirected(first, last, neighbor, similarity, length, scale, source, target, weight, raw):  # type: ignore[no-untyped-def]
    """Emit each pair once. `scale` (N,) multiplies what a listing end contributes; empty means the plain similarity."""
    count = 0
    for i in range(first, last):
        for rank in range(length[i]):
            j = neighbor[i, rank]
            if j < 0 or j == i:
                continue
            back = rank_of(i, neighbor[j], length[j])
            if j < i and back >= 0:
                continue
            source[count], target[count] = min(i, j), max(i, j)
            raw[count] = similarity[i, rank]
            if scale.shape[0] == 0:
                weight[count] = similarity[i, rank]
            else:
                weight[count] = similarity[i, rank] * scale[i]
                if back >= 0:
                    weight[count] += similarity[j, back] * scale[j]
            count += 1
    return count


def _undirected_columns(
    start: int, stop: int, neighbor: Int32, similarity: Float32, length: Int64, scale: Float32
) -> Columns:
    room = int(length[start:stop].sum())
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    weight, raw = np.empty(room, np.float32), np.empty(room, np.float32)
    count = _undirected(start, stop, neighbor, similarity, length, scale, source, target, weight, raw)
    return _columns(source[:count], target[:count], weight[:count], raw[:count])


def threshold_edges(start: int, stop: int, neighbor: Int32, similarity: Float32, floor: float) -> Columns:
    """Undirected pairs of rows start..stop with similarity >= `floor`; neighbor and similarity are (N, K) of all rows.

    A pair that only one end lists counts as well. Returns the columns of the edges table.
    """
    length = _lengths_above(similarity, floor)
    return _undirected_columns(start, stop, neighbor, similarity, length, np.empty(0, np.float32))


@numba.njit(nogil=True, cache=True)
def _lengths_above(similarity, floor):  # type: ignore[no-untyped-def]
    length = np.zeros(similarity.shape[0], np.int64)
    for i in range(similarity.shape[0]):
        while length[i] < similarity.shape[1] and similarity[i, length[i]] >= np.float32(floor):
            length[i] += 1
    return length


def walked(neighbor: Int32, nep: Float32, theta: float) -> Bool:
    """FC-ES walk: which ranks (R, K) come before the first NEP below `theta`; self and empty ranks are never walked."""
    above = (nep[:, 1:] >= np.float32(theta)) & (neighbor[:, 1:] >= 0)
    return np.pad(np.logical_and.accumulate(above, axis=1), ((0, 0), (1, 0)))


def recallable(neighbor: Int32, nep: Float32, theta: float, floor: float) -> Bool:
    """Edge recall (FC-ESER, S1): ranks (R, K) after the walk, the stopping one included, with NEP of at least `floor`."""
    beyond = ~walked(neighbor, nep, theta) & (neighbor >= 0) & (nep >= np.float32(floor))
    beyond[:, 0] = False
    return beyond


def early_stop_edges(
    start: int, neighbor: Int32, similarity: Float32, nep: Float32, theta: float, score: Float32 | None, eta: float
) -> Columns:
    """Directed edges of rows start..: those walked, weighted by NEP, and those recalled with a score of `eta` or more.

    All arrays are (R, K) of these rows; `score` is NaN where a pair was not scored, or None without a predictor. A
    recalled edge weighs its score.
    """
    weight = nep.copy()
    kept = walked(neighbor, nep, theta)
    scored = np.full_like(nep, np.nan)
    if score is not None:
        recalled = ~kept & (score >= np.float32(eta))
        weight[recalled] = scored[recalled] = score[recalled]
        kept |= recalled
    row, rank = np.nonzero(kept)
    source = (row + start).astype(np.int32)
    return _columns(
        source,
        neighbor[row, rank],
        weight[row, rank],
        similarity[row, rank],
        nep=nep[row, rank],
        score=scored[row, rank],
    )


@numba.njit(nogil=True, cache=True)
def combined(forth, back, combine):  # type: ignore[no-untyped-def]
    if np.isnan(back) or np.isnan(forth):
        return back if np.isnan(forth) else forth
    if combine == 0:
        return (forth + back) / np.float32(2)
    if combine == 1:
        return np.sqrt(forth * back)
    return min(forth, back) if combine == 2 else max(forth, back)


@numba.njit(nogil=True, cache=True)
def _scored(first, last, neighbor, similarity, score, floor, combine, source, target, weight, raw):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(first, last):
        for rank in range(1, neighbor.shape[1]):
            j = neighbor[i, rank]
            if j < 0:
                continue
            back = rank_of(i, neighbor[j], neighbor.shape[1])
            if j < i and back >= 0:
                continue
            value = combined(score[i, rank], score[j, back] if back >= 0 else np.float32(np.nan), combine)
            if value >= floor and value > 0:
                source[count], target[count] = min(i, j), max(i, j)
                weight[count], raw[count] = value, similarity[i, rank]
                count += 1
    return count


def score_edges(
    start: int, stop: int, neighbor: Int32, similarity: Float32, score: Float32, floor: float, combine: Combine
) -> Columns:
    """Undirected pairs of rows start..stop whose score is at least `floor`; arrays are (N, K) of all rows.

    Where both ends list each other their scores are combined by mean, geometric mean, minimum or maximum; a pair that
    only one end lists, or scored, has that end's score. A pair without a score is no edge.
    """
    room = (stop - start) * (neighbor.shape[1] - 1)
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    weight, raw = np.empty(room, np.float32), np.empty(room, np.float32)
    number = COMBINE.index(combine)
    arguments = (neighbor, similarity, score, np.float32(floor), number, source, target, weight, raw)
    count = _scored(start, stop, *arguments)
    return _columns(source[:count], target[:count], weight[:count], raw[:count], score=weight[:count])


def odds(score: Float32, most: float = MOST_ODDS) -> Float32:
    """score / (1 - score) of scores (E,) in 0..1, at most `most`. Raising it lets sure edges outweigh the others further, and
    splits what only edges near the limit hold together."""
    sure = np.float32(most / (1 + most))
    at_most = np.minimum(score, sure)
    return np.asarray(at_most / (1 - at_most), np.float32)


@numba.njit(nogil=True, cache=True)
def gap_lengths(similarity: Float32, window: int, z: float) -> Int64:
    """FaceMap's cut: neighbors (self included) before the first gap that stands out from the `window` gaps before it.

    similarity (N, K), self at rank 0 and not part of any gap. A gap stands out when it exceeds the mean of the gaps
    before it by more than `z` of their standard deviations. Returns int64 (N,) in 1..K.
    """
    length = np.empty(similarity.shape[0], np.int64)
    for i in range(similarity.shape[0]):
        gaps = similarity[i, 1:-1] - similarity[i, 2:]
        length[i] = similarity.shape[1]
        for rank in range(window, gaps.shape[0]):
            before = gaps[rank - window : rank]
            if gaps[rank] > before.mean() + z * before.std():
                length[i] = rank + 2
                break
    return length


def gap_edges(
    start: int, stop: int, neighbor: Int32, similarity: Float32, window: int = GAP_WINDOW, z: float = GAP_Z
) -> Columns:
    """FaceMap's undirected pairs of rows start..stop; a pair's weight adds up over the ends that list it."""
    length = gap_lengths(similarity, window, z)
    kept = np.where(np.arange(similarity.shape[1]) < length[:, None], np.maximum(similarity, 0), 0)[:, 1:]
    total = kept.sum(axis=1, dtype=np.float64)
    scale = np.where(total > 0, 1 / np.where(total > 0, total, 1), 0).astype(np.float32)
    columns = _undirected_columns(start, stop, neighbor, similarity, length, scale)
    positive = columns["weight"] > 0
    return {name: values[positive] for name, values in columns.items()}


@numba.njit(nogil=True, cache=True)
def denser(start: int, neighbor: Int32, density: Float32) -> Bool:
    """Which neighbors (R, K) of rows start.. are denser than the row, by density (N,) of all rows.

    Of equally dense rows the lower counts as denser: so no two rows are, each, denser than the other, nor any circle of them.
    """
    out = np.zeros(neighbor.shape, np.bool_)
    for local in range(neighbor.shape[0]):
        i = start + local
        for rank in range(neighbor.shape[1]):
            j = neighbor[local, rank]
            out[local, rank] = j >= 0 and (density[j] > density[i] or (density[j] == density[i] and j < i))
    return out


@numba.njit(nogil=True, cache=True)
def _closest(neighbor, closeness, wanted, best):  # type: ignore[no-untyped-def]
    """Rank of each row's closest wanted neighbor, of equals the lowest row; -1 where none is wanted."""
    for row in range(neighbor.shape[0]):
        best[row] = -1
        for rank in range(neighbor.shape[1]):
            if wanted[row, rank]:
                held, close = best[row], closeness[row, rank]
                if (
                    held < 0
                    or close > closeness[row, held]
                    or (close == closeness[row, held] and neighbor[row, rank] < neighbor[row, held])
                ):
                    best[row] = rank


def density_peak_edges(
    start: int, neighbor: Int32, similarity: Float32, uphill: Bool, closeness: Float32, floor: float
) -> Columns:
    """Density peaks (S2): each of rows start.. to the closest of its denser neighbors, where closer than `floor`.

    All arrays are (R, K) of these rows, `uphill` from `denser`. Of equally close neighbors the lower is taken. Edges never
    close a circle, and their trees are the clusters. An edge weighs its closeness, which is 1 - distance; a row without one
    is the root of its tree.
    """
    best = np.empty(len(neighbor), np.int64)
    _closest(neighbor, closeness, uphill, best)
    row = np.flatnonzero(best >= 0)
    row = row[closeness[row, best[row]] > np.float32(floor)]
    rank = best[row]
    weight = closeness[row, rank]
    return _columns((row + start).astype(np.int32), neighbor[row, rank], weight, similarity[row, rank])
