"""Bytes without a type: whether they are float32, and what else they may be."""

import numpy as np

from raycluster.arrays import Array, Bool

BARE = np.dtype("<f4")
"""Numbers of files and columns of bytes: float32, lowest byte first."""
ABSURD = 1e12
"""Magnitude of a number, or of its inverse, that no feature has."""
ABSURD_SHARE = 0.02
"""Share of absurd numbers from which bytes count as those of another type: float64 read as float32 has a third."""
HUGE = 1e30
"""Magnitude that float32 vectors of any scale stay below, and that a tenth of random bytes exceed."""
HALF_LIMIT = 1e4
"""Magnitude of a number, or of its inverse, that is plain in types of 16 bits."""
OTHERS = {
    "float64": ("<f8", ABSURD),
    "float16": ("<f2", HALF_LIMIT),
    "big-endian float32": (">f4", ABSURD),
    "int32": ("<i4", 1e7),
}
"""Other types, and the magnitude of a number, or of its inverse, that is plain in them."""
FEWEST = 12
"""Numbers of which every other one is zero in float64 of few digits; fewer may be so by chance."""
LOW_BITS = 0x3FF
"""Bits of the high half of a float64 that are zero where it has at most the ten digits of a float16. Those of float32 are not."""
MOST_ZEROS = 0.4
"""Share of zeros in bytes that may be float16: more are the low halves of float32 numbers that were rounded."""


@np.errstate(invalid="ignore")
def misread_as(raw: bytes) -> str | None:
    """Return the type of bytes that are no little-endian float32 numbers.

    None where they may be. Numbers that are not finite do not count.
    """
    numbers = np.frombuffer(raw[: len(raw) // 4 * 4], BARE)
    if len(numbers) >= FEWEST and not numbers[::2].any() and _has_few_digits(numbers[1::2]):
        return "float64"
    if _is_bfloat16(raw):
        return "bfloat16"
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0 or 1 - _plain(numbers, ABSURD).mean() <= ABSURD_SHARE:
        return None
    for name, (kind, limit) in OTHERS.items():
        size = np.dtype(kind).itemsize
        values = np.frombuffer(raw[: len(raw) // size * size], kind)
        is_rounded = name == "float16" and (values == 0).mean() > MOST_ZEROS
        if len(values) and not is_rounded and _plain(values, limit).mean() > 1 - ABSURD_SHARE:
            return name
    return "8-bit integer" if (np.abs(numbers) > HUGE).mean() > ABSURD_SHARE else None


def _is_bfloat16(raw: bytes) -> bool:
    """Whether the low halves of float32 numbers are plain numbers themselves.

    Those of float32 are digits, of which a tenth would be plain.
    """
    low = np.frombuffer(raw[: len(raw) // 4 * 4], "<u2")[::2]
    if len(np.unique(low)) < FEWEST or (low == 0).mean() > MOST_ZEROS:
        return False
    numbers = (low.astype("<u4") << 16).view(BARE)
    return bool(_plain(numbers, HALF_LIMIT).mean() > 1 - ABSURD_SHARE)


def _has_few_digits(high: Array) -> bool:
    """Whether numbers are the high halves of float64 numbers of few digits."""
    bits = np.ascontiguousarray(high).view("<u4")
    return bool(bits.any() and (bits & LOW_BITS == 0).all())


def _plain(numbers: Array, limit: float) -> Bool:
    """Return which numbers are zero, or neither huge nor tiny."""
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(numbers.astype(np.float64))
        return np.asarray((size == 0) | ((size < limit) & (size > 1 / limit)))
