"""Node-local copies: a column of a stage for all rows as one memory-mapped array, built once per node.

Workers of one node share the copy. It lies below RAYCLUSTER_SCRATCH, or the system's temporary folder.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from raycluster.arrays import Array, Int64
from raycluster.config.fingerprint import fingerprint
from raycluster.errors import StorageError
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.schemas import to_array

Fill = Callable[[Array], None]
"""Writes all rows of a copy."""


def base() -> str:
    """Return the folder below which this node keeps its copies."""
    return os.environ.get("RAYCLUSTER_SCRATCH") or tempfile.gettempdir()


def folder(run: RunFolder) -> str:
    """Return the folder of this node's copies of a run."""
    return os.path.join(base(), f"raycluster-{fingerprint(run.store.url, run.plan.input.identity)}")


def joined(
    run: RunFolder,
    stage: str,
    column: str,
    bounds: Sequence[int],
    dtype: str | None,
    convert: Callable[[Array], Array],
    tag: str,
) -> Array:
    """Return a column of a finished stage for all rows, memory-mapped read-only: (N,) or (N, width).

    Parameters
    ----------
    bounds
        First row of every row shard, and N.
    dtype
        Type of the copy; none keeps the type of the converted values.
    convert, tag
        Applied shard by shard before the copy is stored, and its name, so that copies of one column stay apart.
    """

    def shard(number: int) -> Array:
        values = convert(to_array(run.table(stage, number, [column])[column]))
        return values if dtype is None else np.asarray(values, dtype)

    first = None

    def shape() -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        nonlocal first
        first = shard(0)
        return (bounds[-1], *first.shape[1:]), first.dtype

    def fill(target: Array) -> None:
        for number, start in enumerate(bounds[:-1]):
            values = first if number == 0 and first is not None else shard(number)
            target[start : start + len(values)] = values

    return _copy(run, stage, f"{column}-{tag or dtype}", shape, fill)


def scattered(run: RunFolder, column: str, dtype: str, shards: int, rows: int, chosen: Int64 | None = None) -> Array:
    """Return a column of ingested rows in the order of rows, memory-mapped read-only.

    Every piece of the input is read once, and each of its rows is written to its place: its rank in the order of ids less
    the dropped rows before it.

    Parameters
    ----------
    column, dtype
        The column and the type of its copy.
    shards, rows
        Those of the run, N rows.
    chosen
        Rows (M,) that the copy holds, ascending; none means all.
    """
    markers = [run.marker("ingest", piece) for piece in range(len(run.plan.pieces))]
    lost = np.sort(np.array([entry[3] for marker in markers for entry in marker.facts["dropped"]], np.int64))

    def shape() -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        return (rows if chosen is None else len(chosen), run.plan.input.width), np.dtype(dtype)

    def fill(target: Array) -> None:
        for piece in range(len(markers)):
            table = run.table("ingest", piece, ["rank", column])
            rank = table["rank"].to_numpy()
            row, values = rank - np.searchsorted(lost, rank), to_array(table[column])
            if chosen is not None:
                place = np.searchsorted(chosen, row)
                is_chosen = chosen[np.minimum(place, len(chosen) - 1)] == row
                row, values = place[is_chosen], values[is_chosen]
            target[row] = values

    copied = "" if chosen is None else "-distinct"
    return _copy(run, "ingest", f"{column}-{dtype}-{shards}{copied}", shape, fill)


def _copy(
    run: RunFolder, stage: str, name: str, shape: Callable[[], tuple[tuple[int, ...], np.dtype[np.generic]]], fill: Fill
) -> Array:
    """Return the copy `name` of a stage's column, made by `fill` unless another process of this node has."""
    path = os.path.join(folder(run), f"{os.path.basename(run.folders[stage])}-{stage}-{name}.npy")
    with _locked(path):
        if not os.path.exists(path):
            size, dtype = shape()
            _require_space(path, int(np.prod(size)) * dtype.itemsize)
            target = np.lib.format.open_memmap(f"{path}.part", mode="w+", dtype=dtype, shape=size)
            fill(target)
            target.flush()
            os.replace(f"{path}.part", path)
    return np.load(path, mmap_mode="r")


def _require_space(path: str, size: int) -> None:
    free = shutil.disk_usage(os.path.dirname(path)).free
    if size > free:
        raise StorageError(
            f"The node-local copy {path} needs {size / 2**30:.1f} GiB but {free / 2**30:.1f} GiB are free; "
            "point RAYCLUSTER_SCRATCH at a larger disk and run the same command."
        )


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    import fcntl  # Windows has none; an array in memory needs no copy, and runs there

    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(run: RunFolder) -> None:
    """Free this node's copies of a run."""
    shutil.rmtree(folder(run), ignore_errors=True)
