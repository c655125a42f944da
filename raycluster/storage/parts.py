"""Parts: one task's table in one object; every read is one verified range.

A part is Parquet files in a row, its pieces. Every block of the table has a piece with its plain columns and one per column
of vectors. The task's marker holds the range and digest of every piece. So one request fetches what a reader needs,
without a footer or a size first. A table of one block without vectors is an ordinary Parquet file.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.storage.records import Chunk

GAP_BYTES = 2**16
"""Bytes between two pieces that are fetched and thrown away rather than left out by a second request: 64 KiB take no longer."""


@dataclass(frozen=True)
class Part:
    """A table as it is stored."""

    data: bytes
    blocks: list[list[Chunk]]
    """The pieces of every block."""
    rows: int

    @property
    def sha256(self) -> str:
        """The digest of its only piece, or of the digests of all."""
        digests = [chunk.sha256 for block in self.blocks for chunk in block]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def encode_part(tables: Sequence[pa.Table]) -> Part:
    """Return the part that holds tables of one schema, a block each."""
    data = io.BytesIO()
    blocks: list[list[Chunk]] = []
    for table in tables:
        block = []
        for names in _pieces(table.schema):
            encoded = encode_parquet([table.select(names)])
            start = data.tell()
            data.write(encoded)
            block.append(Chunk(start, data.tell(), hashlib.sha256(encoded).hexdigest(), names))
        blocks.append(block)
    return Part(data.getvalue(), blocks, sum(table.num_rows for table in tables))


def _pieces(schema: pa.Schema) -> list[list[str]]:
    """Return the columns of every piece: plain ones together, every vector alone."""
    wide = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
    plain = [name for name in schema.names if name not in wide]
    return ([plain] if plain else []) + [[name] for name in wide]


def encode_parquet(tables: Sequence[pa.Table]) -> bytes:
    """Return tables of one schema as a Parquet file, a row group each."""
    buffer = io.BytesIO()
    schema = tables[0].schema
    plain = [field.name for field in schema if not pa.types.is_fixed_size_list(field.type)]
    # The bytes of vectors apart by their place: a tenth smaller and read in two thirds of the time. Plain columns, which users
    # read, keep the encodings that every reader has.
    encoding: dict[str, Any] = {"use_dictionary": plain, "use_byte_stream_split": not plain}
    with pq.ParquetWriter(buffer, schema, compression="zstd", compression_level=1, **encoding) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    rows = pq.read_metadata(io.BytesIO(buffer.getbuffer())).num_rows
    assert rows == sum(table.num_rows for table in tables), "the encoder lost rows"
    return buffer.getvalue()


def chosen(blocks: Iterable[Sequence[Chunk]], columns: Sequence[str] | None) -> list[list[Chunk]]:
    """Return the pieces of every block that hold any of the columns; none means all."""
    return [[chunk for chunk in block if columns is None or set(columns) & set(chunk.columns)] for block in blocks]


def ranges(chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
    """Return the byte ranges that hold all pieces, near ones in one range."""
    joined: list[tuple[int, int]] = []
    for chunk in sorted(chunks, key=lambda chunk: chunk.start):
        if joined and chunk.start - joined[-1][1] <= GAP_BYTES:
            joined[-1] = (joined[-1][0], chunk.stop)
        else:
            joined.append((chunk.start, chunk.stop))
    return joined


def read_parquet(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Return the table of a Parquet file in memory.

    `pq.read_table` leaves threads behind that take Python's lock. Where one does so as the process ends, the process is aborted,
    after everything was printed: 5 of 150 times on a busy machine.

    Parameters
    ----------
    data
        The bytes of the file.
    columns
        Names to read, in their order; None reads all.
    """
    table = pq.ParquetFile(pa.BufferReader(data)).read(columns=columns)
    return table if columns is None else table.select(columns)


def is_whole(chunk: Chunk, data: memoryview) -> bool:
    """Whether the bytes of a piece are those that were written."""
    return len(data) == chunk.stop - chunk.start and hashlib.sha256(data).hexdigest() == chunk.sha256


def decode_block(pieces: Sequence[tuple[Chunk, memoryview]], columns: Sequence[str] | None) -> pa.Table:
    """Return the table of a block from the bytes of its pieces, with these columns."""
    arrays: dict[str, pa.ChunkedArray] = {}
    for chunk, data in pieces:
        names = chunk.columns if columns is None else [name for name in chunk.columns if name in columns]
        table = pq.read_table(pa.BufferReader(pa.py_buffer(data)), columns=names)
        arrays |= {name: table[name] for name in names}
    return pa.table({name: arrays[name] for name in columns} if columns is not None else arrays)
