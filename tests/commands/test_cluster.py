"""The command that clusters: its arguments reach the pipeline."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.commands.cluster import ClusterArgs, cluster
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.storage import schemas


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A file of 40 rows: five copies of eight directions, nearly."""
    vectors = np.eye(8, dtype=np.float32).repeat(5, axis=0) + 0.01 * np.random.default_rng(0).random((40, 8))
    schema = pa.schema([("id", pa.int64()), ("embedding", schemas.vector(pa.float32(), 8))])
    pq.write_table(schemas.from_columns(schema, id=np.arange(40), embedding=vectors), tmp_path / "rows.parquet")
    return str(tmp_path / "rows.parquet")


def test_it_runs_what_its_arguments_describe(rows: str, tmp_path: Path) -> None:
    settings = load_config("cosine", {"knn": {"k": 8}, "edges": {"threshold": 0.5}}, "test")
    summary = cluster(ClusterArgs(rows, str(tmp_path / "run"), settings, Execution("local", shards=2)))
    assert (summary["rows"], summary["clusters"], summary["singletons"]) == (40, 8, 0)
    assert (tmp_path / "run" / "MANIFEST.json").is_file()
