"""More than 2 GiB of string ids: no process holds them, and rows are numbered as ever."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from raycluster.stages.ids import RUN_BYTES, SAMPLE_ROWS, runs
from raycluster.storage.records import InputFile, Piece, Plan, PlannedInput
from support.paths import ROOT

ROWS, ID_BYTES, GROUP_ROWS = 1_200_000, 2_000, 60_000
"""2.4 GB of ids, 2.2 GiB, in row groups of 120 MB."""
FILLER = "x" * (ID_BYTES - 20)
PEAK_BYTES = 2 * 2**30
"""What the process may hold at its peak, libraries included: less than the ids alone. 1.5 GiB were measured."""

RUN = """
import json, resource, sys
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import opened, run_stages

execution = Execution("local")
with opened(sys.argv[1], sys.argv[2], load_config("cosine"), execution, Silence()) as tables:
    run_stages(tables, execution, Silence(), until="embeddings")
    folder = tables.folder
    shards = len(tables.bounds) - 1
    ends = [[ids[0].as_py()[-20:], ids[-1].as_py()[-20:], len(ids)]
            for ids in (folder.table("embeddings", shard, ["id"])["id"] for shard in range(shards))]
    tasks = {stage: len(folder.finished(stage)) for stage in ("ids", "order", "ranks", "embeddings")}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"peak": peak, "ends": ends, "tasks": tasks}))
"""


def test_uuids_of_59_million_rows_are_sorted_in_bounded_runs() -> None:
    pieces = [Piece(0, [number], 0, 10**6, number * 10**6, 36 * 10**6) for number in range(59)]
    plan = Plan(3, "0", {}, PlannedInput("in", [InputFile("a", 1, "1")], "string", 64, 59 * 10**6), pieces, 60)
    sizes = [sum(pieces[number].id_bytes for number in run) for run in runs(plan)]
    assert sum(sizes) == 59 * 36 * 10**6 > 2**31 - 2**25
    assert max(sizes) <= RUN_BYTES
    assert len(sizes) == 10
    # What the driver holds: one id of every SAMPLE_ROWS.
    assert 36 * 59 * 10**6 / SAMPLE_ROWS < 2**20


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ids_of_more_than_two_gib_are_ordered_in_bounded_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keys = rng.permutation(ROWS)
    schema = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32(), 2))])
    with pq.ParquetWriter(tmp_path / "in.parquet", schema, compression="zstd", use_dictionary=False) as writer:
        for start in range(0, ROWS, GROUP_ROWS):
            digits = pc.utf8_lpad(pa.array(keys[start : start + GROUP_ROWS]).cast(pa.string()), 20, "0")
            ids = pc.binary_join_element_wise(pa.scalar(FILLER), digits, "")
            vectors = pa.array(rng.standard_normal(2 * GROUP_ROWS).astype(np.float32))
            columns = [ids, pa.FixedSizeListArray.from_arrays(vectors, 2)]
            writer.write_table(pa.table(columns, schema=schema))
    words = [sys.executable, "-c", RUN, str(tmp_path / "in.parquet"), str(tmp_path / "run")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=1100, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found["peak"] / 2**30, found["tasks"])
    assert found["peak"] < PEAK_BYTES
    assert min(found["tasks"].values()) > 8
    next_row = 0
    for first, last, rows in found["ends"]:
        assert (int(first), int(last)) == (next_row, next_row + rows - 1)
        next_row += rows
    assert next_row == ROWS
