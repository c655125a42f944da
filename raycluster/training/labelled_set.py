"""A labelled set as training sees it: its neighbor table, true identities, and which identities are held out."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from raycluster.arrays import Bool, Float32, Int32, Int64, Vectors
from raycluster.errors import InputError
from raycluster.evaluation.truth import UNKNOWN, labelled_rows
from raycluster.limits.far_ranks import sample_pairs
from raycluster.models.set_statistics import SetStatistics
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import neighbors_of
from raycluster.stages.topk import counts_of
from raycluster.storage.tables import StoredTables


@dataclass
class LabelledSet:
    """Arrays of all N rows of one training set; those of N x K or N x D entries are memory maps."""

    tables: StoredTables
    neighbor: Int32
    """(N, K), self at rank 0, -1 where a list is short."""
    similarity: Float32
    vectors: Vectors
    identity: Int64
    """(N,) a number for every true identity, -1 where the label is null: such a row is a neighbor, never a sample."""
    held_out: Bool
    """(N,) rows of identities that the networks are not shown the labels of."""
    background: tuple[float, float]
    """Mean and spread of the cosines of random pairs."""
    topk: Int64 | None = None
    """(N,) trusted neighbors, once the adaptive filter has told them."""
    varied: bool = False
    """Whether it is one of `training.varied`, which all together weigh in a batch as much as the others."""
    size: Int64 = field(init=False)
    """(N,) rows of a row's identity; 0 where it is unknown."""

    def __post_init__(self) -> None:
        _, code, count = np.unique(self.identity, return_inverse=True, return_counts=True)
        self.size = np.where(self.identity == UNKNOWN, 0, count[code])

    @cached_property
    def statistics(self) -> SetStatistics:
        """Statistics that the form relative reads of the set."""
        return SetStatistics.measure(self.neighbor, self.similarity, self.vectors)

    def same(self, rows: npt.NDArray[np.integer]) -> Bool:
        """Which neighbors (B, K) of labelled rows are of the row's identity, self included."""
        ids = self.neighbor[rows]
        return (self.identity[ids] == self.identity[rows][:, None]) & (ids >= 0)

    def others(self, rows: npt.NDArray[np.integer]) -> Bool:
        """Which neighbors (B, K) there are, self apart."""
        there = self.neighbor[rows] >= 0
        there[:, 0] = False
        return there

    def known(self, rows: npt.NDArray[np.integer], held_out: bool) -> Bool:
        """Which pairs (B, K) may be learned from, or with `held_out` be judged by: no self, no unknown label, and no
        held-out identity's label in training."""
        ids = self.neighbor[rows]
        usable = self.others(rows) & (self.identity[ids] != UNKNOWN)
        return usable if held_out else usable & ~self.held_out[ids]

    def anchors(self, held_out: bool) -> Int64:
        """Labelled rows that are held out, or those to train on."""
        return np.flatnonzero((self.identity != UNKNOWN) & (self.held_out == held_out))

    def chunks(self, rows: Int64, size: int = 65536) -> Iterator[Int64]:
        """`rows` in parts, to bound what is gathered at once."""
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def open_set(tables: StoredTables, label_column: str, seed: int, folds: int, varied: bool = False) -> LabelledSet:
    """Return the labelled set of a run whose neighbors have been searched; `varied` as `LabelledSet` has it.

    Raises InputError where labels are missing, all the same, or fewer identities than `folds`.
    """
    place, encoded = labelled_rows(tables, label_column)
    names = encoded.dictionary.to_pylist()
    if len(names) < folds:
        what = "all rows the same identity" if len(names) == 1 else f"only {len(names)} identities"
        raise InputError(
            f"{tables.name}, column '{label_column}' gives {what}; training holds out one of {folds} parts of them and needs "
            f"{folds} or more."
        )
    number = np.array([int.from_bytes(_digest(name)[:8], "big") >> 1 for name in names], np.int64)
    fold = np.array([int.from_bytes(_digest(f"{seed}/{name}")[:8], "big") % folds for name in names])
    fold[np.argsort(number, kind="stable")[0]] = 0  # neither side may be left without an identity
    fold[np.argsort(number, kind="stable")[1]] = 1
    identity, held_out = np.full(tables.rows, UNKNOWN, np.int64), np.zeros(tables.rows, bool)
    code = encoded.indices.to_numpy()
    identity[place], held_out[place] = number[code], (fold == 0)[code]
    neighbor, similarity = neighbors_of(tables)
    vectors = vectors_of(tables)
    pairs = sample_pairs(vectors)
    background = (pairs.median, pairs.spread)
    return LabelledSet(tables, neighbor, similarity, vectors, identity, held_out, background, counts_of(tables), varied)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
