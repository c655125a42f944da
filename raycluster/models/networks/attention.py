"""Attention among neighbors: vanilla or differential, Top-K masks (S1 eq. 9-13).

Shapes: B rows of a batch, T positions of a sequence, R positions that are read, S positions that are keys.
E is the number of masks, M of attention maps: one per head, two where attention is differential.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from raycluster.config.networks import EncoderConfig


def visible(topk: Tensor | None, present: Tensor, config: EncoderConfig) -> Tensor:
    """Return which keys the queries see, of neighbors in rank order (S1 eq. 12, 13).

    Parameters
    ----------
    topk
        int (B,) in 1..K, the trusted neighbors per row; None where `config.mask` is `none`.
    present
        bool (B, K), false where a neighbor is missing.
    config
        Its `mask` and `mask_step`.

    Returns
    -------
    Tensor
        bool (B, E, K). E is 3 for a mixture (Top-K - u, Top-K and Top-K + u, each clamped to 1..K), else 1. Rank 0, the
        row itself, is always visible, so no query is left without a key.
    """
    k = present.shape[1]
    rank = torch.arange(k, device=present.device)
    seen = present[:, None]
    if config.mask in ("topk", "mixture"):
        assert topk is not None, f"mask {config.mask} needs Top-K"
        count = topk[:, None]
        if config.mask == "mixture":
            count = (count + config.mask_step * torch.arange(-1, 2, device=present.device)).clamp(1, k)
        seen = seen & (rank < count[:, :, None])
    return seen | (rank == 0)


def highest(scores: Tensor, visible: Tensor | None, count: Tensor) -> Tensor:
    """Keep every query's highest scores; the others become -inf.

    Parameters
    ----------
    scores
        (B, M, R, S).
    visible
        bool (B, 1, S), or None where every key is visible. Other keys are never kept.
    count
        (B,), scores that a query keeps. Equal scores at the end are all kept. Raising it keeps more.

    Returns
    -------
    Tensor
        (B, M, R, S).
    """
    seen = scores if visible is None else scores.masked_fill(~visible[:, :, None], -torch.inf)
    place = (scores.shape[3] - count.clamp(1, scores.shape[3]))[:, None, None, None].expand(*scores.shape[:3], 1)
    least = _ascending(seen.detach()).gather(3, place)
    return seen.masked_fill(seen < least, -torch.inf)


def _ascending(scores: Tensor) -> Tensor:
    """Return scores (B, M, R, S) sorted along S.

    On a CPU numpy sorts 20 times faster than torch.
    """
    if scores.device.type != "cpu":
        return scores.sort(dim=3).values
    # float32 holds every bfloat16
    return torch.from_numpy(np.sort(scores.float().numpy(), axis=3)).to(scores.dtype)


class Attention(nn.Module):
    """Multi-head self-attention (S1 eq. 9), or differential attention (eq. 10).

    Parameters
    ----------
    width
        Width of the sequence. Without a `head_width` it is a multiple of the heads, of twice the heads where attention is
        differential.
    config
        Heads, kind of attention, mask and dropout.

    Notes
    -----
    Differential attention is `softmax(Q1 K1 / sqrt(h)) - lambda softmax(Q2 K2 / sqrt(h))` per head.
    h is half the width of a head, and there is one lambda per layer. An RMS norm and the factor 1 - lambda_init follow.
    """

    def __init__(self, width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.differential = config.attention == "differential"
        self.maps = config.heads * (2 if self.differential else 1)
        self.heads = config.heads
        inner = width if config.head_width is None else config.heads * config.head_width  # of all heads
        assert inner % self.maps == 0, f"width {inner} is not a multiple of {self.maps}"
        self.q = nn.Linear(width, inner, bias=False)
        self.k = nn.Linear(width, inner, bias=False)
        self.v = nn.Linear(width, inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        key_width = inner // self.maps  # of a head, or of half a head
        self.scale = 1 / math.sqrt(key_width)
        self.mixture = config.mask == "mixture"
        if self.mixture:
            self.experts = nn.Parameter(torch.full((3,), 1 / 3))  # alpha, beta, gamma of eq. 13
        if self.differential:
            self.lambda_init = config.lambda_init
            self.lambda_q1, self.lambda_k1, self.lambda_q2, self.lambda_k2 = (
                nn.Parameter(0.1 * torch.randn(key_width))
                for _ in range(4)  # N(0, 0.1^2), as published
            )
            self.norm = nn.RMSNorm(2 * key_width, eps=1e-5)

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        read: Tensor | None = None,
        keys: Tensor | None = None,
        bias: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        """Attend from positions of a sequence to its visible keys.

        Parameters
        ----------
        x
            (B, T, width).
        visible
            bool (B, E, T), or (B, E, S) with `keys`: the keys that queries see, at least one per mask. E is 3 for a
            mixture, else 1. None makes every key visible.
        read
            int64 (R,), the positions to attend from; None attends from all.
        keys
            int64 (S,), the positions that are keys; None makes all of them keys. Keys apart from `read` make
            cross-attention.
        bias
            (B, M, R, S), added to the scores before softmax.
        count
            int64 (B,), for the mask `topk-scores`: visible keys of the highest scores that every query of a map keeps.

        Returns
        -------
        Tensor
            (B, R, width), R = T without `read`.
        """
        q = self._split(self.q(x if read is None else x[:, read]) * self.scale, self.maps)
        if keys is not None:
            x = x.index_select(1, keys)
        k, v = self._split(self.k(x), self.maps), self._split(self.v(x), self.heads)
        scores = q @ k.transpose(2, 3)
        scores = scores if bias is None else scores + bias
        attention = self._softmax(scores if count is None else highest(scores, visible, count), visible)
        if self.differential:
            first, second = attention.chunk(2, dim=1)
            attention = torch.addcmul(first, second, self.lambda_(), value=-1)
        heads = self.dropout(attention) @ v
        if self.differential:
            # in float32: autocast does not choose a precision for an RMS norm
            heads = self.norm(heads.to(self.norm.weight.dtype)) * (1 - self.lambda_init)
        return self.out(heads.transpose(1, 2).flatten(2))

    def lambda_(self) -> Tensor:
        """Return the share of the second map, a scalar (S1 eq. 11)."""
        first, second = (self.lambda_q1 * self.lambda_k1).sum(), (self.lambda_q2 * self.lambda_k2).sum()
        return first.exp() - second.exp() + self.lambda_init

    def _softmax(self, scores: Tensor, visible: Tensor | None) -> Tensor:
        """Return maps of scores (B, M, R, S), masked (S1 eq. 12) or mixed (eq. 13)."""
        assert (3 if self.mixture else 1) == (1 if visible is None else visible.shape[1]), "one mask per expert"
        if visible is None:
            return scores.softmax(dim=3)
        # adding -inf is several times faster than filling with it, forward and backward
        bias = torch.zeros(visible.shape[0], visible.shape[2], dtype=scores.dtype, device=scores.device)
        bias = bias.masked_fill(~visible.any(dim=1), -torch.inf)
        widest = scores.add_(bias[:, None, None]).softmax(dim=3)
        if not self.mixture:
            return widest
        # an expert's map is the widest map, masked and divided by the mass that the mask leaves; a mass below 1e-15 counts
        # as 1e-15, so that neither quotient nor gradient overflows
        seen = visible.to(widest.dtype)
        left = seen @ widest.flatten(1, 2).transpose(1, 2)
        factor = (self.experts[:, None] / left.clamp_min(1e-15)).transpose(1, 2) @ seen
        return widest * factor.view_as(widest)

    @staticmethod
    def _split(x: Tensor, pieces: int) -> Tensor:
        """Return (B, T, width) as (B, pieces, T, width / pieces)."""
        return x.view(x.shape[0], x.shape[1], pieces, -1).transpose(1, 2)
