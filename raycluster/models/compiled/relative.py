"""The predictor of the form relative on a processor, without torch.

It computes what `raycluster.models.networks.relative.RelativePredictor` computes in evaluation mode in float32, from the same
weights: both passes, and the mean of their logits where a row is in doubt. What stays the same for the whole set is computed
once: tables of the attention bias, and the set's share of the first layer.

Shapes: B rows of a batch, k tokens per row, T = B k tokens, W width of a token.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64, Vectors
from raycluster.config.networks import PredictorConfig
from raycluster.models.compiled.encoder import Setting, columns_for, encode, multiply, scratch_for
from raycluster.models.compiled.folded import Arrays, folded, head_of
from raycluster.models.compiled.layers import gelu
from raycluster.models.compiled.tiles import ROWS
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
    arrays
        State of a `RelativePredictor`.
    statistics
        Those of the set.
    """

    def __init__(self, config: PredictorConfig, arrays: Arrays, statistics: SetStatistics) -> None:
        self.weights, self.kept = folded(config, arrays), threading.local()
        self.head_offset, self.head = head_of(arrays)
        self.units = np.array(
            [statistics.shared, statistics.background, statistics.spread, statistics.threshold], np.float32
        )
        values = np.array(statistics.setting, np.float32)
        self.with_setting, self.without = (self._setting(arrays, used) for used in (values, np.zeros_like(values)))

    def _setting(self, arrays: Arrays, setting: Float32) -> Setting:
        """Return what a pass reads, of a setting or of zeros."""
        at = _curve(self.units)
        both = np.concatenate([at, np.tile(setting, (BINS, 1))], axis=1)
        hidden = np.ascontiguousarray((both @ arrays["bias_of_set.0.weight"].T).T)
        gelu(hidden, arrays["bias_of_set.0.bias"], BINS)
        table = at @ arrays["bias.weight"].T + arrays["bias.bias"]
        table += hidden.T @ arrays["bias_of_set.2.weight"].T + arrays["bias_of_set.2.bias"]
        tables = np.ascontiguousarray(table.T.reshape(len(self.weights.out), -1, BINS), np.float32)
        first = arrays["embed.0.weight"].T[STATISTICS:]
        return Setting(setting @ first + arrays["embed.0.bias"], tables)

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
        back = np.empty(ids.shape, np.int32)
        return_ranks(tables.neighbor, rows, back)
        own = np.zeros((STATISTICS, columns_for(ids.size)), np.float32)
        bin_of_pair = np.empty((len(rows), k, k), np.uint8)
        logarithm = (np.log2(1 + np.arange(2 * k + 1)) / LOG_UNIT).astype(np.float32)
        levels = np.array(LEVELS, np.float32)
        bins = np.array([BINS_PER_UNIT, BINS - 1], np.float32)
        describe(
            near, count, back, tables.similarity, tables.columns, ids, self.units, levels, FIRST, logarithm, bins, own,
            bin_of_pair,
        )  # fmt: skip
        logits = self._pass(own, bin_of_pair, count, self.with_setting)
        doubtful = np.flatnonzero(_in_doubt(logits, count))
        if len(doubtful):
            again = self._pass(_of_rows(own, doubtful, k), bin_of_pair[doubtful], count[doubtful], self.without)
            logits[doubtful] += (again - logits[doubtful]) / 2
        return logits

    def _scratch(self, columns: int) -> Float32:
        """Return memory for a pass, which a thread keeps."""
        kept: tuple[int, Float32] = getattr(self.kept, "scratch", (0, np.empty(0, np.float32)))
        if kept[0] < columns:
            kept = self.kept.scratch = (columns, scratch_for(self.weights, columns))
        return kept[1]

    def _pass(self, own: Float32, bin_of_pair: Any, count: Int64, setting: Setting) -> Float32:
        """Return logits (B, k) of one pass."""
        num_rows, k = bin_of_pair.shape[:2]
        tokens = num_rows * k
        h, offset = (
            encode(own, bin_of_pair, count, self.weights, setting, self._scratch(own.shape[1])),
            self.head_offset,
        )
        for matrix, own_offset in self.head:
            gelu(h, offset, tokens)
            out = np.empty((matrix.shape[0] * ROWS, h.shape[1]), np.float32)
            multiply(matrix, h, tokens, out, np.zeros(len(out), np.float32), False)
            h, offset = out, own_offset
        return np.asarray(h[0, :tokens] + offset[0], np.float32).reshape(num_rows, k)


def _of_rows(own: Float32, some: Int64, k: int) -> Float32:
    """Return the columns of some rows of a batch, k per row.

    Columns for tiles to end in come last.
    """
    chosen = np.zeros((len(own), columns_for(len(some) * k)), np.float32)
    chosen[:, : len(some) * k] = own[:, (some[:, None] * k + np.arange(k)).ravel()]
    return chosen


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
