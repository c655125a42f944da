"""Decisions that contradict each other: a chain ties two rows that must be apart."""

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from raycluster.arrays import Int32, Int64
from raycluster.identities.decisions import RowDecisions, sentence
from raycluster.identities.ties import Columns, MustLinks
from raycluster.kernels.map_equation.apart import searched

ROWS_PER_CALL = 2**16
"""Rows sought at once, 65,536: about 2 MB. Results do not depend on it."""
MOST_CHAINS = 1_000
"""Conflicts whose chains are compared for the shortest one. Each takes a search of its set; the first ones are enough."""


@dataclass(frozen=True)
class Conflicts:
    """Pairs (X,) of rows that are one identity by must-links and must be apart."""

    one: Int32
    other: Int32
    decision: Int64
    """Number of the cannot-link among `RowDecisions`, or -1 - i for the i-th exclusive column, then differ columns."""
    node: Int32
    """Lowest row of the set that holds both."""


def conflicts(decisions: RowDecisions, columns: Columns, rows: Int32, lowest: Int32) -> Conflicts:
    """Return all pairs that are tied and must be apart.

    The work grows with the tied rows and the decisions.

    Parameters
    ----------
    decisions : RowDecisions
        Decisions; cannot-links are read.
    columns : Columns
        Exclusive and differ columns.
    rows, lowest : (R,) int32
        Tied rows, ascending, and the lowest row of the set of each (`united`).
    """
    chosen = np.flatnonzero(~decisions.same).astype(np.int32)
    set_of = sets_of(rows, lowest, decisions.one[chosen]), sets_of(rows, lowest, decisions.other[chosen])
    clash = (set_of[0] == set_of[1]) & (set_of[0] >= 0)
    found = [(decisions.one[chosen[clash]], decisions.other[chosen[clash]], chosen[clash])]
    for number, column in enumerate((*columns.exclusive.values(), *columns.differ.values())):
        code = column[rows]
        has = np.flatnonzero(code >= 0)
        order = has[np.lexsort((rows[has], code[has], lowest[has]))]
        same_set = lowest[order][1:] == lowest[order][:-1]
        same_code = code[order][1:] == code[order][:-1]
        clash = same_set & (same_code if number < len(columns.exclusive) else ~same_code)
        at = np.flatnonzero(clash)
        found.append((rows[order[at]], rows[order[at + 1]], np.full(len(at), -1 - number)))
    one, other, decision = (np.concatenate(pieces) for pieces in zip(*found, strict=True))
    return Conflicts(one, other, decision.astype(np.int64), sets_of(rows, lowest, one))


def sets_of(rows: Int32, lowest: Int32, some: Int32) -> Int32:
    """Return the lowest row of the set of each row, -1 for rows without one.

    Parameters
    ----------
    rows, lowest : (R,) int32
        Tied rows, ascending, and the lowest row of the set of each.
    some : (S,) int32
        Rows in any order.
    """
    result: Int32 = np.full(len(some), -1, np.int32)
    for start in range(0, len(some) if len(rows) else 0, ROWS_PER_CALL):
        piece = some[start : start + ROWS_PER_CALL]
        at = np.minimum(searched(rows, piece), len(rows) - 1)
        result[start : start + ROWS_PER_CALL] = np.where(rows[at] == piece, lowest[at], -1)
    return result


def shortest_chain(links: MustLinks, clash: Conflicts) -> tuple[list[int], int]:
    """Return the links of the shortest contradictory chain, and its conflict.

    Links are in order, and the conflict is its number. Ties go to the lowest rows, so that
    the order of decisions has no influence.
    """
    rows = np.unique(np.concatenate([links.one, links.other]))
    ends = np.searchsorted(rows, links.one), np.searchsorted(rows, links.other)
    size = len(rows)
    graph = coo_array((np.ones(len(links.one), np.int8), ends), shape=(size, size)).tocsr()
    order = np.lexsort((clash.decision, clash.other, clash.one))[:MOST_CHAINS]
    best: tuple[int, list[int], int] | None = None
    for number in order.tolist():
        start, goal = np.searchsorted(rows, [clash.one[number], clash.other[number]])
        before = breadth_first_order(graph, start, directed=False, return_predecessors=True)[1]
        path = [int(goal)]
        while path[-1] != start:
            path.append(int(before[path[-1]]))
        if best is None or len(path) < best[0]:
            best = len(path), path[::-1], number
    assert best is not None
    steps = [sorted(rows[[a, b]].tolist()) for a, b in itertools.pairwise(best[1])]
    return [_link_between(links, a, b) for a, b in steps], best[2]


def _link_between(links: MustLinks, one: int, other: int) -> int:
    """The link of two rows; a decision before a column."""
    at = np.flatnonzero((links.one == one) & (links.other == other))
    return int(at[np.argmax(links.decision[at])])


def message(
    links: MustLinks,
    clash: Conflicts,
    decisions: RowDecisions,
    columns: Columns,
    table: pa.Table,
    ids: pa.Array | pa.ChunkedArray,
) -> str:
    """Return one sentence that names the shortest contradictory chain.

    Parameters
    ----------
    links, clash : MustLinks and Conflicts
        All ties, and what they contradict.
    decisions, columns : RowDecisions and Columns
        What decides.
    table, ids : pa.Table and (N,) pa.Array
        Decisions and the id of each row.
    """
    chain, number = shortest_chain(links, clash)

    def rows(one: int, other: int) -> str:
        return f"{ids[int(one)]} and {ids[int(other)]}"

    steps = [
        sentence(table, int(decisions.place[links.decision[step]]))
        if links.decision[step] >= 0
        else f"{rows(links.one[step], links.other[step])} have one {list(columns.same)[-1 - links.decision[step]]}"
        for step in chain
    ]
    pair, decision = rows(clash.one[number], clash.other[number]), int(clash.decision[number])
    if decision >= 0:
        end = sentence(table, int(decisions.place[decision]))
    elif -1 - decision < len(columns.exclusive):
        end = f"{pair} share one {list(columns.exclusive)[-1 - decision]}, which is exclusive"
    else:
        end = f"{pair} differ in {list(columns.differ)[-1 - decision - len(columns.exclusive)]}"
    return (
        f"Decisions contradict each other: {', '.join(steps)}, but {end}; undo one of them, or let "
        "--decisions.on-conflict be newest or drop."
    )
