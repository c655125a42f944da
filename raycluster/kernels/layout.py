"""Positions on a plane in which near neighbors lie together.

They come from stochastic descent as in UMAP (McInnes et al. 2018).

A neighbor pulls with the gradient of UMAP's curve 1 / (1 + a d^(2b)), five rows drawn at random push. One thread walks rows
in order and draws from its own generator, so equal input gives equal positions.

Shapes: N rows, K neighbors per row.
"""

import numpy as np

from raycluster.arrays import Float32, Float64, Int32
from raycluster.kernels import numba

A, B = 1.577, 0.8951
"""UMAP's curve for its default `min_dist` of 0.1. A wider curve packs clusters less tightly."""
PUSHES = 5
"""Rows that push per pull, UMAP's default. More spread clusters apart and take longer."""
FARTHEST = 4.0
"""Largest step along one axis, as in UMAP: it keeps rows that start at one place from flying apart."""


def layout(start: Float64, neighbor: Int32, pull: Float32, epochs: int) -> Float64:
    """Return positions (N, 2).

    Parameters
    ----------
    start
        (N, 2) positions to start from, about 10 wide.
    neighbor
        (N, K), -1 past the last neighbor.
    pull
        (N, K) how strongly each neighbor pulls, 0..1.
    epochs
        Rounds over all neighbors. More place rows more finely and take longer.
    """
    place = np.array(start, np.float64)
    _descend(place, neighbor, pull.astype(np.float64), epochs)
    return place


@numba.njit(nogil=True, cache=True)
def _clipped(value):  # type: ignore[no-untyped-def]
    """One axis of a step, at most `FARTHEST`."""
    return min(max(value, -FARTHEST), FARTHEST)


@numba.njit(nogil=True, cache=True)
def _descend(place, neighbor, pull, epochs):  # type: ignore[no-untyped-def]
    """Move `place` (N, 2)."""
    rows = place.shape[0]
    state = np.uint64(0x9E3779B97F4A7C15)
    for epoch in range(epochs):
        rate = 1.0 - epoch / epochs
        for i in range(rows):
            for rank in range(neighbor.shape[1]):
                j = neighbor[i, rank]
                if j < 0 or j == i:
                    continue
                # both ends of a pair approach
                dx, dy = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1]
                d2 = dx * dx + dy * dy
                if d2 > 0:
                    force = -2 * A * B * d2 ** (B - 1) / (1 + A * d2**B) * pull[i, rank] * rate
                    for axis, delta in ((0, dx), (1, dy)):
                        step = _clipped(force * delta) if rate > 0 else 0.0
                        place[i, axis] += step
                        place[j, axis] -= step
                for _ in range(PUSHES):
                    # xorshift: numbers that depend on nothing but their order
                    state ^= state << np.uint64(13)
                    state ^= state >> np.uint64(7)
                    state ^= state << np.uint64(17)
                    other = np.int64(state % np.uint64(rows))
                    if other == i:
                        continue
                    ex, ey = place[i, 0] - place[other, 0], place[i, 1] - place[other, 1]
                    e2 = ex * ex + ey * ey
                    push = 2 * B / ((0.001 + e2) * (1 + A * e2**B)) * pull[i, rank] * rate
                    place[i, 0] += _clipped(push * ex)
                    place[i, 1] += _clipped(push * ey)
