"""Parts: every block and column comes back from its own range of bytes, and no other bytes pass for it."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.storage.parts import Part, chosen, decode_block, encode_parquet, encode_part, is_whole, ranges
from raycluster.storage.records import Chunk
from raycluster.storage.schemas import from_columns, knn

SCHEMA = knn(2)


def block(start: int, rows: int) -> pa.Table:
    """Neighbors of some rows."""
    row = np.arange(start, start + rows, dtype=np.int32)
    return from_columns(
        SCHEMA, row=row, neighbor=np.stack([row, row + 1], 1), similarity=np.ones((rows, 2), np.float32)
    )


def read(part: Part, number: int, columns: list[str] | None) -> pa.Table:
    """A block as a reader gets it, from ranges of the part's bytes."""
    (pieces,) = chosen([part.blocks[number]], columns)
    return decode_block([(chunk, memoryview(part.data)[chunk.start : chunk.stop]) for chunk in pieces], columns)


def test_every_block_and_column_comes_back() -> None:
    tables = [block(0, 3), block(3, 0), block(3, 2)]
    part = encode_part(tables)
    assert part.rows == 5
    for number, table in enumerate(tables):
        assert read(part, number, None).equals(table)
        assert read(part, number, ["similarity", "row"]).equals(table.select(["similarity", "row"]))


def test_plain_columns_share_a_piece_and_every_column_of_vectors_has_its_own() -> None:
    names = [chunk.columns for chunk in encode_part([block(0, 3)]).blocks[0]]
    assert names == [["row"], ["neighbor"], ["similarity"]]


def test_bytes_of_vectors_lie_apart_by_their_place_and_plain_columns_are_as_every_reader_has_them() -> None:
    part = encode_part([block(0, 300)])
    encodings = {}
    for chunk in part.blocks[0]:
        piece = pq.ParquetFile(io.BytesIO(part.data[chunk.start : chunk.stop]))
        encodings[chunk.columns[0]] = piece.metadata.row_group(0).column(0).encodings
    assert "BYTE_STREAM_SPLIT" in encodings["neighbor"]
    assert "BYTE_STREAM_SPLIT" in encodings["similarity"]
    assert "BYTE_STREAM_SPLIT" not in encodings["row"]


def test_a_table_without_vectors_is_an_ordinary_parquet_file() -> None:
    table = pa.table({"row": [1, 2], "id": ["a", "b"]})
    part = encode_part([table])
    assert pq.read_table(io.BytesIO(part.data)).equals(table)
    assert part.sha256 == part.blocks[0][0].sha256


def test_the_digest_of_several_pieces_is_that_of_their_digests() -> None:
    one, other = encode_part([block(0, 3), block(3, 2)]), encode_part([block(0, 3), block(3, 1)])
    assert one.sha256 == encode_part([block(0, 3), block(3, 2)]).sha256
    assert one.sha256 not in {other.sha256, *(chunk.sha256 for chunk in one.blocks[0])}


def test_no_flipped_bit_of_a_piece_passes() -> None:
    part = encode_part([block(0, 3)])
    for chunk in part.blocks[0]:
        data = part.data[chunk.start : chunk.stop]
        assert is_whole(chunk, memoryview(data))
        assert not is_whole(chunk, memoryview(data[:-1]))
        for at in range(0, 8 * len(data), 7):
            flipped = bytearray(data)
            flipped[at // 8] ^= 1 << at % 8
            assert not is_whole(chunk, memoryview(flipped))


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([(0, 10), (10, 20)], [(0, 20)]),
        ([(10, 20), (0, 10)], [(0, 20)]),
        ([(0, 10), (10**6, 10**6 + 5)], [(0, 10), (10**6, 10**6 + 5)]),
        ([], []),
    ],
)
def test_near_pieces_are_fetched_together(bounds: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert ranges([Chunk(start, stop, "", []) for start, stop in bounds]) == expected


def test_an_encoded_file_has_a_row_group_per_table() -> None:
    file = pq.ParquetFile(io.BytesIO(encode_parquet([block(0, 3), block(3, 2)])))
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [3, 2]
