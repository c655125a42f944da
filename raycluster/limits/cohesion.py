"""Whether the neighbors of a row are near each other too, or only near the row.

Two rows of one identity are alike in what they share with a third row of it, and beyond that. Two strangers that lie near the
same row lie on any sides of it. The partial cosine of j and k beside i parts these two cases (Yule 1907, of correlations):

    p = (c_jk - c_ij c_ik) / sqrt((1 - c_ij^2) (1 - c_ik^2))

Wherever neighbors lie evenly around a row it is 0 on average, in any number of dimensions. In an identity whose rows have cosines
of r it is r / (1 + r). No label, no law of the background and no scale is needed.

Shapes: N rows, K neighbors per row with the row itself at rank 0, D dimensions, S sampled rows.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.arrays import Int32, Vectors

ROWS = 512
"""Rows that are read, evenly spread. More rows make the mean more exact, and take longer. Not tuned."""
NEIGHBORS = 40
"""Nearest neighbors per row that are compared at most: 780 pairs. Not tuned."""
HIGHEST = 0.9999
"""Cosine that higher ones count as: a copy of a row leaves nothing that another neighbor could share beyond it."""


@dataclass(frozen=True)
class Lists:
    """Neighbor lists of a set, with the vectors behind them."""

    neighbor: Int32
    """(S, K), -1 past the last neighbor; the row itself is at rank 0."""
    vectors: Vectors
    """(N, D), unit rows."""
    shared: float = 0.0
    """Squared length of a component that similarities were taken without; 0 for cosines as they are."""

    def cohesion(self, threshold: float, median: float) -> float:
        """Return the mean partial cosine of neighbors above a threshold, beside their row.

        Parameters
        ----------
        threshold : float
            Lowest similarity of a neighbor that counts, without the shared component.
        median : float
            Median similarity of random pairs, without the shared component. What all rows have in common is left out.

        Returns
        -------
        float
            The mean over rows with two such neighbors or more, -1..1. It is 0 where no row has.
        """
        common = max(median, 0.0) * (1 - self.shared) + self.shared
        lowest = threshold * (1 - self.shared) + self.shared
        chosen = np.linspace(0, len(self.neighbor) - 1, min(ROWS, len(self.neighbor))).astype(int)
        listed = np.asarray(self.neighbor[chosen])[:, : NEIGHBORS + 1]
        read = np.unique(listed[listed >= 0])  # all at once: vectors may lie in many parts
        vectors = np.asarray(self.vectors[read])
        means = [_partial(vectors[np.searchsorted(read, row[row >= 0])], lowest, common) for row in listed]
        counted = [mean for mean in means if mean is not None]
        return float(np.mean(counted)) if counted else 0.0


def _partial(vectors: Vectors, lowest: float, common: float) -> float | None:
    """Return the mean partial cosine of one list, a row (1 + M, D) and its neighbors.

    It is None where fewer than two neighbors are near enough.
    """
    rows = np.asarray(vectors, np.float64)
    cosine = rows[1:] @ rows[0]
    near = cosine >= lowest
    if near.sum() < 2:
        return None
    own = np.minimum((cosine[near] - common) / (1 - common), HIGHEST)
    among = (rows[1:][near] @ rows[1:][near].T - common) / (1 - common)
    left = 1 - own**2
    partial = (among - np.outer(own, own)) / np.sqrt(np.outer(left, left))
    return float(partial[np.triu_indices(len(own), 1)].mean())
