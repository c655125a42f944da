"""Node-local copies: a column of a stage for all rows as one memory-mapped array.

A node builds a copy once, from parts that are checked against their digests, and its workers share it. A record beside the
copy names these digests and the state of the file when it was finished. A file that anything has written to since, that was
made of other parts, or that survived a restart of the machine is built anew.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Sequence

import numpy as np

from raycluster.arrays import Array, Int64
from raycluster.config.fingerprint import fingerprint
from raycluster.errors import StorageError
from raycluster.storage import scratch
from raycluster.storage.clear_errors import clear_errors
from raycluster.storage.copy_file import Copy, Fill, Shape, build, opened
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.schemas import to_array
from raycluster.storage.some_rows import at_once, each_piece

DISTINCT = "distinct"
"""What copies of the vectors of distinct rows are named after."""


def name_of(run: RunFolder) -> str:
    """Return the name of a run's copies on every node."""
    return fingerprint(run.store.url, run.plan.input.identity)


def folder(run: RunFolder) -> str:
    """Return the folder of this node's copies of a run."""
    return scratch.folder(name_of(run))


def joined(
    run: RunFolder,
    stage: str,
    column: str,
    bounds: Sequence[int],
    dtype: str | None,
    convert: Callable[[Array], Array],
    tag: str,
    threads: int = 1,
) -> Copy:
    """Return a column of a finished stage for all rows, (N,) or (N, width).

    Parameters
    ----------
    bounds
        First row of every row shard, and N.
    dtype
        Type of the copy; none keeps the type of the converted values.
    convert, tag
        Applied shard by shard before the copy is stored, and its name, so that copies of one column stay apart.
    threads
        Parts that are fetched, checked and joined at once.
    """

    def shard(number: int) -> Array:
        values = convert(to_array(run.table(stage, number, [column])[column]))
        return values if dtype is None else np.asarray(values, dtype)

    first = None

    def shape() -> Shape:
        nonlocal first
        first = shard(0)
        return (bounds[-1], *first.shape[1:]), first.dtype

    def fill(target: Array) -> None:
        def place(number: int) -> None:
            values = first if number == 0 and first is not None else shard(number)
            target[bounds[number] : bounds[number] + len(values)] = values

        at_once(place, len(bounds) - 1, threads, target.nbytes)

    return _copy(run, stage, f"{column}.{tag}" if tag else f"{column}-{dtype}", len(bounds) - 1, shape, fill)


def scattered(
    run: RunFolder,
    column: str,
    dtype: str,
    shards: int,
    rows: int,
    chosen: Int64 | None = None,
    threads: int = 1,
) -> Copy:
    """Return the vectors of ingested rows in the order of rows.

    Every piece of the input is read once, and each of its rows is written to its place: its rank in the order of ids less
    the dropped rows before it.

    Parameters
    ----------
    column, dtype
        The column of vectors and the type of its copy.
    shards, rows
        Those of the run, N rows.
    chosen
        Rows (M,) that the copy holds, ascending; none means all.
    threads
        Pieces that are fetched, checked and joined at once.

    Raises
    ------
    DamagedError
        Where a vector is not finite or not of unit length: it was damaged before it was stored.
    """

    def fill(target: Array) -> None:
        def place(row: Array, values: Array) -> None:
            target[row] = values

        each_piece(run, column, chosen, place, threads, target.nbytes)

    def shape() -> Shape:
        return (rows if chosen is None else len(chosen), run.plan.input.width), np.dtype(dtype)

    name = column if chosen is None else f"{column}.{DISTINCT}"
    return _copy(run, "ingest", f"{name}-{dtype}-{shards}", len(run.plan.pieces), shape, fill)


def _copy(run: RunFolder, stage: str, name: str, parts: int, shape: Callable[[], Shape], fill: Fill) -> Copy:
    """Return a copy of a stage's column, made by `fill` unless this node has it."""
    directory = scratch.hold(name_of(run))
    whole = f"{os.path.basename(run.folders[stage])}-{stage}-{name}"
    path = os.path.join(directory, f"{whole}.npy")
    digests = "".join(run.marker(stage, number).sha256 for number in range(parts))
    origin = hashlib.sha256(digests.encode()).hexdigest()
    with clear_errors(path), scratch.building(name_of(run), whole):
        copy = opened(path, origin)
        if copy is None:
            size, dtype = shape()
            _require_space(path, int(np.prod(size)) * dtype.itemsize)
            build(path, origin, size, dtype, fill)
            copy = opened(path, origin)
            assert copy is not None, f"{path} changed while it was finished"
    return copy


def _require_space(path: str, size: int) -> None:
    free = shutil.disk_usage(os.path.dirname(path)).free
    if size > free:
        raise StorageError(
            f"The node-local copy {path} needs {size / 2**20:,.1f} MiB but {free / 2**20:,.1f} MiB are free; "
            "point RAYCLUSTER_SCRATCH at a larger disk and run the same command."
        )


def take_over(run: RunFolder) -> list[str]:
    """Keep this node's copies of a run for its driver, and free those of dead runs.

    Returns the dead runs.
    """
    swept = scratch.sweep(but=name_of(run))
    scratch.hold(name_of(run), is_driver=True)
    return swept


def names_of(run: RunFolder, columns: Collection[str], *, are_distinct: bool = False) -> list[str]:
    """Return how the names of copies of columns begin.

    Parameters
    ----------
    run
        Whose copies.
    columns
        As `stage.column`, or `stage.column.conversion` for converted values.
    are_distinct
        Whether copies of vectors are of the distinct rows.
    """
    begins = []
    for stage, _, column in (name.partition(".") for name in columns):
        if stage in run.folders:
            distinct = f".{DISTINCT}" if are_distinct and stage == "ingest" else ""
            begins.append(f"{os.path.basename(run.folders[stage])}-{stage}-{column}{distinct}-")
    return begins


def keep_named(run: str, kept: Sequence[str]) -> None:
    """Free this node's copies of a run but those whose names begin so.

    Without such beginnings, all that belongs to the run is freed.
    """
    if kept:
        keep_copies(run, kept)
    else:
        scratch.remove(run)


def keep_copies(run: str, kept: Sequence[str]) -> None:
    """Free this node's copies of a run that goes on, but those with such names."""
    directory = scratch.folder(run)
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        if not name.startswith(tuple(kept)) and name.endswith((".npy", ".npy.json")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))


def leave(run: RunFolder) -> None:
    """Free this node's copies of a run unless another process uses them.

    Readers of a finished run end so.
    """
    scratch.leave(name_of(run))


def remove(run: RunFolder) -> None:
    """Free this node's copies of a run."""
    scratch.remove(name_of(run))
