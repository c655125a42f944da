"""The items of the user, pictures or texts, found by id and never by row number.

An items file is the input of the run or any Parquet with the same ids. Only the row groups that hold selected ids are decoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster.errors import InputError
from raycluster.storage.column_types import ids_as, is_bytes, is_text, require_columns, storage_type
from raycluster.storage.parquet_input import input_files
from raycluster.storage.places import plain_url

MOST_CHARACTERS = 120
"""Characters of a text that are shown. More make taller cards."""
BATCH_ROWS = 256
"""Rows decoded at once: 256 pictures of 2 MB are 512 MB. Fewer take longer."""


@dataclass(frozen=True)
class ItemOptions:
    """Where the items lie and what of them is shown."""

    url: str
    """Parquet file or folder with the ids of the run."""
    id_column: str
    image_column: str | None = None
    """Column of paths, of URLs, of bytes, or of structs with `bytes` and `path`."""
    text_column: str | None = None
    image_root: str | None = None
    """Folder that pictures lie below, on disk or s3://; none means the folder of the items."""
    fetch: bool = False
    """Whether http and https URLs are opened."""
    is_numbered: bool = False
    """Whether the ids of the run are row numbers of its input, because it has no id column."""

    @property
    def root(self) -> str:
        """Folder that no path of a picture leaves."""
        place = plain_url(self.image_root or self.url)
        if self.image_root is None and place.lower().endswith((".parquet", ".pq", ".parq")):
            return place.rpartition("/")[0] or "/"
        return place


@dataclass(frozen=True)
class Item:
    """What is shown of a row."""

    text: str | None = None
    """At most `MOST_CHARACTERS`, on one line, not yet escaped."""
    picture: bytes | str | None = None
    """Its bytes, or a path or URL."""


class Items:
    """The user's items by id.

    Raises InputError where a column is missing or cannot be shown.
    """

    def __init__(self, options: ItemOptions) -> None:
        self.options = options
        self._store, self._names = input_files(options.url)
        for name in self._names:
            with self._store.parquet(name) as file:
                self._check(file.schema_arrow, self._store.name(name))

    def _check(self, columns: pa.Schema, where: str) -> None:
        """Refuse a file whose columns cannot be shown."""
        options = self.options
        shown = [name for name in (options.image_column, options.text_column) if name]
        has_ids = options.id_column in columns.names
        if not has_ids and options.is_numbered:
            require_columns(columns, shown, where)
        else:
            require_columns(columns, [options.id_column, *shown], where)
        if (name := options.text_column) and pa.types.is_nested(kind := storage_type(columns.field(name).type)):
            raise InputError(f"{where}, column '{name}' is {kind}; a text is a string or a number.")
        if (name := options.image_column) and not _holds_pictures(kind := storage_type(columns.field(name).type)):
            raise InputError(
                f"{where}, column '{name}' is {kind}; pictures are paths, URLs, bytes, or structs of them."
            )

    def look_up(self, ids: pa.Array) -> dict[Any, Item]:
        """Return the items of ids (M,); an id that the file does not hold is missing.

        Memory grows with M and their pictures; `stream` holds one batch at a time.
        """
        return dict(reversed(list(self.stream(ids))))

    def stream(self, ids: pa.Array) -> Iterator[tuple[Any, Item]]:
        """Yield id and item of ids (M,) in the order of the file, batch by batch."""
        selected = pa.array(ids).unique()
        first_row = 0
        for name in self._names:
            with self._store.parquet(name) as file:
                for group in range(file.num_row_groups):
                    yield from self._of_group(file, group, selected, first_row)
                    first_row += file.metadata.row_group(group).num_rows

    def _of_group(
        self, file: pq.ParquetFile, group: int, selected: pa.Array, first_row: int
    ) -> Iterator[tuple[Any, Item]]:
        """Yield id and item of the selected rows of a row group."""
        options = self.options
        columns = list(dict.fromkeys(name for name in (options.image_column, options.text_column) if name))
        keys = self._keys(file, group, selected.type, first_row)
        is_selected = pc.is_in(keys, value_set=selected).to_numpy()
        if not columns or not is_selected.any():
            return
        start = 0
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
            rows = start + np.flatnonzero(is_selected[start : start + batch.num_rows])
            shown = batch.take(pa.array(rows - start))
            pictures = shown[options.image_column].to_pylist() if options.image_column else [None] * len(rows)
            texts = shown[options.text_column].to_pylist() if options.text_column else [None] * len(rows)
            for key, picture, text in zip(keys.take(pa.array(rows)).to_pylist(), pictures, texts, strict=True):
                yield key, Item(short_text(text), _picture(picture))
            start += batch.num_rows

    def _keys(self, file: pq.ParquetFile, group: int, kind: pa.DataType, first_row: int) -> pa.ChunkedArray:
        """Return the ids of a row group in the type of the run's."""
        name = self.options.id_column
        if name in file.schema_arrow.names:
            keys = file.read_row_group(group, columns=[name])[name]
        else:
            rows = file.metadata.row_group(group).num_rows
            keys = pa.chunked_array([pa.array(np.arange(first_row, first_row + rows))])
        return ids_as(keys, kind, f"{self.options.url}, column '{name}'")


def _holds_pictures(kind: pa.DataType) -> bool:
    """Whether a column can hold pictures."""
    if pa.types.is_struct(kind):
        return any(kind.field(number).name in ("bytes", "path") for number in range(kind.num_fields))
    return is_bytes(kind) or is_text(kind)


def _picture(value: Any) -> bytes | str | None:
    """Return a picture's bytes or path; of a struct its bytes where it has them."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    return value if isinstance(value, bytes | str) and value else None


def short_text(value: Any) -> str | None:
    """Return a value as one line of at most `MOST_CHARACTERS`.

    Bytes that are no UTF-8 are replaced.
    """
    if value is None:
        return None
    words = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in words[: 8 * MOST_CHARACTERS]).split())
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
