"""The parts of a Transformer layer that are no matrix products.

They compute in float32, in the calling thread. Loops are written so that the compiler uses vector instructions:
`exp` and `erf` are polynomials, with errors below 4e-7.

Arrays hold a number of a token per row and a token per column, so that each step is the same for neighboring columns.

Shapes: T tokens, W width of a token, k tokens of a row, BINS entries of a bias table.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from raycluster.kernels import numba

FAST = {"contract", "nnan", "nsz", "reassoc"}
"""What the compiler may do to float32 arithmetic: fuse, and add in another order. Inputs hold no NaN."""
EPSILON = np.float32(1e-5)
"""Added to the variance before its root, as torch's LayerNorm does."""
LOG2_E = np.float32(1.44269504)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
"""Natural logarithm of 2 in two pieces, so that a reduced argument keeps its last bits (Cephes, expf)."""
LEAST_EXPONENT = np.float32(-87)
"""Arguments below it count as it: exp would leave the normal float32."""
ROOT_HALF, HALF, ONE, ZERO, FOUR = (np.float32(value) for value in (0.5**0.5, 0.5, 1, 0, 4))


@intrinsic
def _as_float(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001
    """Return the float32 whose bits are those of an int32."""

    def generate(*call: Any) -> Any:
        context, builder, signature, arguments = call
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return types.float32(types.int32), generate


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def exponential(x):  # type: ignore[no-untyped-def]
    """Return exp(x) of a float32 that is at most 88 (Cephes, expf)."""
    x = max(x, LEAST_EXPONENT)
    whole = np.floor(x * LOG2_E + HALF)
    x = x - whole * LN2_HIGH - whole * LN2_LOW
    tail = np.float32(1.9875691500e-4) * x + np.float32(1.3981999507e-3)
    tail = tail * x + np.float32(8.3334519073e-3)
    tail = tail * x + np.float32(4.1665795894e-2)
    tail = tail * x + np.float32(1.6666665459e-1)
    tail = tail * x + np.float32(5.0000001201e-1)
    return (tail * x * x + x + ONE) * _as_float((np.int32(whole) + np.int32(127)) << np.int32(23))


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def error_function(x):  # type: ignore[no-untyped-def]
    """Return erf(x) of a float32.

    By the rational function of Eigen (`generic_fast_erf_float`).
    """
    x = min(max(x, -FOUR), FOUR)
    y = x * x
    above = np.float32(-2.72614225801306e-10) * y + np.float32(2.77068142495902e-08)
    above = above * y + np.float32(-2.10102402082508e-06)
    above = above * y + np.float32(-5.69250639462346e-05)
    above = above * y + np.float32(-7.34990630326855e-04)
    above = above * y + np.float32(-2.95459980854025e-03)
    above = above * y + np.float32(-1.60960333262415e-02)
    below = np.float32(-1.45660718464996e-05) * y + np.float32(-2.13374055278905e-04)
    below = below * y + np.float32(-1.68282697438203e-03)
    below = below * y + np.float32(-7.37332916720468e-03)
    below = below * y + np.float32(-1.42647390514189e-02)
    return x * above / below


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def gelu(x, bias, tokens):  # type: ignore[no-untyped-def]
    """Add a bias and apply GELU, in place.

    Parameters
    ----------
    x : float32 (W, T)
        Changed.
    bias : float32 (W,)
        Added to every token.
    tokens : int
        How many of them are changed.
    """
    for place in range(len(bias)):
        row, own_bias = x[place], bias[place]
        for token in range(tokens):
            value = row[token] + own_bias
            row[token] = HALF * value * (ONE + error_function(value * ROOT_HALF))


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def normalize(x, tokens, out):  # type: ignore[no-untyped-def]
    """Take the mean of each token from it and divide it by its deviation.

    A LayerNorm's scale and offset are in the weights of the matrix product that follows.

    Parameters
    ----------
    x : float32 (W, T)
        Tokens.
    tokens : int
        How many of them are normalized.
    out : float32 (W, T)
        Filled.
    """
    width = np.float32(x.shape[0])
    mean, factor = np.zeros(tokens, np.float32), np.zeros(tokens, np.float32)
    # elements, not views of rows: the compiler makes no vector instructions of the latter
    for place in range(x.shape[0]):
        for token in range(tokens):
            mean[token] += x[place, token]
    for token in range(tokens):
        mean[token] /= width
    for place in range(x.shape[0]):
        for token in range(tokens):
            factor[token] += (x[place, token] - mean[token]) * (x[place, token] - mean[token])
    for token in range(tokens):
        factor[token] = ONE / np.sqrt(factor[token] / width + EPSILON)
    for place in range(x.shape[0]):
        for token in range(tokens):
            out[place, token] = (x[place, token] - mean[token]) * factor[token]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def exponentials(scores, bin_of_pair, table, keys, highest, total):  # type: ignore[no-untyped-def]
    """Turn attention scores into shares that are not divided by their sum yet.

    Parameters
    ----------
    scores : float32 (k and more, k and more)
        Scores of a key per row and a query per column; become exponentials, 1 at the highest of a query.
    bin_of_pair : uint8 (k, k)
        The entry of the bias table that a key and a query read.
    table : float32 (BINS,)
        Bias of the attention map, added to the scores.
    keys : int
        Tokens that are there, in 1..k; those behind are no keys.
    highest, total : float32 (k,)
        Filled with the highest score of every query, and the sum of its exponentials.
    """
    queries = bin_of_pair.shape[1]
    highest[:] = np.float32(-1e30)
    total[:] = ZERO
    for key in range(keys):
        row, bins = scores[key], bin_of_pair[key]
        for query in range(queries):
            value = row[query] + table[bins[query]]
            row[query] = value
            highest[query] = max(highest[query], value)
    for key in range(keys):
        row = scores[key]
        for query in range(queries):
            value = exponential(row[query] - highest[query])
            row[query] = value
            total[query] += value
