"""What changed between two runs, by the rows that both have."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from raycluster.arrays import Int64
from raycluster.errors import InputError
from raycluster.pipeline.results import Results
from raycluster.storage import schemas
from raycluster.storage.column_types import common_id_type

KINDS = ("same", "grown", "shrunk", "split", "merged", "regrouped", "new", "gone")


@dataclass(frozen=True)
class Difference:
    """Clusters of two runs by what became of them, and rows that moved."""

    clusters: dict[str, int]
    """Number of clusters of each of `KINDS`."""
    rows_moved: int
    """Rows of both runs that lie with other rows than before."""
    rows_common: int
    rows_new: int
    rows_gone: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


def diff(before: str, after: str) -> Difference:
    """Compare two finished runs.

    A cluster is same when its rows are; grown or shrunk when only new or gone rows differ; split when its surviving rows lie in
    several clusters that hold no others of both runs; merged when it joined others whole; regrouped when both happened; new or
    gone when none of its rows is in the other run. Raises InputError where ids are of different types.
    """
    old, new = (Results.of(url).labels(["id", "cluster_id"]) for url in (before, after))
    kind = common_id_type(old["id"].type, new["id"].type)
    if kind is None:
        raise InputError(f"Ids of {before} are {old['id'].type}, those of {after} are {new['id'].type}.")
    place = pc.index_in(old["id"].cast(kind), value_set=new["id"].cast(kind).combine_chunks())
    is_common = np.asarray(pc.is_valid(place))
    row = place.drop_null().to_numpy()
    was, now = schemas.cluster_ids(old["cluster_id"]), schemas.cluster_ids(new["cluster_id"])
    return compare(was, now, np.flatnonzero(is_common), row)


def compare(was: Int64, now: Int64, old_row: Int64, new_row: Int64) -> Difference:
    """Compare two partitions, clusters (N,) and (M,).

    The rows (C,) of both arguments are the same rows.

    Parameters
    ----------
    was, now : int64 (N,), (M,)
        Clusters before and after, numbered from 0.
    old_row, new_row : int64 (C,)
        Where the rows that are in both partitions stand before and after.
    """
    pairs, count = np.unique(np.stack([was[old_row], now[new_row]]), axis=1, return_counts=True)
    old_size, new_size = (np.bincount(clusters, minlength=1) for clusters in (was, now))
    parts = np.bincount(pairs[0], minlength=len(old_size))
    sources = np.bincount(pairs[1], minlength=len(new_size))
    kinds = dict.fromkeys(KINDS, 0)
    kinds["gone"] = int(np.count_nonzero((parts == 0) & (old_size > 0)))
    kinds["new"] = int(np.count_nonzero((sources == 0) & (new_size > 0)))
    one_to_one = (parts[pairs[0]] == 1) & (sources[pairs[1]] == 1)
    shrunk = old_size[pairs[0]] > count
    grown = new_size[pairs[1]] > count
    kinds["same"] = int(np.count_nonzero(one_to_one & ~shrunk & ~grown))
    kinds["grown"] = int(np.count_nonzero(one_to_one & grown))
    kinds["shrunk"] = int(np.count_nonzero(one_to_one & shrunk & ~grown))
    several = np.zeros(len(old_size), bool)
    joined = np.zeros(len(old_size), bool)
    np.logical_or.at(several, pairs[0], parts[pairs[0]] > 1)
    np.logical_or.at(joined, pairs[0], sources[pairs[1]] > 1)
    kinds["split"] = int(np.count_nonzero(several & ~joined))
    kinds["merged"] = int(np.count_nonzero(joined & ~several))
    kinds["regrouped"] = int(np.count_nonzero(joined & several))
    # Rows stay where the largest part of their old cluster makes the largest part of their new one; ties to the lower number.
    order = np.lexsort((pairs[1], pairs[0], -count))
    is_largest = np.zeros((2, len(count)), bool)
    for side in (0, 1):
        _, first = np.unique(pairs[side][order], return_index=True)
        is_largest[side, order[first]] = True
    moved = int(count[~is_largest.all(axis=0)].sum())
    return Difference(kinds, moved, len(old_row), len(now) - len(new_row), len(was) - len(old_row))
