"""Weights of a predictor of the form relative, as a pass reads them.

A LayerNorm's scale and offset, and the scale of queries, are in the weights that follow.

Shapes: W width of a token.
"""

import math

import numpy as np

from raycluster.arrays import Float32
from raycluster.config.networks import PredictorConfig
from raycluster.models.compiled.encoder import Weights, packed
from raycluster.models.compiled.tiles import ROWS
from raycluster.models.relative_terms import STATISTICS

Arrays = dict[str, Float32]
"""The state of a predictor, by the names that torch has for it."""


def folded(config: PredictorConfig, arrays: Arrays) -> Weights:
    """Return the weights of all layers before the head.

    Parameters
    ----------
    config
        Of form `relative`, with LayerNorm before each part and vanilla attention.
    arrays
        State of a `RelativePredictor`.
    """
    # the second layer of `embed` and the encoder's own: nothing but the anchor stands between them
    again = arrays["encoder.embed.weight"].T
    layers = [_layer(arrays, number, config.encoder.heads) for number in range(config.encoder.layers)]
    scale = arrays["encoder.norm.weight"]
    return Weights(
        embed=packed(arrays["embed.0.weight"][:, :STATISTICS]),
        embed_again=packed((arrays["embed.2.weight"].T @ again).T),
        embed_offset=_whole(arrays["embed.2.bias"] @ again + arrays["encoder.embed.bias"]),
        anchor=arrays["anchor"] @ again,
        **{name: np.stack([layer[name] for layer in layers]) for name in layers[0]},
        of_neighbor=packed(scale * arrays["of_neighbor.weight"]),
        of_anchor=packed(scale * arrays["of_anchor.weight"]),
    )


def head_of(arrays: Arrays) -> tuple[Float32, list[tuple[Float32, Float32]]]:
    """Return the offset (W,) before the head, and its layers.

    A layer is a packed matrix and an offset.
    """
    from_anchor = arrays["encoder.norm.bias"] @ arrays["of_anchor.weight"].T
    offset = arrays["of_neighbor.bias"] + arrays["encoder.norm.bias"] @ arrays["of_neighbor.weight"].T + from_anchor
    places = sorted(int(name.split(".")[1]) for name in arrays if name.startswith("head.") and "weight" in name)
    return offset, [(packed(arrays[f"head.{place}.weight"]), arrays[f"head.{place}.bias"]) for place in places]


def _layer(arrays: Arrays, number: int, heads: int) -> Arrays:
    """Return the weights of one layer, by the fields of `Weights`."""

    def own(name: str) -> Float32:
        return arrays[f"encoder.layers.{number}.{name}"]

    scale, offset = own("attention_norm.weight"), own("attention_norm.bias")
    stacked = np.concatenate([own(f"attention.{name}.weight") for name in "qkv"]).T.copy()
    stacked[:, : len(scale)] /= math.sqrt(len(scale) // heads)
    ffn_scale, ffn_offset = own("ffn_norm.weight"), own("ffn_norm.bias")
    widen = own("ffn.0.weight").T
    return {
        "queries_keys_values": packed((scale[:, None] * stacked).T),
        "stacked_offset": _whole(offset @ stacked),
        "out": packed(own("attention.out.weight")),
        "widen": packed((ffn_scale[:, None] * widen).T),
        "widen_offset": _whole(own("ffn.0.bias") + ffn_offset @ widen),
        "narrow": packed(own("ffn.3.weight")),
        "narrow_offset": _whole(own("ffn.3.bias")),
    }


def _whole(offset: Float32) -> Float32:
    """Return an offset with zeros behind it, to whole blocks of rows."""
    return np.pad(offset, (0, -len(offset) % ROWS))
