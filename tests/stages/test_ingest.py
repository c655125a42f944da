"""Pieces of the input become unit rows, sorted by rank; bad rows are listed."""

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
from raycluster.stages.ingest import pieces, read_piece, read_unit_rows, vectors_of
from raycluster.storage.stored_tables import StoredTables
from support.data import unit_rows

ROWS, WIDTH, SHARDS = 30, 6, 3
VECTORS = 5 * unit_rows(ROWS, WIDTH, 0)
IDS = np.random.default_rng(2).permutation(1000)[:ROWS]


def config(on_bad_row: str = "error", storage: str = "float32") -> Any:
    values = {"knn": {"k": 5, "storage": storage}, "embeddings": {"on_bad_row": on_bad_row}}
    return load_config("cosine", values, "test")


def write(folder: Path, vectors: Any = VECTORS) -> str:
    """Two files of 18 and 12 rows, the ids in no order."""
    (folder / "in").mkdir()
    table = pa.table({"id": IDS, "embedding": pa.array(list(vectors), pa.list_(pa.float64()))})
    pq.write_table(table.slice(0, 18), folder / "in" / "a.parquet")
    pq.write_table(table.slice(18), folder / "in" / "b.parquet")
    return str(folder / "in")


def ingested(folder: Path, configured: Any, vectors: Any = VECTORS) -> StoredTables:
    """Tables of a run folder whose input is read."""
    execution = Execution("local", shards=SHARDS)
    with opened(write(folder, vectors), str(folder / "run"), configured, execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="embeddings")
    return open_run(str(folder / "run"), 1)


def stored_pieces(tables: StoredTables) -> list[pa.Table]:
    """What the stage stored of every piece."""
    return [tables.folder.table("ingest", piece) for piece in range(len(tables.folder.plan.pieces))]


def test_every_row_is_stored_once_as_a_unit_vector_beside_its_rank(tmp_path: Path) -> None:
    stored = stored_pieces(ingested(tmp_path, config()))
    expected = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    assert [len(piece) for piece in stored] == [18, 12]
    seen: list[int] = []
    for piece in stored:
        rank = piece["rank"].to_numpy()
        assert (np.diff(rank) > 0).all()
        vectors = np.array(piece["embedding"].to_pylist(), np.float32)
        np.testing.assert_allclose(vectors, expected[np.argsort(IDS)[rank]], atol=1e-7)
        seen += rank.tolist()
    assert sorted(seen) == list(range(ROWS))


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_a_node_reads_the_vectors_in_the_order_of_ids(tmp_path: Path, storage: str) -> None:
    vectors = vectors_of(ingested(tmp_path, config(storage=storage)))
    expected = VECTORS[np.argsort(IDS)]
    assert vectors.dtype == storage
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-3)


def test_bad_rows_are_left_out_and_listed_with_their_rank(tmp_path: Path) -> None:
    spoilt = VECTORS.copy()
    spoilt[4], spoilt[20] = 0, np.nan
    tables = ingested(tmp_path, config("drop"), spoilt)
    ranks = np.argsort(np.argsort(IDS))
    dropped = [facts["dropped"] for facts in tables.task_facts("ingest")]
    assert dropped == [
        [[int(IDS[4]), 4, "only zeros", int(ranks[4])]],
        [[int(IDS[20]), 2, "NaN or infinity", int(ranks[20])]],
    ]
    assert sum(map(len, stored_pieces(tables))) == ROWS - 2
    assert len(read_unit_rows(tables.folder.plan, tables.config)) == ROWS - 2


def test_a_bad_row_is_refused_where_it_must_not_be_dropped(tmp_path: Path) -> None:
    spoilt = VECTORS.copy()
    spoilt[20] = 0
    tables = ingested(tmp_path, config(on_bad_row="drop"), spoilt)
    assert [task.start for task in pieces(tables)] == [0, 0]
    with pytest.raises(InputError, match=r"b\.parquet, column 'embedding', row 2: the vector holds only zeros; .*drop"):
        read_piece(tables.folder.plan, config(), 1)
