"""The verb update as it is called."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.config.execution import Execution
from raycluster.pipeline.run import cluster
from support.command_line import call
from support.living import BASE, config_of, rows


def written(path, numbers):
    table = {
        "id": pa.array(list(numbers)),
        "embedding": pa.array(list(rows()[0][list(numbers)]), pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(table), path)
    return str(path)


def test_a_run_is_updated_and_mistakes_are_sentences(tmp_path):
    cluster(written(tmp_path / "a.parquet", range(BASE)), str(tmp_path / "run"), config_of(), Execution("local"))
    new = written(tmp_path / "b.parquet", range(BASE, BASE + 9))
    done = call("update", str(tmp_path / "run"), new, "-o", str(tmp_path / "run2"), "--json")
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["new"] == 9
    table = pq.read_table(tmp_path / "run2" / "labels")
    assert np.array_equal(table["id"], np.arange(BASE + 9))
    missing = call("update", "--output", str(tmp_path / "run3"))
    assert (missing.code, missing.stderr) == (2, "error: Missing: RUN, the folder of a finished run.\n")
    nothing = call("update", str(tmp_path / "run"), "-o", str(tmp_path / "run3"))
    assert nothing.code == 2
    assert "nothing to update" in nothing.stderr
