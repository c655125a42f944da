"""Attention among the neighbors of a row: vanilla or differential, dense, Top-K or a mixture of Top-K (S1 eq. 9-13)."""

import math

import torch
from torch import Tensor, nn

from raycluster.config.networks import EncoderConfig


def visible(topk: Tensor | None, present: Tensor, config: EncoderConfig) -> Tensor:
    """Keys that queries see, bool (B, E, K), of neighbors in rank order; `present` (B, K) tells which there are.

    E is 3 for a mixture (Top-K - u, Top-K, Top-K + u, each clamped to 1..K), otherwise 1. `topk` (B,) int may be None
    where the mask is `none`. Rank 0 is always visible, so no query is left without a key.
    """
    k = present.shape[1]
    rank = torch.arange(k, device=present.device)
    seen = present[:, None]
    if config.mask != "none":
        assert topk is not None, f"mask {config.mask} needs Top-K"
        count = topk[:, None]
        if config.mask == "mixture":
            count = (count + config.mask_step * torch.arange(-1, 2, device=present.device)).clamp(1, k)
        seen = seen & (rank < count[:, :, None])
    return seen | (rank == 0)


class Attention(nn.Module):
    """Multi-head self-attention (eq. 9), its map the difference of two where differential (eq. 10).

    Width must be a multiple of the heads, of twice the heads where differential.
    """

    def __init__(self, width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.differential = config.attention == "differential"
        self.maps = config.heads * (2 if self.differential else 1)
        self.heads = config.heads
        assert width % self.maps == 0, f"width {width} is not a multiple of {self.maps}"
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        key_width = width // self.maps  # of a head, or of half a head
        self.scale = 1 / math.sqrt(key_width)
        self.mixture = config.mask == "mixture"
        if self.mixture:
            self.experts = nn.Parameter(torch.full((3,), 1 / 3))  # alpha, beta, gamma of eq. 13
        if self.differential:
            self.lambda_init = config.lambda_init
            self.lambda_q1, self.lambda_k1, self.lambda_q2, self.lambda_k2 = (
                nn.Parameter(0.1 * torch.randn(key_width)) for _ in range(4)
            )
            self.norm = nn.RMSNorm(2 * key_width, eps=1e-5)

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        read: Tensor | None = None,
        keys: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Attend from every position of x (B, T, width), or only from positions `read` (R,), to the visible keys.

        `visible` is bool (B, E, T), E = 3 for a mixture and otherwise 1, with a key or more in each row; None is every
        key. With `keys` (S,) only those positions are keys, and `visible` is (B, E, S): `read` apart from them is
        cross-attention. `bias` (B, maps, R, S) is added to the scores. Returns (B, T or R, width).
        """
        q = self._split(self.q(x if read is None else x[:, read]) * self.scale, self.maps)
        if keys is not None:
            x = x.index_select(1, keys)
        k, v = self._split(self.k(x), self.maps), self._split(self.v(x), self.heads)
        scores = q @ k.transpose(2, 3)
        attention = self._softmax(scores if bias is None else scores + bias, visible)
        if self.differential:
            first, second = attention.chunk(2, dim=1)
            attention = torch.addcmul(first, second, self.lambda_(), value=-1)
        heads = self.dropout(attention) @ v
        if self.differential:
            # autocast leaves its precision to the caller
            heads = self.norm(heads.to(self.norm.weight.dtype)) * (1 - self.lambda_init)
        return self.out(heads.transpose(1, 2).flatten(2))

    def lambda_(self) -> Tensor:
        """Share of the second map, a scalar (eq. 11)."""
        first, second = (self.lambda_q1 * self.lambda_k1).sum(), (self.lambda_q2 * self.lambda_k2).sum()
        return first.exp() - second.exp() + self.lambda_init

    def _softmax(self, scores: Tensor, visible: Tensor | None) -> Tensor:
        """Attention maps of scores (B, maps, R, T): masked (eq. 12), and mixed where there are experts (eq. 13)."""
        assert (3 if self.mixture else 1) == (1 if visible is None else visible.shape[1]), "one mask for each expert"
        if visible is None:
            return scores.softmax(dim=3)
        # adding -inf is several times faster than filling with it, forward and backward
        bias = torch.zeros(visible.shape[0], visible.shape[2], dtype=scores.dtype, device=scores.device)
        bias = bias.masked_fill(~visible.any(dim=1), -torch.inf)
        widest = scores.add_(bias[:, None, None]).softmax(dim=3)
        if not self.mixture:
            return widest
        # an expert's map is the widest map, masked and divided by what is left of it; one that is left less than 1e-15
        # fades out, so that neither quotient nor gradient overflows
        seen = visible.to(widest.dtype)
        left = seen @ widest.flatten(1, 2).transpose(1, 2)
        factor = (self.experts[:, None] / left.clamp_min(1e-15)).transpose(1, 2) @ seen
        return widest * factor.view_as(widest)

    @staticmethod
    def _split(x: Tensor, parts: int) -> Tensor:
        """(B, T, width) as (B, parts, T, width / parts)."""
        return x.view(x.shape[0], x.shape[1], parts, -1).transpose(1, 2)
