"""Statistics of a row's neighbors, in one pass over their cosines.

They are what the predictor of the form relative reads: the numbers of `networks.relative.neighbor_statistics`, and of
`raycluster.models.neighbor_profiles`.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0. B rows of a batch, k neighbors read per row, D width
of the vectors.
"""

import numpy as np

from raycluster.kernels import numba
from raycluster.kernels.edge_rules.columns import rank_of
from raycluster.models.compiled.layers import ZERO
from raycluster.models.compiled.tiles import LANES, ROWS, tiles

GATHERED = 16
"""Coordinates turned at once: those of a row fill a cache line. Results do not depend on it."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
def return_ranks(neighbor, rows, out):  # type: ignore[no-untyped-def]
    """Write the rank of every row in the lists of its neighbors.

    Parameters
    ----------
    neighbor : int32 (N, K)
        Of the whole set.
    rows : int64 (B,)
        Row numbers.
    out : int32 (B, k)
        Rank among the first k of a neighbor's list, 2 k where the row is not there.
    """
    k = out.shape[1]
    for b in range(len(rows)):
        row = rows[b]
        for rank in range(k):
            place = rank_of(row, neighbor[max(neighbor[row, rank], 0)], k)
            out[b, rank] = place if place >= 0 else 2 * k


@numba.njit(nogil=True, cache=True)
def cosines(near, out):  # type: ignore[no-untyped-def]
    """Write the inner products of a row's neighbors, the same for (i, j) and (j, i).

    Parameters
    ----------
    near : float32 (k, D)
        Unit rows.
    out : float32 (k and more, k and more)
        Filled: whole tiles.
    """
    k, width = near.shape
    blocks, padded = -(-k // ROWS), out.shape[1]
    turned = np.empty((width, max(padded, blocks * ROWS)), np.float32)
    for first in range(0, width, GATHERED):
        for i in range(k):
            row = near[i]
            for place in range(first, min(first + GATHERED, width)):
                turned[place, i] = row[place]
    zeros, columns = np.zeros(blocks * ROWS, np.float32), turned.shape[1]
    tiles(
        turned, 0, 1, columns, turned, 0, columns, out, 0, padded, width, blocks, ROWS, padded // LANES, zeros, False
    )  # fmt: skip


@numba.njit(nogil=True, cache=True, error_model="numpy")
def describe(  # type: ignore[no-untyped-def]
    near, count, return_rank, similarity, columns, ids, units, levels, first, logarithm, bins, out, bin_of_pair
):
    """Write the statistics of every neighbor, and the bias entries of every pair.

    Parameters
    ----------
    near : float32 (B, k, D)
        Unit rows of the neighbors.
    count : int64 (B,)
        Neighbors that are there.
    return_rank : int32 (B, k)
        As `return_ranks` writes it.
    similarity : float32 (N, C)
        Of the whole set.
    columns : int64 (R,)
        Columns of `similarity` that the profile of a neighbor is read from.
    ids : int32 (B, k)
        The neighbors, -1 where there is none.
    units : float32 (4,)
        Shared component, background, spread and threshold of the set.
    levels : float32 (L,)
        Relative similarities above which a neighbor's own neighbors are counted.
    first : int
        Nearest neighbors that means over the start of a list are taken of.
    logarithm : float32 (2 k + 1,)
        Counts and ranks as the network reads them.
    bins : float32 (2,)
        Entries per unit of distance, and the number of the last entry.
    out : float32 (7 + 2 L + R, B k and more)
        The statistics of the neighbors of all rows, a neighbor per column.
    bin_of_pair : uint8 (B, k, k)
        The entries.
    """
    shared, background, spread, threshold = units
    contrast, rest = threshold - background, np.float32(1) - shared
    k = near.shape[1]
    first = min(first, k)
    cosine = np.empty((-(-k // ROWS) * ROWS, -(-k // LANES) * LANES), np.float32)
    relative, total, total_first = np.empty(k, np.float32), np.empty(k, np.float32), np.empty(k, np.float32)
    num_near, num_first = np.empty((len(levels), k), np.int32), np.empty((len(levels), k), np.int32)
    for b in range(len(near)):
        present = count[b]
        cosines(near[b], cosine)
        total[:], total_first[:] = ZERO, ZERO
        num_near[:], num_first[:] = 0, 0
        # Cosines are symmetric: row j adds the share of neighbor j to what every neighbor i counts.
        for j in range(k):
            row, pairs = cosine[j], bin_of_pair[b, j]
            for i in range(k):
                row[i] = (row[i] - shared) / rest
                distance = np.sqrt(max(np.float32(2) - np.float32(2) * row[i], ZERO)) * bins[0]
                pairs[i] = np.uint8(np.int32(min(distance, bins[1])))
            if j >= present:
                continue
            for i in range(k):
                relative[i] = (row[i] - background) / contrast
                total[i] += relative[i]
            for level in range(len(levels)):
                for i in range(k):
                    num_near[level, i] += np.int32(relative[i] >= levels[level])
            if j < first:
                total_first += relative
                num_first[:] = num_near
        for i in range(k):
            at = b * k + i
            own = cosine[0, i]
            out[0, at] = (own - background) / contrast if i < present else ZERO
            out[1, at] = own
            out[2, at] = (own - background) / spread / np.float32(5)
            out[3, at] = total[i] / np.float32(max(present, 1))
            out[4, at] = total_first[i] / np.float32(first)
            out[5, at] = logarithm[i]
            out[6, at] = logarithm[return_rank[b, i]]
            place = 7
            for level in range(len(levels)):
                out[place, at] = logarithm[num_near[level, i]]
                out[place + 1, at] = np.float32(num_first[level, i]) / np.float32(first)
                place += 2
            listed = similarity[max(ids[b, i], 0)]
            for column in columns:
                out[place, at] = ((listed[column] - shared) / rest - background) / contrast
                place += 1
