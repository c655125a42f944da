"""Random numbers that are a hash of (seed, purpose, index): any of them can be computed alone, in any order and anywhere.

`seed` is 0 .. 2**63 - 1, `purpose` any text, which sets one use of an index apart from another, and `index` int64 (n,).
"""

import math

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Floats, Ints

Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _hash(words: Words) -> Words:
    """The finalizer of splitmix64, in place: every bit of a word reaches every bit of the result."""
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def words(seed: int, purpose: str, index: Ints) -> Words:
    """64 random bits for each index, uint64 (n,)."""
    key = np.array([seed], np.uint64)
    for letter in purpose.encode():
        key = _hash((key + np.uint64(letter)) * _GOLDEN)
    return _hash((index.astype(np.uint64) * _GOLDEN) ^ key)


def bits(seed: int, purpose: str, index: Ints) -> Ints:
    """63 random bits for each index, int64 (n,)."""
    return (words(seed, purpose, index) >> np.uint64(1)).astype(np.int64)


def uniform(seed: int, purpose: str, index: Ints) -> Doubles:
    """Uniform in [0, 1), float64 (n,)."""
    return (bits(seed, purpose, index) >> 10).astype(np.float64) * 2.0**-53


def directions(seed: int, purpose: str, index: Ints, scale: Floats) -> Floats:
    """Random vectors of expected length 1, float32 (n, width).

    Coordinates are uniform, four from one hash: a cosine sums so many of them that it is normal all the same.
    """
    steps = np.arange(1, (len(scale) + 3) // 4 + 1, dtype=np.uint64) * _GOLDEN
    quarters = _hash(words(seed, purpose, index)[:, None] + steps).view(np.int16)
    return quarters[:, : len(scale)] * (scale * np.float32(math.sqrt(3) / 2**15))


def permute(seed: int, purpose: str, index: Ints, count: int) -> Ints:
    """A pseudo-random permutation of 0 .. count - 1 applied to `index`, int64 (n,), without a table.

    A Feistel network on the cells of a near-square grid; an index that lands beyond count is sent on until it is back.
    """
    left_size = math.isqrt(count - 1) + 1
    right_size = -(-count // left_size)
    result = index.copy()
    todo = np.arange(len(index))
    while len(todo):
        left, right = np.divmod(result[todo], right_size)
        for turn in range(4):
            left = (left + bits(seed, f"{purpose} left {turn}", right) % left_size) % left_size
            right = (right + bits(seed, f"{purpose} right {turn}", left) % right_size) % right_size
        result[todo] = left * right_size + right
        todo = todo[result[todo] >= count]
    return result
