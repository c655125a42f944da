"""The relation predictor that fits any embeddings: a row's neighbors judged by similarities on the set's own scale.

Tokens hold a dozen statistics of a neighbor, and the cosines among the neighbors reach the network as attention bias: by
how alike two neighbors are, a learned function of the set's scale says how much one looks at the other. Nothing depends on
the number of neighbors, on the embeddings' width, or on where random pairs lie.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, relu

from raycluster.config.networks import PredictorConfig
from raycluster.models.networks.encoder import Encoder
from raycluster.models.networks.tokens import gram
from raycluster.models.set_statistics import RANKS, SETTING, Scale, unshared

MOST = 80
"""Neighbors judged at most, the row itself included."""
BINS, BINS_A_UNIT = 128, 80.0
"""The bias is tabulated over the Euclidean distance of unit vectors, which is finest where they are nearly the same."""
SURE = 1.7
"""Logit, before calibration, of about one chance in six; beyond it a judgment is not asked for again."""
LEVELS = (0.6, 0.8, 1.0, 1.2)
FIRST = 10
KNOTS = (0.0, 0.2, 0.4, 0.6, 0.75, 0.9, 1.05, 1.2, 1.5)
SPREAD_UNIT = 4.0
SPREAD_KNOTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
STATISTICS = 7 + 2 * len(LEVELS) + len(RANKS)
CURVE = len(KNOTS) + len(SPREAD_KNOTS) + 4
UNITS = 4
"""What of a `Scale` cosines are read by; the rest is its setting."""
SCALE = UNITS + SETTING


class RelativePredictor(nn.Module):
    """Reads one row's neighbors and judges them all at once, in terms of the set's `Scale`."""

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:  # noqa: ARG002
        super().__init__()
        self.k, self.config = k, config
        width, of = config.encoder.width, config.encoder
        assert width is not None, "form relative gives encoder.width"
        self.embed = nn.Sequential(nn.Linear(STATISTICS + SETTING, width), nn.GELU(), nn.Linear(width, width))
        self.encoder = Encoder(width, of)
        maps = of.heads * (2 if of.attention == "differential" else 1)
        self.bias = nn.Linear(CURVE, of.layers * maps)
        last = nn.Linear(64, of.layers * maps)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.bias_of_set = nn.Sequential(nn.Linear(CURVE + SETTING, 64), nn.GELU(), last)
        self.anchor = nn.Parameter(0.02 * torch.randn(width))
        first, *hidden = config.head or (width,)
        self.of_neighbor = nn.Linear(width, first)
        self.of_anchor = nn.Linear(width, first, bias=False)
        widths = pairwise([first, *hidden, 1])
        self.head = nn.Sequential(*(layer for a, b in widths for layer in (nn.GELU(), nn.Linear(a, b))))

    def forward(
        self, vectors: Tensor, present: Tensor, back: Tensor, profile: Tensor, scales: Tensor, of: Tensor
    ) -> Tensor:
        """Logits (B, K) that a neighbor is of the row's identity; rank 0, self, says nothing.

        Once trained it judges twice, told the set's setting and not, and gives the mean: each alone errs in sets unlike
        those it was trained on, one by too much trust in many edges and the other by too little. Rows that are told and
        leave no neighbor in doubt (`SURE`) are not judged again.

        vectors (B, K, D) unit, present (B, K), back (B, K) and profile (B, K, R) as `Lists.of` gives them; scales (S, SCALE)
        of all sets as `scales` makes them, and the number `of` (B,) of each row's set among them.
        """
        shared = scales[of, 0, None, None]
        cosine = cosines(vectors, shared)
        told = statistics(cosine, present, back, unshared(profile, shared), scales[of])
        logit = self._judge(cosine, present, told, scales, of)
        if self.training:
            return logit
        again = ((logit.abs() < SURE) & present)[:, 1:].any(dim=1).nonzero()[:, 0]
        if len(again) == 0:
            return logit
        untold = torch.cat([scales[:, :UNITS], torch.zeros_like(scales[:, UNITS:])], dim=1)
        anew = self._judge(cosine[again], present[again], told[again], untold, of[again])
        return logit.index_add(0, again, (anew - logit[again]) / 2)

    def _judge(self, cosine: Tensor, present: Tensor, statistics: Tensor, scales: Tensor, of: Tensor) -> Tensor:
        setting = scales[of, None, UNITS:].expand(-1, cosine.shape[1], -1)
        x = self.embed(torch.cat([statistics, setting], dim=2).masked_fill(~present[:, :, None], 0))
        x = torch.cat([x[:, :1] + self.anchor.to(x.dtype), x[:, 1:]], dim=1)
        h = self.encoder(x, present[:, None], bias=self._biases(cosine, scales, of))
        return self.head(self.of_neighbor(h) + self.of_anchor(h[:, :1])).squeeze(2)

    @staticmethod
    def scales(sets: Sequence[Scale], device: torch.device) -> Tensor:
        """(S, SCALE) of some sets, as `forward` reads them."""
        rows = [[each.shared, each.background, each.spread, each.threshold, *each.setting] for each in sets]
        return torch.tensor(rows, dtype=torch.float32, device=device)

    def _biases(self, cosine: Tensor, scales: Tensor, of: Tensor) -> Tensor:
        """(layers, B, maps, K, K), read from a table a set."""
        distance = (torch.arange(BINS, device=cosine.device) + 0.5) / BINS_A_UNIT
        at = curve(1 - distance**2 / 2, distance, scales)
        setting = scales[:, None, UNITS:].expand(-1, BINS, -1)
        table = (self.bias(at) + self.bias_of_set(torch.cat([at, setting], dim=2))).flatten(0, 1)
        place = ((2 - 2 * cosine).clamp(min=0).sqrt() * BINS_A_UNIT).int().clamp(max=BINS - 1)
        place = place + BINS * of[:, None, None].int()
        if torch.is_grad_enabled():
            found = embedding(place, table).permute(3, 0, 1, 2).contiguous()
        else:  # a map at a time: faster, and has no fast gradient
            found = table.T.contiguous().float().index_select(1, place.flatten()).view(-1, *place.shape)
        return found.view(self.config.encoder.layers, -1, *found.shape[1:]).transpose(1, 2)


def cosines(vectors: Tensor, shared: Tensor) -> Tensor:
    """Cosines (B, K, K) of unit vectors (B, K, D) without the component that each row's set shares (B, 1, 1).

    Where there is one they lie close together and are told apart in float32, whatever autocast says.
    """
    if not shared.any():
        return gram(vectors)
    with torch.autocast(vectors.device.type, enabled=False):
        return unshared(gram(vectors.to(torch.promote_types(vectors.dtype, torch.float32))), shared)


def statistics(cosine: Tensor, present: Tensor, back: Tensor, profile: Tensor, scales: Tensor) -> Tensor:
    """`STATISTICS` numbers (B, K, .) of every neighbor, from the cosines (B, K, K) among them and their lists."""
    _, background, spread, threshold = (scales[:, place, None, None] for place in range(UNITS))
    relative = ((cosine - background) / (threshold - background)).masked_fill(~present[:, None, :], 0)
    k = cosine.shape[1]
    count = present.sum(dim=1)[:, None].clamp(min=1)
    rank = torch.log2(1 + torch.arange(k, device=cosine.device)).expand(len(cosine), k)
    parts = [
        relative[:, 0], cosine[:, 0], (cosine[:, 0] - background[:, 0]) / spread[:, 0] / 5,
        relative.sum(dim=2) / count, relative[:, :, :FIRST].mean(dim=2),
        rank / 6, torch.log2(1 + back.float()) / 6,
    ]  # fmt: skip
    for level in LEVELS:
        near = (relative >= level).float()
        parts += [torch.log2(1 + near.sum(dim=2)) / 6, near[:, :, :FIRST].mean(dim=2)]
    return torch.cat([torch.stack(parts, dim=2), (profile - background) / (threshold - background)], dim=2)


def curve(cosine: Tensor, distance: Tensor, scales: Tensor) -> Tensor:
    """What the bias at cosines (P,) is a function of, (S, P, CURVE): piecewise linear in units of each set's scale."""
    _, background, spread, threshold = (scales[:, place, None] for place in range(UNITS))
    relative = ((cosine - background) / (threshold - background)).clamp(-1, 3)[..., None]
    spreads = ((cosine - background) / spread / SPREAD_UNIT).clamp(-1, 3)[..., None]
    knots, more = (torch.tensor(values, device=cosine.device) for values in (KNOTS, SPREAD_KNOTS))
    plain = torch.stack([cosine, distance], dim=1).expand(len(scales), -1, -1)
    return torch.cat([relative, relu(relative - knots), spreads, relu(spreads - more), plain], dim=2)
