"""Codes of unit rows: int8 coordinates whose inner products are exact integers.

Where the processor multiplies bytes (VNNI), a product of codes costs an eighth to a quarter of one of floats. It is off by a
bounded amount, and so it only proposes candidates: these are scored again from the rows themselves. Sums of integers do not
depend on their order, so every processor proposes the same candidates.

Rows are turned before they are rounded, by random signs and Hadamard's matrix. Then no coordinate stands out, and the rounding
errors of two rows have nothing to do with each other.

Shapes: N rows, M other rows, D dimensions.
"""

import importlib.util
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np

from raycluster.arrays import Float32, Int8, Int32, Int64, Vectors

LARGEST = 127
"""Largest coordinate of a code. -128 stays unused, so that codes are symmetric."""
CLIP = 6.0
"""Standard deviations of a turned coordinate, which is 1 / sqrt(D), that the largest code stands for. Raising it cuts fewer
coordinates off, one in 10**9 here, and rounds all of them more coarsely: a row is off by about CLIP / (127 sqrt(12)) = 0.014."""
DEVIATIONS = 5.0
"""Standard deviations of the error of a product within which a likely neighbor lies. One product in three million is further
off. Raising it makes more candidates; 8 made a third more, and the same neighbors."""
TURNING = 1e-5
"""Error of turning a row in float32, and of rounding a similarity to float32: an upper bound."""
LONGEST = 1.001
"""Upper bound of the length of a row: rounding to float16 lengthens a unit row by up to 0.0005."""
COARSEST = 0.03
"""Largest error of a row up to which codes save an exact search time; above it too many candidates are scored again."""
CHUNK = 8192
"""Rows coded at once per thread. Results do not depend on it."""
WORTHWHILE = 10**12
"""Multiplications above which a search imports torch, in 2 s, to do them with bytes: about 10 s of one thread by floats."""
_SEED = 20_261_128
"""Seed of the random signs; any will do."""


@dataclass(frozen=True)
class Codes:
    """Rows as int8, and how far they are from the rows."""

    rows: Int8
    """(N, D)."""
    error: Float32
    """(N,): distance of each row and its code over the scale."""
    order: Int32 | None = None
    """(N,): the row that each code stands for; none: the rows in their order."""

    @property
    def unit(self) -> int:
        """The product of the codes of two equal unit rows, about."""
        return round(scale_of(self.rows.shape[1]) ** 2)

    @property
    def largest_error(self) -> float:
        """The largest distance of a row and its code."""
        return float(self.error.max(initial=0.0))

    @property
    def usual_error(self) -> float:
        """The error that all rows but one in a thousand keep to."""
        return float(np.quantile(self.error, 0.999, method="higher")) if len(self.error) else 0.0

    def certain_slack(self, coarsest: float) -> Int64:
        """Return how far below the k-th best product a row's neighbors may lie.

        One number per row (N,): twice the bound of Cauchy and Schwarz on the error of one product. `coarsest` is the largest
        error of the other rows.
        """
        one = self.error.astype(np.float64) * LONGEST + (LONGEST + self.error) * coarsest + TURNING
        return np.ceil(2 * one * self.unit).astype(np.int64) + 1

    def likely_slack(self, coarsest: float) -> Int64:
        """Return the same for random errors, as turned rows have.

        `DEVIATIONS` of the error of a product.
        """
        deviation = np.sqrt((self.error.astype(np.float64) ** 2 + coarsest**2) / self.rows.shape[1])
        likely = np.ceil((DEVIATIONS * deviation + 2 * TURNING) * self.unit).astype(np.int64) + 1
        return np.minimum(likely, self.certain_slack(coarsest))


def scale_of(width: int) -> float:
    """Return what turned coordinates of unit rows are multiplied by."""
    return LARGEST / min(1.0, CLIP / math.sqrt(width))


@cache
def _signs(width: int) -> Float32:
    """Return random signs (2, D), for the first and the last coordinates."""
    return np.random.default_rng(_SEED).choice(np.array([-1, 1], np.float32), (2, width))


@numba.njit(nogil=True, cache=True)
def _hadamard(row):  # type: ignore[no-untyped-def]
    """Multiply coordinates, a power of two of them, by Hadamard's matrix in place."""
    size, step = row.shape[0], 1
    while step < size:
        for first in range(0, size, 2 * step):
            for i in range(first, first + step):
                one, other = row[i], row[i + step]
                row[i], row[i + step] = one + other, one - other
        step *= 2
    factor = np.float32(1.0 / np.sqrt(np.float64(size)))
    for i in range(size):
        row[i] *= factor


