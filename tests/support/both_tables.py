"""Forty rows on both kinds of tables: three shards in a run folder, and arrays in this process."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.kernels.unit_rows import normalize
from raycluster.pipeline.run import LOCAL, in_memory, open_run, opened, run_stages
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.stored_tables import StoredTables
from support.data import unit_rows

ROWS, WIDTH = 40, 8
CONFIG = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.5}}, "test")
RAW = unit_rows(ROWS // 4, WIDTH, 0).repeat(4, axis=0) + 0.05 * unit_rows(ROWS, WIDTH, 1)
VECTORS, _ = normalize(RAW)


def stored_tables(folder: Path) -> StoredTables:
    """Tables of a run folder of three shards whose neighbors are searched."""
    columns = {"id": pa.array(range(ROWS)), "embedding": pa.array(list(RAW), pa.list_(pa.float32()))}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    execution, url = Execution("local", shards=3), str(folder / "run")
    with opened(str(folder / "rows.parquet"), url, CONFIG, execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="knn")
    return open_run(url, 1)


def array_tables() -> ArrayTables:
    """Tables of arrays whose neighbors are searched."""
    tables = in_memory(VECTORS, CONFIG, 1)
    run_stages(tables, LOCAL, Silence(), until="knn")
    return tables
