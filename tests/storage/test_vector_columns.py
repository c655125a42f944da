"""Vectors in every shape that users store them in."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import InputError
from raycluster.storage.vector_columns import VectorSource, vectors_of_table
from raycluster.storage.vector_forms import read_vectors

MATRIX = np.array([[1.5, -2.0, 0.25], [4.0, 5.0, 6.0]], np.float32)
SHAPES: dict[str, Any] = {
    "lists": pa.array(MATRIX.tolist()),
    "tensors": pa.FixedShapeTensorArray.from_numpy_ndarray(MATRIX),
    "bytes": pa.array([row.tobytes() for row in MATRIX]),
    "fixed bytes": pa.array([row.tobytes() for row in MATRIX], pa.binary(12)),
    "text": pa.array(["[1.5, -2.0, 0.25]", "4 5 6"]),
}


def values_of(table: pa.Table, column: str) -> Any:
    source = VectorSource.of(table.schema, column, "here")
    return read_vectors(source.lists(table.to_batches()[0]), 3, source.where, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_are_read_from_every_shape(shape: str) -> None:
    values, null = values_of(pa.table({"embedding": SHAPES[shape]}), "embedding")
    np.testing.assert_array_equal(values, MATRIX)
    assert not null.any()


def test_many_columns_are_one_vector_in_natural_order() -> None:
    columns = {f"e{number}": [float(number), None if number == 3 else 0.5] for number in (10, 2, 3)}
    values, null = values_of(pa.table({**columns, "e_text": ["a", "b"]}), "e*")
    np.testing.assert_array_equal(values[0], [2, 3, 10])
    assert null.tolist() == [False, True]


def test_a_field_of_a_struct_is_a_column() -> None:
    table = pa.table({"face": pa.array([{"vector": row} for row in MATRIX.tolist()])})
    np.testing.assert_array_equal(values_of(table, "face.vector")[0], MATRIX)
    with pytest.raises(InputError, match="has no field 'other'"):
        VectorSource.of(table.schema, "face.other", "here")


def test_bytes_of_another_type_are_refused() -> None:
    doubles = np.random.default_rng(0).normal(size=(50, 8))
    table = pa.table({"embedding": [row.tobytes() for row in doubles]})
    with pytest.raises(InputError, match="no float32 numbers, but maybe float64"):
        VectorSource.of(table.schema, "embedding", "here").lists(table.to_batches()[0])
    odd = pa.table({"embedding": [b"abc"]})
    with pytest.raises(InputError, match="row 0: the 3 bytes are no float32 numbers"):
        VectorSource.of(odd.schema, "embedding", "here").lists(odd.to_batches()[0])


def test_a_part_without_rows_has_no_type_to_complain_of() -> None:
    table = pa.table({"embedding": pa.array([], pa.null())})
    assert VectorSource.of(table.schema, "embedding", "here").kind == "nothing"


def test_numbered_columns_in_place_of_vectors_are_recognized() -> None:
    table = pa.table({"id": [1, 2], **{f"f{place}": [0.5, 1.0] for place in range(12)}})
    with pytest.raises(
        InputError, match=r"here has no column 'embedding'; --embedding-column 'f\*' reads its numbered"
    ):
        VectorSource.of(table.schema, "embedding", "here")
    assert len(VectorSource.of(table.schema, "f*", "here").columns) == 12
    with pytest.raises(InputError, match="here has no column 'embedding'; it has id, f0"):
        VectorSource.of(pa.schema([("id", pa.int64()), ("f0", pa.float32())]), "embedding", "here")


def test_a_table_of_several_batches_is_one_array_and_missing_rows_are_marked():
    parts = [pa.table({"embedding": pa.array(rows, pa.list_(pa.float32()))}) for rows in ([None, [1, 2]], [[3, None]])]
    vectors, missing = vectors_of_table(pa.concat_tables(parts), "embedding", "here")
    assert missing.tolist() == [True, False, True]
    assert vectors.shape == (3, 2)
    assert vectors[1].tolist() == [1, 2]
    with pytest.raises(InputError, match="here, column 'embedding' holds no vector"):
        vectors_of_table(parts[0].slice(0, 1), "embedding", "here")
