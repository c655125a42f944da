"""Face Transformer (S3): rows become contexts, and contexts are linked.

A Relation Encoder makes a context of each row and its neighbors. A Linkage Predictor scores a row's neighbors by contexts.

Shapes: R rows that are encoded, B rows of a batch, K neighbors per row with the row itself at rank 0.
D is the width of the vectors, H the hop2 nearest neighbors that a context is made of.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from raycluster.config.networks import PredictorConfig
from raycluster.models.networks import tokens
from raycluster.models.networks.attention import Attention, visible
from raycluster.models.networks.encoder import Encoder

CLOSEST = 1e-6
"""Least distance of two contexts from 0 and from 1, so that its logit stays finite, at most 13.8."""


class RelationEncoder(nn.Module):
    """Makes the context g of a row (S3 eq. 4-6).

    The hop2 nearest neighbors attend to each other, then the row attends to them. A context depends on one neighborhood
    alone, so the contexts of a set are made once per row.

    Parameters
    ----------
    config
        Layers and hop2.
    embedding_width
        D.
    """

    row: Tensor
    neighbors: Tensor

    def __init__(self, config: PredictorConfig, embedding_width: int) -> None:
        super().__init__()
        self.config = config.encoder
        self.encoder = Encoder(embedding_width, config.encoder)
        self.attention = Attention(self.encoder.width, replace(config.encoder, dropout=0.0))  # eq. 5 and 6 have none
        self.norm = nn.LayerNorm(self.encoder.width)
        self.register_buffer("row", torch.tensor([0]), persistent=False)
        self.register_buffer("neighbors", torch.arange(1, 1 + config.hop2), persistent=False)

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Return contexts (R, width) of unit vectors (R, 1 + H, D), the row's own first.

        `present` (R, 1 + H) is false where a neighbor is missing. A row without any neighbor has g = LayerNorm(f).
        """
        is_neighbor = present[:, 1:]
        seen = visible(None, is_neighbor, self.config)
        others = self.encoder(vectors[:, 1:].masked_fill(~is_neighbor[:, :, None], 0), seen)
        f = self.encoder.embed(vectors[:, :1])
        summand = self.attention(torch.cat([f, others], dim=1), seen, read=self.row, keys=self.neighbors)
        return self.norm(f + summand * is_neighbor.any(dim=1)[:, None, None]).squeeze(1)


class LinkagePredictor(nn.Module):
    """Scores whether a row is linked with each of its neighbors (S3 eq. 7-9).

    The neighbors attend to each other, then an MLP reads [g, g_k]. The published softmax of two classes is the sigmoid of
    one logit here.

    Parameters
    ----------
    config
        Layers.
    width
        Width of the contexts.
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
        """Return logits (B, K - 1) of the neighbors from contexts (B, K, width)."""
        is_neighbor = present[:, 1:]
        seen = visible(None, is_neighbor, self.config)
        h = self.encoder(contexts[:, 1:].masked_fill(~is_neighbor[:, :, None], 0), seen)
        # an MLP of [g, g_k]: its first layer, split in two, reads g once per row
        return self.head(self.of_neighbor(h) + self.of_row(contexts[:, :1])).squeeze(2)


def distance_logits(contexts: Tensor) -> Tensor:
    """Return logits (B, K - 1) of S3's `only RE`, from contexts (B, K, width).

    Eq. 11 and 12: p = 1 - e, with e a quarter of the squared distance of contexts of unit length.
    """
    unit = normalize(contexts.float(), dim=2)
    e = (unit[:, 1:] - unit[:, :1]).square().sum(dim=2).div(4).clamp(CLOSEST, 1 - CLOSEST)
    return torch.log1p(-e) - e.log()


class FaceTransformer(nn.Module):
    """Encodes contexts and links them.

    Form `distance` has the Relation Encoder alone, a hop2 of 0 the Linkage Predictor alone (S3 table 5).

    Parameters
    ----------
    config
        Form, hop2 and layers.
    k
        Neighbors per row.
    embedding_width
        D.
    """

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
        network = self.linkage_predictor or self.relation_encoder
        assert network is not None, "form distance encodes"
        return network.encoder

    def encode(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Return contexts (R, width) of unit vectors (R, 1 + H, D), the row's own first.

        Without a Relation Encoder they are the rows' own vectors. Raises InputError where vectors have another width than
        those of training.
        """
        tokens.check_width("embedding", self.embedding_width, vectors.shape[2])
        return vectors[:, 0] if self.relation_encoder is None else self.relation_encoder(vectors, present)

    def link(self, contexts: Tensor, present: Tensor) -> Tensor:
        """Return logits (B, K) that neighbors are linked, from contexts (B, K, width).

        Rank 0, the row itself, has 0. Where `present` (B, K) is false a logit has no meaning.
        """
        if self.linkage_predictor is None:
            return pad(distance_logits(contexts), (1, 0))
        return pad(self.linkage_predictor(contexts, present), (1, 0))

    def forward(self, vectors: Tensor, near: Tensor, place: Tensor, present: Tensor) -> Tensor:
        """Return logits (B, K) from end to end; every row is encoded once.

        Parameters
        ----------
        vectors
            (R, 1 + H, D), as `encode` reads them.
        near
            bool (R, 1 + H), as `encode` reads it.
        place
            int64 (B, K), the place of a neighbor among the R encoded rows.
        present
            bool (B, K), as `link` reads it.

        Returns
        -------
        Tensor
            (B, K).
        """
        return self.link(self.encode(vectors, near)[place], present)
