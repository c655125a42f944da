"""A finished run against true identities: metrics of its labels.

A sweep has the metrics that other thresholds would have given.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Float32, Int32, Int64
from raycluster.errors import InputError
from raycluster.evaluation import metrics
from raycluster.evaluation.groups import hard_cluster_table
from raycluster.evaluation.reliability import reliability
from raycluster.evaluation.truth import read_labels
from raycluster.pipeline.results import Results
from raycluster.pipeline.stages_of import stages_of
from raycluster.pipeline.sweep import communities_at
from raycluster.storage import schemas
from raycluster.storage.run_folder import numbered_rows
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import for_all


def evaluate(
    run: str,
    truth: str,
    *,
    id_column: str = "id",
    label_column: str = "label",
    known_only: bool = False,
    sweep: Sequence[float] = (),
    hard_clusters: bool = False,
) -> dict[str, Any]:
    """Return how well the labels of a finished run agree with true identities.

    Parameters
    ----------
    run
        Run folder, on disk or as s3://bucket/path.
    truth
        Parquet, CSV, TSV or JSON lines with an id and a label column; rows whose label is null are left out.
    id_column, label_column
        Columns of the truth: the run's ids, and the true identity, integers or strings.
    known_only
        Leave out ids of the truth that the run does not have, in place of refusing them.
    sweep
        Limits to evaluate as well, from the stored edges alone: of similarity, eta of a learned score, theta of an early-stop
        recipe without one, or closeness of density peaks.
    hard_clusters
        Add the table of S2: scores by size of identity (sz-1..5) and by its sparsity (sp-1..5).

    Returns
    -------
    dict
        The metrics of `metrics.evaluate`, and `strength`: a table by tenths of it with low, high, rows, mean_strength and
        share_right. That is the share of rows that are of the majority identity of their cluster. Rows whose cluster has no other
        labelled row are left out, as are empty tenths. `sweep` and `hard_clusters` where they are set.

    Raises
    ------
    InputError
        Where the run is not complete, a column is missing, or the truth names ids that the run does not have. Ids that the run
        dropped are left out.
    """
    results = Results.of(run)
    if (sweep or hard_clusters) and results.store.get("plan.json") is None:
        raise InputError(f"{run} is an update and has no tables of stages; a sweep and hard clusters need a full run.")
    table = results.labels(["id", "cluster_id", "strength"])
    row, identity = _matched(truth, id_column, label_column, table["id"], results, known_only)
    predicted = schemas.cluster_ids(table["cluster_id"])
    result: dict[str, Any] = metrics.evaluate(identity, predicted[row])
    result["strength"] = _reliability(identity, predicted[row], table["strength"].to_numpy()[row])
    if sweep or hard_clusters:
        with stages_of(run) as tables:
            if sweep:
                result["sweep"] = [_at(tables, limit, row, identity) for limit in sweep]
            if hard_clusters:
                vectors = tables.column("ingest", "embedding", "float32")
                place = for_all(tables, np.arange(len(vectors)))
                result["hard_clusters"] = hard_cluster_table(identity, predicted[row], vectors[place[row]])
    return result


def _reliability(truth: Int32, predicted: Int64, strength: Float32) -> list[dict[str, float]]:
    right, shared = metrics.majority(truth, predicted)
    names = {"count": "rows", "mean_probability": "mean_strength", "share_same": "share_right"}
    table = reliability(strength[shared], right[shared])
    return [{names.get(name, name): value for name, value in line.items()} for line in table]


def _matched(
    truth: str, id_column: str, label_column: str, ids: pa.ChunkedArray, results: Results, known_only: bool
) -> tuple[Int64, Int32]:
    """Return the row in the run and the identity number of every labelled row."""
    keys, labels = read_labels(truth, id_column, label_column, ids.type, numbered_rows(results.store))
    row = pc.index_in(keys, value_set=ids.combine_chunks())
    missing = keys.filter(pc.is_null(row))
    if len(missing) and not known_only:
        left_out = results.table("dropped.parquet")
        dropped = set() if left_out is None else set(left_out["id"].to_pylist())
        unknown = [key for key in missing.to_pylist() if key not in dropped]
        if unknown:
            raise InputError(
                f"{truth}, column '{id_column}': {len(unknown)} ids are not in the run, the first is {unknown[0]!r}; "
                "--known-only leaves them out."
            )
    is_present = pc.is_valid(row)
    if not pc.any(is_present).as_py():
        raise InputError(f"{truth} labels only rows that the run dropped or does not have.")
    codes = pc.dictionary_encode(labels.filter(is_present).combine_chunks()).indices.to_numpy()
    return row.filter(is_present).to_numpy().astype("int64"), codes


def _at(tables: StoredTables, limit: float, row: Int64, truth: Int32) -> dict[str, Any]:
    """Return the metrics that another limit gives on the stored edges."""
    community, num_edges = communities_at(tables, limit)
    return {"threshold": limit, "edges": num_edges, **metrics.evaluate(truth, community[row])}
