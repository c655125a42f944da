"""The predictor of the form relative on a processor, without torch.

It computes what `raycluster.models.networks.relative.RelativePredictor` computes in evaluation mode in float32, from the same
weights: both passes, and the mean of their logits where a row is in doubt. What stays the same for the whole set is computed
once: tables of the attention bias, and the set's share of the first layer. A LayerNorm's scale and offset, and the scale
of queries, are in the weights that follow.

Shapes: B rows of a batch, k tokens per row, T = B k tokens, W width of a token, M attention maps per layer.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64, Vectors
from raycluster.config.networks import PredictorConfig
from raycluster.models.compiled.layers import add_and_normalize, gelu, normalize, softmax
from raycluster.models.compiled.tokens import describe, return_ranks
from raycluster.models.relative_terms import (
    BINS,
    BINS_PER_UNIT,
    CERTAIN_LOGIT,
    FIRST,
    KNOTS,
    LEVELS,
    LOG_UNIT,
    SPREAD_KNOTS,
    SPREAD_UNIT,
    STATISTICS,
)
from raycluster.models.set_statistics import SetStatistics

Weights = dict[str, Float32]


@dataclass(frozen=True)
class Layer:
    """One Transformer layer, with its LayerNorms in the weights."""

    queries_keys_values: Float32
    """(W, 3 W)."""
    offset: Float32
    """(3 W,)."""
    out: Float32
    """(W, W)."""
    widen: Float32
    """(W, hidden)."""
    widen_offset: Float32
    """(hidden,)."""
    narrow: Float32
    """(hidden, W)."""
    narrow_offset: Float32
    """(W,)."""

    @classmethod
    def of(cls, weights: Weights, number: int, heads: int) -> "Layer":
        """Return one layer of a predictor.

        Parameters
        ----------
        weights
            Of the whole predictor.
        number
            Number of the layer, from 0.
        heads
            Attention maps.
        """
        own = {name: weights[f"encoder.layers.{number}.{name}"] for name in _LAYER}
        scale, offset = own["attention_norm.weight"], own["attention_norm.bias"]
        stacked = np.concatenate([own[f"attention.{name}.weight"] for name in "qkv"]).T.copy()
        stacked[:, : len(scale)] /= math.sqrt(len(scale) // heads)
        ffn_scale, ffn_offset = own["ffn_norm.weight"], own["ffn_norm.bias"]
        widen = own["ffn.0.weight"].T
        return cls(
            queries_keys_values=np.ascontiguousarray(scale[:, None] * stacked),
            offset=offset @ stacked,
            out=own["attention.out.weight"].T.copy(),
            widen=np.ascontiguousarray(ffn_scale[:, None] * widen),
            widen_offset=own["ffn.0.bias"] + ffn_offset @ widen,
            narrow=own["ffn.3.weight"].T.copy(),
            narrow_offset=own["ffn.3.bias"],
        )


_LAYER = (
    *(f"{norm}_norm.{name}" for norm in ("attention", "ffn") for name in ("weight", "bias")),
    *(f"attention.{name}.weight" for name in ("q", "k", "v", "out")),
    *(f"ffn.{place}.{name}" for place in (0, 3) for name in ("weight", "bias")),
)


@dataclass(frozen=True)
class Setting:
    """What a pass over a set reads of its statistics."""

    embedded: Float32
    """(W,), the set's share of the first layer, its offset included."""
    tables: Float32
    """(layers, M, BINS), the attention bias."""


@dataclass(frozen=True)
class SetTables:
    """The tables of a set, as plain arrays."""

    neighbor: Int32
    """(N, K), -1 where a list is short."""
    similarity: Float32
    """(N, C), similarities of the neighbors at some ranks."""
    columns: Int64
    """(R,), where `similarity` holds `RANKS`."""
    vectors: Vectors
    """(N, D), of unit length."""


