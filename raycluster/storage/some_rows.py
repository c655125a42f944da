"""Some rows of a column, read from its stored parts.

What a stage reads once, a sample of rows, takes no copy on the driver's disk. Every part is checked against its digest.

Shapes: N rows of the column, R rows that are read.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from raycluster.arrays import Array, Int64
from raycluster.errors import DamagedError
from raycluster.storage.free_memory import available_bytes
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.schemas import to_array

UNIT_TOLERANCE = 1e-3
"""How far the squared length of a stored vector may be from 1. Rounding to float32 makes 1e-6; most flipped bits make more."""
MEMORY_SHARE = 4
"""Parts that are read at once take one byte in so many of free memory. Fewer parts at once are read more slowly."""
Place = Callable[[Array, Array], None]
"""Takes row numbers (R,) and the values (R, ...) of these rows."""


class SomeRows:
    """A column (N, width) of which a few rows are read, indexed as the whole array is.

    The rows that were read last are held: stages read the same sample again and again.

    Parameters
    ----------
    shape
        Of the whole column.
    read
        Returns the values (R, width) of rows (R,), ascending and distinct; with a rank, its values (R,) alone.
    """

    def __init__(self, shape: tuple[int, ...], read: Callable[[Int64, int | None], Array]) -> None:
        self.shape = shape
        self._read = read
        self._held: tuple[Int64, Array] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Return the values at rows, and at ranks of these rows."""
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(rows, slice):
            chosen: Int64 = np.arange(*rows.indices(len(self)))
            if rest and isinstance(rest[0], int) and len(chosen) == len(self):
                return self._read(chosen, rest[0])  # one rank of all rows: the others are not held
            return self._values(chosen)[(slice(None), *rest)]
        distinct, place = np.unique(np.asarray(rows), return_inverse=True)
        if not rest and np.array_equal(distinct, rows):
            return self._values(distinct)
        return self._values(distinct)[(place.reshape(np.shape(rows)), *rest)]

    def _values(self, rows: Int64) -> Array:
        if self._held is None or not np.array_equal(self._held[0], rows):
            self._held = None  # before the others come
            self._held = rows, self._read(rows, None)
        return self._held[1]


def each_shard(
    run: RunFolder, stage: str, column: str, bounds: Sequence[int], rows: Int64, place: Place, threads: int, size: int
) -> None:
    """Pass rows of a column, shard by shard, to a function.

    Parameters
    ----------
    run, stage, column
        Whose values.
    bounds
        First row of every row shard, and N.
    rows : int64 (R,)
        Ascending.
    place
        Takes positions in `rows` and the values there.
    threads
        Shards that are fetched and checked at once.
    size
        Bytes of the whole column.
    """
    ends = np.searchsorted(rows, bounds)
    shards = np.flatnonzero(np.diff(ends))

    def take(at: int) -> None:
        shard = int(shards[at])
        begin, end = int(ends[shard]), int(ends[shard + 1])
        values = to_array(run.table(stage, shard, [column])[column])
        place(np.arange(begin, end), values[rows[begin:end] - bounds[shard]])

    at_once(take, len(shards), threads, size * len(shards) // max(1, len(bounds) - 1))


def each_piece(run: RunFolder, column: str, chosen: Int64 | None, place: Place, threads: int, size: int) -> None:
    """Pass vectors of ingested rows, piece by piece, to a function.

    A row's number is its rank in the order of ids less the dropped rows before it.

    Parameters
    ----------
    run, column
        Whose vectors.
    chosen : int64 (R,), optional
        Rows that are passed, ascending; none means all.
    place
        Takes row numbers, or positions in `chosen`, and the vectors there.
    threads
        Pieces that are fetched and checked at once.
    size
        Bytes of all vectors.

    Raises
    ------
    DamagedError
        Where a vector is not finite or not of unit length: it was damaged before it was stored.
    """
    markers = [run.marker("ingest", piece) for piece in range(len(run.plan.pieces))]
    lost = np.sort(np.array([entry[3] for marker in markers for entry in marker.facts["dropped"]], np.int64))

    def take(piece: int) -> None:
        table = run.table("ingest", piece, ["rank", column])
        rank = table["rank"].to_numpy()
        row, values = rank - np.searchsorted(lost, rank), to_array(table[column])
        _require_unit(run, piece, values)
        if chosen is not None:
            at = np.searchsorted(chosen, row)
            is_chosen = chosen[np.minimum(at, len(chosen) - 1)] == row
            row, values = at[is_chosen], values[is_chosen]
        place(row, values)

    at_once(take, len(markers), threads, size)


def _require_unit(run: RunFolder, piece: int, vectors: Array) -> None:
    squared = np.einsum("ij,ij->i", vectors, vectors)
    if not np.all(np.abs(squared - 1) < UNIT_TOLERANCE):  # false for NaN as well
        name = run.store.name(run.marker("ingest", piece).key)
        run.markers.drop("ingest", piece)
        raise DamagedError(f"{name} holds vectors that are not finite or not of unit length.")


def at_once(take: Callable[[int], None], count: int, threads: int, size: int) -> None:
    """Call `take` for 0..count-1, on as many threads as memory allows.

    Parameters
    ----------
    take, count
        What is called, and how often.
    threads
        The most threads.
    size
        Bytes of all values together.
    """
    room = available_bytes() // (2 * MEMORY_SHARE * max(1, size // max(1, count)))
    with ThreadPoolExecutor(max(1, min(threads, count, room))) as pool:
        for _ in pool.map(take, range(count)):
            pass
