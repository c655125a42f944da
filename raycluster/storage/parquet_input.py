"""The user's Parquet files: which are read, and which are left out and why.

The names of their folders may hold columns.
"""

import posixpath
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raycluster.errors import InputError
from raycluster.storage.object_store import Store
from raycluster.storage.records import InputDescription, InputFile
from raycluster.storage.vector_columns import VectorSource

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
CHECKSUMS = (".crc", ".md5", ".sha256")
"""Endings of files that writers leave beside their data."""


def input_files(url: str) -> tuple[Store, list[str]]:
    """Return the store of an input and its Parquet files, sorted by path.

    Raises InputError where there is none.
    """
    store, names, _, _ = _listed(url)
    return store, names


def describe_input(urls: str | Sequence[str]) -> InputDescription:
    """Return which files an input has, and which are left out and why.

    Later runs compare them by what stands beside their names.

    Several inputs are one input of all their files.
    """
    if isinstance(urls, str) or len(urls) == 1:
        store, names, left_out, hidden = _listed(urls if isinstance(urls, str) else urls[0])
    else:
        places = [place for url in urls for place in _places(url)]
        store, names, left_out, hidden = _listed_places(places, " ".join(urls))
    return InputDescription(store.url, [InputFile(**store.identity(name)) for name in names], left_out, hidden)


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


def _listed(url: str) -> tuple[Store, list[str], list[list[str]], int]:
    """Return the store, its Parquet files, and those left out.

    Files are left out with a reason; hidden ones are counted.
    """
    store = Store(url)
    if store.is_file():
        return store, [""], [], 0
    paths = store.files()
    if not paths:
        return _listed_places(_places(url), url)
    names, left_out = [], []
    visible = [path for path in paths if not _hidden(path)]
    for path in visible:
        if path.lower().endswith(ENDINGS) or store.starts_with(path, MARKS):
            names.append(path)
        else:
            left_out.append([path, "no Parquet file"])
    if not names:
        raise InputError(f"The input {url} holds no Parquet file.")
    return store, names, left_out, len(paths) - len(visible)


def _places(url: str) -> list[str]:
    """Return the places that an input names.

    It names itself, or what matches it as a pattern such as part-*.parquet.
    """
    store = Store(url)
    places = [store.url] if store.exists() and (store.is_file() or store.files()) else store.matching()
    if not places:
        raise InputError(f"The input {url} does not exist or is an empty folder.")
    return places


def _listed_places(places: Sequence[str], url: str) -> tuple[Store, list[str], list[list[str]], int]:
    """Return the files of several places, relative to the folder that they share."""
    if len({"://" in place for place in places}) > 1:
        raise InputError(f"The inputs {url} lie on disk and in an object store; give inputs of one kind.")
    root = posixpath.commonpath(places) if len(places) > 1 else posixpath.dirname(places[0])
    root = root.replace(":/", "://", 1) if "://" in places[0] and "://" not in root else root
    parent = Store(root)
    names, left_out, hidden = [], [], 0
    for place in places:
        one = Store(place)
        below = [""] if one.is_file() else one.files()
        base = posixpath.relpath(one.url, parent.url)
        for path in (posixpath.join(base, name) if name else base for name in below):
            if _hidden(path):
                hidden += 1
            elif path.lower().endswith(ENDINGS) or parent.starts_with(path, MARKS):
                names.append(path)
            else:
                left_out.append([path, "no Parquet file"])
    if not names:
        raise InputError(f"The input {url} holds no Parquet file.")
    return parent, sorted(names), left_out, hidden


def _hidden(name: str) -> bool:
    """Whether a file is skipped by rule: hidden, a writer's marker, or a checksum.

    Hive partitions are not hidden.
    """
    parts = [part for part in name.split("/") if "=" not in part]
    return name.endswith(CHECKSUMS) or any(part.startswith((".", "_")) for part in parts)


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
        column: Any = vectors.lists(batch)
        valid = np.flatnonzero(pc.is_valid(column))
        if vectors.kind != "nothing" and len(valid):
            fixed = pa.types.is_fixed_size_list(column.type)
            width = column.type.list_size if fixed else pc.list_value_length(column)[int(valid[0])].as_py()
            if width == 0:
                raise InputError(f"{vectors.where}, row {row + valid[0]}: the vector has zero length.")
            return int(width)
        row += batch.num_rows
    return 0
