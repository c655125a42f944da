"""Features, labels and neighbor lists in the formats of published face clustering code, as Parquet that this package reads.

    X.bin or X.npy + labels  ->  OUTPUT/embeddings/part-*.parquet   id (the row number), embedding (as stored), label
    neighbor lists           ->  OUTPUT/knn/part-*.parquet          row, neighbor, similarity: descending, self first
                                 OUTPUT/import.json                 the summary, written last: without it nothing is done

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
import numpy.typing as npt
import pyarrow as pa

from raycluster import schemas
from raycluster.errors import InputError
from raycluster.store import Store

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_PART_BYTES = 128 * 2**20
_SAMPLE_ROWS = 256
_TOLERANCE = 0.05  # of a stored value against the cosine of the features, as approximate indexes are


@dataclass(frozen=True)
class ImportArgs:
    """Convert features, labels and neighbor lists of the common research formats to Parquet."""

    features: str
    """Local file: .bin (float32, row after row, no header) or .npy (rows x width)."""
    output: str
    """Directory or storage URL to write to; must hold no earlier import."""
    width: int | None = None
    """Dimensions of a feature; needed for .bin, checked for .npy."""
    labels: str | None = None
    """Local file: one integer a line (.meta, .txt), or .npy."""
    knn: str | None = None
    """Local file: .npz with `data` (rows x 2 x K: ids, values) or an ids and a values array; or .npy of ids."""
    knn_distances: str | None = None
    """Local .npy with the values that belong to the ids of --knn; without it they are computed from the features."""


@dataclass(frozen=True)
class _Lists:
    """Neighbor lists as stored."""

    path: str
    ids: Array
    """Integers, or floats that hold integers (rows, K); -1 is padding."""
    values: Array | None
    """Distances or similarities (rows, K); none where only ids are stored."""


def import_features(args: ImportArgs) -> dict[str, object]:
    """Convert the files and return what was found: rows, width, labeled, identities, knn (or none) and the files written.

    Stored values of neighbor lists may be cosine distances or similarities: the entry of a row for itself tells which
    (near 0 or near 1); where there is none, the cosines of the features do. Both must agree with the features. A row
    becomes its own first neighbor with similarity 1. Where the lists leave the row itself out, K grows by one; where a
    row is missing from its own list only now and then (exact duplicates), its last neighbor gives way. Padding and
    repeated ids are dropped and counted; short lists end in neighbor -1, similarity -1. Equal similarities are ordered by
    id. An .npz file is unpacked to the temporary directory first.

    Raises InputError, naming the file and the row, if a file is absent, has another layout, shape or length than it
    should, holds pickled objects, ids that are out of range, or values that fit neither reading.
    """
    store = Store(args.output)
    if store.files():
        raise InputError(f"{store.url} is not empty; choose another --output or delete it first.")
    features = _open_features(args.features, args.width)
    rows, width = features.shape
    labels = None if args.labels is None else _read_labels(args.labels)
    if labels is not None and len(labels) != rows:
        raise InputError(f"{args.labels} has {len(labels)} labels, but {args.features} has {rows} rows.")
    with tempfile.TemporaryDirectory() as scratch:
        lists = _open_lists(args, rows, Path(scratch))
        reading = None if lists is None else _read_kind(lists, features, args.features)
        files = list(_write_embeddings(store, features, labels))
        knn = None
        if lists is not None and reading is not None:
            names, knn = _write_lists(store, lists, features, *reading)
            files += names
    summary: dict[str, object] = {
        "rows": rows,
        "width": width,
        "labeled": labels is not None,
        "identities": None if labels is None else len(np.unique(labels)),
        "knn": knn,
        "files": files,
    }
    store.put("import.json", json.dumps(summary, indent=2).encode())
    return summary


def _open_array(path: Path, name: str) -> Array:
    """The array of an .npy file, memory-mapped; `name` stands for it in messages."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist.") from None
    except (ValueError, EOFError, OSError) as error:
        reason = f"it is no NumPy file, is cut short, or holds pickled objects ({error})"
        raise InputError(f"{name} cannot be read: {reason}; save plain numbers with numpy.save.") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold one array of plain numbers.")
    return array


def _open_features(path: str, width: int | None) -> Array:
    """Features (rows, width), memory-mapped, of the type they are stored in."""
    suffix = Path(path).suffix
    if width is not None and width < 1:
        raise InputError(f"--width is {width}, but must be at least 1.")
    if suffix == ".npy":
        features = _open_array(Path(path), path)
        if features.ndim != 2 or features.dtype.kind != "f":
            raise InputError(f"{path} must hold a 2-d array of floats, not {features.ndim}-d {features.dtype}.")
        if width not in (None, features.shape[1]):
            raise InputError(f"{path} has width {features.shape[1]}, not the {width} of --width.")
    elif suffix == ".bin":
        if not Path(path).is_file():
            raise InputError(f"{path} does not exist.")
        if width is None:
            raise InputError(f"{path} has no header; give its --width.")
        size = Path(path).stat().st_size
        if size % (4 * width):
            raise InputError(f"{path} has {size} bytes, which are no whole rows of --width {width} (4 bytes a number).")
        features = np.memmap(path, np.dtype("<f4"), "r").reshape(-1, width) if size else np.empty((0, width), "<f4")
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


