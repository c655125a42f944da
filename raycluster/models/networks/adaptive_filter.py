"""The adaptive filter: Top-K, the number of a row's nearest neighbors to trust.

It is that of Ada-NETS; S1 (eq. 7) predicts it by a Transformer.

Shapes: R rows whose labels are read, B rows of a batch, K neighbors per row with the row itself at rank 0.
D is the width of the vectors.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import huber_loss, normalize

from raycluster.config.networks import FilterConfig
from raycluster.models.networks import tokens
from raycluster.models.networks.attention import visible
from raycluster.models.networks.encoder import Encoder

FIRST_GUESS = {"sigmoid": -3.0, "linear": 0.05}
"""Bias of the last layer before training, by the form of the output: Top-K / K is 0.05. A guess far above the truth costs the
relative loss most. A linear output leaves it quickly; a sigmoid is flat there and stays low."""
RANK_SPREAD = 0.02
"""Standard deviation of the rank embeddings before training, small beside tokens of order 1."""


def targets(same: NDArray[np.bool_], size: NDArray[np.int64], beta: float) -> NDArray[np.int64]:
    """Return the Top-K that the filter should predict for labelled rows.

    Parameters
    ----------
    same
        bool (R, K), whether a neighbor is of the row's identity. True for the row itself, false for a missing neighbor.
    size
        int64 (R,), rows of the row's whole identity.
    beta
        Weight of recall against precision. Raising it lengthens Top-K.

    Returns
    -------
    int64 (R,)
        Top-K in 1..K, the first j at which Q(j) is highest.

    Notes
    -----
    Q(j) = (1 + beta^2) Pr Rc / (beta^2 Pr + Rc) of Ada-NETS. Precision Pr is over the first j neighbors, recall Rc over
    the whole identity.
    """
    assert same[:, 0].all(), "a row is its own neighbor at rank 0"
    hits = np.cumsum(same, axis=1)
    reach = np.arange(1, same.shape[1] + 1)
    quality = hits / (beta**2 * size[:, None] + reach)  # Q / (1 + b^2), with Pr = hits / reach and Rc = hits / size
    return np.argmax(quality, axis=1) + 1


class AdaptiveFilter(nn.Module):
    """Predicts Top-K / K from the neighbors of a row in rank order.

    A Transformer or a bidirectional LSTM, then the mean over neighbors and an MLP.

    Parameters
    ----------
    config
        Kind of network, tokens and layers; not of kind `none`.
    k
        Neighbors per row.
    embedding_width
        D; without effect for Gram tokens.
    """

    def __init__(self, config: FilterConfig, k: int, embedding_width: int) -> None:
        super().__init__()
        assert config.network != "none", "there is no network to make"
        self.k, self.embedding_width, self.tokens, self.config = k, embedding_width, config.tokens, config
        token_width = tokens.token_width(config.tokens, embedding_width, k)
        if config.network == "transformer":
            self.encoder = Encoder(token_width, config.encoder)
            self.rank = nn.Parameter(RANK_SPREAD * torch.randn(k, self.encoder.width))
            width = self.encoder.width
        else:
            self.lstm = nn.LSTM(token_width, config.lstm_width, batch_first=True, bidirectional=True)
            width = 2 * config.lstm_width
            if config.lstm_residual:
                self.skip = nn.Identity() if token_width == width else nn.Linear(token_width, width, bias=False)
        dropout = nn.Dropout(config.encoder.dropout)
        last = nn.Linear(width, 1)
        nn.init.constant_(last.bias, FIRST_GUESS[config.output])
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), dropout, last)

    def forward(self, vectors: Tensor, present: Tensor, background: tokens.Background) -> Tensor:
        """Predict Top-K / K.

        Parameters
        ----------
        vectors
            (B, K, D), of unit length.
        present
            bool (B, K), false where a neighbor is missing.
        background
            Of the rows' set, as `tokens.build` reads it.

        Returns
        -------
        Tensor
            float32 (B,): in (0, 1) with a sigmoid; `topk` cuts what a linear output has outside.

        Raises
        ------
        InputError
            Where tokens hold vectors, and these have another width than those of training.
        """
        tokens.check_width(self.tokens, self.embedding_width, vectors.shape[2])
        x = tokens.build(self.tokens, vectors, present, background)
        if self.config.network == "transformer":
            x = self.encoder(x, visible(None, present, self.config.encoder), position=self.rank)
        else:
            with torch.autocast(x.device.type, enabled=False):  # not every CPU has an LSTM in bfloat16
                x = self._recurrent(x.float())
        shares = present / present.sum(dim=1, keepdim=True)
        pooled = torch.einsum("bkw,bk->bw", x, shares.to(x.dtype))
        share = self.head(pooled).squeeze(1).float()
        return share if self.config.output == "linear" else torch.sigmoid(share)

    def _recurrent(self, x: Tensor) -> Tensor:
        """Return the LSTM's tokens (B, K, width), with residual and norm."""
        found, _ = self.lstm(x)
        return normalize(found + self.skip(x), dim=2) if self.config.lstm_residual else found

    def topk(self, y_hat: Tensor) -> Tensor:
        """Return Top-K, int64 (B,) in 1..K, of predictions (B,)."""
        return (self.k * y_hat).round().clamp(1, self.k).to(torch.int64)

    def loss(self, y_hat: Tensor, topk: Tensor) -> Tensor:
        """Return the mean Huber loss of predictions (B,) against true Top-K (B,).

        Notes
        -----
        `absolute` is of the error y_hat - y in shares of K, y = Top-K / K, and linear from one neighbor on. `relative` is of
        y_hat / y - 1, linear from 1 on, as in Ada-NETS. Where Top-K varies, the relative loss is lowest far below the mean.
        Its error was 11.4 neighbors in three trainings of 600 steps on 12,000 generated rows at K 40. That of `absolute` was 3.1,
        that of the best constant 8.7.
        """
        if self.config.loss == "absolute":
            return huber_loss(self.k * y_hat, topk.to(y_hat.dtype)) / self.k
        relative = y_hat * (self.k / topk)
        return huber_loss(relative, torch.ones_like(relative))
