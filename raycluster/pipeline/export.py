"""Labels joined to the user's own columns, or identities as folders of links."""

import contextlib
import csv
import itertools
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.errors import InputError
from raycluster.executors.progress import Progress
from raycluster.pipeline.atlas import atlas_table
from raycluster.pipeline.joined import joined, label_names
from raycluster.pipeline.link_folders import write_folders
from raycluster.pipeline.results import Results
from raycluster.storage.clear_errors import clear_errors
from raycluster.storage.column_types import is_bytes, storage_type
from raycluster.storage.places import plain_url
from raycluster.storage.read_places import is_read
from raycluster.storage.run_folder import numbered_rows

Format = Literal["parquet", "csv", "jsonl", "folders", "atlas"]


def export(run: str, output: str, kind: Format, input_url: str | None = None, path_column: str | None = None) -> int:
    """Write the labels of a finished run for other tools; returns the rows written.

    A failure leaves nothing behind.

    Parameters
    ----------
    run
        Run folder.
    output
        Local file, or folder for `folders`; it must not exist.
    kind
        `folders` makes one folder of links per identity of two rows or more, to the files that `path_column` names.
        `atlas` is a Parquet file with x, y and neighbors, which embedding-atlas opens; vectors are left out.
    input_url
        Parquet with the user's own columns, all of which are kept; none writes the labels alone.
    path_column
        Column of the input with paths, for `folders`.

    Raises
    ------
    InputError
        Where the output exists or is no local path, the run is not finished, or a column is missing or unusable.
    """
    target = Path(plain_url(output))
    if "://" in output and not output.lower().startswith("file:"):
        raise InputError(f"{output} is no local path; export to a local file and copy it there.")
    if os.path.lexists(target):
        raise InputError(f"{output} exists; choose another --output.")
    if kind == "folders" and path_column is None:
        raise InputError("Folders need --path-column, the column of the input with the paths of files.")
    results = Results.of(run)
    if input_url is not None and kind in ("parquet", "atlas") and is_read(output, input_url) and target.parent.is_dir():
        raise InputError(
            f"{output} lies in the input {input_url}, which would have its rows twice; choose another --output."
        )
    tables, names = _rows(run, results, kind, input_url)
    above = _made(target.parent, output)
    partial = target.with_name(f".{target.name[:60]}.{uuid.uuid4().hex}.part")
    try:
        if kind == "folders":
            partial.mkdir()
            rows = write_folders(tables, partial, str(path_column), names["cluster_id"], names["cluster_size"])
        else:
            rows = {"csv": _write_csv, "jsonl": _write_jsonl}.get(kind, _write_parquet)(tables, partial)
        os.rename(partial, target)
    except BaseException as error:
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        for folder in above:
            folder.rmdir()
        with clear_errors(output) if isinstance(error, OSError) else contextlib.nullcontext():
            raise
    return rows


def _rows(run: str, results: Results, kind: Format, input_url: str | None) -> tuple[Iterator[pa.Table], dict[str, str]]:
    """Return the rows to write, and the name of each label column."""
    labels = results.labels()
    if kind == "atlas":
        return iter([atlas_table(run, input_url)]), {}
    if input_url is None:
        return iter([labels]), label_names(labels, [])
    id_column = str(results.manifest["config"]["id_column"])
    tables = joined(labels, input_url, id_column, is_numbered=numbered_rows(results.store) is not None)
    first = next(tables)
    user = first.column_names[: first.num_columns - labels.num_columns + 1]
    shown = label_names(labels, user)

    def all_of_them() -> Iterator[pa.Table]:
        rows, num_missing = 0, 0
        for table in itertools.chain([first], tables):
            rows, num_missing = rows + table.num_rows, num_missing + table[shown["cluster_id"]].null_count
            yield table
        if rows and num_missing == rows:
            raise InputError(f"{input_url}, column '{id_column}' holds no id of the run {run}.")
        if num_missing:
            Progress().say(f"{num_missing:,} of {rows:,} rows are not in the run or were dropped: they have no label")

    return all_of_them(), shown


def _made(folder: Path, output: str) -> list[Path]:
    """Make a folder; returns those that were not there before, the innermost first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{output} lies below a file; choose another --output.") from error
    return missing


def _write_parquet(tables: Iterator[pa.Table], path: Path) -> int:
    rows, writer = 0, None
    for table in tables:
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        rows += table.num_rows
    if writer is not None:
        writer.close()
    return rows


def _flat(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables without columns that a text file cannot hold.

    These are lists and structs; one line names them. Bytes are written in hexadecimal.
    """
    has_said = False
    for table in tables:
        nested = [field.name for field in table.schema if pa.types.is_nested(storage_type(field.type))]
        if nested and not has_said:
            Progress().say(f"left out, because a text file holds no lists: {', '.join(nested)}")
            has_said = True
        flat = table.drop_columns(nested)
        for place, field in enumerate(flat.schema):
            if is_bytes(storage_type(field.type)):
                cells = pa.array([None if cell is None else _hex(cell) for cell in flat.column(place).to_pylist()])
                flat = flat.set_column(place, field.name, cells.cast(pa.string()))
        yield flat


def _hex(value: Any) -> str:
    """Return bytes, or a UUID, in hexadecimal."""
    return str(value.hex() if isinstance(value, bytes) else value)


def _write_csv(tables: Iterator[pa.Table], path: Path) -> int:
    rows, writer = 0, None
    with path.open("w", newline="", encoding="utf-8") as file:
        for table in _flat(tables):
            if writer is None:
                writer = csv.writer(file)
                writer.writerow(table.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
            rows += table.num_rows
    return rows


def _write_jsonl(tables: Iterator[pa.Table], path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for table in _flat(tables):
            for row in table.to_pylist():
                plain = {name: _plain(value) for name, value in row.items()}
                file.write(json.dumps(plain, default=str, ensure_ascii=False) + "\n")
            rows += table.num_rows
    return rows


def _plain(value: Any) -> Any:
    """Return a value that JSON has: it has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
