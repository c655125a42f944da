"""Copies of a vector are one identity, unless a decision parts them.

A decision or a deciding column never contradicts a copy: the copies that it parts are several identities. Copies have no edges
of their own. Those that are parted from their first row get a copy of its edges.

Shapes: N rows.
"""

from dataclasses import replace

import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.identities.conflicts import conflicts
from raycluster.identities.decisions import RowDecisions
from raycluster.identities.newest import Sets
from raycluster.identities.state import Edges, undirected_edges
from raycluster.identities.ties import Columns, MustLinks, Ties, united
from raycluster.kernels.map_equation.apart import ranges


def with_copies(links: MustLinks, decisions: RowDecisions, apart: Bool, columns: Columns) -> tuple[Int32, Int32]:
    """Return the tied rows (R,), ascending, and the lowest of their sets.

    Copies are tied, too.

    Parameters
    ----------
    links : MustLinks
        Ties that contradict nothing.
    decisions, apart : RowDecisions and (M,) bool
        Decisions, and which of them keep rows apart.
    columns : Columns
        Columns that decide, and copies.
    """
    if columns.copies is None:
        return united(links)
    code = columns.copies
    copy = np.flatnonzero((code >= 0) & (code != np.arange(len(code)))).astype(np.int32)
    parting = replace(decisions, same=~apart)
    every = _and(links, code[copy], copy)
    rows, lowest = united(every)
    clash = conflicts(parting, columns, rows, lowest)
    if len(clash.one) == 0:
        return rows, lowest
    inside = rows[np.isin(lowest, clash.node)]
    agreed = ~np.isin(copy, inside)
    pairs = _agreeing(inside, links, parting, columns)
    more = np.concatenate([code[copy[agreed]], pairs[0]]), np.concatenate([copy[agreed], pairs[1]])
    return united(_and(links, *more))


def _and(links: MustLinks, one: Int32, other: Int32) -> MustLinks:
    """Return the links and further pairs."""
    none = np.full(len(one), -1, np.int32)
    columns = zip((links.one, links.other, links.decision), (one, other, none), strict=True)
    return MustLinks(*(np.concatenate(pair).astype(np.int32) for pair in columns))


def _agreeing(rows: Int32, links: MustLinks, parting: RowDecisions, columns: Columns) -> tuple[Int32, Int32]:
    """Return pairs of copies that contradict nothing, of some rows.

    A copy goes to the lowest row of its vector that it may be with.
    """
    sets = Sets()
    for at in np.flatnonzero(np.isin(links.one, rows)).tolist():
        sets.tie(int(links.one[at]), int(links.other[at]))
    for at in np.flatnonzero(~parting.same & (np.isin(parting.one, rows) | np.isin(parting.other, rows))).tolist():
        sets.part(int(parting.one[at]), int(parting.other[at]))
    for row in rows.tolist():
        sets.obey(row, columns)
    assert columns.copies is not None, "there are copies"
    heads: dict[int, list[int]] = {}
    pairs: list[tuple[int, int]] = []
    for row in rows.tolist():
        own = heads.setdefault(int(columns.copies[row]), []) if columns.copies[row] >= 0 else []
        head = next((one for one in own if sets.tie(one, row)), None)
        if head is None:
            own.append(row)
        else:
            pairs.append((head, row))
    one, other = np.array(pairs, np.int32).reshape(-1, 2).T
    return one, other


def firsts(original: Int32, group: Int32) -> Int32:
    """Return the lowest row (N,) of each row's vector in its group.

    `original` (N,) is the first row of each vector, and `group` (N,) any partition.
    """
    key = original.astype(np.int64) << 32 | group
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int32)


def with_parted(edges: Edges, original: Int32, is_alive: Bool, ties: Ties) -> tuple[Edges, Int32, Int32]:
    """Return the edges with those of copies that are parted from their first row.

    Parameters
    ----------
    edges : Edges
        Edges of rows that are no copies.
    original : (N,) int32
        The first row of each vector.
    is_alive : (N,) bool
        Rows that are not removed.
    ties : Ties
        Rows that are one identity.

    Returns
    -------
    Edges
        One row of each parted group has the edges of its first row.
    int32 (P,), int32 (P,)
        These rows, and their first rows.
    """
    copy = np.flatnonzero(is_alive & (original != np.arange(len(original)))).astype(np.int32)
    node = ties.of(copy)
    parted = node != ties.of(original[copy])
    if not parted.any():
        none = np.empty(0, np.int32)
        return edges, none, none
    copy, node = copy[parted], node[parted]
    first, lowest = np.unique(original[copy].astype(np.int64) << 32 | node, return_index=True)
    first, row = (first >> 32).astype(np.int32), copy[lowest]
    found: list[tuple[Int32, Int32, Float32]] = []
    for end, other in ((edges.source, edges.target), (edges.target, edges.source)):
        at = np.flatnonzero(np.isin(end, first))
        begin, stop = np.searchsorted(first, end[at], "left"), np.searchsorted(first, end[at], "right")
        again = np.repeat(at, stop - begin)
        found.append((row[ranges(begin, stop)], other[again], edges.weight[again]))
    more = undirected_edges(*(np.concatenate(column) for column in zip(*found, strict=True)))
    return edges.with_others(more), row, first
