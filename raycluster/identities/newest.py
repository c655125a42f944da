"""Contradictory decisions: what contradicts newer ones is left out."""

from collections import defaultdict

import numpy as np

from raycluster.arrays import Bool
from raycluster.identities.decisions import RowDecisions
from raycluster.identities.ties import Columns, MustLinks


def newest(
    links: MustLinks, inside: Bool, decisions: RowDecisions, between: Bool, columns: Columns
) -> tuple[Bool, Bool]:
    """Return which of `inside` and of `between` stay in force.

    A decision beats a column, whatever their dates; exclusive and differ columns beat same columns. Of decisions of one
    time a cannot-link goes first, then the lowest rows.

    Parameters
    ----------
    links, inside : MustLinks and (L,) bool
        Ties, and those of contradictory sets.
    decisions, between : RowDecisions and (M,) bool
        Decisions, and the cannot-links within those sets.
    columns : Columns
        Columns that decide.
    """
    kept, apart = np.zeros(len(links.one), bool), np.zeros(len(decisions.one), bool)
    tie_of = {int(links.decision[at]): int(at) for at in np.flatnonzero(inside & (links.decision >= 0))}
    chosen = np.array(sorted({*tie_of, *np.flatnonzero(between).tolist()}), np.int64)
    order = np.lexsort((decisions.same[chosen], decisions.other[chosen], decisions.one[chosen], -decisions.at[chosen]))
    sets = Sets()
    for number in chosen[order].tolist():
        one, other = int(decisions.one[number]), int(decisions.other[number])
        if decisions.same[number]:
            kept[tie_of[number]] = sets.tie(one, other)
        else:
            apart[number] = sets.part(one, other)
    by_column = np.flatnonzero(inside & (links.decision < 0))
    rows = np.unique(np.concatenate([links.one[inside], links.other[inside]]))
    for row in rows.tolist():
        sets.obey(row, columns)
    for at in by_column[
        np.lexsort((links.other[by_column], links.one[by_column], -links.decision[by_column]))
    ].tolist():
        kept[at] = sets.tie(int(links.one[at]), int(links.other[at]))
    return kept[inside], apart[between]


class Sets:
    """Sets of tied rows, with the rows and values that must stay out of each."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.enemies: dict[int, set[int]] = defaultdict(set)
        self.excluded: dict[int, set[tuple[str, int]]] = defaultdict(set)
        self.values: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))

    def root(self, row: int) -> int:
        """The row that names the set."""
        self.parent.setdefault(row, row)
        while self.parent[row] != row:
            self.parent[row] = row = self.parent[self.parent[row]]
        return row

    def part(self, one: int, other: int) -> bool:
        """Keep two rows apart; false where they are tied."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return False
        self.enemies[a].add(other)
        self.enemies[b].add(one)
        return True

    def obey(self, row: int, columns: Columns) -> None:
        """Keep sets out that the columns part from a row.

        They have one of its exclusive values, or another value of its differ columns.
        """
        own = self.root(row)
        self.excluded[own].update((name, int(code[row])) for name, code in columns.exclusive.items() if code[row] >= 0)
        for name, code in columns.differ.items():
            if code[row] >= 0:
                self.values[own][name].add(int(code[row]))

    def tie(self, one: int, other: int) -> bool:
        """Make the sets of two rows one; false where something keeps them apart."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return True
        if len(self.enemies[a]) < len(self.enemies[b]):
            a, b = b, a
        hostile = any(self.root(row) == a for row in self.enemies[b]) or self.excluded[a] & self.excluded[b]
        differs = any(
            self.values[a][name] != values for name, values in self.values[b].items() if values and self.values[a][name]
        )
        if hostile or differs:
            return False
        self.parent[b] = a
        self.enemies[a] |= self.enemies.pop(b)
        self.excluded[a] |= self.excluded.pop(b)
        for name, values in self.values.pop(b).items():
            self.values[a][name] |= values
        return True
