"""Tables of a run folder: a process that opens the folder anew reads what another wrote."""

from pathlib import Path

import numpy as np

from raycluster.pipeline.run import open_run
from raycluster.storage import schemas
from raycluster.storage.tables import Output, Task
from support.both_tables import ROWS, VECTORS, stored_tables


def test_another_process_reads_what_was_committed(tmp_path: Path) -> None:
    writer = stored_tables(tmp_path)
    writer.put_facts("edges", {"lists": 3})
    reader = open_run(writer.folder.store.url, 1)
    assert reader.facts("edges") == {"lists": 3}
    np.testing.assert_array_equal(reader.column("ingest", "embedding", "float32"), VECTORS)
    assert [len(block["row"]) for block in reader.blocks("knn", ["row"])] == [14, 14, 12]
    assert [facts.keys() >= {"seconds"} for facts in reader.task_facts("knn")] == [True] * 3


def test_copies_renumber_the_rows_once_they_are_recorded(tmp_path: Path) -> None:
    tables = stored_tables(tmp_path)
    fresh = open_run(tables.folder.store.url, 1)
    fresh.folder.folders["duplicates"] = "stages/duplicates/of-another-run"
    fresh._are_copies_known, fresh._collapsed = False, None
    assert fresh.copies is None
    block = {"row": np.array([3, 5], np.int32), "original": np.array([1, 1], np.int32)}
    fresh.commit("duplicates", Task(0, 0, ROWS), Output([block]), schemas.DUPLICATES)
    assert fresh.rows == ROWS - 2
    assert fresh.bounds_of_all[-1] == ROWS
    np.testing.assert_array_equal(fresh.column("ingest", "embedding", "float32"), np.delete(VECTORS, [3, 5], axis=0))
