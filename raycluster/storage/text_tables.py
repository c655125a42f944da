"""Labels that people keep as text: CSV, TSV and JSON lines.

Cells of CSV and TSV are text as they are written, so that an id 007 stays 007. Empty cells are null.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv

from raycluster.errors import InputError
from raycluster.storage.clear_errors import reason_of
from raycluster.storage.object_store import Store

CELLS = (".csv", ".tsv")
LINES = (".jsonl", ".ndjson")
ENDINGS = tuple(f"{ending}{packed}" for ending in CELLS + LINES for packed in ("", ".gz"))
"""Endings, in any case, of files that are read as text."""
DELIMITERS = ",;\t"
"""What may stand between the cells of CSV; spreadsheets of some languages write semicolons."""
BOM = "\ufeff".encode()
"""Three bytes that some editors write first."""


def is_text_table(path: str) -> bool:
    """Whether a file is read as text, by its ending."""
    return path.lower().endswith(ENDINGS)


def read_text_table(store: Store, path: str, columns: Sequence[str]) -> tuple[list[str], pa.Table]:
    """Return the names of all columns of a file, and those of `columns` that it has.

    Where it has none of them, the table has others, so that its rows can be counted.

    Parameters
    ----------
    store, path
        Where the file lies; its ending decides how it is read.
    columns
        Names of columns.

    Raises
    ------
    InputError
        For text that is not UTF-8, a broken line, or values of several kinds in one column.
    """
    name = store.name(path)
    kind = name.lower().removesuffix(".gz")
    data = store.get(path)
    if data is None:
        raise InputError(f"{name} does not exist.")
    if name.lower().endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name} is no readable gzip file: {reason_of(error)}.") from error
    data = data.removeprefix(BOM)
    return _lines(data, name, columns) if kind.endswith(LINES) else _cells(data, name, columns, kind.endswith(".tsv"))


def _cells(data: bytes, name: str, columns: Sequence[str], is_tabbed: bool) -> tuple[list[str], pa.Table]:
    """Return all names, and columns of text."""
    try:
        header = data.partition(b"\n")[0].decode()
        delimiter = "\t" if is_tabbed else max(DELIMITERS, key=header.count)
        names = next(csv.reader([header.rstrip("\r")], delimiter=delimiter), [])
        if len(set(names)) < len(names):  # pyarrow would read the first of equal names
            twice = next(one for one in names if names.count(one) > 1)
            raise InputError(f"{name} has {names.count(twice)} columns named '{twice}'.")
        there = [column for column in columns if column in names]
        text = dict.fromkeys(there, pa.large_string())
        table = pyarrow.csv.read_csv(
            io.BytesIO(data),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=there, column_types=text, null_values=[""], strings_can_be_null=True
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name} is no readable text in UTF-8 with a line of names: {reason_of(error)}.") from error
    return names, table


def _lines(data: bytes, name: str, columns: Sequence[str]) -> tuple[list[str], pa.Table]:
    """Return all names, and the columns of one JSON object per line.

    What an object lacks is null.
    """
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{name}, line {number} is no JSON object: {reason_of(error)}.") from error
    names = list(dict.fromkeys(column for row in rows for column in row))
    there = [column for column in columns if column in names]
    values: dict[str, pa.Array] = {}
    for column in there or names[:1]:
        try:
            values[column] = pa.array([row.get(column) for row in rows])
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise InputError(f"{name}, column '{column}' holds no one kind of values: {reason_of(error)}.") from error
    return names, pa.table(values)
