"""Conversion of feature files to the Parquet that raycluster reads.

    features, labels  ->  OUTPUT/embeddings/part-*.parquet  id (the row number), embedding (as stored), label
    neighbor lists    ->  OUTPUT/knn/part-*.parquet         row, neighbor, similarity: descending, self first
                          OUTPUT/import.json                the summary, written last: without it nothing is done

Blocks are read, converted and written one by one, so that memory does not grow with the rows. Shapes: N rows, D
dimensions, K entries per list, B rows of a block.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Float32, Int64
from raycluster.errors import InputError
from raycluster.storage import schemas
from raycluster.storage.feature_files import StoredLists, open_features, open_lists, read_labels
from raycluster.storage.object_store import Store
from raycluster.storage.places import plain_url

BLOCK_BYTES = 64 * 2**20
"""Bytes of a block's largest array, and of a Parquet file before compression. Raising it takes more memory."""
FLOAT_BYTES, LIST_BYTES = 4, 16
"""Bytes per coordinate of a vector, and per entry of a neighbor list: id and similarity, and as much while they are sorted."""
SAMPLE_ROWS = 256
"""Rows, evenly chosen, that decide how values of neighbor lists are read. Raising it takes longer at the start."""
TOLERANCE = 0.05
"""Most that the median value may differ from the cosine of the features: approximate indexes differ by some hundredths.
Raising it accepts lists of other features."""
UNFINISHED = "import.unfinished"
"""Mark that an import is under way. It names the files that the import writes, which another one may replace."""
SUMMARY = "import.json"
"""The summary, written last."""
TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp$")
"""Ending of a file that is being written."""
SMALLEST = 1e-30
"""Largest magnitude of a row from which on float32 keeps its digits. Rows below it are stored as float64."""

Reading = Literal["ids", "distance", "similarity"]
"""What the values of neighbor lists are: there are none, or 1 - cosine, or cosine."""


def import_features(
    features: str,
    output: str,
    width: int | None = None,
    labels: str | None = None,
    knn: str | None = None,
    knn_distances: str | None = None,
) -> dict[str, Any]:
    """Convert features, labels and neighbor lists to Parquet and return a summary.

    Parameters
    ----------
    features
        Local .bin file (float32, row after row, no header) or .npy file (N, D).
    output
        Folder or storage URL: empty, or left by an interrupted import, which is replaced.
    width
        D. Needed for .bin, checked for .npy.
    labels
        Local file with one integer per line, or .npy (N,).
    knn
        Local .npz or .npy file of neighbor lists, in one of the layouts of `open_lists`.
    knn_distances
        Local .npy file with the values of the ids in `knn`. Without any values, they are computed from the features.

    Returns
    -------
    dict
        rows, width, labeled, identities, knn (k, values and counts of repairs, or none) and the files written.

    Raises
    ------
    InputError
        With file and row, where a file is missing or has another layout, and where ids are out of range. Also where
        values are neither distances nor similarities.

    Notes
    -----
    Values may be cosine distances or similarities. The entry of a row for itself decides (near 0 or near 1), or else the
    cosines of the features; both must agree with them on a sample of rows. A row becomes its own first neighbor with
    similarity 1. Where lists leave the row itself out, K grows by one. Where a row is missing from its own list only now
    and then, as exact duplicates are, its last neighbor gives way. Equal similarities are ordered by id. Padding and
    repeated ids are dropped and counted. Short lists end in neighbor -1 with similarity -1.
    """
    store = Store(output)
    features = _local(features)
    labels, knn, knn_distances = (path and _local(path) for path in (labels, knn, knn_distances))
    earlier = _unfinished(store)
    if knn_distances and not knn:
        raise InputError("--knn-distances needs --knn with the ids.")
    matrix = open_features(features, width)
    rows = len(matrix)
    identity = None if labels is None else read_labels(labels)
    if identity is not None and len(identity) != rows:
        raise InputError(f"{labels} has {len(identity)} labels, but {features} has {rows} rows.")
    with tempfile.TemporaryDirectory() as folder:
        lists = open_lists(knn, knn_distances, rows, Path(folder)) if knn else None
        reading, has_self = _reading_of(lists, matrix, features) if lists else ("ids", False)
        names = _names(rows, matrix.shape[1], lists.ids.shape[1] + (not has_self) if lists else None)
        store.put(UNFINISHED, json.dumps(sorted({*earlier, *names})).encode())
        for name in earlier:
            store.delete(name)
        written = list(_write_embeddings(store, matrix, identity))
        more, facts = _write_lists(store, lists, matrix, reading, has_self) if lists else ([], None)
    summary = {
        "rows": rows,
        "width": matrix.shape[1],
        "labeled": identity is not None,
        "identities": None if identity is None else len(np.unique(identity)),
        "knn": facts,
        "files": written + more,
    }
    store.put(SUMMARY, json.dumps(summary, indent=2).encode())
    store.delete(UNFINISHED)
    return summary


