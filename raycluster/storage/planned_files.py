"""Files of an input, which must stay as the plan of a run found them.

A local file is compared by its state, and by the digest of its bytes where another state may be the same bytes: after
`touch` or a copy. An object is compared by its ETag, which the store sends when it is opened.
"""

import contextlib
import errno
import functools
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from raycluster.errors import InputError, RayclusterError
from raycluster.storage.clear_errors import clear_errors
from raycluster.storage.object_store import Store
from raycluster.storage.records import InputFile, PlannedInput

State = list[int]
"""Time of the last change in nanoseconds, and inode."""


def state_of(path: str) -> State:
    """Return the state of a local file."""
    with clear_errors(path):
        return _state(os.stat(path))


@contextlib.contextmanager
def planned_file(store: Store, planned: PlannedInput, number: int) -> Iterator[pq.ParquetFile]:
    """An open file of a run's input.

    Raises InputError where it was written to after the run was planned.

    Parameters
    ----------
    store
        Of the input.
    planned
        The input as the plan found it.
    number
        Of the file.
    """
    file = planned.files[number]
    states = planned.states[number : number + 1]
    changed = InputError(f"{store.name(file.path)} changed after the run was planned; use another --output.")

    def require(opened: Any) -> None:
        is_same = _is_same(opened, store.name(file.path), file, states) if store.is_local else _has_tag(opened, file)
        if not is_same:
            raise changed

    try:
        with store.parquet(file.path, require) as opened_file:
            yield opened_file
    except RayclusterError as error:
        cause = error.__cause__
        # An object store sends ranges of the object with this ETag alone; s3fs calls another one busy.
        is_refused = isinstance(cause, OSError) and cause.errno == errno.EBUSY and not store.is_local
        if is_refused or isinstance(cause, IsADirectoryError):
            raise changed from error
        raise


def _has_tag(opened: Any, file: InputFile) -> bool:
    """Whether an open object is the planned one."""
    details = opened.details
    tag = str(details.get("ETag") or details.get("mtime"))
    return (int(details["size"]), tag) == (file.size, file.version)


def _is_same(opened: Any, path: str, file: InputFile, states: list[State]) -> bool:
    """Whether an open local file is the planned one."""
    status = os.fstat(opened.fileno())
    if status.st_size != file.size:
        return False
    return [_state(status)] == states or _digest(path, *_state(status)) == file.version


def _state(status: os.stat_result) -> State:
    return [status.st_mtime_ns, status.st_ino]


@functools.lru_cache(maxsize=1024)
def _digest(path: str, mtime: int, inode: int) -> str:  # noqa: ARG001 - a file in another state is another file
    """Return the SHA-256 of a local file; a process reads it once."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
