"""A finished run against true identities: metrics of its labels, and of what other thresholds would have given."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster.arrays import Float32, Int32, Int64
from raycluster.errors import InputError
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import reliability
from raycluster.evaluation.truth import read_labels
from raycluster.pipeline.run import open_run
from raycluster.pipeline.sweep import communities_at
from raycluster.storage import node_cache
from raycluster.storage.object_store import Store
from raycluster.storage.tables import StoredTables


@dataclass(frozen=True)
class EvaluateArgs:
    """Compare a finished run with true identities."""

    run: str
    """Run folder of jobs/cluster.py, on disk or as s3://bucket/path."""
    truth: str
    """Parquet with an id and a label column; rows whose label is null are left out."""
    id_column: str = "id"
    """Column with the ids the run was made with."""
    label_column: str = "label"
    """Column with the true identity, integers or strings."""
    json: str | None = None
    """File or URL to write the printed JSON to as well."""
    sweep: tuple[float, ...] = ()
    """Thresholds to evaluate as well, from the stored edges alone: of similarity, or eta of a learned score, or theta of
    an early-stop recipe without one, or closeness of density peaks."""
    hard_clusters: bool = False
    """Add the table of S2: scores by size of identity (sz-1..5) and by its sparsity (sp-1..5)."""


def evaluate(args: EvaluateArgs) -> dict[str, Any]:
    """The metrics of `metrics.evaluate` and the reliability of strengths, with `sweep` and `hard_clusters` where
    asked for.

    `strength` is a table by tenths of it: low, high, rows, mean_strength, and share_right, the share of rows that are of the
    majority identity of their cluster (`metrics.majority`). Rows whose cluster has no other labelled row tell nothing and
    are left out, as are empty tenths.

    Raises InputError where the run is not complete, a column is missing, or the truth names ids the run does not have;
    ids that the run dropped are left out.
    """
    store = Store(args.run)
    manifest = store.get("MANIFEST.json")
    if manifest is None:
        raise InputError(f"{args.run} holds no finished run: there is no MANIFEST.json.")
    parts = json.loads(manifest)["labels"]
    columns = ["id", "cluster_id", "strength"]
    table = pa.concat_tables([store.get_table(part["path"], part["sha256"], columns) for part in parts])
    row, truth = _matched(args, table["id"], store)
    predicted = table["cluster_id"].to_numpy()
    result: dict[str, Any] = metrics.evaluate(truth, predicted[row])
    result["strength"] = _reliability(truth, predicted[row], table["strength"].to_numpy()[row])
    if args.sweep or args.hard_clusters:
        tables = open_run(args.run)
        try:
            if args.sweep:
                result["sweep"] = [_at(tables, limit, row, truth) for limit in args.sweep]
            if args.hard_clusters:
                vectors = tables.column("ingest", "embedding", "float32")
                result["hard_clusters"] = metrics.hard_cluster_table(truth, predicted[row], vectors[row])
        finally:
            node_cache.remove(tables.folder)
    if args.json:
        folder, _, name = args.json.rpartition("/")
        Store(folder or ".").put(name, json.dumps(result, indent=2).encode())
    return result


def _reliability(truth: Int32, predicted: Int64, strength: Float32) -> list[dict[str, float]]:
    right, shared = metrics.majority(truth, predicted)
    names = {"count": "rows", "mean_probability": "mean_strength", "share_same": "share_right"}
    table = reliability(strength[shared], right[shared])
    return [{names.get(name, name): value for name, value in line.items()} for line in table]


def _matched(args: EvaluateArgs, ids: pa.ChunkedArray, store: Store) -> tuple[Int64, Int32]:
    """For every labelled row of the truth, its row in the run and its true identity as a number."""
    keys, values = read_labels(args.truth, args.id_column, args.label_column, ids.type)
    row = pc.index_in(keys, value_set=ids.combine_chunks())
    return _without_dropped(args, keys, values, row, store)


def _without_dropped(
    args: EvaluateArgs, keys: pa.ChunkedArray, values: pa.ChunkedArray, row: pa.ChunkedArray, store: Store
) -> tuple[Int64, Int32]:
    missing = keys.filter(pc.is_null(row))
    if len(missing):
        data = store.get("dropped.parquet")
        dropped = set() if data is None else set(pq.read_table(pa.BufferReader(data))["id"].to_pylist())
        unknown = [key for key in missing.to_pylist() if key not in dropped]
        if unknown:
            raise InputError(
                f"{args.truth}, column '{args.id_column}': {len(unknown)} ids are not in the run, "
                f"the first is {unknown[0]!r}."
            )
    known = pc.is_valid(row)
    if not pc.any(known).as_py():
        raise InputError(f"{args.truth} labels only rows that the run dropped.")
    codes = pc.dictionary_encode(values.filter(known).combine_chunks()).indices.to_numpy()
    return row.filter(known).to_numpy().astype("int64"), codes


def _at(tables: StoredTables, limit: float, row: Int64, truth: Int32) -> dict[str, Any]:
    """Return the metrics of the partition that another limit gives on the stored edges."""
    community, num_edges = communities_at(tables, limit)
    return {"threshold": limit, "edges": num_edges, **metrics.evaluate(truth, community[row])}
