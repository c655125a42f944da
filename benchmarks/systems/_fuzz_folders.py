"""Random input folders: mixed files, types, names, endings, and what does not belong there.

Identities are far apart, so that the right partition is beyond doubt whatever the form of the rows.
"""

import gzip
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

Vectors = npt.NDArray[np.float64]
Column = dict[str, Any]
NOISE = 0.02
"""Spread of a row around its identity: cosines of 0.99 and more within, below 0.8 between."""
NAMES = (
    "part-0.parquet", "B.PARQUET", "c.parq", "d.pq", "no-ending", "with space.parquet", "umlaut-\u00fc.parquet",
    "per%20cent.parquet", "bracket[1].parquet", "star*.parquet", "query?.parquet", "hash#1.parquet", "semi;colon.parquet",
    "a::b.parquet", "x.snappy.parquet", "deep/er/part.parquet", "label=3/part.parquet", "day=2024-01-31/part.parquet",
    "a=1/b=x%2Fy/part.parquet", "-dash.parquet", "~tilde.parquet", "dollar$HOME.parquet", "quote'.parquet",
)  # fmt: skip
"""Names of files with rows."""


@dataclass
class Folder:
    """An input folder, and which rows its files hold."""

    path: Path
    rows: dict[str, dict[Any, int]] = field(default_factory=dict)
    """Identity by id, by file; an id is None where rows are numbered."""
    is_numbered: bool = False
    notes: list[str] = field(default_factory=list)
    """What was made, in words."""


def make(path: Path, draw: random.Random) -> Folder:
    """Write a random folder."""
    folder, numbers = Folder(path), np.random.default_rng(draw.randrange(2**32))
    width, count = draw.choice((2, 3, 16, 33)), draw.randint(2, 5)
    centers = np.eye(max(width, count))[:count, :width] if width >= count else _on_a_circle(count, width)
    name_ids = draw.choice(list(IDS) if draw.random() < 0.2 else USUAL_IDS)
    name_form = draw.choice(list(FORMS) if draw.random() < 0.2 else [name for name in FORMS if "columns" not in name])
    identities: dict[str, list[int]] = {}
    keys: dict[str, list[Any] | None] = {}
    folder.notes += [f"ids {name_ids}", f"vectors {name_form}"]
    first = 0
    for name in draw.sample(NAMES, draw.randint(1, 3)):
        rows = draw.choice((0, 1, 4, 9, 9, 9))
        identity = numbers.integers(0, count, rows)
        vectors = centers[identity] * draw.choice((1e-20, 1.0, 1.0, 1e20)) * numbers.uniform(0.5, 2, (rows, 1))
        vectors = vectors * (1 + NOISE * numbers.standard_normal(vectors.shape))
        ids = list(range(first, first + rows))
        first += rows
        form = name_form if draw.random() < 0.9 else draw.choice(list(FORMS))
        kind = name_ids if draw.random() < 0.95 else draw.choice(list(IDS))
        columns = {**IDS[kind](ids), **FORMS[form](vectors)}
        fault = draw.choice(list(FAULTS)) if draw.random() < 0.15 else "none"
        folder.notes.append(f"{name}: {rows} rows, {kind} ids, {form}, fault {fault}")
        columns = FAULTS[fault](columns, draw)
        identities[name], keys[name] = identity.tolist(), _plain(columns["id"], rows) if "id" in columns else None
        _write(path / name, columns, draw, folder)
    folder.is_numbered = not any(own is not None for own in keys.values())
    for name, own in keys.items():
        places = [(name, row) for row in range(len(identities[name]))] if folder.is_numbered else own
        folder.rows[name] = dict(zip(places or [None] * len(identities[name]), identities[name], strict=False))
    for _ in range(draw.choice((0, 0, 0, 1, 1, 2))):
        extra = draw.choice(list(EXTRAS))
        EXTRAS[extra](path, draw)
        folder.notes.append(f"beside it {extra}")
    return folder


def _on_a_circle(count: int, width: int) -> Vectors:
    """Return directions in few dimensions, 72 degrees apart."""
    angle = np.arange(count) * 2 * np.pi / 5
    return np.pad(np.stack([np.cos(angle), np.sin(angle)], axis=1), ((0, 0), (0, width - 2)))


def _plain(column: Any, rows: int) -> list[Any]:
    values = column.storage if isinstance(column, pa.ExtensionArray) else column
    return list(values.to_pylist()[:rows])


def _lists(vectors: Vectors, kind: pa.DataType) -> pa.Array:
    return pa.array(list(vectors), pa.list_(kind))


