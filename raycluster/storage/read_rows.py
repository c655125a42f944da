"""All vectors and ids of an input in memory, for callers without a run folder.

Shapes: N rows, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool
from raycluster.errors import InputError
from raycluster.storage.column_types import common_id_type, id_type_of, ids_as, require_columns
from raycluster.storage.parquet_input import input_files, refuse_null_ids, vector_width
from raycluster.storage.vector_columns import VectorSource, vectors_of_table


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
        _joined([(one[0], one[3]) for one in read], id_column),
        [(one[0], len(one[1])) for one in read],
    )


def _joined(columns: list[tuple[str, pa.ChunkedArray | None]], column: str) -> pa.ChunkedArray | None:
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
