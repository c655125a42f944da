"""The adaptive filter: how many of a row's nearest neighbors to trust, Top-K (Ada-NETS; S1 eq. 7 uses it)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from raycluster.config.networks import FilterConfig
from raycluster.models.networks import tokens
from raycluster.models.networks.attention import visible
from raycluster.models.networks.encoder import Encoder

FIRST_GUESS = -3.0
"""Logit of Top-K / K before training: low, for a guess far above the truth costs the relative loss most."""


def targets(same: NDArray[np.bool_], size: NDArray[np.int64], beta: float) -> NDArray[np.int64]:
    """Top-K (R,) in 1..K: the first j at which Q(j) = (1 + b^2) Pr Rc / (b^2 Pr + Rc) is highest.

    `same` (R, K) tells which neighbors are of the row's identity, self at rank 0 included, an absent neighbor not; precision
    Pr is over the first j of them, recall Rc over the whole identity, of which `size` (R,) counts the rows.
    """
    assert same[:, 0].all(), "a row is its own neighbor at rank 0"
    hits = np.cumsum(same, axis=1)
    reach = np.arange(1, same.shape[1] + 1)
    quality = hits / (beta**2 * size[:, None] + reach)  # Q / (1 + b^2), with Pr = hits / reach and Rc = hits / size
    return np.argmax(quality, axis=1) + 1


class AdaptiveFilter(nn.Module):
    """Transformer or bidirectional LSTM over a row's K neighbors in rank order, mean pool, MLP, sigmoid."""

    def __init__(self, config: FilterConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        assert config.network != "none", "there is no network to make"
        self.k, self.embedding_width, self.tokens, self.config = k, embedding_width, config.tokens, config
        token_width = tokens.token_width(config.tokens, embedding_width, k)
        if config.network == "transformer":
            self.encoder = Encoder(token_width, config.encoder)
            self.rank = nn.Parameter(0.02 * torch.randn(k, self.encoder.width))
            width = self.encoder.width
        else:
            self.lstm = nn.LSTM(token_width, config.lstm_width, batch_first=True, bidirectional=True)
            width = 2 * config.lstm_width
        dropout = nn.Dropout(config.encoder.dropout)
        last = nn.Linear(width, 1)
        nn.init.constant_(last.bias, FIRST_GUESS)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), dropout, last)

    def forward(self, vectors: Tensor, present: Tensor, background: tokens.Background) -> Tensor:
        """Top-K / K as predicted, float32 (B,) in (0, 1), of unit vectors (B, K, D), of which `present` (B, K) are neighbors.

        Raises InputError where tokens hold vectors and these have another width than those trained on.
        """
        tokens.check_width(self.tokens, self.embedding_width, vectors.shape[2])
        x = tokens.build(self.tokens, vectors, present, background)
        if self.config.network == "transformer":
            x = self.encoder(x, visible(None, present, self.config.encoder), position=self.rank)
        else:
            with torch.autocast(x.device.type, enabled=False):  # not every CPU has an LSTM in bfloat16
                x, _ = self.lstm(x.float())
        shares = present / present.sum(dim=1, keepdim=True)
        pooled = torch.einsum("bkw,bk->bw", x, shares.to(x.dtype))
        return torch.sigmoid(self.head(pooled).squeeze(1).float())

    def topk(self, y_hat: Tensor) -> Tensor:
        """Top-K (B,) in 1..K, int64."""
        return (self.k * y_hat).round().clamp(1, self.k).to(torch.int64)

    def loss(self, y_hat: Tensor, topk: Tensor) -> Tensor:
        """Huber loss (delta 1) of the relative error y_hat / y - 1, y = Top-K / K; mean of the batch."""
        relative = y_hat * (self.k / topk)
        return huber_loss(relative, torch.ones_like(relative))