@numba.njit(nogil=True, cache=True)
def _encode(rows, signs, scale, places, codes, error):  # type: ignore[no-untyped-def]
    """Write the codes and errors of some rows to their places.

    Parameters
    ----------
    rows : float32 (R, D)
        Unit rows; destroyed.
    signs : float32 (2, D)
        Random signs.
    scale : float32
        Factor of a turned coordinate.
    places : integers (R,)
        Where each row's code goes.
    codes, error : int8 (N, D) and float32 (N,)
        Written.
    """
    width = rows.shape[1]
    size = 1
    while 2 * size <= width:
        size *= 2
    for line in range(rows.shape[0]):
        row = rows[line]
        row *= signs[0]
        # Two overlapping blocks reach all coordinates of widths that are no power of two.
        _hadamard(row[:size])
        if size < width:
            row *= signs[1]
            _hadamard(row[width - size :])
        square = 0.0
        code = codes[places[line]]
        for i in range(width):
            value = np.rint(row[i] * scale)
            value = min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
            code[i] = np.int8(value)
            rest = np.float64(row[i]) - np.float64(value) / np.float64(scale)
            square += rest * rest
        # Rounded up, so that it stays a bound.
        error[places[line]] = np.float32(np.sqrt(square) * 1.000001)


def encode(vectors: Vectors, order: Int32 | None = None, threads: int = 1) -> Codes:
    """Return the codes of rows.

    Parameters
    ----------
    vectors : float32 or float16 (N, D)
        Unit rows.
    order : int32 (N,), optional
        The row that each code stands for; none keeps the order of the rows.
    threads : int
        The result does not depend on it.
    """
    rows, width = vectors.shape
    codes, error = np.empty((rows, width), np.int8), np.empty(rows, np.float32)
    places = np.arange(rows)
    if order is not None:
        places[order] = np.arange(rows)
    scale = np.float32(scale_of(width))

    def chunk(first: int) -> None:
        part = np.array(vectors[first : first + CHUNK], np.float32)
        _encode(part, _signs(width), scale, places[first : first + CHUNK], codes, error)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(chunk, range(0, rows, CHUNK)))
    return Codes(codes, error, order)


@cache
def multiplies_bytes() -> bool:
    """Whether processor and torch multiply bytes faster than floats."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return bool(features.get("avx512vnni", False)) and importlib.util.find_spec("torch") is not None


def pay(rows: int, others: int, width: int) -> bool:
    """Whether an exact search is faster by codes, the import of torch included.

    Parameters
    ----------
    rows, others : int
        Rows that are searched for, and among.
    width : int
        Dimensions.
    """
    loaded = "torch" in sys.modules
    return multiplies_bytes() and rows * others * width > (WORTHWHILE / 20 if loaded else WORTHWHILE)


@cache
def _torch() -> Any:
    """Return torch, whose oneDNN multiplies bytes."""
    import torch

    return torch


@contextmanager
def one_thread_per_product() -> Iterator[None]:
    """Give torch back its threads, which `in_worker` takes."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def in_worker() -> None:
    """Start a thread of a pool: its products take no others."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def load(rows: int, others: int, width: int) -> bool:
    """Return whether bytes can be multiplied; import torch where it pays.

    Called before threads start that multiply.

    Parameters
    ----------
    rows, others : int
        Rows that are searched for, and among.
    width : int
        Dimensions.
    """
    if pay(rows, others, width):
        _torch()
    return multiplies_bytes() and "torch" in sys.modules


def products(codes: Int8, others: Int8) -> Int32 | Float32:
    """Return the inner products (N, M) of codes, exact integers.

    They are int32 where the processor multiplies bytes: by torch once it is loaded, before by floats. Else they are float32. All
    partial sums are below 2**24, and so exact.

    Parameters
    ----------
    codes, others : int8 (N, D) and (M, D)
        C-contiguous.
    """
    # torch 2.13 is wrong for one coordinate.
    if multiplies_bytes() and codes.shape[1] > 1 and "torch" in sys.modules:
        torch = _torch()
        scores: Int32 = torch._int_mm(torch.from_numpy(codes), torch.from_numpy(others).T).numpy()
        return scores
    made: Float32 = np.matmul(codes.astype(np.float32), others.astype(np.float32).T)
    return made.astype(np.int32) if multiplies_bytes() else made
