"""Pieces of the input become unit rows, sorted by rank and grouped by the row shard they go to; bad rows are listed."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError, StorageError
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import open_run, opened, run_stages
from raycluster.stages.ingest import pieces, ranks_path, read_piece, read_unit_rows, rows_per_shard, vectors_of
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


def stored_blocks(tables: StoredTables) -> list[tuple[int, int, pa.Table]]:
    """Piece, row shard and rows of every row group that the stage stored."""
    blocks = []
    for piece in range(len(tables.folder.plan.pieces)):
        marker = tables.folder.marker("ingest", piece)
        for shard, (group, rows) in marker.facts["groups"].items():
            block = tables.folder.table("ingest", piece, block=group)
            assert block.num_rows == rows
            blocks.append((piece, int(shard), block))
    return blocks


def test_every_row_lies_in_the_block_of_its_shard_as_a_unit_vector(tmp_path: Path) -> None:
    tables = ingested(tmp_path, config())
    expected = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    rank_of = {int(key): rank for rank, key in enumerate(np.sort(IDS))}
    seen: list[int] = []
    for _, shard, block in stored_blocks(tables):
        ids, rank = block["id"].to_pylist(), block["rank"].to_numpy()
        assert rank.tolist() == [rank_of[key] for key in ids]
        assert (np.diff(rank) > 0).all()
        assert set(rank // rows_per_shard(tables.folder.plan)) == {shard}
        places = [int(np.flatnonzero(key == IDS)[0]) for key in ids]
        vectors = np.array(block["embedding"].to_pylist(), np.float32)
        np.testing.assert_allclose(vectors, expected[places], atol=1e-7)
        seen += ids
    assert sorted(seen) == sorted(IDS.tolist())


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
    assert sum(block.num_rows for *_, block in stored_blocks(tables)) == ROWS - 2
    assert len(read_unit_rows(tables.folder.plan, tables.config)) == ROWS - 2


def test_a_bad_row_is_refused_where_it_must_not_be_dropped(tmp_path: Path) -> None:
    tables = ingested(tmp_path, config())
    spoilt = VECTORS.copy()
    spoilt[20] = 0
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    (tmp_path / "in").rmdir()
    write(tmp_path, spoilt)
    assert [task.start for task in pieces(tables)] == [0, 0]
    with pytest.raises(InputError, match=r"b\.parquet, column 'embedding', row 2: the vector holds only zeros; .*drop"):
        read_piece(tables.folder.plan, tables.config, 1)


@pytest.mark.parametrize("damage", ["is missing", "was changed or damaged"])
def test_ranks_that_are_gone_are_named_and_made_again_by_the_next_start(tmp_path: Path, damage: str) -> None:
    execution = Execution("local", shards=SHARDS)
    start = (write(tmp_path), str(tmp_path / "run"), config(), execution, Silence())
    with opened(*start) as tables:
        path = ranks_path(tables.folder.plan, tables.config, 1)
        before = tables.folder.store.get(path) or b""
        if damage == "is missing":
            tables.folder.store.delete(path)
        else:
            tables.folder.store.put(path, before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(StorageError, match=rf"{path} {damage}; run the same command again, which makes it anew\."):
            run_stages(tables, execution, Silence(), until="embeddings")
    with opened(*start) as tables:
        assert tables.folder.store.get(path) == before
        run_stages(tables, execution, Silence(), until="embeddings")
