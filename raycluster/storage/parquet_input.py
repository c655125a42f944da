"""The user's Parquet files: which are read, which are left out, and their rows.

Each that is left out has a reason. The names of their folders may hold columns.

Shapes: N rows, D dimensions.
"""

import posixpath
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster.arrays import Array, Bool
from raycluster.errors import InputError
from raycluster.storage.column_types import common_id_type, id_type_of, ids_as, require_columns
from raycluster.storage.object_store import Store
from raycluster.storage.other_formats import remedy_for
from raycluster.storage.planned_files import state_of
from raycluster.storage.records import InputDescription, InputFile
from raycluster.storage.vector_columns import VectorSource, vectors_of_table

BATCH_ROWS = 65_536
"""Rows decoded at once: 64 MiB of vectors 256 wide. More rows take more memory and are not faster."""
WIDTH_BATCH = 1024
"""Rows read at once until the first vector is found."""
MARKS = (b"PAR1", b"PARE")
"""First bytes of every Parquet file; the second where its footer is encrypted."""
ENDINGS = (".parquet", ".pq", ".parq")
"""Endings, in any case, of files that must be Parquet."""
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""Value of a partition whose rows have null in its column."""
SKIPPED = (".crc", ".md5", ".sha256", "_$folder$")
"""Endings of files that writers leave beside their data: checksums, and Hadoop's marks of folders on S3."""


@dataclass(frozen=True)
class InputRows:
    """Vectors and ids of all files of an input, in the order of the files."""

    vectors: Array
    """(N, D)"""
    missing: Bool
    """(N,) whether a vector is missing or holds a null."""
    ids: pa.ChunkedArray | None
    """(N,) ids; none where no file has any."""
    files: list[tuple[str, int]]
    """Name and number of rows of every file that has rows."""

    def where(self, row: int, column: str) -> str:
        """Return file, column and row of a row, for messages."""
        for name, rows in self.files:
            if row < rows:
                return f"{name}, column '{column}', row {row}"
            row -= rows
        raise AssertionError("the row is one of the files'")


def input_files(url: str, instead: tuple[str, ...] = ()) -> tuple[Store, list[str]]:
    """Return the store of an input and its Parquet files, sorted by path.

    Where there is none, files that end in one of `instead`. Raises InputError where there is none of these either.
    """
    store, names, _, _ = _listed([url], instead)
    return store, names


def describe_input(urls: str | Sequence[str]) -> InputDescription:
    """Return which files an input has, and which are left out and why.

    Later runs compare them by what stands beside their names.

    Several inputs are one input of all their files.
    """
    store, names, left_out, hidden = _listed([urls] if isinstance(urls, str) else urls)
    states = [state_of(store.name(name)) for name in names] if store.is_local else []
    return InputDescription(store.url, [InputFile(**store.identity(name)) for name in names], left_out, hidden, states)


def left_out_line(described: InputDescription) -> str | None:
    """Return one line that names the files of an input that are not read.

    None where all are.
    """
    if not described.left_out:
        return None
    names = ", ".join(f"{name} ({reason})" for name, reason in described.left_out[:5])
    more = f" and {len(described.left_out) - 5} more" if len(described.left_out) > 5 else ""
    hidden = f"; {described.hidden} hidden files skipped" if described.hidden else ""
    return f"left out of {described.url}: {names}{more}{hidden}"


def _listed(urls: Sequence[str], instead: tuple[str, ...] = ()) -> tuple[Store, list[str], list[list[str]], int]:
    """Return the store of an input, its Parquet files, and those left out.

    Files are relative to the store. Those left out have a reason; hidden ones are counted.
    """
    places = list({store.url: (store, files) for url in urls for store, files in _places(url)}.values())
    if len(places) == 1 and places[0][1] == [""]:
        return places[0][0], [""], [], 0  # the file that was named, whatever its ending
    root = places[0][0] if len(places) == 1 else _shared_folder([store.url for store, _ in places])
    below = [(posixpath.relpath(store.url, root.url), files) for store, files in places]
    joined = (_joined(folder, name) for folder, files in below for name in files)
    paths = list(dict.fromkeys(joined))  # a file that two inputs name is read once
    visible = [path for path in paths if not _hidden(path)]
    names = [path for path in visible if path.lower().endswith(ENDINGS) or root.starts_with(path, MARKS)]
    names = names or [path for path in visible if path.lower().endswith(instead)]
    if not names:
        remedy = next((f", but {path}{remedy_for(path)}" for path in visible if remedy_for(path)), "")
        raise InputError(f"The input {' '.join(urls)} holds no Parquet file{remedy}.")
    left_out = [[path, "no Parquet file"] for path in sorted(set(visible) - set(names))]
    return root, sorted(names), left_out, len(paths) - len(visible)


def _places(url: str) -> list[tuple[Store, list[str]]]:
    """Return the places that an input names, with the files below each.

    It names itself, or what matches it as a pattern such as part-*.parquet. A place that is a file has one, with an empty name.
    """
    store = Store(url)
    here = [(store, _files(store))]
    places = here if here[0][1] else [(place, _files(place)) for place in map(Store, store.matching())]
    if not places:
        raise InputError(f"The input {url} does not exist or is an empty folder.")
    return places


def _files(store: Store) -> list[str]:
    """Return the files of a place: itself, with an empty name, or those below it."""
    return [""] if store.is_file() else store.files()


