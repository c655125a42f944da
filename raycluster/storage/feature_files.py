"""Features, labels and neighbor lists in the formats of published face clustering code, as Parquet.

    features, labels  ->  OUTPUT/embeddings/part-*.parquet  id (the row number), embedding (as stored), label
    neighbor lists    ->  OUTPUT/knn/part-*.parquet         row, neighbor, similarity: descending, self first
                          OUTPUT/import.json                the summary, written last: without it nothing is done

Everything is memory-mapped and written in blocks, so memory does not grow with the rows.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Floats, Ints
from raycluster.errors import InputError
from raycluster.storage import schemas
from raycluster.storage.object_store import Store

_PART_BYTES = 64 * 2**20
_SAMPLE_ROWS = 256
_UNFINISHED = "import.unfinished"
_TOLERANCE = 0.05  # of a stored value against the cosine of the features, as approximate indexes are


@dataclass(frozen=True)
class ImportArgs:
    """Convert features, labels and neighbor lists of the common research formats to Parquet."""

    features: str
    """Local file: .bin (float32, row after row, no header) or .npy (rows x width)."""
    output: str
    """Directory or storage URL to write to: empty, or left by an interrupted import, which is replaced."""
    width: int | None = None
    """Dimensions of a feature; needed for .bin, checked for .npy."""
    labels: str | None = None
    """Local file: one integer a line (.meta, .txt), or .npy."""
    knn: str | None = None
    """Local file: .npz or .npy of ids and values (rows x 2 x K) or of ids; .npz of an ids and a values array."""
    knn_distances: str | None = None
    """Local .npy with the values that belong to the ids of --knn; without it they are computed from the features."""


@dataclass(frozen=True)
class _Lists:
    """Neighbor lists as stored: ids (rows, K), -1 where padded, perhaps as floats; distances or similarities, or none."""

    path: str
    ids: Array
    values: Array | None


def import_features(args: ImportArgs) -> dict[str, object]:
    """Convert the files and return what was found: rows, width, labeled, identities, knn (or none), files written.

    Values of neighbor lists may be cosine distances or similarities: the entry of a row for itself tells which (near 0
    or near 1), or else the cosines of the features, with which the values must agree on a sample of rows. A row becomes
    its own first neighbor with similarity 1: where the lists leave the row itself out, K grows by one; where a row is
    missing from its own list only now and then (exact duplicates), its last neighbor gives way. Equal similarities are
    ordered by id. Padding and repeated ids are dropped and counted; short lists end in neighbor -1, similarity -1.
    An .npz file is unpacked to the temporary directory first.

    Raises InputError, naming the file and the row, if a file is absent, has another layout, shape or length than it
    should, holds pickled objects, ids that are out of range, or values that fit neither reading.
    """
    store = Store(args.output)
    found = store.files()
    if found and _UNFINISHED not in found:
        raise InputError(f"{store.url} is not empty; choose another --output or delete it first.")
    if args.knn_distances and not args.knn:
        raise InputError("--knn-distances needs --knn with the ids.")
    features = _open_features(args.features, args.width)
    rows, width = features.shape
    labels = None if args.labels is None else _read_labels(args.labels)
    if labels is not None and len(labels) != rows:
        raise InputError(f"{args.labels} has {len(labels)} labels, but {args.features} has {rows} rows.")
    with tempfile.TemporaryDirectory() as scratch:
        lists = _open_lists(args.knn, args.knn_distances, rows, Path(scratch)) if args.knn else None
        kind, has_self = _read_kind(lists, features, args.features) if lists else ("", False)
        store.put(_UNFINISHED, b"")
        store.delete("embeddings")
        store.delete("knn")
        files = list(_write_embeddings(store, features, labels))
        more, knn = _write_lists(store, lists, features, kind, has_self) if lists else ([], None)
    identities = None if labels is None else len(np.unique(labels))
    summary = {"rows": rows, "width": width, "labeled": labels is not None, "identities": identities, "knn": knn}
    summary["files"] = files + more
    store.put("import.json", json.dumps(summary, indent=2).encode())
    store.delete(_UNFINISHED)
    return summary


def _open_array(path: Path, name: str) -> Array:
    """The array of an .npy file, memory-mapped; `name` stands for it in messages."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist.") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{name} is no plain NumPy array: {' '.join(str(error).split()).rstrip('.')}.") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold one array of plain numbers.")
    return array