def _struct(vectors: Vectors) -> Column:
    fields = {f"x{place}": vectors[:, place] for place in range(vectors.shape[1])}
    return {"embedding": pa.StructArray.from_arrays([pa.array(value) for value in fields.values()], list(fields))}


def _scaled(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / max(np.abs(vectors).max(initial=0), 1e-300))


def _tensor(vectors: Vectors) -> Column:
    if len(vectors) == 0:
        return {"embedding": _lists(vectors, pa.float64())}
    return {"embedding": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(vectors, np.float32))}


def _fixed(vectors: Vectors) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])


FORMS: dict[str, Callable[[Vectors], Column]] = {
    "list<float>": lambda v: {"embedding": _lists(v, pa.float32())},
    "list<double>": lambda v: {"embedding": _lists(v, pa.float64())},
    "list<halffloat>": lambda v: {"embedding": _lists(_scaled(v).astype(np.float16), pa.float16())},
    "list<int32>": lambda v: {"embedding": _lists((_scaled(v) * 1e4).astype(np.int32), pa.int32())},
    "large_list<float>": lambda v: {"embedding": _lists(v, pa.float32()).cast(pa.large_list(pa.float32()))},
    "fixed_size_list": lambda v: {"embedding": _fixed(v)},
    "tensor": _tensor,
    "bytes": lambda v: {"embedding": pa.array([row.astype("<f4").tobytes() for row in v], pa.binary())},
    "text in brackets": lambda v: {"embedding": pa.array([str(row.tolist()) for row in v], pa.string())},
    "text with spaces": lambda v: {"embedding": pa.array([" ".join(map(str, row)) for row in v], pa.string())},
    "columns": lambda v: {f"f{place}": pa.array(v[:, place]) for place in range(v.shape[1])},
    "columns of the name": lambda v: {f"embedding_{place}": pa.array(v[:, place]) for place in range(v.shape[1])},
    "struct": _struct,
    "decimals": lambda v: {"embedding": _lists(_scaled(v).round(6), pa.float64()).cast(pa.list_(pa.decimal128(18, 9)))},
    "negative zeros": lambda v: {"embedding": _lists(np.where(v == 0, -0.0, v), pa.float32())},
}  # fmt: skip
"""How vectors may be stored."""
IDS: dict[str, Callable[[list[int]], Column]] = {
    "int64": lambda ids: {"id": pa.array(ids, pa.int64())},
    "int32": lambda ids: {"id": pa.array(ids, pa.int32())},
    "large uint64": lambda ids: {"id": pa.array([2**63 + number for number in ids], pa.uint64())},
    "string": lambda ids: {"id": pa.array([f"row {number}" for number in ids], pa.string())},
    "large_string": lambda ids: {"id": pa.array([f"row {number}" for number in ids], pa.large_string())},
    "dictionary": lambda ids: {"id": pa.array([f"row {number}" for number in ids], pa.string()).dictionary_encode()},
    "binary": lambda ids: {"id": pa.array([number.to_bytes(4, "big") for number in ids], pa.binary())},
    "uuid": lambda ids: {"id": pa.array([number.to_bytes(16, "big") for number in ids], pa.uuid())},
    "decimal": lambda ids: {"id": pa.array(ids, pa.int64()).cast(pa.decimal128(20, 0))},
    "double": lambda ids: {"id": pa.array(ids, pa.float64())},
    "timestamp": lambda ids: {"id": pa.array(ids, pa.timestamp("us"))},
    "date": lambda ids: {"id": pa.array(ids, pa.date32())},
    "bool": lambda ids: {"id": pa.array([number % 2 == 0 for number in ids])},
    "with a null": lambda ids: {"id": pa.array([None if number % 5 == 4 else number for number in ids], pa.int64())},
    "none": lambda ids: {},
}
"""How ids may be stored."""
USUAL_IDS = ("int64", "int32", "large uint64", "string", "large_string", "dictionary", "binary", "uuid", "none")
"""Ids that can be read."""


def _spoilt(value: Any) -> Callable[[Column, random.Random], Column]:
    """Return a fault that puts a value into the first vector."""

    def spoil(columns: Column, draw: random.Random) -> Column:  # noqa: ARG001
        rows = columns["embedding"].to_pylist() if "embedding" in columns else []
        if not rows or not isinstance(rows[0], list) or not isinstance(rows[0][0], float):
            return columns
        rows[0] = value(rows[0])
        return columns | {"embedding": pa.array(rows, pa.list_(pa.float64()))}

    return spoil