class CompiledRelative:
    """Scores all neighbors of rows of one set.

    Parameters
    ----------
    config
        Of form `relative`, with LayerNorm before each part and vanilla attention.
    weights
        State of a `RelativePredictor`.
    statistics
        Those of the set.
    """

    def __init__(self, config: PredictorConfig, weights: Weights, statistics: SetStatistics) -> None:
        self.heads = config.encoder.heads
        self.weights = weights
        first = weights["embed.0.weight"].T
        self.embed = np.ascontiguousarray(first[:STATISTICS])
        # the second layer of `embed` and the encoder's own: nothing but the anchor stands between them
        again = weights["encoder.embed.weight"].T
        self.embed_again = np.ascontiguousarray(weights["embed.2.weight"].T @ again)
        self.embed_offset = weights["embed.2.bias"] @ again + weights["encoder.embed.bias"]
        self.anchor = weights["anchor"] @ again
        self.layers = [Layer.of(weights, number, self.heads) for number in range(config.encoder.layers)]
        scale, offset = weights["encoder.norm.weight"], weights["encoder.norm.bias"]
        of_neighbor, of_anchor = weights["of_neighbor.weight"].T, weights["of_anchor.weight"].T
        self.of_neighbor = np.ascontiguousarray(scale[:, None] * of_neighbor)
        self.of_anchor = np.ascontiguousarray(scale[:, None] * of_anchor)
        self.head_offset = weights["of_neighbor.bias"] + offset @ of_neighbor + offset @ of_anchor
        names = sorted(int(name.split(".")[1]) for name in weights if name.startswith("head.") and "weight" in name)
        self.head = [(weights[f"head.{place}.weight"].T.copy(), weights[f"head.{place}.bias"]) for place in names]
        values = np.array(statistics.setting, np.float32)
        self.units = np.array(
            [statistics.shared, statistics.background, statistics.spread, statistics.threshold], np.float32
        )
        self.with_setting, self.without = (self._setting(first, used) for used in (values, np.zeros_like(values)))

    def _setting(self, first: Float32, setting: Float32) -> Setting:
        """Return what a pass reads, of a setting or of zeros."""
        layers = len(self.layers)
        weights = self.weights
        at = _curve(self.units)
        hidden = np.concatenate([at, np.tile(setting, (BINS, 1))], axis=1) @ weights["bias_of_set.0.weight"].T
        gelu(hidden, weights["bias_of_set.0.bias"])
        table = at @ weights["bias.weight"].T + weights["bias.bias"]
        table += hidden @ weights["bias_of_set.2.weight"].T + weights["bias_of_set.2.bias"]
        tables = np.ascontiguousarray(table.T.reshape(layers, -1, BINS), np.float32)
        return Setting(setting @ first[STATISTICS:] + weights["embed.0.bias"], tables)

    def logits(self, tables: SetTables, rows: Int64, k: int) -> Float32:
        """Return logits (B, k) of the first k neighbors of rows (B,).

        Those of missing neighbors have no meaning.

        Parameters
        ----------
        tables
            Those of the set.
        rows
            (B,) row numbers.
        k
            Neighbors per row.

        Returns
        -------
        float32 (B, k)
            The logit of the first pass where no neighbor is in doubt, else the mean of two.
        """
        ids = tables.neighbor[rows, :k]
        count = (ids >= 0).sum(axis=1)
        near = np.take(tables.vectors, ids, axis=0, mode="clip").astype(np.float32, copy=False)
        cosine = np.matmul(near, near.transpose(0, 2, 1))
        back = np.empty(ids.shape, np.int32)
        return_ranks(tables.neighbor, rows, back)
        own = np.empty((*ids.shape, STATISTICS), np.float32)
        bin_of_pair = np.empty(cosine.shape, np.uint8)
        logarithm = (np.log2(1 + np.arange(2 * k + 1)) / LOG_UNIT).astype(np.float32)
        levels = np.array(LEVELS, np.float32)
        bins = np.array([BINS_PER_UNIT, BINS - 1], np.float32)
        describe(
            cosine, count, back, tables.similarity, tables.columns, ids, self.units, levels, FIRST, logarithm, bins, own,
            bin_of_pair,
        )  # fmt: skip
        logits = self._pass(own, bin_of_pair, count, self.with_setting)
        doubtful = np.flatnonzero(_in_doubt(logits, count))
        if len(doubtful):
            again = self._pass(own[doubtful], bin_of_pair[doubtful], count[doubtful], self.without)
            logits[doubtful] += (again - logits[doubtful]) / 2
        return logits

    def _pass(self, statistics: Float32, bin_of_pair: Any, count: Int64, setting: Setting) -> Float32:
        """Return logits (B, k) of one pass."""
        num_rows, k = statistics.shape[:2]
        x = statistics.reshape(num_rows * k, -1) @ self.embed
        gelu(x, setting.embedded)
        x = x @ self.embed_again
        x += self.embed_offset
        x[::k] += self.anchor  # marks the row itself
        width = x.shape[1]
        normal, heads = np.empty_like(x), np.empty_like(x)
        scores = np.empty((num_rows, self.heads, k, k), np.float32)
        no_offset = np.zeros(width, np.float32)
        normalize(x, normal)
        for layer, table in zip(self.layers, setting.tables, strict=True):
            stacked = normal @ layer.queries_keys_values
            stacked += layer.offset
            query, key, value = stacked.reshape(num_rows, k, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
            np.matmul(query, key.transpose(0, 1, 3, 2), out=scores)
            softmax(scores, bin_of_pair, table, count)
            np.matmul(scores, value, out=heads.reshape(num_rows, k, self.heads, -1).transpose(0, 2, 1, 3))
            add_and_normalize(x, heads @ layer.out, no_offset, normal)
            hidden = normal @ layer.widen
            gelu(hidden, layer.widen_offset)
            add_and_normalize(x, hidden @ layer.narrow, layer.narrow_offset, normal)
        h = normal @ self.of_neighbor
        h.reshape(num_rows, k, -1)[...] += (normal[::k] @ self.of_anchor)[:, None]
        offset = self.head_offset
        for matrix, own_offset in self.head:
            gelu(h, offset)
            h, offset = h @ matrix, own_offset
        return (h + offset).reshape(num_rows, k)


def _in_doubt(logits: Float32, count: Int64) -> Bool:
    """Return which rows (B,) have a neighbor whose logit is not certain."""
    is_neighbor = np.arange(1, logits.shape[1]) < count[:, None]
    return np.asarray(((np.abs(logits[:, 1:]) < CERTAIN_LOGIT) & is_neighbor).any(axis=1))


def _curve(units: Float32) -> Float32:
    """Return the features (BINS, CURVE) of the distances of the bias table.

    They are those of `raycluster.models.networks.relative.curve`.
    """
    _, background, spread, threshold = units
    distance = ((np.arange(BINS) + 0.5) / BINS_PER_UNIT).astype(np.float32)
    cosine = 1 - distance**2 / 2
    relative = ((cosine - background) / (threshold - background)).clip(-1, 3)[:, None]
    spreads = ((cosine - background) / spread / np.float32(SPREAD_UNIT)).clip(-1, 3)[:, None]
    bends = (
        np.maximum(x - np.array(knots, np.float32), 0) for x, knots in ((relative, KNOTS), (spreads, SPREAD_KNOTS))
    )
    of_relative, of_spreads = bends
    return np.concatenate([relative, of_relative, spreads, of_spreads, cosine[:, None], distance[:, None]], axis=1)
