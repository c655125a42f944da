"""The relation predictor of S1 (eq. 9-13) in two forms: per row and per pair.

Shapes: B rows or P pairs of a batch, K neighbors per row with the row itself at rank 0, D width of the vectors.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from raycluster.config.networks import PredictorConfig
from raycluster.models.networks import tokens
from raycluster.models.networks.attention import visible
from raycluster.models.networks.encoder import Encoder

RANK_SPREAD = 0.02
"""Standard deviation of the rank embeddings before training, small beside tokens of order 1."""


class RowPredictor(nn.Module):
    """Scores all neighbors of a row at once.

    That is about 80 times cheaper per edge than the pair form.

    Parameters
    ----------
    config
        Tokens, layers and head.
    k
        Neighbors per row.
    embedding_width
        D; without effect for Gram tokens.
    """

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        self.k, self.embedding_width, self.tokens, self.config = k, embedding_width, config.tokens, config
        self.encoder = Encoder(tokens.token_width(config.tokens, embedding_width, k), config.encoder)
        width = self.encoder.width
        self.rank = nn.Parameter(RANK_SPREAD * torch.randn(k, width))
        first, *hidden = config.head or (width,)
        self.of_neighbor = nn.Linear(width, first)
        self.of_anchor = nn.Linear(width, first, bias=False)
        widths = pairwise([first, *hidden, 1])
        self.head = nn.Sequential(*(layer for a, b in widths for layer in (nn.GELU(), nn.Linear(a, b))))

    def forward(self, vectors: Tensor, present: Tensor, topk: Tensor | None, background: tokens.Background) -> Tensor:
        """Return logits that a neighbor is of the row's identity.

        Parameters
        ----------
        vectors
            (B, K, D), of unit length.
        present
            bool (B, K), false where a neighbor is missing.
        topk
            int (B,) in 1..K; None where the mask is `none`.
        background
            Of the rows' set, as `tokens.build` reads it.

        Returns
        -------
        Tensor
            (B, K). Rank 0, the row itself, and missing neighbors have logits without meaning.

        Raises
        ------
        InputError
            Where tokens hold vectors, and these have another width than those of training.
        """
        tokens.check_width(self.tokens, self.embedding_width, vectors.shape[2])
        x = tokens.build(self.tokens, vectors, present, background)
        count = topk if self.config.encoder.mask == "topk-scores" else None
        h = self.encoder(x, visible(topk, present, self.config.encoder), position=self.rank, count=count)
        # an MLP of [h_k, h_0]: its first layer, split in two, reads h_0 once per row
        return self.head(self.of_neighbor(h) + self.of_anchor(h[:, :1])).squeeze(2)


def _pair_head(width: int, hidden: tuple[int, ...], config: PredictorConfig) -> nn.Sequential:
    """Return an MLP from the four vectors of a pair to two logits.

    Parameters
    ----------
    width
        Numbers of all four vectors.
    hidden
        Widths of the hidden layers.
    config
        With an adjust layer the head has FC-ESER's PReLU and dropout.
    """
    layers: list[nn.Module] = []
    for a, b in pairwise([width, *hidden]):
        layers.append(nn.Linear(a, b))
        layers += [nn.GELU()] if config.adjust is None else [nn.PReLU(), nn.Dropout(config.encoder.dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], 2))


class PairPredictor(nn.Module):
    """Scores one pair from the neighborhoods of both rows, as S1 has it.

    The 2 K tokens are the neighbors of i, then those of j; the two rows' own tokens are read. The rows have different
    roles, as published: (i, j) and (j, i) may score differently.

    Parameters
    ----------
    config
        Tokens and layers.
    k
        Neighbors per row.
    embedding_width
        D; without effect for Gram tokens.
    """

    anchors: Tensor

    def __init__(self, config: PredictorConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        self.k, self.embedding_width, self.tokens, self.config = k, embedding_width, config.tokens, config
        self.encoder = Encoder(tokens.token_width(config.tokens, embedding_width, 2 * k), config.encoder)
        width = self.encoder.width
        self.adjust = nn.Identity() if config.adjust is None else nn.Linear(width, config.adjust)
        self.head = _pair_head(4 * (config.adjust or width), config.head or (width,), config)
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
        """Return logits that rows i and j are one identity.

        Parameters
        ----------
        vectors_i
            (P, K, D), of unit length.
        vectors_j
            (P, K, D), of unit length.
        present_i
            bool (P, K), false where a neighbor is missing.
        present_j
            bool (P, K), false where a neighbor is missing.
        topk_i
            int (P,) in 1..K; None where the mask is `none`.
        topk_j
            int (P,) in 1..K; None where the mask is `none`.

        Returns
        -------
        Tensor
            (P,), the logit of `same` less that of `different`.

        Raises
        ------
        InputError
            Where tokens hold vectors, and these have another width than those of training.

        Notes
        -----
        Gram entries are plain cosines, as published.
        """
        tokens.check_width(self.tokens, self.embedding_width, vectors_i.shape[2])
        vectors, present = torch.cat([vectors_i, vectors_j], dim=1), torch.cat([present_i, present_j], dim=1)
        x = tokens.build(self.tokens, vectors, present, tokens.PLAIN_COSINES)
        halves = [visible(topk, half, self.config.encoder) for topk, half in ((topk_i, present_i), (topk_j, present_j))]
        count = None
        if self.config.encoder.mask == "topk-scores":
            assert topk_i is not None
            assert topk_j is not None
            count = topk_i + topk_j
        z = self.encoder(x, torch.cat(halves, dim=2), read=self.anchors, count=count)
        f = self.encoder.embed(x[:, self.anchors])
        logits = self.head(self.adjust(torch.stack([f, z], dim=2)).flatten(1))  # [f_i, z_i, f_j, z_j]
        return logits[:, 1] - logits[:, 0]
