"""A stack of Transformer layers over tokens.

Shapes: B rows of a batch, T tokens per row, R tokens that are read, S tokens that are keys, E masks, M attention maps.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from raycluster.config.networks import EncoderConfig
from raycluster.models.networks.attention import Attention


class EncoderLayer(nn.Module):
    """One Transformer layer: attention, then a feed-forward network, each added to x.

    Parameters
    ----------
    width
        Width of the tokens.
    config
        Its `norm` places LayerNorm: `before` as x + Attention(LayerNorm(x)), with dropout on attention maps and inside the
        feed-forward network; `after` as LayerNorm(x + Attention(x)), with dropout on the summands alone, as Vaswani et al.
        (2017) and S3 (eq. 4) have it.
    """

    def __init__(self, width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.norm_after = config.norm == "after"
        of_summand, inside = (config.dropout, 0.0) if self.norm_after else (0.0, config.dropout)
        self.dropout = nn.Dropout(of_summand)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, replace(config, dropout=inside))
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(), nn.Dropout(inside), nn.Linear(config.hidden, width)
        )

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        read: Tensor | None = None,
        keys: Tensor | None = None,
        bias: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        """Return the layer's output at all positions, or at those that are read.

        Parameters
        ----------
        x
            (B, T, width).
        visible
            bool (B, E, S), as `Attention` reads it, or None.
        read
            int64 (R,), or None for all positions.
        keys
            int64 (S,), or None for all positions.
        bias
            (B, M, R, S), added to the attention scores, or None.
        count
            int64 (B,), as `Attention` reads it, or None.

        Returns
        -------
        Tensor
            (B, R, width), R = T without `read`.
        """
        own = x if read is None else x[:, read]
        if self.norm_after:
            x = self.attention_norm(own + self.dropout(self.attention(x, visible, read, keys, bias, count)))
            return self.ffn_norm(x + self.dropout(self.ffn(x)))
        x = own + self.attention(self.attention_norm(x), visible, read, keys, bias, count)
        return x + self.ffn(self.ffn_norm(x))


class Encoder(nn.Module):
    """Embeds tokens and runs them through all layers.

    A last LayerNorm follows, unless every layer ends with one.

    Parameters
    ----------
    token_width
        Width of the tokens.
    config
        The layers. Without a `width` the tokens keep their own. Without a `head_width` it is rounded up to a multiple of the
        heads, of twice the heads where attention is differential.
    """

    def __init__(self, token_width: int, config: EncoderConfig) -> None:
        super().__init__()
        shared = config.head_width is None
        unit = config.heads * (2 if config.attention == "differential" else 1) if shared else 1
        self.width = config.width or math.ceil(token_width / unit) * unit
        own = config.width is None and self.width == token_width
        self.embed = nn.Identity() if own else nn.Linear(token_width, self.width)
        self.layers = nn.ModuleList(EncoderLayer(self.width, config) for _ in range(config.layers))
        self.norm = nn.Identity() if config.norm == "after" else nn.LayerNorm(self.width)

    def forward(
        self,
        tokens: Tensor,
        visible: Tensor | None,
        read: Tensor | None = None,
        position: Tensor | None = None,
        bias: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        """Encode tokens.

        Tokens that no row of the batch sees are left out: they are no keys and, with `read`, are not computed. Where all
        see all nothing is masked. Both change no result.

        Parameters
        ----------
        tokens
            (B, T, token_width).
        visible
            bool (B, E, T), as `Attention` reads it, or None.
        read
            int64 (R,), the positions to return; None returns all. The last layer is computed for these alone.
        position
            (T, width), added to the embedded tokens, or None.
        bias
            (layers, B, M, T, T), added to the attention scores of each layer; excludes `read`.
        count
            int64 (B,), as `Attention` reads it, or None.

        Returns
        -------
        Tensor
            (B, R, width), R = T without `read`.
        """
        assert bias is None or read is None, "a bias is for all positions"
        keys = None
        if visible is not None and visible.shape[1] == 1 and visible.all():
            visible = None
        if visible is not None:
            needed = visible.any(dim=1).any(dim=0)
            if read is None:
                if not needed.all():
                    keys = needed.nonzero()[:, 0]
                    visible = visible.index_select(2, keys)
                    bias = None if bias is None else bias.index_select(4, keys)
            else:
                kept = needed.index_fill(0, read, True).nonzero()[:, 0]
                tokens, visible, read = tokens[:, kept], visible[:, :, kept], torch.searchsorted(kept, read)
                position = None if position is None else position[kept]
        x = self.embed(tokens)
        if position is not None:
            x = x + position
        biases = [None] * len(self.layers) if bias is None else bias.unbind()
        *lower, last = zip(self.layers, biases, strict=True)
        for layer, layer_bias in lower:
            x = layer(x, visible, keys=keys, bias=layer_bias, count=count)
        layer, layer_bias = last
        return self.norm(layer(x, visible, read, keys, layer_bias, count))