def _open_lists(args: ImportArgs, rows: int, scratch: Path) -> _Lists | None:
    """The neighbor lists the arguments name, checked for shape and type."""
    if args.knn is None or Path(args.knn).suffix not in (".npz", ".npy"):
        if args.knn is not None:
            raise InputError(f"{args.knn} must end in .npz or .npy.")
        if args.knn_distances is not None:
            raise InputError("--knn-distances needs --knn with the ids.")
        return None
    if Path(args.knn).suffix == ".npz":
        arrays = _unpack(args.knn, scratch)
    else:
        arrays = [_open_array(Path(args.knn), args.knn)]
    shapes = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
    values: Array | None = None
    if args.knn_distances is not None and [array.ndim for array in arrays] != [2]:
        raise InputError(f"{args.knn} must hold one 2-d array of ids to go with --knn-distances, not {shapes}.")
    if len(arrays) == 1 and arrays[0].ndim == 3 and arrays[0].shape[1] == 2:
        ids, values = arrays[0][:, 0], arrays[0][:, 1]
    elif [array.ndim for array in arrays] == [2]:
        ids = arrays[0]
        values = None if args.knn_distances is None else _open_array(Path(args.knn_distances), args.knn_distances)
    elif [array.ndim for array in arrays] == [2, 2] and {a.dtype.kind for a in arrays} in ({"i", "f"}, {"u", "f"}):
        values, ids = sorted(arrays, key=lambda array: array.dtype.kind != "f")
    else:
        raise InputError(f"{args.knn} must hold rows x 2 x K (ids, values), or integer ids and float values, not {shapes}.")
    if len(ids) != rows or not ids.size:
        raise InputError(f"{args.knn} has {len(ids)} lists of {ids.shape[1]} neighbors, but {args.features} has {rows} rows.")
    if values is not None and values.shape != ids.shape:
        raise InputError(f"{args.knn_distances or args.knn}: values {values.shape} do not fit the ids {ids.shape}.")
    exact = 2 ** (np.finfo(ids.dtype).nmant + 1) if ids.dtype.kind == "f" else 2**31 - 1
    if rows > exact:
        raise InputError(f"{args.knn} stores ids as {ids.dtype}, which is exact to {exact} only, but there are {rows} rows.")
    return _Lists(args.knn, ids, values)


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
        limits = f"but ids are 0 .. {len(lists.ids) - 1}, or -1 for padding"
        raise InputError(f"{lists.path} row {index[row]} names neighbor {stored[row, column]:.17g}, {limits}.")
    return stored.astype(np.int64)


def _cosines(features: Array, index: Ints, ids: Ints) -> Floats:
    """Cosines float32 (n, K) of the features of rows `index` (n,) with those of `ids` (n, K); 0 for a zero vector."""

    def unit(rows: Ints) -> Floats:
        vectors = np.asarray(features[rows], np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(np.float32).tiny)

    result = np.empty(ids.shape, np.float32)
    step = max(1, _PART_BYTES // (4 * ids.shape[1] * features.shape[1]))
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        result[part] = np.einsum("nd,nkd->nk", unit(index[part]), unit(ids[part]))
    return result


def _read_kind(lists: _Lists, features: Array, name: str) -> tuple[str, bool]:
    """What the values are ("distance", "similarity", or "ids" for none), and whether a row is in its own list."""
    index = np.unique(np.linspace(0, len(features) - 1, _SAMPLE_ROWS).astype(np.int64))
    ids = _checked_ids(lists, index)
    own = ids == index[:, None]
    has_self = bool(own.any(axis=1).mean() >= 0.5)
    if lists.values is None:
        return "ids", has_self
    stored = np.asarray(lists.values[index], np.float64)
    cosine = _cosines(features, index, ids)
    others = (ids >= 0) & ~own
    distance, similarity = (
        float(np.median(np.abs(read - cosine)[others])) if others.any() else 0.0 for read in (1 - stored, stored)
    )
    is_distance = float(np.median(stored[own])) < 0.5 if own.any() else distance < similarity
    gap = distance if is_distance else similarity
    if own.any():
        gap = max(gap, abs(float(np.median(stored[own])) - (0 if is_distance else 1)))
    if not gap <= _TOLERANCE:
        fit = f"the nearer reading is off by {gap:.2g} in the median"
        raise InputError(f"{lists.path}: values are neither cosine distances nor similarities of {name} ({fit}).")
    return ("distance" if is_distance else "similarity"), has_self


def _parts(rows: int, row_bytes: int) -> Iterator[tuple[str, Ints]]:
    """The file name and the row numbers of each block that `_PART_BYTES` hold."""
    step = max(1, _PART_BYTES // row_bytes)
    for start in range(0, rows, step):
        yield f"part-{start // step:05d}.parquet", np.arange(start, min(start + step, rows), dtype=np.int64)


def _write_embeddings(store: Store, features: Array, labels: Ints | None) -> Iterator[str]:
    vector = schemas.vector(pa.float32(), features.shape[1])
    fields = [("id", pa.int64()), ("embedding", vector)]
    columns: dict[str, Array] = {}
    for name, index in _parts(len(features), 4 * features.shape[1]):
        part = slice(index[0], index[-1] + 1)
        columns = {"id": index, "embedding": np.asarray(features[part], np.float32)}
        if labels is not None:
            columns["label"] = labels[part]
        schema = pa.schema(fields if labels is None else [*fields, ("label", pa.int64())])
        store.put_tables(f"embeddings/{name}", [schemas.from_columns(schema, **columns)])
        yield f"embeddings/{name}"
