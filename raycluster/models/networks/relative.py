"""The relation predictor for any embeddings: similarities on the set's own scale.

Tokens hold a dozen statistics of a neighbor, and the cosines among the neighbors reach the network as attention bias: how
much one neighbor attends to another is a learned function of how alike they are, in units of the set. Nothing depends on the
number of neighbors, on the embeddings' width, or on where random pairs lie.

Shapes: B rows of a batch, K neighbors per row with the row itself at rank 0, D width of the vectors.
S is the number of sets, R of ranks of a profile, M of attention maps per layer, P of points of a curve.

Its constants are in `raycluster.models.relative_terms`; `raycluster.models.compiled` computes the same on processors.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, relu

from raycluster.config.networks import PredictorConfig
from raycluster.models.networks.encoder import Encoder
from raycluster.models.networks.tokens import gram
from raycluster.models.relative_terms import (
    BINS,
    BINS_PER_UNIT,
    CERTAIN_LOGIT,
    CURVE,
    FIRST,
    KNOTS,
    LEVELS,
    LOG_UNIT,
    SET_HIDDEN,
    SPREAD_KNOTS,
    SPREAD_UNIT,
    STATISTICS,
    UNITS,
)
from raycluster.models.set_statistics import SETTING, SetStatistics, unshared


class RelativePredictor(nn.Module):
    """Scores all neighbors of a row at once, in terms of the set's `SetStatistics`.

    Parameters
    ----------
    config
        Of form `relative`; `encoder.width` must be set.
    k
        Neighbors per row that the model was trained on. The weights do not depend on it.
    embedding_width
        Not used: cosines have no width. All predictors are made with these three.
    """

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:  # noqa: ARG002
        super().__init__()
        self.k, self.config = k, config
        encoder = config.encoder
        width = encoder.width
        assert width is not None, "form relative needs encoder.width"
        self.embed = nn.Sequential(nn.Linear(STATISTICS + SETTING, width), nn.GELU(), nn.Linear(width, width))
        self.encoder = Encoder(width, encoder)
        maps = encoder.layers * encoder.heads * (2 if encoder.attention == "differential" else 1)
        self.bias = nn.Linear(CURVE, maps)
        last = nn.Linear(SET_HIDDEN, maps)
        # training starts from a bias that is the same function in every set
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.bias_of_set = nn.Sequential(nn.Linear(CURVE + SETTING, SET_HIDDEN), nn.GELU(), last)
        self.anchor = nn.Parameter(0.02 * torch.randn(width))
        first, *hidden = config.head or (width,)
        self.of_neighbor = nn.Linear(width, first)
        self.of_anchor = nn.Linear(width, first, bias=False)
        widths = pairwise([first, *hidden, 1])
        self.head = nn.Sequential(*(layer for a, b in widths for layer in (nn.GELU(), nn.Linear(a, b))))

    def forward(
        self,
        vectors: Tensor,
        present: Tensor,
        return_rank: Tensor,
        profile: Tensor,
        set_statistics: Tensor,
        set_number: Tensor,
    ) -> Tensor:
        """Return logits (B, K) that a neighbor is of the row's identity.

        Parameters
        ----------
        vectors
            float32 (B, K, D). Unit vectors of the row, rank 0, and of its neighbors.
        present
            bool (B, K). False where a neighbor is missing; its logit has no meaning, nor has that of rank 0.
        return_rank
            int32 (B, K). Rank of the row in each neighbor's own list, 2 K where it is not listed.
        profile
            float32 (B, K, R). Similarities of each neighbor to its own neighbors at `RANKS`. `NeighborProfiles` gathers both.
        set_statistics
            float32 (S, SET_WIDTH). Those of all sets in the batch, from `statistics_tensor`.
        set_number
            int64 (B,). The set of each row, an index into `set_statistics`.

        Returns
        -------
        Tensor
            (B, K).

        Notes
        -----
        In evaluation mode a row is computed twice, with its set's setting and with a setting of zeros, and gets the mean
        logit: on sets unlike the training sets the first errs towards too many edges and the second towards too few. Rows
        without a neighbor in doubt, `CERTAIN_LOGIT`, keep the first.
        """
        shared = set_statistics[set_number, 0, None, None]
        cosine = cosines(vectors, shared)
        own = neighbor_statistics(cosine, present, return_rank, unshared(profile, shared), set_statistics[set_number])
        logit = self._logits(cosine, present, own, set_statistics, set_number)
        if self.training:
            return logit
        doubtful = ((logit.abs() < CERTAIN_LOGIT) & present)[:, 1:].any(dim=1).nonzero()[:, 0]
        if len(doubtful) == 0:
            return logit
        without_setting = torch.cat([set_statistics[:, :UNITS], torch.zeros_like(set_statistics[:, UNITS:])], dim=1)
        again = self._logits(
            cosine[doubtful], present[doubtful], own[doubtful], without_setting, set_number[doubtful]
        )  # fmt: skip
        return logit.index_add(0, doubtful, (again - logit[doubtful]) / 2)

    def _logits(
        self, cosine: Tensor, present: Tensor, statistics: Tensor, set_statistics: Tensor, set_number: Tensor
    ) -> Tensor:
        """Return logits (B, K) of one pass over cosines (B, K, K)."""
        setting = set_statistics[set_number, None, UNITS:].expand(-1, cosine.shape[1], -1)
        x = self.embed(torch.cat([statistics, setting], dim=2).masked_fill(~present[:, :, None], 0))
        x = torch.cat([x[:, :1] + self.anchor.to(x.dtype), x[:, 1:]], dim=1)  # marks the row itself
        h = self.encoder(x, present[:, None], bias=self._biases(cosine, set_statistics, set_number))
        # an MLP of [h_k, h_0]: its first layer, split in two, reads h_0 once per row
        return self.head(self.of_neighbor(h) + self.of_anchor(h[:, :1])).squeeze(2)

    @staticmethod
    def statistics_tensor(sets: Sequence[SetStatistics], device: torch.device) -> Tensor:
        """Return the statistics (S, SET_WIDTH) of sets as `forward` reads them."""
        rows = [[one.shared, one.background, one.spread, one.threshold, *one.setting] for one in sets]
        return torch.tensor(rows, dtype=torch.float32, device=device)

    def _biases(self, cosine: Tensor, set_statistics: Tensor, set_number: Tensor) -> Tensor:
        """Return the attention bias (layers, B, M, K, K), from one table per set."""
        distance = (torch.arange(BINS, device=cosine.device) + 0.5) / BINS_PER_UNIT  # centers of the bins
        at = curve(1 - distance**2 / 2, distance, set_statistics)
        setting = set_statistics[:, None, UNITS:].expand(-1, BINS, -1)
        table = (self.bias(at) + self.bias_of_set(torch.cat([at, setting], dim=2))).flatten(0, 1)
        place = ((2 - 2 * cosine).clamp(min=0).sqrt() * BINS_PER_UNIT).int().clamp(max=BINS - 1)
        place = place + BINS * set_number[:, None, None].int()
        if torch.is_grad_enabled():
            bias = embedding(place, table).permute(3, 0, 1, 2).contiguous()
        else:  # one map at a time: faster, but without a fast gradient
            bias = table.T.contiguous().float().index_select(1, place.flatten()).view(-1, *place.shape)
        return bias.view(self.config.encoder.layers, -1, *bias.shape[1:]).transpose(1, 2)


def cosines(vectors: Tensor, shared: Tensor) -> Tensor:
    """Return cosines (B, K, K) of unit vectors (B, K, D) without shared components.

    `shared` (B, 1, 1) is that of each row's set. Where there is one the cosines lie close together: they are computed in
    float32 even under autocast.
    """
    if not shared.any():
        return gram(vectors)
    with torch.autocast(vectors.device.type, enabled=False):
        return unshared(gram(vectors.to(torch.promote_types(vectors.dtype, torch.float32))), shared)


def neighbor_statistics(
    cosine: Tensor, present: Tensor, return_rank: Tensor, profile: Tensor, set_statistics: Tensor
) -> Tensor:
    """Return the numbers (B, K, STATISTICS) that describe every neighbor.

    Parameters
    ----------
    cosine
        float (B, K, K). Of the row and its neighbors among each other.
    present
        bool (B, K). False where a neighbor is missing.
    return_rank
        int32 (B, K). As `RelativePredictor.forward` reads it.
    profile
        float32 (B, K, R). As `RelativePredictor.forward` reads it.
    set_statistics
        float32 (B, SET_WIDTH). Of each row's set.

    Returns
    -------
    Tensor
        (B, K, STATISTICS).
    """
    _, background, spread, threshold = (set_statistics[:, place, None, None] for place in range(UNITS))
    relative = ((cosine - background) / (threshold - background)).masked_fill(~present[:, None, :], 0)
    k = cosine.shape[1]
    count = present.sum(dim=1)[:, None].clamp(min=1)
    rank = torch.log2(1 + torch.arange(k, device=cosine.device)).expand(len(cosine), k)
    columns = [
        # similarity to the row: on the set's scale, plain, and in spreads of random pairs (5 per unit)
        relative[:, 0], cosine[:, 0], (cosine[:, 0] - background[:, 0]) / spread[:, 0] / 5,
        # mean similarity to all neighbors of the row, and to its nearest
        relative.sum(dim=2) / count, relative[:, :, :FIRST].mean(dim=2),
        rank / LOG_UNIT, torch.log2(1 + return_rank.float()) / LOG_UNIT,
    ]  # fmt: skip
    for level in LEVELS:
        near = (relative >= level).float()
        columns += [torch.log2(1 + near.sum(dim=2)) / LOG_UNIT, near[:, :, :FIRST].mean(dim=2)]
    return torch.cat([torch.stack(columns, dim=2), (profile - background) / (threshold - background)], dim=2)


def curve(cosine: Tensor, distance: Tensor, set_statistics: Tensor) -> Tensor:
    """Return features (S, P, CURVE) of cosines, for the attention bias.

    The bias is a linear function of them. They are piecewise linear in the cosine, in two units of each set, so that the
    bias may bend at `KNOTS` of its scale.

    Parameters
    ----------
    cosine
        float (P,). Of the points.
    distance
        float (P,). sqrt(2 - 2 cosine).
    set_statistics
        float32 (S, SET_WIDTH). Of the sets.

    Returns
    -------
    Tensor
        (S, P, CURVE).
    """
    _, background, spread, threshold = (set_statistics[:, place, None] for place in range(UNITS))
    # clamped, so that a set with an extreme scale stays in the range of training
    relative = ((cosine - background) / (threshold - background)).clamp(-1, 3)[..., None]
    spreads = ((cosine - background) / spread / SPREAD_UNIT).clamp(-1, 3)[..., None]
    knots, spread_knots = (torch.tensor(values, device=cosine.device) for values in (KNOTS, SPREAD_KNOTS))
    plain = torch.stack([cosine, distance], dim=1).expand(len(set_statistics), -1, -1)
    return torch.cat([relative, relu(relative - knots), spreads, relu(spreads - spread_knots), plain], dim=2)