def _local(path: str) -> str:
    """Return a place as a local path; InputError for an object store."""
    place = plain_url(path)
    if "://" in place:
        raise InputError(f"{path} is no local file; copy it to this machine first.")
    return place


def _unfinished(store: Store) -> list[str]:
    """Return the files that an interrupted import left, by the names on its mark.

    Raises InputError where the folder holds others.
    """
    files = store.files()
    try:
        names = [str(name) for name in json.loads(store.get(UNFINISHED) or b"[]")]
    except ValueError:
        names = []
    foreign = [name for name in files if TEMPORARY.sub("", name) not in (UNFINISHED, SUMMARY, *names)]
    if foreign or (files and UNFINISHED not in files):
        raise InputError(
            f"{store.url} is not empty (it has {[*foreign, *files][0]}); choose another --output or delete it first."
        )
    return [name for name in files if name != UNFINISHED]


def _names(rows: int, width: int, k: int | None) -> list[str]:
    """Return the files that an import writes.

    Parameters
    ----------
    rows, width
        Shape of the features.
    k
        Neighbors per list; none where there are no lists.
    """
    lists = [] if k is None else [f"knn/{name}" for name, _ in _blocks(rows, LIST_BYTES * k)]
    return [*(f"embeddings/{name}" for name, _ in _blocks(rows, FLOAT_BYTES * width)), *lists]


