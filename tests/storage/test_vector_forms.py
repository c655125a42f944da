"""Every way to store a vector gives the same numbers, and what is no vector is a sentence."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import InputError, ResourceError
from raycluster.storage.vector_columns import vectors_of_table

ROWS = np.array([[0.5, -1.0, 0.25], [0.0, 1.0, 2.0]])
SPARK = pa.struct(
    [("type", pa.int8()), ("size", pa.int32()), ("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))]
)


def read(column: Any, name: str = "embedding") -> list[Any]:
    values, missing = vectors_of_table(pa.table({"embedding": column}), name, "X")
    return [None if gone else row.tolist() for row, gone in zip(values, missing, strict=True)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(ROWS.tolist(), pa.list_(pa.float16())),
        pa.array(ROWS.tolist(), pa.list_view(pa.float32())),
        pa.array(ROWS.tolist(), pa.large_list_view(pa.float64())),
        pa.array([[row] for row in ROWS.tolist()], pa.list_(pa.list_(pa.float32()))),
        pa.array([[row] for row in ROWS.tolist()], pa.list_(pa.list_(pa.float32(), 3), 1)),
        pa.array([[Decimal(str(x)) for x in row] for row in ROWS], pa.list_(pa.decimal128(9, 4))),
        pa.array([row.astype("<f4").tobytes() for row in ROWS]),
        pa.array([row.astype("<f4").tobytes() for row in ROWS], pa.binary(12)),
        pa.array(["0.5;-1.0;0.25", "0 1 2"]),
        pa.array(["[0.5,\n -1.0, 0.25]", "{0,1,2,}"]),
    ],
    ids=lambda column: str(column.type),
)
def test_vectors_are_read_however_they_are_stored(column: pa.Array) -> None:
    assert read(column) == ROWS.tolist()
    with_null = pa.concat_arrays([column, pa.nulls(1, column.type)])
    assert read(with_null) == [*ROWS.tolist(), None]


def test_bits_are_numbers() -> None:
    assert read(pa.array([[True, False], [None, True]])) == [[1.0, 0.0], None]


@pytest.mark.parametrize("name", ["embedding", "embedding.values"])
def test_sparse_and_dense_vectors_of_spark_are_read(name: str) -> None:
    rows = [
        {"type": 1, "size": None, "indices": None, "values": [0.5, -1.0, 0.25]},
        {"type": 0, "size": 3, "indices": [2, 1], "values": [2.0, 1.0]},
        None,
    ]
    assert read(pa.array(rows, SPARK), name) == [*ROWS.tolist(), None]
    with pytest.raises(InputError, match="row 0: the sparse vector has no size"):
        read(pa.array([{"type": 0, "size": None, "indices": [1], "values": [2.0]}], SPARK))


def test_fields_of_structs_in_structs_are_named_by_points() -> None:
    inner = pa.StructArray.from_arrays([pa.array(ROWS.tolist())], ["values"])
    column = pa.StructArray.from_arrays([inner], ["model"])
    assert read(column, "embedding.model.values") == ROWS.tolist()
    with pytest.raises(InputError, match=r"name its field with the vectors after a point: 'model'\."):
        read(column)
    with pytest.raises(InputError, match="it has no field 'vector'"):
        read(column, "embedding.model.vector")


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (pa.array([[[1.0], [2.0]]]), "row 0: the list holds several vectors; a row is one vector"),
        (pa.array([row.astype("<f2").tobytes() * 2 for row in ROWS]), "maybe float16"),
        (pa.array([row.astype("<f8").tobytes() * 2 for row in ROWS]), "maybe float64"),
        (pa.array(["0,5 -1,0 0,25"]), "row 0: the commas of the text .* may be decimal"),
        (pa.array(["[ 0.5 -1.0 ... 0.25]"]), "no vector of numbers"),
        (pa.array(["1:0.5 3:0.2"]), "no vector of numbers"),
    ],
)
def test_what_is_no_vector_is_refused(column: pa.Array, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read(column)


@pytest.mark.parametrize(
    ("size", "indices", "values"),
    [
        (3, [0, 3], [1.0, 2.0]),
        (3, [-1, 0], [1.0, 2.0]),
        (3, [1, 1], [1.0, 2.0]),
        (3, [None, 1], [1.0, 2.0]),
        (3, [0, 1], [1.0]),
    ],
)
def test_indices_of_sparse_vectors_fit_their_size(size: int, indices: list[int | None], values: list[float]) -> None:
    good = {"type": 0, "size": 3, "indices": [2], "values": [2.0]}
    row = {"type": 0, "size": size, "indices": indices, "values": values}
    with pytest.raises(
        InputError, match=r"column 'embedding', row 1: the sparse vector of size 3 has .* from 0 to 2\."
    ):
        read(pa.array([good, row], SPARK))


def test_sparse_vectors_that_fit_into_no_memory_are_refused_before_they_are_made() -> None:
    row = {"type": 0, "size": 2**31 - 1, "indices": [0], "values": [1.0]}
    with pytest.raises(ResourceError, match=r"row 0: 64 sparse vectors of 2147483647 coordinates take 1024\.0 GiB"):
        read(pa.array([row] * 64, SPARK))


def test_text_and_bytes_that_are_no_vector_are_named_by_row() -> None:
    with pytest.raises(InputError, match=r"column 'embedding', row 2: the text 'cat' is no vector of numbers\."):
        read(pa.array(["1,2", None, "cat"]))
    with pytest.raises(InputError, match=r"column 'embedding', row 1: the 3 bytes are no float32 numbers"):
        read(pa.array([b"1234", b"123"]))
