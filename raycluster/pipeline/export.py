"""Labels joined to the user's own columns, or identities as folders of links."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from raycluster.errors import InputError
from raycluster.pipeline.atlas import atlas_table
from raycluster.pipeline.results import Results
from raycluster.storage.column_types import plain_ids, require_columns
from raycluster.storage.parquet_input import input_files
from raycluster.storage.places import plain_url

Format = Literal["parquet", "csv", "jsonl", "folders", "atlas"]
CLUSTER = "cluster_id"


def export(run: str, output: str, kind: Format, input_url: str | None = None, path_column: str | None = None) -> int:
    """Write the labels of a finished run for other tools; returns the rows written.

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
        Where the output exists, the run is not finished, or a column is missing.
    """
    target = Path(plain_url(output))
    if target.exists():
        raise InputError(f"{output} exists; choose another --output.")
    results = Results.of(run)
    id_column = str(results.manifest["config"]["id_column"])
    labels = results.labels()
    if kind == "atlas":
        tables = iter([atlas_table(run, input_url)])
    else:
        tables = _joined(labels, input_url, id_column) if input_url else iter([labels])
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folders":
        return _write_folders(tables, target, path_column)
    partial = target.with_name(f".{target.name}.part")
    write = {"csv": _write_csv, "jsonl": _write_jsonl}.get(kind, _write_parquet)
    rows = write(tables, partial)
    os.replace(partial, target)
    return rows


def _joined(labels: pa.Table, url: str, id_column: str) -> Iterator[pa.Table]:
    """Yield every file of an input with the label columns appended.

    Rows that the run dropped have none.
    """
    keys = labels["id"].combine_chunks()
    store, names = input_files(url)
    ours = [name for name in labels.column_names if name != "id"]
    for name in names:
        with store.parquet(name) as file:
            require_columns(file.schema_arrow, [id_column], store.name(name))
            table = file.read()
        row = pc.index_in(plain_ids(table[id_column]).cast(keys.type), value_set=keys)
        for column in ours:
            label = column if column not in table.column_names else f"raycluster_{column}"
            table = table.append_column(label, labels[column].take(row))
        yield table


def _write_parquet(tables: Iterator[pa.Table], path: Path) -> int:
    rows, writer = 0, None
    for table in tables:
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table.cast(writer.schema))
        rows += table.num_rows
    if writer is not None:
        writer.close()
    return rows


def _flat(table: pa.Table) -> pa.Table:
    """Return a table without the columns that a text file cannot hold.

    These are lists, structs and bytes.
    """
    nested = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary)
    kept = [field.name for field in table.schema if not any(check(field.type) for check in nested)]
    return table.select(kept)


def _write_csv(tables: Iterator[pa.Table], path: Path) -> int:
    rows = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: Any = None
        for table in map(_flat, tables):
            writer = writer or csv.writer(file)
            if rows == 0:
                writer.writerow(table.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
            rows += table.num_rows
    return rows


def _write_jsonl(tables: Iterator[pa.Table], path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for table in map(_flat, tables):
            for row in table.to_pylist():
                file.write(json.dumps(row, default=str, ensure_ascii=False) + "\n")
            rows += table.num_rows
    return rows


def _write_folders(tables: Iterator[pa.Table], target: Path, path_column: str | None) -> int:
    """Make one folder of links per identity.

    Files of one name in a folder get a number.
    """
    if path_column is None:
        raise InputError("Folders need --path-column, the column of the input with the paths of files.")
    rows = 0
    for table in tables:
        if path_column not in table.column_names:
            raise InputError(f"The input has no column '{path_column}'; it has {', '.join(table.column_names)}.")
        columns = (table[name].to_pylist() for name in (path_column, CLUSTER, "cluster_size"))
        for path, cluster, size in zip(*columns, strict=True):
            if path is None or cluster is None or size < 2:
                continue
            folder = target / f"{cluster:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            _link(os.path.abspath(str(path)), folder)
            rows += 1
    return rows


def _link(path: str, folder: Path) -> None:
    """Make a link to a file, under its own name or its name with a number."""
    name, number = Path(os.path.basename(path)), 1
    link = folder / name
    while os.path.lexists(link):
        number += 1
        link = folder / f"{name.stem}-{number}{name.suffix}"
    link.symlink_to(path)
