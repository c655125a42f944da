"""What each form of predictor reads of a block of rows, or of a batch of pairs.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, B rows of a block.
P is the number of pairs of a batch, S of neighbors per row that the form scores, at most K.
"""

import numpy as np
import torch
from torch import Tensor

from raycluster.arrays import Float32, Int32, Int64, Ints
from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.neighborhoods import Neighborhoods
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.relative_terms import MOST
from raycluster.models.row_blocks import CPU_BLOCK
from raycluster.models.scored_set import ScoredSet
from raycluster.models.set_statistics import lengths


class VectorForm:
    """Form `row`: the neighbors' vectors, and the row's Top-K for a mask."""

    def __init__(self, network: RowPredictor, near: Neighborhoods, scored_set: ScoredSet, block: int) -> None:
        self.network, self.near, self.block = network, near, block
        self.background, self.topk = scored_set.background, scored_set.topk
        self.scored = near.neighbor.shape[1]

    def logits(self, rows: Int64) -> Float32:
        """Return logits (B, K)."""
        vectors, present = self.near.gather(rows)
        logits = self.network(vectors, present, topk_of(self.topk, rows, self.near.device), self.background)
        return to_float32(logits)


class ContextForm:
    """Forms `linkage` and `distance`: contexts in place of vectors."""

    def __init__(self, network: FaceTransformer, near: Neighborhoods, block: int) -> None:
        self.network, self.near, self.block = network, near, block
        self.scored = near.neighbor.shape[1]

    def logits(self, rows: Int64) -> Float32:
        """Return logits (B, K)."""
        return to_float32(self.network.link(*self.near.gather(rows)))


class RelativeForm:
    """Form `relative`: cosines on the set's own scale, and neighbors' profiles.

    Parameters
    ----------
    network
        The predictor.
    near
        Neighbors and vectors of the set.
    scored_set
        Its similarities and statistics are read.
    block
        Rows with `MOST` neighbors that are computed at once; of shorter lists as many rows as have so many neighbors.
    """

    def __init__(self, network: RelativePredictor, near: Neighborhoods, scored_set: ScoredSet, block: int) -> None:
        self.network, self.near = network, near
        self.similarity, self.statistics = scored_set.similarity, scored_set.statistics
        self.scored = min(MOST, self.similarity.shape[1])
        self.neighbors_at_once = block * self.scored
        # a block of rows is sorted by the length of their lists; on a GPU the block itself is long enough for that
        self.block = CPU_BLOCK["lists"] if near.device.type == "cpu" else block
        self.profiles = NeighborProfiles(near.neighbor, self.similarity)
        self.statistics_tensor = network.statistics_tensor([self.statistics], near.device)

    def logits(self, rows: Int64) -> Float32:
        """Return logits (B, S), NaN beyond the `lengths` worth scoring."""
        logits = np.full((len(rows), self.scored), np.nan, np.float32)
        length = lengths(self.similarity[rows, : self.scored], self.statistics)
        for k in np.unique(length).tolist():
            equal, at_once = np.flatnonzero(length == k), self.neighbors_at_once // k
            for first in range(0, len(equal), at_once):
                some = equal[first : first + at_once]
                logits[some, :k] = self._first_neighbors(rows[some], k)
        return logits

    def _first_neighbors(self, rows: Int64, k: int) -> Float32:
        """Return logits (B, k) of the first k neighbors."""
        device = self.near.device
        vectors, present = self.near.gather(rows, k)
        return_rank, profile = (torch.from_numpy(values).to(device) for values in self.profiles.gather(rows, k))
        number = torch.zeros(len(rows), dtype=torch.int64, device=device)
        return to_float32(self.network(vectors, present, return_rank, profile, self.statistics_tensor, number))


class PairForm:
    """Form `pair`: the neighborhoods of both rows of a pair."""

    def __init__(self, network: PairPredictor, near: Neighborhoods, topk: Ints | None, block: int) -> None:
        self.network, self.near, self.topk, self.block = network, near, topk, block

    def logits(self, i: Int64, j: Int32) -> Float32:
        """Return logits (P,) of pairs of rows i (P,) and j (P,)."""
        (vectors_i, present_i), (vectors_j, present_j) = self.near.gather(i), self.near.gather(j)
        topk_i, topk_j = (topk_of(self.topk, rows, self.near.device) for rows in (i, j))
        return to_float32(self.network(vectors_i, vectors_j, present_i, present_j, topk_i, topk_j))


def topk_of(topk: Ints | None, rows: Ints, device: torch.device) -> Tensor | None:
    """Return the Top-K (B,) of rows, or None where no network reads one.

    Parameters
    ----------
    topk
        (N,) of all rows, if any.
    rows
        (B,) row numbers.
    device
        Where the network lies.

    Returns
    -------
    Tensor or None
        (B,).
    """
    return None if topk is None else torch.from_numpy(topk[rows]).to(device)


def to_float32(logits: Tensor) -> Float32:
    """Return logits of any precision and device as an array."""
    return np.asarray(logits.float().cpu().numpy())
