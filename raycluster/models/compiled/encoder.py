"""A pass of the predictor over some rows, compiled as a whole.

Activations hold a number of a token per row and a token per column. Columns behind the last token hold no meaning: tiles are as
wide as vectors are.

Shapes: B rows of a batch, k tokens per row, T = B k tokens, W width of a token, M attention maps per layer.
S is the number of statistics of a token.
"""

from typing import NamedTuple

import numpy as np

from raycluster.arrays import Float32
from raycluster.kernels import numba
from raycluster.models.compiled.layers import ONE, exponentials, gelu, normalize
from raycluster.models.compiled.tiles import LANES, ROWS, tiles


class Weights(NamedTuple):
    """Weights of a predictor: matrices as `packed` returns them, and offsets."""

    embed: Float32
    """Of (W, S)."""
    embed_again: Float32
    """Of (W, W)."""
    embed_offset: Float32
    """(W,)."""
    anchor: Float32
    """(W,), added to the row itself."""
    queries_keys_values: Float32
    """Of (3 W, W), per layer."""
    stacked_offset: Float32
    """(3 W,), per layer."""
    out: Float32
    """Of (W, W), per layer."""
    widen: Float32
    """Of (hidden, W), per layer."""
    widen_offset: Float32
    """(hidden,), per layer."""
    narrow: Float32
    """Of (W, hidden), per layer."""
    narrow_offset: Float32
    """(W,), per layer."""
    of_neighbor: Float32
    """Of (W, W)."""
    of_anchor: Float32
    """Of (W, W)."""


class Setting(NamedTuple):
    """What a pass over a set reads of its statistics."""

    embedded: Float32
    """(W,), the set's share of the first layer, its offset included."""
    tables: Float32
    """(layers, M, BINS), the attention bias."""


