"""Random numbers that are hashes of (seed, purpose, index), in any order.

Any number can be computed alone, anywhere. Shapes: M indices, D dimensions.
"""

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Hashed:
    """Random numbers for one purpose."""

    seed: int
    """0 to 2**63 - 1."""
    purpose: str
    """Any text. It separates one use of an index from another."""

    def words(self, index: Int64) -> Words:
        """Return 64 random bits per index (M,)."""
        key = np.array([self.seed], np.uint64)
        for letter in self.purpose.encode():
            key = _hash((key + np.uint64(letter)) * GOLDEN)
        return _hash((index.astype(np.uint64) * GOLDEN) ^ key)

    def bits(self, index: Int64) -> Int64:
        """Return 63 random bits per index (M,), so that none is negative."""
        return (self.words(index) >> np.uint64(1)).astype(np.int64)

    def uniform(self, index: Int64) -> Float64:
        """Return a uniform number in [0, 1) per index (M,)."""
        return (self.bits(index) >> 10).astype(np.float64) * 2.0**-53

    def directions(self, index: Int64, scale: Float32) -> Float32:
        """Return a random vector (M, D) of expected length 1 per index (M,).

        `scale` (D,) is the standard deviation per dimension; its squares sum to 1. Coordinates are uniform, four per
        hash: a cosine sums so many of them that it is normal all the same.
        """
        steps = np.arange(1, (len(scale) + 3) // 4 + 1, dtype=np.uint64) * GOLDEN
        quarters = _hash(self.words(index)[:, None] + steps).view(np.int16)
        return quarters[:, : len(scale)] * (scale * np.float32(math.sqrt(3) / 2**15))

    def permute(self, index: Int64, count: int) -> Int64:
        """Return where a permutation of 0 to count - 1 sends indices (M,).

        A Feistel network on the cells of a near-square grid needs no table. An index that lands beyond `count` is sent
        on until it is back.
        """
        left_size = math.isqrt(count - 1) + 1
        right_size = -(-count // left_size)
        halves = [
            (Hashed(self.seed, f"{self.purpose} left {turn}"), Hashed(self.seed, f"{self.purpose} right {turn}"))
            for turn in range(ROUNDS)
        ]
        result = index.copy()
        beyond = np.arange(len(index))
        while len(beyond):
            left, right = np.divmod(result[beyond], right_size)
            for of_left, of_right in halves:
                left = (left + of_left.bits(right) % left_size) % left_size
                right = (right + of_right.bits(left) % right_size) % right_size
            result[beyond] = left * right_size + right
            beyond = beyond[result[beyond] >= count]
        return result


def _hash(words: Words) -> Words:
    """Apply splitmix64's finalizer in place: every bit reaches all others."""
    words ^= words >> np.uint64(30)
    words *= FIRST_FACTOR
    words ^= words >> np.uint64(27)
    words *= SECOND_FACTOR
    words ^= words >> np.uint64(31)
    return words