def _open_features(path: str, width: int | None) -> Array:
    """Features (rows, width), memory-mapped, of the type they are stored in."""
    if path.endswith(".npy"):
        features = _open_array(Path(path), path)
        if features.ndim != 2 or features.dtype.kind != "f":
            raise InputError(f"{path} must hold a 2-d array of floats, not {features.ndim}-d {features.dtype}.")
        if width not in (None, features.shape[1]):
            raise InputError(f"{path} has width {features.shape[1]}, not the {width} of --width.")
    elif path.endswith(".bin"):
        if not Path(path).is_file():
            raise InputError(f"{path} does not exist.")
        if width is None or width < 1:
            raise InputError(f"{path} has no header: --width must give its dimensions.")
        size = Path(path).stat().st_size
        if size == 0 or size % (4 * width):
            raise InputError(f"{path} has {size} bytes, which are no whole rows of --width {width} (4 bytes a number).")
        features = np.memmap(path, np.dtype("<f4"), "r").reshape(-1, width)
    else:
        raise InputError(f"{path} must end in .bin or .npy.")
    if not features.size:
        raise InputError(f"{path} holds no features.")
    return features


def _read_labels(path: str) -> Ints:
    """Labels int64 (rows,)."""
    if Path(path).suffix == ".npy":
        array = _open_array(Path(path), path)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise InputError(f"{path} must hold a 1-d array of integers, not {array.ndim}-d {array.dtype}.")
        return array.astype(np.int64)
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    labels = np.empty(len(lines), np.int64)
    for row, line in enumerate(lines):
        try:
            labels[row] = int(line)
        except (ValueError, OverflowError):
            raise InputError(f"{path} line {row + 1} is {line[:40]!r}, but must be one integer of 64 bits.") from None
    return labels


def _open_lists(path: str, distances: str | None, rows: int, scratch: Path) -> _Lists:
    """The neighbor lists of `path` and perhaps their values of another file, checked for shape and type."""
    arrays = _unpack(path, scratch) if path.endswith(".npz") else [_open_array(Path(path), path)]
    if distances is not None:
        arrays.append(_open_array(Path(distances), distances))
    shapes = [array.shape for array in arrays]
    arrays.sort(key=lambda array: array.dtype.kind == "f")
    values: Array | None = None
    if len(arrays) == 1 and len(shapes[0]) == 3 and shapes[0][1] == 2:
        ids, values = arrays[0][:, 0], arrays[0][:, 1]
    elif len(arrays) == 2 and shapes[0] == shapes[1] and len(shapes[0]) == 2 and arrays[1].dtype.kind == "f":
        ids, values = arrays
    elif len(arrays) == 1 and len(shapes[0]) == 2:
        ids = arrays[0]
    else:
        wanted = "rows x 2 x K (ids, values), or ids rows x K with or without values of the same shape"
        raise InputError(f"{path} must hold {wanted}, not {' and '.join(map(str, shapes))}.")
    if len(ids) != rows or not ids.size:
        raise InputError(f"{path} holds {len(ids)} lists of {ids.shape[1]} neighbors, but there are {rows} rows.")
    exact = 2 ** (np.finfo(ids.dtype).nmant + 1) if ids.dtype.kind == "f" else 2**31 - 1
    if rows > exact:
        raise InputError(f"{path} has {rows} rows, but ids of type {ids.dtype} are exact to {exact} only.")
    return _Lists(path, ids, values)