def packed(matrix: Float32) -> Float32:
    """Return a matrix (rows, depth) as (blocks, depth, `ROWS`), as tiles read it.

    Rows of zeros fill the last block.
    """
    rows, depth = matrix.shape
    whole = np.zeros((-(-rows // ROWS) * ROWS, depth), np.float32)
    whole[:rows] = matrix
    return np.ascontiguousarray(whole.reshape(-1, ROWS, depth).transpose(0, 2, 1))


def columns_for(tokens: int) -> int:
    """Return the columns of an array of activations.

    One vector more than needed is there for tiles to end in. An odd number of vectors keeps rows from sharing places in cache.
    """
    return ((-(-tokens // LANES) + 1) | 1) * LANES


def scratch_for(weights: Weights, columns: int) -> Float32:
    """Return memory for the activations of a pass, whatever it holds.

    Memory of its own would cost a pass a tenth of its time, in page faults.
    """
    rows = 3 * (len(weights.anchor) + ROWS) + 3 * len(weights.anchor) + ROWS + weights.widen_offset.shape[1]
    return np.empty(rows * columns, np.float32)


@numba.njit(nogil=True, cache=True)
def _cut(scratch, used, rows, columns):  # type: ignore[no-untyped-def]
    """Return an array (rows, columns) in `scratch`, and how much of it is used then."""
    end = used + rows * columns
    return scratch[used:end].reshape(rows, columns), end


@numba.njit(nogil=True, cache=True)
def multiply(matrix, x, tokens, out, offset, is_added):  # type: ignore[no-untyped-def]
    """Write a packed matrix times tokens into `out`.

    Parameters
    ----------
    matrix : float32 (blocks, depth, ROWS)
        From `packed`.
    x : float32 (depth and more, columns)
        Tokens.
    tokens : int
        How many of them are multiplied.
    out : float32 (blocks * ROWS and more, columns)
        Filled, or added to.
    offset : float32 (blocks * ROWS and more,)
        Added to every token.
    is_added : bool
        Whether the result is added to `out`.
    """
    blocks, depth, rows = matrix.shape
    vectors = -(-tokens // LANES)
    tiles(
        matrix, 0, 1, rows, x, 0, x.shape[1], out, 0, out.shape[1], depth, blocks, depth * rows, vectors, offset, is_added
    )  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _attend(stacked, bin_of_pair, count, tables, zeros, out):  # type: ignore[no-untyped-def]
    """Write what the tokens of every row attend to, heads side by side.

    Parameters
    ----------
    stacked : float32 (3 W and more, columns)
        Queries, keys and values.
    bin_of_pair : uint8 (B, k, k)
        The entry of the bias table of every pair.
    count : int64 (B,)
        Tokens of a row that are there.
    tables : float32 (M, BINS)
        The attention bias.
    zeros : float32 (k and more,)
        Of zeros.
    out : float32 (W and more, columns)
        Filled.
    """
    k, maps, columns = bin_of_pair.shape[1], len(tables), stacked.shape[1]
    width = (len(stacked) - ROWS) // 3
    per_map, vectors, blocks = width // maps, -(-k // LANES), -(-k // ROWS)
    padded = vectors * LANES
    scores = np.empty((blocks * ROWS, padded), np.float32)
    highest, total = np.empty(k, np.float32), np.empty(k, np.float32)
    for b in range(len(bin_of_pair)):
        for m in range(maps):
            at = m * per_map
            query, key, value = (
                at * columns + b * k,
                (width + at) * columns + b * k,
                (2 * width + at) * columns + b * k,
            )
            # a key per row, a query per column
            tiles(
                stacked, key, 1, columns, stacked, query, columns, scores, 0, padded, per_map, blocks, ROWS, vectors, zeros, False
            )  # fmt: skip
            exponentials(scores, bin_of_pair[b], tables[m], count[b], highest, total)
            # Tiles end beyond this row and this map. What they write there is written over by those that follow.
            tiles(
                stacked, value, columns, 1, scores, 0, padded, out, query, columns, count[b], -(-per_map // ROWS),
                ROWS * columns, vectors, zeros, False,
            )  # fmt: skip
            for token in range(k):
                total[token] = ONE / total[token]
            for place in range(at, at + per_map):
                row = out[place, b * k : (b + 1) * k]
                for token in range(k):
                    row[token] *= total[token]


@numba.njit(nogil=True, cache=True)
def encode(own, bin_of_pair, count, weights, setting, scratch):  # type: ignore[no-untyped-def]
    """Return what the head of the predictor reads of every neighbor.

    Parameters
    ----------
    own : float32 (S, columns)
        Statistics of the tokens, rows one after the other.
    bin_of_pair : uint8 (B, k, k)
        The entry of the bias table of every pair.
    count : int64 (B,)
        Tokens of a row that are there.
    weights : Weights
        Of the predictor.
    setting : Setting
        Of the set.
    scratch : float32 (numbers,)
        `scratch_for` as many columns; overwritten.

    Returns
    -------
    float32 (W and more, columns)
        Before the first offset of the head; lies in `scratch`.
    """
    num_rows, k = len(count), bin_of_pair.shape[1]
    tokens, columns, width = num_rows * k, own.shape[1], len(weights.anchor)
    # whole vectors, so that loops over tokens need no rest
    wide = -(-tokens // LANES) * LANES
    spare = width + ROWS
    x, used = _cut(scratch, 0, spare, columns)
    normal, used = _cut(scratch, used, spare, columns)
    heads, used = _cut(scratch, used, spare, columns)
    stacked, used = _cut(scratch, used, 3 * width + ROWS, columns)
    hidden, used = _cut(scratch, used, weights.widen_offset.shape[1], columns)
    zeros = np.zeros(max(3 * width, k) + ROWS, np.float32)
    multiply(weights.embed, own, tokens, normal, zeros, False)
    gelu(normal, setting.embedded, wide)
    multiply(weights.embed_again, normal, tokens, x, weights.embed_offset, False)
    for place in range(width):
        for b in range(num_rows):
            x[place, b * k] += weights.anchor[place]  # marks the row itself
    for layer in range(len(weights.out)):
        normalize(x[:width], wide, normal)
        multiply(weights.queries_keys_values[layer], normal, tokens, stacked, weights.stacked_offset[layer], False)
        _attend(stacked, bin_of_pair, count, setting.tables[layer], zeros, heads)
        multiply(weights.out[layer], heads, tokens, x, zeros, True)
        normalize(x[:width], wide, normal)
        multiply(weights.widen[layer], normal, tokens, hidden, zeros, False)
        gelu(hidden, weights.widen_offset[layer], wide)
        multiply(weights.narrow[layer], hidden, tokens, x, weights.narrow_offset[layer], True)
    normalize(x[:width], wide, normal)
    multiply(weights.of_neighbor, normal, tokens, heads, zeros, False)
    anchors = np.empty((width, -(-num_rows // LANES) * LANES), np.float32)
    anchored = np.empty((spare, anchors.shape[1]), np.float32)
    for place in range(width):
        for b in range(num_rows):
            anchors[place, b] = normal[place, b * k]
    multiply(weights.of_anchor, anchors, num_rows, anchored, zeros, False)
    for place in range(width):
        for b in range(num_rows):
            heads[place, b * k : (b + 1) * k] += anchored[place, b]
    return heads
