"""Identities as folders of links to the user's files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from raycluster.errors import InputError
from raycluster.executors.progress import Progress
from raycluster.storage.column_types import is_text, storage_type

MOST_BYTES = 255
"""Bytes of a file's name on most disks."""


def write_folders(tables: Iterator[pa.Table], target: Path, path_column: str, cluster: str, size: str) -> int:
    """Make one folder of links per identity of two rows or more; returns the links.

    Files of one name in a folder get a number.

    Parameters
    ----------
    tables : iterator of pa.Table
        Rows with labels.
    target : Path
        The new folder.
    path_column : str
        Column with local paths.
    cluster, size : str
        Columns with the cluster and its size.

    Raises
    ------
    InputError
        The column holds no paths of local files.
    """
    rows, num_lost = 0, 0
    for table in tables:
        if path_column not in table.column_names:
            raise InputError(f"The input has no column '{path_column}'; it has {', '.join(table.column_names)}.")
        if not is_text(kind := storage_type(table[path_column].type)):
            raise InputError(f"The column '{path_column}' is {kind}; paths of files are text.")
        columns = (table[name].to_pylist() for name in (path_column, cluster, size))
        for path, number, count in zip(*columns, strict=True):
            if not path or number is None or count < 2:
                continue
            folder = target / f"{number:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            place = _local(path, path_column)
            _link(place, folder)
            rows, num_lost = rows + 1, num_lost + (not os.path.exists(place))
    if num_lost:
        Progress().say(f"{num_lost:,} of {rows:,} links lead to no file; paths begin in {os.getcwd()}")
    return rows


def _local(path: str, column: str) -> str:
    """Return an absolute path. Raises InputError for what a link cannot lead to."""
    name = os.path.basename(os.path.abspath(path)) if "\0" not in path else ""
    if "://" in path or not name or len(os.fsencode(name)) > MOST_BYTES - 10:
        raise InputError(f"The column '{column}' holds {path[:80]!r}; links lead to local files alone.")
    return os.path.abspath(path)


def _link(path: str, folder: Path) -> None:
    """Make a link to a file, under its own name or its name with a number."""
    name, number = Path(os.path.basename(path)), 1
    link = folder / name
    while os.path.lexists(link):
        number += 1
        link = folder / f"{name.stem}-{number}{name.suffix}"
    link.symlink_to(path)
