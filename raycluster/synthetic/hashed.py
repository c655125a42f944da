"""Random numbers that are hashes of (seed, purpose, index), in any order.

Parameters of all functions: `seed` is 0 to 2**63 - 1. `purpose` is any text, which separates one use of an index from
another. `index` is int64 (M,). Any number can be computed alone.
"""

import math

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Float32, Float64, Int64

Words = npt.NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio, odd: the increment of splitmix64, by which indices spread over all words."""
FIRST_FACTOR, SECOND_FACTOR = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Multipliers of splitmix64's finalizer (Steele, Lea and Flood, 2014), as published."""
ROUNDS = 4
"""Rounds of the Feistel network; from 4 on its permutations are as good as random ones (Luby and Rackoff, 1988)."""


def _hash(words: Words) -> Words:
    """Apply splitmix64's finalizer in place: every bit reaches all others."""
    words ^= words >> np.uint64(30)
    words *= FIRST_FACTOR
    words ^= words >> np.uint64(27)
    words *= SECOND_FACTOR
    words ^= words >> np.uint64(31)
    return words


def words(seed: int, purpose: str, index: Int64) -> Words:
    """Return 64 random bits per index, uint64 (M,).

    Parameters
    ----------
    seed, purpose, index
        As in the module's docstring.
    """
    key = np.array([seed], np.uint64)
    for letter in purpose.encode():
        key = _hash((key + np.uint64(letter)) * GOLDEN)
    return _hash((index.astype(np.uint64) * GOLDEN) ^ key)


def bits(seed: int, purpose: str, index: Int64) -> Int64:
    """Return 63 random bits per index, int64 (M,).

    Parameters
    ----------
    seed, purpose, index
        As in the module's docstring.
    """
    return (words(seed, purpose, index) >> np.uint64(1)).astype(np.int64)


def uniform(seed: int, purpose: str, index: Int64) -> Float64:
    """Return uniform numbers in [0, 1), float64 (M,).

    Parameters
    ----------
    seed, purpose, index
        As in the module's docstring.
    """
    return (bits(seed, purpose, index) >> 10).astype(np.float64) * 2.0**-53


def directions(seed: int, purpose: str, index: Int64, scale: Float32) -> Float32:
    """Return random vectors of expected length 1, float32 (M, D).

    Coordinates are uniform, four per hash: a cosine sums so many of them that it is normal all the same.

    Parameters
    ----------
    seed, purpose, index
        As in the module's docstring.
    scale
        (D,), standard deviation per dimension; its squares sum to 1.
    """
    steps = np.arange(1, (len(scale) + 3) // 4 + 1, dtype=np.uint64) * GOLDEN
    quarters = _hash(words(seed, purpose, index)[:, None] + steps).view(np.int16)
    return quarters[:, : len(scale)] * (scale * np.float32(math.sqrt(3) / 2**15))


def permute(seed: int, purpose: str, index: Int64, count: int) -> Int64:
    """Return where a permutation of 0 to count - 1 sends `index`, int64 (M,).

    A Feistel network on the cells of a near-square grid needs no table. An index that lands beyond `count` is sent on
    until it is back.

    Parameters
    ----------
    seed, purpose, index
        As in the module's docstring.
    count
        Numbers to permute, from 1 up.
    """
    left_size = math.isqrt(count - 1) + 1
    right_size = -(-count // left_size)
    result = index.copy()
    todo = np.arange(len(index))
    while len(todo):
        left, right = np.divmod(result[todo], right_size)
        for turn in range(ROUNDS):
            left = (left + bits(seed, f"{purpose} left {turn}", right) % left_size) % left_size
            right = (right + bits(seed, f"{purpose} right {turn}", left) % right_size) % right_size
        result[todo] = left * right_size + right
        todo = todo[result[todo] >= count]
    return result
