"""Rows of a column that are read from stored parts: the same values as in a copy, checked, and no file."""

from pathlib import Path

import numpy as np
import pytest

from raycluster.errors import DamagedError
from raycluster.storage import node_cache
from raycluster.storage.some_rows import SomeRows
from raycluster.storage.stored_tables import StoredTables
from support.both_tables import ROWS, WIDTH, array_tables, stored_tables


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredTables:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    return stored_tables(tmp_path)


KEYS = [
    slice(None, None, 7),
    np.array([3, 30, 39]),
    np.array([30, 3, 3]),
    np.array([[30, 3], [2, 3]]),
    (slice(None), 1),
    (slice(None, None, 7), slice(1, None)),
    (np.array([1, 20]), [0, 2]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_values_are_those_of_a_copy(tables: StoredTables, key: object) -> None:
    few = tables.few_rows("knn", "similarity", 5, "float32")
    assert isinstance(few, SomeRows)
    assert few.shape == (len(few), 5) == (ROWS, 5)
    read = few[key]
    assert not list(Path(node_cache.folder(tables.folder)).glob("*.npy"))
    np.testing.assert_array_equal(read, tables.column("knn", "similarity")[key])


def test_vectors_come_in_the_order_of_rows_and_in_the_type_that_is_asked_for(tables: StoredTables) -> None:
    rows = np.array([0, 13, 39])
    for dtype in ("float32", "float16"):
        few = tables.few_rows("ingest", "embedding", WIDTH, dtype)
        np.testing.assert_array_equal(few[rows], tables.column("ingest", "embedding", dtype)[rows])
    assert tables.few_rows("ingest", "embedding", WIDTH, "float32") is tables.column("ingest", "embedding", "float32")


def test_the_last_sample_is_held(tables: StoredTables, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tables.few_rows("knn", "similarity", 5, "float32")
    first = few[::4].copy()
    monkeypatch.setattr(tables.folder, "table", None)
    np.testing.assert_array_equal(tables.few_rows("knn", "similarity", 5, "float32")[::4, 1:], first[:, 1:])


def test_damage_is_found(tables: StoredTables) -> None:
    marker = tables.folder.marker("knn", 1)
    key = Path(tables.folder.store.name(marker.key))
    piece = next(chunk for chunk in marker.blocks[0] if "similarity" in chunk.columns)
    data = bytearray(key.read_bytes())
    data[(piece.start + piece.stop) // 2] ^= 1
    key.chmod(0o600)
    key.write_bytes(data)
    with pytest.raises(DamagedError, match="was changed or damaged"):
        tables.few_rows("knn", "similarity", 5, "float32")[:]


def test_arrays_are_read_as_they_are() -> None:
    tables = array_tables()
    assert tables.few_rows("knn", "similarity", 5, "float32") is tables.column("knn", "similarity", "float32")
