"""The relation predictor: are a row and its neighbor the same identity? (S1 eq. 9-13, in two forms.)"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from raycluster.config.networks import PredictorConfig
from raycluster.models.networks import tokens
from raycluster.models.networks.attention import visible
from raycluster.models.networks.encoder import Encoder

RAW = (0.0, 1.0)


class RowPredictor(nn.Module):
    """Reads one row's K neighbors and judges them all at once: some 80 times cheaper an edge than the pair form."""

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        self.k, self.embedding_width, self.tokens, self.config = k, embedding_width, config.tokens, config
        self.encoder = Encoder(tokens.token_width(config.tokens, embedding_width, k), config.encoder)
        width = self.encoder.width
        self.rank = nn.Parameter(0.02 * torch.randn(k, width))
        first, *hidden = config.head or (width,)
        self.of_neighbor = nn.Linear(width, first)
        self.of_anchor = nn.Linear(width, first, bias=False)
        widths = pairwise([first, *hidden, 1])
        self.head = nn.Sequential(*(layer for a, b in widths for layer in (nn.GELU(), nn.Linear(a, b))))

    def forward(self, vectors: Tensor, present: Tensor, topk: Tensor | None, background: tokens.Background) -> Tensor:
        """Logits (B, K) that a neighbor is of the row's identity, of unit vectors (B, K, D); rank 0, self, says nothing.

        `present` (B, K) tells which are neighbors; `topk` (B,) may be None where the mask is `none`. Raises InputError
        where tokens hold vectors and these have another width than those trained on.
        """
        tokens.check_width(self.tokens, self.embedding_width, vectors.shape[2])
        x = tokens.build(self.tokens, vectors, present, background)
        h = self.encoder(x, visible(topk, present, self.config.encoder), position=self.rank)
        # an MLP of [h_k, h_0]: its first layer, split in two, sees h_0 once a row
        return self.head(self.of_neighbor(h) + self.of_anchor(h[:, :1])).squeeze(2)


class PairPredictor(nn.Module):
    """Reads the neighborhoods of both rows of a pair: 2K tokens, of which the two rows themselves are judged.

    As published the two rows of a pair have different roles: (i, j) and (j, i) may score differently.
    """

    anchors: Tensor

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        self.k, self.embedding_width, self.tokens, self.config = k, embedding_width, config.tokens, config
        self.encoder = Encoder(tokens.token_width(config.tokens, embedding_width, 2 * k), config.encoder)
        width = self.encoder.width
        self.head = nn.Sequential(nn.Linear(4 * width, width), nn.GELU(), nn.Linear(width, 2))
        self.register_buffer("anchors", torch.tensor([0, k]), persistent=False)

    def forward(
        self,
        vectors_i: Tensor,
        vectors_j: Tensor,
        present_i: Tensor,
        present_j: Tensor,
        topk_i: Tensor | None,
        topk_j: Tensor | None,
    ) -> Tensor:
        """Logit (P,) that rows i and j are one identity: the logit of `same` less that of `different`.

        Vectors are unit (P, K, D), `present` (P, K), `topk` (P,) or None where the mask is `none`; Gram entries are told as
        plain cosines, as published. Raises InputError where tokens hold vectors and these have another width than those
        trained on.
        """
        tokens.check_width(self.tokens, self.embedding_width, vectors_i.shape[2])
        vectors, present = torch.cat([vectors_i, vectors_j], dim=1), torch.cat([present_i, present_j], dim=1)
        x = tokens.build(self.tokens, vectors, present, RAW)
        halves = [visible(topk, half, self.config.encoder) for topk, half in ((topk_i, present_i), (topk_j, present_j))]
        z = self.encoder(x, torch.cat(halves, dim=2), read=self.anchors)
        f = self.encoder.embed(x[:, self.anchors])
        logits = self.head(torch.stack([f, z], dim=2).flatten(1))  # [f_i, z_i, f_j, z_j]
        return logits[:, 1] - logits[:, 0]
