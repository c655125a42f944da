"""Where each row stands, as the difference between two states.

    row, is_alive, original, piece, id: rows for which one of these is another, and new rows

A piece keeps the number of the piece that most of its rows were in. So a difference holds the rows that moved, and not those
that were only numbered anew.

Shapes: N rows now, O before, P pieces now.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Int32
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.state import State
from raycluster.kernels.map_equation.aggregate import numbered


def difference(before: State, after: State) -> pa.Table:
    """Return the rows that stand elsewhere than before.

    Parameters
    ----------
    before, after : State
        Rows of `after` are those of `before`, then new ones.
    """
    old = before.num_rows
    piece = _kept_numbers(before.piece, after.piece)
    differs = np.ones(after.num_rows, bool)
    differs[:old] = (
        (piece[:old] != before.piece)
        | (after.is_alive[:old] != before.is_alive)
        | (after.original[:old] != before.original)
        | (after.row_id[:old] != before.row_id)
    )
    rows = np.flatnonzero(differs).astype(np.int32)
    own = after.row_id[rows]
    return pa.table(
        {
            "row": rows,
            "is_alive": after.is_alive[rows],
            "original": after.original[rows],
            "piece": piece[rows],
            "id": pa.array(own, mask=own == NO_ID),
        }
    )


def applied(before: State, table: pa.Table, num_rows: int) -> State:
    """Return a state whose rows stand where a difference puts them.

    Parameters
    ----------
    before : State
        The state that the difference begins with.
    table : pa.Table
        As `difference` returns it.
    num_rows : int
        Rows afterwards.
    """
    rows, ids = table["row"].to_numpy(), table["id"].fill_null(NO_ID).to_numpy()
    piece = _over(before.piece, num_rows, rows, table["piece"].to_numpy())
    numbered(piece)
    return replace(
        before,
        is_alive=_over(before.is_alive, num_rows, rows, table["is_alive"].to_numpy()),
        original=_over(before.original, num_rows, rows, table["original"].to_numpy()),
        piece=piece,
        row_id=_over(before.row_id, num_rows, rows, ids),
    )


def _over(values: Array, num_rows: int, rows: Int32, some: Array) -> Array:
    """Values of all rows: those before, with others written over."""
    result = np.zeros(num_rows, values.dtype)
    result[: len(values)] = values
    result[rows] = some
    return result


def _kept_numbers(before: Int32, after: Int32) -> Int32:
    """Pieces of now (N,) under the numbers of those before.

    A piece has the number that most of its rows had, or a new one.
    """
    count = int(after.max(initial=-1)) + 1
    key = after[: len(before)].astype(np.int64) << 32 | before.astype(np.int64)
    pairs, rows = np.unique(key, return_counts=True)
    now, was = pairs >> 32, pairs & 0xFFFFFFFF
    # Each side once: a number goes to the piece with most of its rows, if that has no larger share of another one.
    main = _most(now, rows, was) & _most(was, rows, now)
    number = int(before.max(initial=-1)) + 1 + np.arange(count)
    number[now[main]] = was[main]
    kept: Int32 = number[after].astype(np.int32)
    return kept


def _most(group: Array, rows: Array, other: Array) -> Bool:
    """Which entry of each group has most rows; ties to the lower of the other side."""
    order = np.lexsort((other, -rows, group))
    result = np.zeros(len(group), bool)
    result[order[np.unique(group[order], return_index=True)[1]]] = True
    return result
