"""Tables: stages read the same from a run folder and from arrays, once per process, and commit the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.stages.stage import row_shards
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Conversion, Output, Tables, Task
from support.both_tables import CONFIG, ROWS, VECTORS, array_tables, stored_tables

KNN_SCHEMA = pa.schema([("row", pa.int32()), ("score", pa.list_(pa.float32(), 2)), ("id", pa.string())])


@pytest.fixture
def stored(tmp_path: Path) -> StoredTables:
    """Tables of a run folder."""
    return stored_tables(tmp_path)


@pytest.fixture
def arrays() -> ArrayTables:
    """Tables of arrays as far."""
    return array_tables()


@pytest.fixture(params=["stored", "arrays"])
def tables(request: pytest.FixtureRequest) -> Tables:
    made: Tables = request.getfixturevalue(request.param)
    return made


def test_both_kinds_hold_the_same(stored: StoredTables, arrays: ArrayTables) -> None:
    assert (stored.rows, stored.width, stored.id_type) == (arrays.rows, arrays.width, arrays.id_type)
    assert (list(stored.bounds), list(arrays.bounds)) == ([0, 14, 28, ROWS], [0, ROWS])
    for stage, name, dtype in (
        ("ingest", "embedding", "float32"),
        ("knn", "neighbor", None),
        ("knn", "similarity", None),
    ):
        np.testing.assert_array_equal(stored.column(stage, name, dtype), arrays.column(stage, name, dtype))
    for one in (stored, arrays):
        ids = [value for task in row_shards(one) for value in one.ids(task).to_pylist()]
        assert ids == list(range(ROWS))


def test_a_column_is_made_once_per_process_and_conversion(tables: Tables) -> None:
    calls: list[int] = []

    def halved(values: Any) -> Any:
        calls.append(len(values))
        return values / 2

    half = Conversion("half", halved)
    first = tables.column("knn", "similarity", "float32", half)
    assert tables.column("knn", "similarity", "float32", Conversion("half", halved)) is first
    assert sum(calls) == ROWS
    np.testing.assert_allclose(first, np.asarray(tables.column("knn", "similarity")) / 2)
    assert tables.column("knn", "similarity") is tables.column("knn", "similarity")


def test_shared_values_are_made_once(tables: Tables) -> None:
    made: list[int] = []
    make: Callable[[], object] = lambda: made.append(1) or object()  # noqa: E731
    assert tables.shared("model", make) is tables.shared("model", make)
    assert tables.shared("index", make) is not tables.shared("model", make)
    assert len(made) == 2


def test_what_a_task_commits_is_read_back_in_the_order_of_tasks(tables: Tables) -> None:
    def block(rows: range) -> dict[str, Any]:
        score = np.array([[row, row + 0.5] for row in rows], np.float32)
        return {"row": np.array(rows, np.int32), "score": score, "id": pa.array([str(row) for row in rows])}

    stage = "edges"
    assert tables.finished(stage) == set()
    tables.commit(stage, Task(1, 3, 7), Output([block(range(3, 5)), block(range(5, 7))], {"links": 4}), KNN_SCHEMA)
    tables.commit(stage, Task(0, 0, 3), Output([block(range(3))], {"links": 3}), KNN_SCHEMA)
    assert tables.finished(stage) == {0, 1}
    blocks = list(tables.blocks(stage, ["row", "score"]))
    assert [part["row"].tolist() for part in blocks] == [[0, 1, 2], [3, 4, 5, 6]]
    assert blocks[1]["score"].dtype == np.float32
    np.testing.assert_array_equal(blocks[1]["score"][:, 1], [3.5, 4.5, 5.5, 6.5])
    assert [facts["links"] for facts in tables.task_facts(stage)] == [3, 4]
    np.testing.assert_array_equal(tables.block(stage, 0, ["row"])["row"], [0, 1, 2])


def test_facts_and_arrays_that_a_stage_found_once_are_recorded(tables: Tables) -> None:
    centroids = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert not tables.has_facts("edges")
    digest = tables.put_array("edges", "centroids", centroids)
    tables.put_facts("edges", {"centroids": digest, "lists": 3})
    assert tables.has_facts("edges")
    assert tables.facts("edges")["lists"] == 3
    np.testing.assert_array_equal(tables.array("edges", "centroids", digest), centroids)


def test_only_what_arrays_start_from_is_given(stored: StoredTables, arrays: ArrayTables) -> None:
    names = ("ingest", "embeddings", "knn")
    assert [stored.is_given(name) for name in names] == [False] * 3
    assert [arrays.is_given(name) for name in names] == [True, True, False]


def test_a_subset_is_clustered_through_the_same_stages(tables: Tables) -> None:
    found = tables.cluster_subset(VECTORS[:16], CONFIG)
    np.testing.assert_array_equal(found[:, None] == found, np.arange(16)[:, None] // 4 == np.arange(16) // 4)
