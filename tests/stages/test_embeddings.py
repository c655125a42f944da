"""Rows are numbered in the order of ids, without gaps, whatever was dropped and however the input is cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import open_run, opened, run_stages
from raycluster.storage.stored_tables import StoredTables
from support.data import unit_rows

ROWS, WIDTH = 24, 6
VECTORS = unit_rows(ROWS, WIDTH, 0)
IDS = [f"row {number:03d}" for number in np.random.default_rng(2).permutation(1000)[:ROWS]]
CONFIG = load_config("cosine", {"knn": {"k": 5}, "embeddings": {"on_bad_row": "drop"}}, "test")


def numbered(folder: Path, vectors: Any, shards: int = 4) -> StoredTables:
    """Tables of a run folder whose rows have their numbers."""
    table = pa.table({"id": IDS, "embedding": pa.array(list(vectors), pa.list_(pa.float32()))})
    pq.write_table(table, folder / "rows.parquet", row_group_size=5)
    execution = Execution("local", shards=shards)
    with opened(str(folder / "rows.parquet"), str(folder / "run"), CONFIG, execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="embeddings")
    return open_run(str(folder / "run"), 1)


def rows_of(tables: StoredTables) -> tuple[list[int], list[str]]:
    """Row numbers and ids of all shards, one after another."""
    parts = [tables.folder.table("embeddings", shard) for shard in range(len(tables.bounds) - 1)]
    return [row for part in parts for row in part["row"].to_pylist()], [
        key for part in parts for key in part["id"].to_pylist()
    ]


@pytest.mark.parametrize("shards", [1, 4])
def test_rows_follow_the_order_of_ids(tmp_path: Path, shards: int) -> None:
    tables = numbered(tmp_path, VECTORS, shards)
    assert rows_of(tables) == (list(range(ROWS)), sorted(IDS))
    assert tables.bounds == [ROWS * shard // shards for shard in range(shards + 1)]


def test_dropped_rows_leave_no_gap_and_a_shard_of_nothing_but_them_is_none(tmp_path: Path) -> None:
    spoilt, order = VECTORS.copy(), np.argsort(IDS)
    spoilt[order[:6]] = 0
    spoilt[order[13]] = np.nan
    tables = numbered(tmp_path, spoilt)
    kept = [key for rank, key in enumerate(sorted(IDS)) if rank >= 6 and rank != 13]
    assert rows_of(tables) == (list(range(ROWS - 7)), kept)
    assert tables.bounds == [0, 6, 11, 17]
    assert tables.facts("embeddings")["planned"] == [1, 2, 3]


def test_a_set_without_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no row that can be used; all 24 were dropped\."):
        numbered(tmp_path, np.zeros_like(VECTORS))


def test_one_row_is_a_set(tmp_path: Path) -> None:
    spoilt = np.zeros_like(VECTORS)
    spoilt[3] = VECTORS[3]
    assert numbered(tmp_path, spoilt).rows == 1


def test_one_vector_is_a_set(tmp_path: Path) -> None:
    assert numbered(tmp_path, np.tile(VECTORS[:1], (ROWS, 1))).rows == ROWS
