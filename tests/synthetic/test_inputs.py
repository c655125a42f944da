"""Generated tables in place of the user's: any configuration runs on generated rows."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.pipeline import run as pipeline
from raycluster.synthetic.generator import SyntheticConfig
from raycluster.synthetic.inputs import write_inputs

ROWS = SyntheticConfig(rows=200, width=16, mean_size=8)


def test_a_configuration_that_reads_no_tables_gets_rows_alone(tmp_path: Path) -> None:
    config = load_config("cosine", {"knn": {"k": 8}, "id_column": "name"}, "test")
    written = write_inputs(config, ROWS, str(tmp_path))
    assert (written.id_column, written.embedding_column) == ("id", "embedding")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input"]
    assert pq.read_table(tmp_path / "input").num_rows == 200


def test_neighbors_and_counts_are_those_of_the_generated_rows(tmp_path: Path) -> None:
    keys = {"knn": {"k": 8, "source": "s3://elsewhere/knn"}, "topk": {"source": "s3://elsewhere/counts"}}
    config = write_inputs(load_config("fc-es", keys, "test"), ROWS, str(tmp_path))
    pipeline.cluster(str(tmp_path / "input"), str(tmp_path / "read"), config, Execution("local"))
    searched = load_config("fc-es", {"knn": {"k": 8}}, "test")
    pipeline.cluster(str(tmp_path / "input"), str(tmp_path / "searched"), searched, Execution("local"))
    read, own = (pipeline.open_run(str(tmp_path / name)) for name in ("read", "searched"))
    np.testing.assert_array_equal(read.column("knn", "neighbor"), own.column("knn", "neighbor"))
    assert (read.column("topk", "k") == 8).all()
