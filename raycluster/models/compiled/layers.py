"""The parts of a Transformer layer that are no matrix products.

Each is one pass over memory, in float32, in the calling thread. Loops are written so that the compiler uses vector instructions:
`exp` and `erf` are polynomials, with errors below 4e-7.

Shapes: T tokens, W width of a token, B rows of a batch, K tokens per row, M attention maps, BINS entries of a bias table.
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
def gelu(x, bias):  # type: ignore[no-untyped-def]
    """Add a bias (W,) to x (T, W) and apply GELU, in place."""
    for token in range(len(x)):
        row = x[token]
        for place in range(row.shape[0]):
            value = row[place] + bias[place]
            row[place] = HALF * value * (ONE + error_function(value * ROOT_HALF))


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def normalize(x, out):  # type: ignore[no-untyped-def]
    """Write x (T, W), less its mean over its deviation per token, into `out` (T, W).

    A LayerNorm's scale and offset are in the weights of the matrix product that follows.
    """
    width = np.float32(x.shape[1])
    for token in range(len(x)):
        row, result = x[token], out[token]
        total = ZERO
        for place in range(row.shape[0]):
            total += row[place]
        mean = total / width
        squares = ZERO
        for place in range(row.shape[0]):
            squares += (row[place] - mean) * (row[place] - mean)
        factor = ONE / np.sqrt(squares / width + EPSILON)
        for place in range(row.shape[0]):
            result[place] = (row[place] - mean) * factor


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def add_and_normalize(x, summand, bias, out):  # type: ignore[no-untyped-def]
    """Add to x in place, then `normalize` it.

    Parameters
    ----------
    x : float32 (T, W)
        Changed.
    summand : float32 (T, W)
        Added.
    bias : float32 (W,)
        Added to every token.
    out : float32 (T, W)
        Filled.
    """
    for token in range(len(x)):
        row, added = x[token], summand[token]
        for place in range(row.shape[0]):
            row[place] += added[place] + bias[place]
    normalize(x, out)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def softmax(scores, bin_of_pair, table, count):  # type: ignore[no-untyped-def]
    """Turn attention scores into shares, in place.

    Parameters
    ----------
    scores : float32 (B, M, K, K)
        Scores of queries and keys; becomes shares that sum to 1 over the keys of a query.
    bin_of_pair : uint8 (B, K, K)
        The entry of the bias table that a query and a key read.
    table : float32 (M, BINS)
        Bias of each map, added to the scores.
    count : int64 (B,)
        Tokens that are there, in 1..K; those behind are no keys, and get a share of 0.
    """
    for b in range(scores.shape[0]):
        keys = count[b]
        for m in range(scores.shape[1]):
            bias = table[m]
            for query in range(scores.shape[2]):
                row, bins = scores[b, m, query], bin_of_pair[b, query]
                highest = np.float32(-1e30)
                for key in range(keys):
                    value = row[key] + bias[bins[key]]
                    row[key] = value
                    highest = max(highest, value)
                total = ZERO
                for key in range(keys):
                    value = exponential(row[key] - highest)
                    row[key] = value
                    total += value
                factor = ONE / total
                for key in range(keys):
                    row[key] *= factor
                for key in range(keys, row.shape[0]):
                    row[key] = ZERO
