"""Ids of any kind in the order of their values, without a limit on their bytes.

Integers are ordered by value, strings and binary ids by their bytes. Strings and binary ids have offsets of 64 bits here,
since a sort of more than 2 GiB of them overflows 32.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Int64

Id = int | str | bytes


def large_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of ids of this kind with 64-bit offsets, where it has any."""
    if pa.types.is_string(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary(kind) else kind


def joined(ids: Sequence[pa.ChunkedArray], kind: pa.DataType) -> pa.Array:
    """Return ids of one kind in one array."""
    chunks = [chunk.cast(large_type(kind)) for column in ids for chunk in column.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], large_type(kind))


def ordered(ids: pa.Array, positions: Int64) -> tuple[pa.Array, Int64]:
    """Return ids (N,) in their order, and the position of each."""
    order = pc.sort_indices(ids)
    return ids.take(order), positions[order.to_numpy()]


def cut(ids: pa.Array, low: Id | None, high: Id | None) -> tuple[int, int]:
    """Return begin and end of the ids from `low` up to, but not with, `high`.

    Parameters
    ----------
    ids : (N,)
        In their order.
    low, high
        Bounds; none is no bound.
    """
    begin = 0 if low is None else bisect_left(range(len(ids)), low, key=lambda at: ids[at].as_py())
    end = len(ids) if high is None else bisect_left(range(len(ids)), high, key=lambda at: ids[at].as_py())
    return begin, max(begin, end)


def first_twice(ids: pa.Array, positions: Int64) -> tuple[Any, int, int] | None:
    """Return the lowest id that occurs twice, and its two lowest positions.

    Of ordered ids (N,) and their positions (N,); none where all ids differ.
    """
    at = pc.index(pc.equal(ids.slice(1), ids.slice(0, max(0, len(ids) - 1))), True).as_py()
    if at < 0:
        return None
    value = ids[at].as_py()
    end = bisect_right(range(len(ids)), value, key=lambda place: ids[place].as_py())
    first, second = np.sort(positions[at:end])[:2]
    return value, int(first), int(second)
