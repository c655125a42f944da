"""Node-local copies: a stage's shards joined into one memory-mapped array, built once a node and shared by its workers."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array
from raycluster.config.fingerprint import fingerprint
from raycluster.errors import StorageError
from raycluster.storage.run_folder import Run
from raycluster.storage.schemas import to_matrix


def base() -> str:
    """Below which this node keeps its copies: RAYCLUSTER_SCRATCH, or the system's temporary folder."""
    return os.environ.get("RAYCLUSTER_SCRATCH") or tempfile.gettempdir()


def folder(run: Run) -> str:
    """Where this node keeps the run's copies."""
    return os.path.join(base(), f"raycluster-{fingerprint(run.store.url, run.plan['input'])}")


def joined(
    run: Run,
    stage: str,
    column: str,
    dtype: str,
    convert: Callable[[Array], Array] = lambda array: array,
    tag: str = "",
) -> Array:
    """A column of a finished stage for all rows, memory-mapped read-only: (N,) or, for vectors, (N, width).

    `convert` is applied shard by shard before the copy is stored as `dtype`; `tag` names the copy apart from others of
    the same column.
    """
    name = f"{os.path.basename(run.folders[stage])}-{stage}-{column}-{tag or dtype}.npy"
    path = os.path.join(folder(run), name)
    with _locked(path):
        if not os.path.exists(path):
            _build(run, stage, column, dtype, convert, path)
    return np.load(path, mmap_mode="r")


def _build(run: Run, stage: str, column: str, dtype: str, convert: Callable[[Array], Array], path: str) -> None:
    target: np.memmap[Any, Any] | None = None
    for shard, start in enumerate(run.starts[:-1]):
        values = run.table(stage, shard, [column])[column]
        array = convert(to_matrix(values) if pa.types.is_fixed_size_list(values.type) else values.to_numpy())
        if target is None:
            shape = (run.rows, *array.shape[1:])
            _require_space(path, int(np.prod(shape)) * np.dtype(dtype).itemsize)
            target = np.lib.format.open_memmap(f"{path}.part", mode="w+", dtype=dtype, shape=shape)
        target[start : start + len(array)] = array
    assert target is not None
    target.flush()
    os.replace(f"{path}.part", path)


def _require_space(path: str, size: int) -> None:
    free = shutil.disk_usage(os.path.dirname(path)).free
    if size > free:
        raise StorageError(
            f"The node-local copy {path} needs {size / 2**30:.1f} GiB but {free / 2**30:.1f} GiB are free; "
            "point RAYCLUSTER_SCRATCH at a larger disk and run the same command."
        )


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(run: Run) -> None:
    """Free this node's copies of a run."""
    shutil.rmtree(folder(run), ignore_errors=True)