def _shared_folder(places: Sequence[str]) -> Store:
    """Return the folder that several places share."""
    if len({"://" in place for place in places}) > 1:
        raise InputError(f"The inputs {' '.join(places)} lie on disk and in an object store; give inputs of one kind.")
    root = posixpath.commonpath(places)
    return Store(root.replace(":/", "://", 1) if "://" in places[0] and "://" not in root else root)


def _joined(folder: str, name: str) -> str:
    """Return a file's name below the root.

    Object stores need the whole key, with its // and .. in place.
    """
    return name if folder == "." else f"{folder}/{name}" if name else folder


def _hidden(name: str) -> bool:
    """Whether a file is skipped by rule.

    It is hidden, a writer's marker, a checksum or Hadoop's mark of a folder. Hive partitions are not hidden.
    """
    parts = [part for part in name.split("/") if "=" not in part and part not in (".", "..")]
    return name.endswith(SKIPPED) or any(part.startswith((".", "_")) for part in parts)


def hive_values(path: str) -> dict[str, str | None]:
    """Return the columns in the names of a file's folders.

    An example is label=3/part-0.parquet. Hive has a name for null.
    """
    pairs = re.findall(r"(?:^|/)([^/=]+)=([^/]*)(?=/)", path)
    return {
        urllib.parse.unquote(name): None if value == HIVE_NULL else urllib.parse.unquote(value) for name, value in pairs
    }


def refuse_null_ids(column: pa.ChunkedArray, name: str, file: str, first: int = 0) -> None:
    """Raise InputError where an id is null.

    Parameters
    ----------
    column
        Ids of consecutive rows.
    name, file
        Column and file, for the message.
    first
        Row of the file at which they begin.
    """
    if column.null_count:
        row = first + pc.index(pc.is_null(column), True).as_py()
        raise InputError(f"{file}, column '{name}', row {row}: the id is null.")


def vector_width(file: pq.ParquetFile, vectors: VectorSource) -> int:
    """Return the length of the first vector of a file; 0 where all are null."""
    if vectors.kind == "columns":
        return len(vectors.columns)
    row = 0
    for batch in file.iter_batches(WIDTH_BATCH, columns=vectors.columns):
        column: Any = vectors.lists(batch, row)
        valid = np.flatnonzero(pc.is_valid(column))
        if vectors.kind != "nothing" and len(valid):
            fixed = pa.types.is_fixed_size_list(column.type)
            width = column.type.list_size if fixed else pc.list_value_length(column)[int(valid[0])].as_py()
            if width == 0:
                raise InputError(f"{vectors.where}, row {row + valid[0]}: the vector has zero length.")
            return int(width)
        row += batch.num_rows
    return 0


def read_rows(url: str, id_column: str, embedding_column: str) -> InputRows:
    """Return the vectors of an input, and its ids if there are any.

    Parameters
    ----------
    url
        A Parquet file, folder or pattern.
    id_column, embedding_column
        Their columns; the second may be a pattern or a field of a struct.

    Raises
    ------
    InputError
        Where there is no Parquet file, one without vectors, vectors of two lengths, or ids that are missing or of two kinds.
    """
    store, names = input_files(url)
    read: list[tuple[str, Array, Bool, pa.ChunkedArray | None]] = []
    for path in names:
        name = store.name(path)
        with store.parquet(path) as file:
            source = VectorSource.of(file.schema_arrow, embedding_column, name)
            if not file.metadata.num_rows:
                continue
            if vector_width(file, source) == 0:
                raise InputError(f"{name}, column '{embedding_column}' holds only nulls.")
            vectors, missing = vectors_of_table(file.read(columns=source.columns), embedding_column, name)
            ids = None
            if id_column in file.schema_arrow.names:
                require_columns(file.schema_arrow, [id_column], name)
                ids = file.read(columns=[id_column])[id_column]
        read.append((name, vectors, missing, ids))
    if not read:
        raise InputError(f"The input {url} has no rows.")
    for name, vectors, _, _ in read:
        if vectors.shape[1] != read[0][1].shape[1]:
            raise InputError(
                f"{name}, column '{embedding_column}', row 0: the vector has length {vectors.shape[1]}, "
                f"the first one has {read[0][1].shape[1]}."
            )
    return InputRows(
        np.concatenate([one[1] for one in read]),
        np.concatenate([one[2] for one in read]),
        _joined_ids([(one[0], one[3]) for one in read], id_column),
        [(one[0], len(one[1])) for one in read],
    )


def _joined_ids(columns: list[tuple[str, pa.ChunkedArray | None]], column: str) -> pa.ChunkedArray | None:
    """Return the ids of all files in the type that holds them.

    None where no file has any.
    """
    if all(ids is None for _, ids in columns):
        return None
    common: pa.DataType | None = None
    first = ""
    for name, ids in columns:
        if ids is None:
            raise InputError(f"{name} has no column '{column}', but other files of the input have it.")
        refuse_null_ids(ids, column, name)
        kind = id_type_of(ids.type, f"{name}, column '{column}'")
        assert kind is not None, "a column of nulls is refused before"
        wider = kind if common is None else common_id_type(common, kind)
        if wider is None:
            raise InputError(f"{name}, column '{column}' is {kind}, but in {first} it is {common}.")
        common, first = wider, first or name
    assert common is not None, "there are files"
    chunks = [
        chunk
        for name, ids in columns
        if ids is not None
        for chunk in ids_as(ids, common, f"{name}, column '{column}'").chunks
    ]
    return pa.chunked_array(chunks, common)