def _cosines(features: Array, index: Int64, ids: Int64) -> Float32:
    """Return cosines (B, K) of rows `index` (B,) with rows `ids` (B, K).

    They are 0 where a vector is zero or not finite: the job that reads the embeddings decides what such a row means.
    """
    result = np.empty(ids.shape, np.float32)
    step = max(1, BLOCK_BYTES // (4 * ids.shape[1] * features.shape[1]))
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        a, b = (np.asarray(features[rows], np.float32) for rows in (index[part, None], ids[part]))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            result[part] = np.einsum("nod,nkd->nk", a, b) / np.linalg.norm(a, axis=2) / np.linalg.norm(b, axis=2)
    return np.nan_to_num(result, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _reading_of(lists: StoredLists, features: Array, name: str) -> tuple[Reading, bool]:
    """Return what the values of lists are, and whether rows are in their own list.

    Raises InputError where the values fit neither reading of the features in the file `name`.
    """
    index = np.unique(np.linspace(0, len(features) - 1, SAMPLE_ROWS).astype(np.int64))
    ids = lists.ids_of(index)
    own = ids == index[:, None]
    has_self = bool(own.any(axis=1).mean() >= 0.5)
    if lists.values is None:
        return "ids", has_self
    values = np.asarray(lists.values[index], np.float64)
    # Of either reading, distance first: the median difference from the cosines, over all entries but a row's own.
    difference = np.abs(_cosines(features, index, ids) - np.stack([1 - values, values]))
    others = (ids >= 0) & ~own
    gaps = np.nanmedian(difference[:, others], axis=1) if others.any() else np.zeros(2)
    if own.any():
        # A row's own entry is 0 as a distance and 1 as a similarity: it excludes the reading that is farther off.
        at_self = np.abs(float(np.nanmedian(values[own])) - np.array([0, 1]))
        gaps = np.where(at_self == at_self.min(), np.maximum(gaps, at_self), np.inf)
    nearer = int(np.argmin(gaps))
    if not gaps[nearer] <= TOLERANCE:  # not, so that NaN is refused as well
        raise InputError(
            f"{lists.path}: values are neither cosine distances nor similarities of {name} (the nearer reading is off by "
            f"{gaps[nearer]:.2g} in the median)."
        )
    return ("similarity" if nearer else "distance"), has_self


def _blocks(rows: int, row_bytes: int) -> Iterator[tuple[str, Int64]]:
    """Yield the file name and the row numbers (B,) of every block."""
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, rows, step):
        yield f"part-{start // step:05d}.parquet", np.arange(start, min(start + step, rows), dtype=np.int64)


def _write_embeddings(store: Store, features: Array, labels: Int64 | None) -> Iterator[str]:
    """Write features and labels; yield the names of the files."""
    fields = [("id", pa.int64()), ("embedding", schemas.vector(pa.float32(), features.shape[1]))]
    schema = pa.schema(fields if labels is None else [*fields, ("label", pa.int64())])
    for name, index in _blocks(len(features), FLOAT_BYTES * features.shape[1]):
        vectors = _as_floats(features[index[0] : index[-1] + 1])
        schema = schema.set(
            1, pa.field("embedding", schemas.vector(pa.from_numpy_dtype(vectors.dtype), vectors.shape[1]))
        )
        columns = {"id": index, "embedding": vectors} | ({} if labels is None else {"label": labels[index]})
        store.put_tables(f"embeddings/{name}", [schemas.from_columns(schema, **columns)])
        yield f"embeddings/{name}"


def _as_floats(vectors: Array) -> Array:
    """Return vectors as float32, or as float64 where a row is beyond its range."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(vectors, np.float32)
    if vectors.dtype.itemsize <= FLOAT_BYTES:
        return narrow
    peak = np.abs(np.asarray(vectors, np.float64)).max(axis=1)
    is_beyond = np.isfinite(peak) & (peak > 0) & ((peak > np.finfo(np.float32).max) | (peak < SMALLEST))
    return np.asarray(vectors, np.float64) if is_beyond.any() else narrow


def _write_lists(
    store: Store, lists: StoredLists, features: Array, reading: Reading, has_self: bool
) -> tuple[list[str], dict[str, Any]]:
    """Write neighbor lists; return the files' names and the summary's facts."""
    k = lists.ids.shape[1] + (not has_self)
    counts = {"padding_dropped": 0, "repeated_dropped": 0, "self_inserted": 0}
    files = []
    for name, index in _blocks(len(features), LIST_BYTES * k):
        ids = lists.ids_of(index)
        similarity = _similarities(lists, features, reading, index, ids)
        counts["padding_dropped"] += int((ids < 0).sum())
        counts["self_inserted"] += int((ids != index[:, None]).all(axis=1).sum())
        neighbor, similarity, repeated = _arranged(ids, similarity, index, k)
        counts["repeated_dropped"] += repeated
        files.append(f"knn/{name}")
        columns = {"row": index, "neighbor": neighbor, "similarity": similarity}
        store.put_tables(files[-1], [schemas.from_columns(schemas.knn(k), **columns)])
    return files, {"k": k, "values": reading, **counts}


def _similarities(lists: StoredLists, features: Array, reading: Reading, index: Int64, ids: Int64) -> Float32:
    """Return similarities (B, K) of rows `index` (B,) with neighbors `ids` (B, K)."""
    if lists.values is None:
        return _cosines(features, index, ids)
    values = np.asarray(lists.values[index], np.float32)
    is_broken = ~np.isfinite(values) & (ids >= 0)
    if is_broken.any():
        row = index[np.argwhere(is_broken)[0, 0]]
        raise InputError(f"{lists.path} row {row} has a neighbor without a finite value.")
    return 1 - values if reading == "distance" else values


def _arranged(ids: Int64, similarity: Float32, index: Int64, k: int) -> tuple[Int64, Float32, int]:
    """Return neighbors and similarities (B, k) in the order of the knn table.

    The order is: the row itself, then by descending similarity, ties by ascending id, then padding. The number
    of repeated ids, which are dropped, comes third.
    """
    by_id = np.argsort(ids, axis=1, kind="stable")
    ids = np.take_along_axis(ids, by_id, axis=1)
    similarity = np.clip(np.take_along_axis(similarity, by_id, axis=1), -1.0, 1.0)
    is_repeated = np.zeros(ids.shape, bool)
    is_repeated[:, 1:] = (ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] >= 0)
    kept = (ids >= 0) & (ids != index[:, None]) & ~is_repeated
    # The sort is stable and ids ascend: so equal similarities stay in the order of their ids.
    best = np.argsort(np.where(kept, -similarity, np.inf), axis=1, kind="stable")[:, : k - 1]
    neighbor = np.take_along_axis(np.where(kept, ids, -1), best, axis=1)
    similarity = np.take_along_axis(np.where(kept, similarity, np.float32(-1)), best, axis=1)
    similarity = np.pad(similarity, ((0, 0), (1, 0)), constant_values=1)
    return np.hstack([index[:, None], neighbor]), similarity, int(is_repeated.sum())
