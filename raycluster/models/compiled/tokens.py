"""Statistics of a row's neighbors, in one pass over their cosines.

They are what the predictor of the form relative reads: the numbers of `networks.relative.neighbor_statistics`, and of
`raycluster.models.neighbor_profiles`.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0. B rows of a batch, k neighbors read per row.
"""

import numpy as np

from raycluster.kernels import numba
from raycluster.models.compiled.layers import ZERO


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
        for rank in range(k):
            listed = neighbor[max(neighbor[rows[b], rank], 0)]
            place = 0
            while place < k and listed[place] != rows[b]:
                place += 1
            out[b, rank] = place if place < k else 2 * k


@numba.njit(nogil=True, cache=True, error_model="numpy")
def describe(  # type: ignore[no-untyped-def]
    cosine, count, return_rank, similarity, columns, ids, units, levels, first, logarithm, bins, out, bin_of_pair
):
    """Write the statistics of every neighbor, and the bias entries of every pair.

    Parameters
    ----------
    cosine : float32 (B, k, k)
        Of a row and its neighbors among each other. The shared component is taken out, in place.
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
    out : float32 (B, k, 7 + 2 L + R)
        The statistics.
    bin_of_pair : uint8 (B, k, k)
        The entries.
    """
    shared, background, spread, threshold = units
    contrast = threshold - background
    first = min(first, cosine.shape[1])
    for b in range(len(cosine)):
        present = count[b]
        for i in range(cosine.shape[1]):
            row, pairs, token = cosine[b, i], bin_of_pair[b, i], out[b, i]
            total, total_first = ZERO, ZERO
            for j in range(row.shape[0]):
                row[j] = (row[j] - shared) / (np.float32(1) - shared)
                distance = np.sqrt(max(np.float32(2) - np.float32(2) * row[j], ZERO)) * bins[0]
                pairs[j] = np.uint8(min(distance, bins[1]))
            for j in range(present):
                total += (row[j] - background) / contrast
            for j in range(min(first, present)):
                total_first += (row[j] - background) / contrast
            own = cosine[b, 0, i]
            token[0] = (own - background) / contrast if i < present else ZERO
            token[1] = own
            token[2] = (own - background) / spread / np.float32(5)
            token[3] = total / np.float32(max(present, 1))
            token[4] = total_first / np.float32(first)
            token[5] = logarithm[i]
            token[6] = logarithm[return_rank[b, i]]
            place = 7
            for level in levels:
                num_near, num_first = 0, 0
                for j in range(present):
                    num_near += (row[j] - background) / contrast >= level
                for j in range(min(first, present)):
                    num_first += (row[j] - background) / contrast >= level
                token[place] = logarithm[num_near]
                token[place + 1] = np.float32(num_first) / np.float32(first)
                place += 2
            listed = similarity[max(ids[b, i], 0)]
            for column in columns:
                token[place] = ((listed[column] - shared) / (np.float32(1) - shared) - background) / contrast
                place += 1
