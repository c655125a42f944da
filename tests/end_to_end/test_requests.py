"""How many requests it takes to order the ids and cut the rows: they grow with files plus shards, not with their product."""

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import opened, run_stages
from support.data import unit_rows
from support.servers import S3Server, s3_here, seaweed_s3

ROWS = 512
FEW = 4
PER_FILE, PER_SHARD = 20, 10
"""Requests per file and per shard at most: 14 and 7 were counted."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweed_s3(tmp_path_factory.mktemp("seaweed")) as started, s3_here(started):
        yield started


def write(store: S3Server, files: int) -> str:
    """The same rows in so many files; returns their place."""
    ids = np.random.default_rng(0).permutation(10**6)[:ROWS]
    vectors = pa.array(list(unit_rows(ROWS, 8, 0)), pa.list_(pa.float32()))
    table = pa.table({"id": [f"row {key}" for key in ids], "embedding": vectors})
    place = f"{store.bucket}/in-{files}"
    for number, rows in enumerate(np.array_split(np.arange(ROWS), files)):
        with store.filesystem().open(f"{place}/{number:03d}.parquet", "wb") as file:
            pq.write_table(table.take(pa.array(rows)), file)
    return f"s3://{place}"


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Requests of this process by kind."""
    counted: Counter[str] = Counter()
    call = s3fs.S3FileSystem._call_s3

    async def counting(self: Any, method: str, *arguments: Any, **named: Any) -> Any:
        counted[method] += 1
        return await call(self, method, *arguments, **named)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counting)
    return counted


def count(store: S3Server, requests: Counter[str], shards: int, files: int) -> int:
    """Requests from the plan to numbered rows, by one process."""
    execution = Execution("local", shards=shards)
    where = (write(store, files), f"s3://{store.bucket}/{uuid.uuid4().hex}")
    requests.clear()
    with opened(*where, load_config("cosine"), execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="embeddings")
        assert len(tables.bounds) - 1 == shards
        assert len(tables.folder.plan.pieces) == files
    print((shards, files), dict(requests))
    return requests.total()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("many", [10, pytest.param(64, marks=pytest.mark.long)])
def test_requests_grow_with_files_plus_shards(
    store: S3Server, requests: Counter[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, many: int
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path))
    sizes = (FEW, many)
    counts = {(shards, files): count(store, requests, shards, files) for shards in sizes for files in sizes}
    # What shards and files add together, beyond what each adds alone: with a request per pair, (many - few) squared.
    together = counts[many, many] - counts[many, FEW] - counts[FEW, many] + counts[FEW, FEW]
    assert abs(together) < many
    assert 0 < counts[many, FEW] - counts[FEW, FEW] < PER_SHARD * (many - FEW)
    assert 0 < counts[FEW, many] - counts[FEW, FEW] < PER_FILE * (many - FEW)