FAULTS: dict[str, Callable[[Column, random.Random], Column]] = {
    "none": lambda c, _: c,
    "a NaN": _spoilt(lambda row: [float("nan"), *row[1:]]),
    "an infinity": _spoilt(lambda row: [float("inf"), *row[1:]]),
    "a zero vector": _spoilt(lambda row: [0.0] * len(row)),
    "a null": _spoilt(lambda row: None),
    "a null in a vector": _spoilt(lambda row: [None, *row[1:]]),
    "another width": _spoilt(lambda row: [*row, 1.0]),
    "an empty vector": _spoilt(lambda row: []),
    "uppercase names": lambda c, _: {name.upper(): column for name, column in c.items()},
    "no vectors": lambda c, _: {name: column for name, column in c.items() if name == "id"},
    "a column of text": lambda c, _: {**c, "note": pa.array(["x"] * len(next(iter(c.values()))), pa.string())},
    "a nested column": lambda c, _: {**c, "box": pa.array([{"a": [1]}] * len(next(iter(c.values()))))},
    "ids twice": lambda c, _: c | ({"id": pa.concat_arrays([c["id"][:1]] * len(c["id"]))} if len(c.get("id", ())) else {}),
}  # fmt: skip
"""What may be wrong with the rows of a file."""


def _write(path: Path, columns: Column, draw: random.Random, folder: Folder) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "compression": draw.choice(("none", "snappy", "gzip", "zstd")),
        "row_group_size": draw.choice((1, 3, 1000)),
        "data_page_version": draw.choice(("1.0", "2.0")),
        "use_dictionary": draw.random() < 0.5,
        "store_schema": draw.random() < 0.8,
    }
    names, arrays = list(columns), list(columns.values())
    if draw.random() < 0.03 and names:
        names, arrays = [*names, names[0]], [*arrays, arrays[0]]
        folder.notes.append("a column twice")
    try:
        pq.write_table(pa.Table.from_arrays(arrays, names=names), path, **options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, OSError) as error:
        path.write_bytes(b"")  # a writer that failed leaves an empty file
        folder.notes.append(f"{path.name} is empty: {error}")


def _table() -> pa.Table:
    return pa.table({"id": [10**6], "embedding": [[1.0, 0.0]]})


def _parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(_table(), sink)
    return bytes(sink.getvalue())


def _link(path: Path, target: str) -> None:
    if not path.is_symlink():
        path.symlink_to(target)


def _pipe(path: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


def _feather(path: Path) -> None:
    pyarrow.feather.write_feather(_table(), str(path), compression="uncompressed")


EXTRAS: dict[str, Callable[[Path, random.Random], Any]] = {
    "an empty file": lambda p, _: (p / "zero.parquet").write_bytes(b""),
    "a truncated Parquet": lambda p, d: (p / "cut.parquet").write_bytes(_parquet_bytes()[: -d.randint(1, 60)]),
    "a Parquet without its middle": lambda p, _: (p / "hole.parquet").write_bytes(b"PAR1" + b"\0" * 40 + b"PAR1"),
    "a compressed Parquet": lambda p, _: (p / "x.parquet.gz").write_bytes(gzip.compress(_parquet_bytes())),
    "a CSV": lambda p, _: (p / "rows.csv").write_text("id,embedding\n1,0.5\n"),
    "a CSV that ends in .parquet": lambda p, _: (p / "rows.parquet").write_text("id,embedding\n1,0.5\n"),
    "a Feather that ends in .parquet": lambda p, _: _feather(p / "f.parquet"),
    "an Arrow file": lambda p, _: _feather(p / "f.arrow"),
    "a success marker": lambda p, _: (p / "_SUCCESS").write_bytes(b""),
    "a checksum": lambda p, _: (p / ".part-0.parquet.crc").write_bytes(b"crc"),
    "a hidden file": lambda p, _: (p / ".hidden.parquet").write_bytes(b"no"),
    "a page of text": lambda p, _: (p / "README.md").write_text("# rows"),
    "an empty folder": lambda p, _: (p / "empty").mkdir(exist_ok=True),
    "a folder that ends in .parquet": lambda p, _: (p / "folder.parquet").mkdir(exist_ok=True),
    "a symlink to itself": lambda p, _: _link(p / "loop.parquet", "loop.parquet"),
    "a symlink to the folder": lambda p, _: _link(p / "again", "."),
    "a broken symlink": lambda p, _: _link(p / "gone.parquet", "nowhere"),
    "a pipe": lambda p, _: _pipe(p / "pipe.parquet"),
    "no rows": lambda p, _: pq.write_table(_table().slice(0, 0), p / "none.parquet"),
}  # fmt: skip
"""What may lie beside the rows."""
