"""A stack of Transformer layers over tokens."""

import math

import torch
from torch import Tensor, nn

from raycluster.config.networks import EncoderConfig
from raycluster.models.networks.attention import Attention


class EncoderLayer(nn.Module):
    """x + Attention(LayerNorm(x)), then x + FFN(LayerNorm(x)); with `norm: after` LayerNorm(x + Attention(x)), then
    LayerNorm(x + FFN(x)), as Vaswani et al. (2017) and S3 (eq. 4) have it, dropout on both summands."""

    def __init__(self, width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.norm_after = config.norm == "after"
        self.dropout = nn.Dropout(config.dropout if self.norm_after else 0.0)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, config)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(config.hidden, width)
        )

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        read: Tensor | None = None,
        keys: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Of x (B, T, width) all positions, or only those of `read` (R,); the others as in Attention."""
        own = x if read is None else x[:, read]
        if self.norm_after:
            x = self.attention_norm(own + self.dropout(self.attention(x, visible, read, keys, bias)))
            return self.ffn_norm(x + self.dropout(self.ffn(x)))
        x = own + self.attention(self.attention_norm(x), visible, read, keys, bias)
        return x + self.ffn(self.ffn_norm(x))


class Encoder(nn.Module):
    """Tokens, embedded in `width`, through all layers and, unless each ends with one, a last LayerNorm.

    Where the configuration gives no width it is the tokens' own, if every head has the same share of it (twice the
    same share where attention is differential); if not, the next larger width of which this holds.
    """

    def __init__(self, token_width: int, config: EncoderConfig) -> None:
        super().__init__()
        unit = config.heads * (2 if config.attention == "differential" else 1)
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
    ) -> Tensor:
        """Encode tokens (B, T, token_width), embedded and added to `position` (T, width) if given.

        `bias` (layers, B, maps, T, T) is added to the attention scores of every layer; it excludes `read`.
        `visible` is bool (B, E, T) as in Attention. Returns (B, T, width), or with `read` (R,) those positions alone
        (B, R, width), for which the last layer is computed. What no row of the batch sees is no key, and with `read`
        no token either: its result reaches no one. Where all see all nothing is masked.
        """
        assert bias is None or read is None, "a bias is given for all positions"
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
        for layer, of_layer in lower:
            x = layer(x, visible, keys=keys, bias=of_layer)
        layer, of_layer = last
        return self.norm(layer(x, visible, read, keys, of_layer))