def _unpack(path: str, scratch: Path) -> list[Array]:
    """The arrays of an .npz file, memory-mapped from copies below `scratch`: in the archive they are compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [_open_array(Path(archive.extract(n, scratch)), f"{path}:{n}") for n in sorted(archive.namelist())]
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz file: {error}.") from error


def _checked_ids(lists: _Lists, index: Ints) -> Ints:
    """Ids int64 (n, K) of the rows `index`, -1 where padded."""
    stored = np.asarray(lists.ids[index])
    wrong = ~((stored >= -1) & (stored < len(lists.ids)))
    if stored.dtype.kind == "f":
        wrong |= stored != np.rint(stored)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        named = f"names neighbor {stored[row, column]:.17g}, but ids are 0 .. {len(lists.ids) - 1}, or -1 for padding"
        raise InputError(f"{lists.path} row {index[row]} {named}.")
    return stored.astype(np.int64)


def _cosines(features: Array, index: Ints, ids: Ints) -> Floats:
    """Cosines float32 (n, K) of rows `index` (n,) with rows `ids` (n, K); 0 where a vector is zero or not finite."""
    result = np.empty(ids.shape, np.float32)
    step = max(1, _PART_BYTES // (4 * ids.shape[1] * features.shape[1]))
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        a, b = (np.asarray(features[rows], np.float32) for rows in (index[part, None], ids[part]))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            result[part] = np.einsum("nod,nkd->nk", a, b) / np.linalg.norm(a, axis=2) / np.linalg.norm(b, axis=2)
    return np.nan_to_num(result, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _read_kind(lists: _Lists, features: Array, name: str) -> tuple[str, bool]:
    """What the values are ("distance", "similarity", or "ids" for none), and whether a row is in its own list."""
    index = np.unique(np.linspace(0, len(features) - 1, _SAMPLE_ROWS).astype(np.int64))
    ids = _checked_ids(lists, index)
    own = ids == index[:, None]
    has_self = bool(own.any(axis=1).mean() >= 0.5)
    if lists.values is None:
        return "ids", has_self
    values = np.asarray(lists.values[index], np.float64)
    off = np.abs(_cosines(features, index, ids) - np.stack([1 - values, values]))
    others = (ids >= 0) & ~own
    gaps = np.nanmedian(off[:, others], axis=1) if others.any() else np.zeros(2)
    if own.any():
        at_self = np.abs(float(np.nanmedian(values[own])) - np.array([0, 1]))
        gaps = np.where(at_self == at_self.min(), np.maximum(gaps, at_self), np.inf)
    kind = int(np.argmin(gaps))
    if not gaps[kind] <= _TOLERANCE:
        fit = f"the nearer reading is off by {gaps[kind]:.2g} in the median"
        raise InputError(f"{lists.path}: values are neither cosine distances nor similarities of {name} ({fit}).")
    return ("distance", "similarity")[kind], has_self


def _parts(rows: int, row_bytes: int) -> Iterator[tuple[str, Ints]]:
    """The file name and the row numbers of each block that `_PART_BYTES` hold."""
    step = max(1, _PART_BYTES // row_bytes)
    for start in range(0, rows, step):
        yield f"part-{start // step:05d}.parquet", np.arange(start, min(start + step, rows), dtype=np.int64)


def _write_embeddings(store: Store, features: Array, labels: Ints | None) -> Iterator[str]:
    fields = [("id", pa.int64()), ("embedding", schemas.vector(pa.float32(), features.shape[1]))]
    schema = pa.schema(fields if labels is None else [*fields, ("label", pa.int64())])
    for name, index in _parts(len(features), 4 * features.shape[1]):
        vectors = np.asarray(features[index[0] : index[-1] + 1], np.float32)
        columns = {"id": index, "embedding": vectors} | ({} if labels is None else {"label": labels[index]})
        store.put_tables(f"embeddings/{name}", [schemas.from_columns(schema, **columns)])
        yield f"embeddings/{name}"


def _write_lists(store: Store, lists: _Lists, features: Array, kind: str, has_self: bool) -> tuple[list[str], Any]:
    """Write the lists; returns the file names and what the summary says of them."""
    k = lists.ids.shape[1] + (not has_self)
    counts = {"padding_dropped": 0, "repeated_dropped": 0, "self_inserted": 0}
    files = []
    for name, index in _parts(len(features), 16 * k):
        ids = _checked_ids(lists, index)
        if lists.values is None:
            similarity = _cosines(features, index, ids)
        else:
            values = np.asarray(lists.values[index], np.float32)
            similarity = 1 - values if kind == "distance" else values
        broken = ~np.isfinite(similarity) & (ids >= 0)
        if broken.any():
            raise InputError(
                f"{lists.path} row {index[np.argwhere(broken)[0, 0]]} has a neighbor without a finite value."
            )
        counts["padding_dropped"] += int((ids < 0).sum())
        counts["self_inserted"] += int((ids != index[:, None]).all(axis=1).sum())
        neighbor, similarity, repeated = _arrange(ids, similarity, index, k)
        counts["repeated_dropped"] += repeated
        table = schemas.from_columns(schemas.knn(k), row=index, neighbor=neighbor, similarity=similarity)
        files.append(f"knn/{name}")
        store.put_tables(files[-1], [table])
    return files, {"k": k, "values": kind, **counts}


def _arrange(ids: Ints, similarity: Floats, index: Ints, k: int) -> tuple[Ints, Floats, int]:
    """Neighbors and similarities (n, k) in the order the knn table keeps, and how many repeated ids were dropped."""
    by_id = np.argsort(ids, axis=1, kind="stable")
    ids = np.take_along_axis(ids, by_id, axis=1)
    similarity = np.clip(np.take_along_axis(similarity, by_id, axis=1), -1.0, 1.0)
    repeated = np.zeros(ids.shape, bool)
    repeated[:, 1:] = (ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] >= 0)
    kept = (ids >= 0) & (ids != index[:, None]) & ~repeated
    best = np.argsort(np.where(kept, -similarity, np.inf), axis=1, kind="stable")[:, : k - 1]
    neighbor = np.take_along_axis(np.where(kept, ids, -1), best, axis=1)
    similarity = np.take_along_axis(np.where(kept, similarity, np.float32(-1)), best, axis=1)
    similarity = np.pad(similarity, ((0, 0), (1, 0)), constant_values=1)
    return np.hstack([index[:, None], neighbor]), similarity, int(repeated.sum())
