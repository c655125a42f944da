import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.storage import schemas
from support.data import unit_rows

ID_TYPES = {
    "int64": ([7, -3, 2**60, 0], pa.int64()),
    "uint64": ([7, 1, 2**64 - 1, 0], pa.uint64()),
    "string": (["b", "a", "", "日本"], pa.string()),
    "large_string": (["b", "a", "", "日本"], pa.large_string()),
    "binary": ([b"\x00", b"a", b"", b"\xff"], pa.binary()),
}


def through_parquet(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return pq.read_table(buffer)


def rows_of(schema, rows=4):
    """Columns of any schema, distinct by row, and NaN and extremes among them."""
    rng = np.random.default_rng(0)
    columns = {}
    for field in schema:
        kind = field.type
        if pa.types.is_fixed_size_list(kind):
            values = rng.normal(size=(rows, kind.list_size)) * 100
            columns[field.name] = values.astype(kind.value_type.to_pandas_dtype())
        elif pa.types.is_boolean(kind):
            columns[field.name] = np.arange(rows) % 2 == 0
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            columns[field.name] = pa.array([f"value {i}" for i in range(rows)])
        else:
            columns[field.name] = (np.arange(rows) * 3 - 2).astype(kind.to_pandas_dtype())
    return columns


SCHEMAS = {
    "ids": schemas.sorted_ids(pa.large_string()),
    "order": schemas.ordered_ids(pa.int64()),
    "ranks": schemas.RANKS,
    "ingest": schemas.ingest(5),
    "embeddings": schemas.embeddings(pa.string()),
    "coarse_lists": schemas.COARSE_LISTS,
    "knn": schemas.knn(3),
    "topk": schemas.TOPK,
    "contexts": schemas.contexts(4),
    "relations": schemas.relations(3),
    "edges": schemas.EDGES,
    "communities": schemas.COMMUNITIES,
    "rejoined": schemas.REJOINED,
    "labels": schemas.labels(pa.string()),
    "clusters": schemas.clusters(pa.int64()),
    "dropped": schemas.dropped(pa.int64()),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_come_back_from_parquet_as_they_went_in(name):
    schema = SCHEMAS[name]
    columns = rows_of(schema)
    table = schemas.from_columns(schema, **columns)
    assert table.schema == schema
    back = through_parquet(table)
    assert back.schema.equals(schema)
    for field in schema:
        if pa.types.is_fixed_size_list(field.type):
            assert not field.type.value_field.nullable
            found = schemas.to_matrix(back[field.name])
            assert found.dtype == columns[field.name].dtype
        elif isinstance(columns[field.name], pa.Array):
            found = columns[field.name]
            assert back[field.name].to_pylist() == found.to_pylist()
        else:
            found = back[field.name].to_numpy()
        np.testing.assert_array_equal(found, columns[field.name])


@pytest.mark.parametrize("name", ID_TYPES)
def test_ids_of_every_type_come_back(name):
    values, kind = ID_TYPES[name]
    rows = np.arange(4, dtype=np.int32)
    for ids in (pa.array(values, kind), pa.chunked_array([values[:1], values[1:]], kind)):
        table = schemas.from_columns(schemas.embeddings(kind), row=rows, id=ids)
        back = through_parquet(table)
        assert back["id"].type == kind
        assert back["id"].to_pylist() == values
        np.testing.assert_array_equal(back["row"].to_numpy(), rows)


def test_missing_scores_and_missing_runners_up_come_back():
    scores = np.array([[1, np.nan], [np.nan, -0.0]], np.float32)
    table = schemas.from_columns(schemas.relations(2), row=np.arange(2, dtype=np.int32), score=scores)
    np.testing.assert_array_equal(schemas.to_matrix(through_parquet(table)["score"]), scores)
    columns = rows_of(schemas.labels(pa.int64()), 3)
    columns["runner_up"] = pa.array(np.array([4, -1, 2]), mask=np.array([False, True, False]))
    table = through_parquet(schemas.from_columns(schemas.labels(pa.int64()), **columns))
    assert table["runner_up"].to_pylist() == [4, None, 2]


def test_a_matrix_of_many_chunks_and_slices_is_joined_in_order():
    vectors = unit_rows(20, 3, 1)
    rows = np.arange(20, dtype=np.int32)
    table = schemas.from_columns(schemas.ingest(3), rank=rows, embedding=vectors)
    column = pa.concat_tables([table.slice(5, 4), table.slice(0, 3), table.slice(19)])["embedding"]
    assert column.num_chunks == 3
    expected = np.concatenate([vectors[5:9], vectors[:3], vectors[19:]])
    np.testing.assert_array_equal(schemas.to_matrix(column), expected)


def test_no_rows_are_a_matrix_of_the_right_width_and_type():
    empty = schemas.knn(7).empty_table()
    assert schemas.to_matrix(empty["neighbor"]).shape == (0, 7)
    assert schemas.to_matrix(empty["neighbor"]).dtype == np.int32
    assert schemas.to_matrix(empty["similarity"]).dtype == np.float32


def test_strided_and_wider_arrays_are_stored_as_the_schema_says():
    wide = unit_rows(6, 8, 0, np.float64)
    part = wide[::2, ::2]
    table = schemas.from_columns(schemas.relations(4), row=np.arange(3), score=part)
    assert table.schema == schemas.relations(4)
    np.testing.assert_array_equal(schemas.to_matrix(table["score"]), part.astype(np.float32))


def test_a_missing_column_or_a_wrong_width_is_refused():
    rows = np.arange(4, dtype=np.int32)
    with pytest.raises(KeyError, match="list"):
        schemas.from_columns(schemas.COARSE_LISTS, row=rows)
    with pytest.raises(pa.ArrowInvalid):
        schemas.from_columns(schemas.relations(4), row=rows, score=np.zeros((4, 3), np.float32))
    with pytest.raises(pa.ArrowInvalid):
        schemas.from_columns(schemas.COARSE_LISTS, row=rows, list=np.array([2**40, 0, 0, 0]))


def test_bytes_per_row_are_those_of_a_plain_table():
    schema = pa.schema(
        [("id", pa.int64()), ("flag", pa.bool_()), ("vector", schemas.vector(pa.float32(), 10)), ("k", pa.int16())]
    )
    rows = 8000
    vectors = np.zeros((rows, 10), np.float32)
    table = schemas.from_columns(schema, id=range(rows), flag=np.zeros(rows, bool), vector=vectors, k=range(rows))
    assert schemas.bytes_per_row(schema) == table.nbytes / rows == 8 + 1 / 8 + 40 + 2
    assert schemas.bytes_per_row(pa.schema([("id", pa.string())])) == 16
