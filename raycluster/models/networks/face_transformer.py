"""Face Transformer (S3): a Relation Encoder tells every row by its context, a Linkage Predictor judges a row's neighbors."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from raycluster.config.networks import PredictorConfig
from raycluster.models.networks import tokens
from raycluster.models.networks.attention import Attention, visible
from raycluster.models.networks.encoder import Encoder

CLOSEST = 1e-6
"""Distance of contexts, of 0..1, below which (and as near to 1) they count as no closer: its logit stays finite."""


class RelationEncoder(nn.Module):
    """The context g of a row (eq. 4-6): its hop2 nearest neighbors attend to each other, then the row to them.

    It depends on that one neighborhood alone, so the contexts of a set are made once a row.
    """

    row: Tensor
    neighbors: Tensor

    def __init__(self, config: PredictorConfig, embedding_width: int) -> None:
        super().__init__()
        self.config = config.encoder
        self.encoder = Encoder(embedding_width, config.encoder)
        self.attention = Attention(self.encoder.width, config.encoder)
        self.norm = nn.LayerNorm(self.encoder.width)
        self.register_buffer("row", torch.tensor([0]), persistent=False)
        self.register_buffer("neighbors", torch.arange(1, 1 + config.hop2), persistent=False)

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Contexts (R, width) of rows from unit vectors (R, 1 + hop2, D), the row's own first, of which `present` are there.

        A row without any neighbor adds nothing to itself: g = LayerNorm(f).
        """
        there = present[:, 1:]
        seen = visible(None, there, self.config)
        others = self.encoder(vectors[:, 1:].masked_fill(~there[:, :, None], 0), seen)
        f = self.encoder.embed(vectors[:, :1])
        told = self.attention(torch.cat([f, others], dim=1), seen, read=self.row, keys=self.neighbors)
        return self.norm(f + told * there.any(dim=1)[:, None, None]).squeeze(1)


class LinkagePredictor(nn.Module):
    """Whether a row is linked with each of its neighbors (eq. 7-9): they attend to each other, then an MLP of [g, g_k].

    The softmax of its two classes is the sigmoid of the one logit it has here.
    """

    def __init__(self, config: PredictorConfig, width: int) -> None:
        super().__init__()
        self.config = config.encoder
        self.encoder = Encoder(width, config.encoder)
        inner = self.encoder.width
        self.of_neighbor = nn.Linear(inner, inner)
        self.of_row = nn.Linear(width, inner, bias=False)
        self.head = nn.Sequential(nn.PReLU(), nn.Linear(inner, 1))

    def forward(self, contexts: Tensor, present: Tensor) -> Tensor:
        """Logits (B, K - 1) of the neighbors, from contexts (B, K, width) of a row and its neighbors in rank order."""
        there = present[:, 1:]
        h = self.encoder(contexts[:, 1:].masked_fill(~there[:, :, None], 0), visible(None, there, self.config))
        # an MLP of [g, g_k]: its first layer, split in two, sees g once a row
        return self.head(self.of_neighbor(h) + self.of_row(contexts[:, :1])).squeeze(2)


def distance_logits(contexts: Tensor) -> Tensor:
    """Logits (B, K - 1) of S3's `only RE` (eq. 11, 12): p = 1 - e, e a quarter of the squared distance of unit contexts."""
    unit = normalize(contexts.float(), dim=2)
    e = (unit[:, 1:] - unit[:, :1]).square().sum(dim=2).div(4).clamp(CLOSEST, 1 - CLOSEST)
    return torch.log1p(-e) - e.log()


class FaceTransformer(nn.Module):
    """Both parts, or with form `distance` the first alone, with hop2 of 0 the second alone."""

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        self.k, self.embedding_width, self.config = k, embedding_width, config
        self.nearest = 1 + config.hop2 * config.encodes
        assert self.nearest <= k, "hop2 lies within a row's list"
        self.relation_encoder = RelationEncoder(config, embedding_width) if config.encodes else None
        self.width = embedding_width if self.relation_encoder is None else self.relation_encoder.encoder.width
        self.linkage_predictor = LinkagePredictor(config, self.width) if config.form == "linkage" else None

    @property
    def encoder(self) -> Encoder:
        """The encoder of the longer lists: that of the Linkage Predictor, if there is one."""
        part = self.linkage_predictor or self.relation_encoder
        assert part is not None, "one part at least"
        return part.encoder

    def encode(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Contexts (R, width) of rows, from the unit vectors (R, nearest, D) of each and its hop2 nearest neighbors.

        Without a Relation Encoder the row's own vector. Raises InputError where vectors have another width than those
        trained on.
        """
        tokens.check_width("embedding", self.embedding_width, vectors.shape[2])
        return vectors[:, 0] if self.relation_encoder is None else self.relation_encoder(vectors, present)

    def link(self, contexts: Tensor, present: Tensor) -> Tensor:
        """Logits (B, K) that a neighbor is linked, of contexts (B, K, width); rank 0, the row itself, has 0.

        Where `present` (B, K) is false a logit means nothing.
        """
        if self.linkage_predictor is None:
            return pad(distance_logits(contexts), (1, 0))
        return pad(self.linkage_predictor(contexts, present), (1, 0))

    def forward(self, vectors: Tensor, near: Tensor, place: Tensor, present: Tensor) -> Tensor:
        """Logits (B, K) from end to end: `place` (B, K) of every neighbor among the R rows that are encoded, each once.

        vectors (R, nearest, D) and `near` (R, nearest) are what `encode` reads, `present` (B, K) what `link` does.
        """
        return self.link(self.encode(vectors, near)[place], present)
