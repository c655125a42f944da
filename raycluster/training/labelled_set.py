"""A labelled set: its neighbors, true identities, and which are held out.

Shapes: N rows, K neighbors per row with the row itself at rank 0, D width of the vectors, B some rows.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64, Ints, Vectors
from raycluster.errors import InputError
from raycluster.evaluation.truth import UNKNOWN, labelled_rows
from raycluster.limits.random_pairs import sample_pairs
from raycluster.models.set_statistics import SetStatistics
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import neighbors_of
from raycluster.stages.stage import row_shards
from raycluster.stages.topk import counts_neighbors, counts_of
from raycluster.storage.stored_tables import StoredTables

CHUNK_ROWS = 65_536
"""Rows whose neighbors are gathered at once: 42 MB of identities at K = 80. Raising it takes more memory."""


@dataclass
class LabelledSet:
    """All rows of one training set.

    Arrays with N x K or N x D entries are memory maps.
    """

    tables: StoredTables
    """The run that searched the neighbors."""
    neighbor: Int32
    """(N, K), -1 where a list is short."""
    similarity: Float32
    """(N, K)."""
    vectors: Vectors
    """(N, D)."""
    identity: Int64
    """(N,) a number per true identity, `UNKNOWN` where the label is null: such a row is a neighbor and never a sample."""
    held_out: Bool
    """(N,) rows of identities whose labels are kept from the networks."""
    background: tuple[float, float]
    """Median and spread of the cosines of random pairs."""
    topk: Int64 | None = None
    """(N,) trusted neighbors per row, once the adaptive filter has predicted them."""
    is_varied: bool = False
    """Whether it is a set of `training.varied`. All of those together weigh as much in a batch as all others."""
    size: Int64 = field(init=False)
    """(N,) rows of the row's identity; 0 where the label is null."""

    def __post_init__(self) -> None:
        _, code, count = np.unique(self.identity, return_inverse=True, return_counts=True)
        self.size = np.where(self.identity == UNKNOWN, 0, count[code])

    @cached_property
    def statistics(self) -> SetStatistics:
        """Statistics that the form relative reads of the set."""
        return SetStatistics.measure(self.neighbor, self.similarity, self.vectors)

    def same(self, rows: Ints) -> Bool:
        """Return which neighbors (B, K) of labelled rows are of the row's identity."""
        ids = self.neighbor[rows]
        return (self.identity[ids] == self.identity[rows][:, None]) & (ids >= 0)

    def others(self, rows: Ints) -> Bool:
        """Return which ranks (B, K) hold a neighbor other than the row itself."""
        is_other = self.neighbor[rows] >= 0
        is_other[:, 0] = False
        return is_other

    def usable(self, rows: Ints, held_out: bool) -> Bool:
        """Return which pairs (B, K) of rows and neighbors may train, or test, a network.

        Both kinds leave out the row itself and neighbors without a label. Training leaves out held-out identities as well;
        `held_out` selects the pairs for testing.
        """
        ids = self.neighbor[rows]
        is_labelled = self.others(rows) & (self.identity[ids] != UNKNOWN)
        return is_labelled if held_out else is_labelled & ~self.held_out[ids]

    def anchors(self, held_out: bool) -> Int64:
        """Return the labelled rows that are held out, or those to train on."""
        return np.flatnonzero((self.identity != UNKNOWN) & (self.held_out == held_out))

    def chunks(self, rows: Int64, size: int = CHUNK_ROWS) -> Iterator[Int64]:
        """Yield `rows` in pieces of `size`."""
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def open_set(tables: StoredTables, label_column: str, seed: int, folds: int, is_varied: bool = False) -> LabelledSet:
    """Return the labelled set of a run whose neighbors have been searched.

    Parameters
    ----------
    tables
        The run.
    label_column
        Column of the input with the true identity; null where there is none.
    seed
        Seed of the split by identity.
    folds
        Identities are split in so many parts, of which the first is held out. Raising it holds out fewer.
    is_varied
        Whether it is a set of `training.varied`.

    Returns
    -------
    LabelledSet
        With at least one identity on either side of the split.

    Raises
    ------
    InputError
        Where labels are missing, all the same, or of fewer identities than `folds`.
    """
    place, encoded = labelled_rows(tables, label_column)
    names = encoded.dictionary.to_pylist()
    if len(names) < folds:
        what = "all rows the same identity" if len(names) == 1 else f"only {len(names)} identities"
        raise InputError(
            f"{tables.name}, column '{label_column}' gives {what}; training holds out one of {folds} parts of them and needs "
            f"{folds} or more."
        )
    number, is_held_out = _split(names, seed, folds)
    identity, held_out = np.full(tables.rows, UNKNOWN, np.int64), np.zeros(tables.rows, bool)
    code = encoded.indices.to_numpy()
    identity[place], held_out[place] = number[code], is_held_out[code]
    neighbor, similarity = neighbors_of(tables)
    vectors = vectors_of(tables)
    pairs = sample_pairs(vectors)
    background = (pairs.median, pairs.spread)
    return LabelledSet(tables, neighbor, similarity, vectors, identity, held_out, background, _topk(tables), is_varied)


def _split(names: list[str], seed: int, folds: int) -> tuple[Int64, Bool]:
    """Return a number per identity, and whether it is held out.

    Both follow from the identity's name and the seed alone, whatever the order of rows.
    """
    number = np.array([int.from_bytes(_digest(name)[:8], "big") >> 1 for name in names], np.int64)
    fold = np.array([int.from_bytes(_digest(f"{seed}/{name}")[:8], "big") % folds for name in names])
    # neither side may be left without an identity
    fold[np.argsort(number, kind="stable")[0]] = 0
    fold[np.argsort(number, kind="stable")[1]] = 1
    return number, fold == 0


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _topk(tables: StoredTables) -> Int64 | None:
    """Return the Top-K (N,) of a run that has come so far, else None."""
    is_done = counts_neighbors(tables.config) and len(tables.finished("topk")) == len(row_shards(tables))
    return counts_of(tables) if is_done else None
