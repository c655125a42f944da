"""Tables of arrays: what they start from counts as done, and copies renumber their rows."""

import numpy as np

from raycluster.pipeline.run import fork, in_memory
from raycluster.storage import schemas
from raycluster.storage.tables import Output, Task
from support.both_tables import CONFIG, ROWS, VECTORS, array_tables


def test_copies_renumber_the_rows_once_they_are_committed() -> None:
    tables = in_memory(VECTORS, CONFIG, 1)
    block = {"row": np.array([3, 5], np.int32), "original": np.array([1, 1], np.int32)}
    tables.commit("duplicates", Task(0, 0, ROWS), Output([block]), schemas.DUPLICATES)
    assert (tables.rows, tables.bounds_of_all[-1]) == (ROWS - 2, ROWS)
    np.testing.assert_array_equal(tables.column("ingest", "embedding", "float32"), np.delete(VECTORS, [3, 5], axis=0))


def test_a_fork_starts_from_results_of_other_tables() -> None:
    tables = array_tables()
    names = ("neighbor", "similarity")
    forked = fork(tables, CONFIG, {"knn": {name: tables.column("knn", name) for name in names}})
    assert forked.is_given("knn")
    assert forked.is_given("duplicates")
    assert not forked.is_given("edges")
    np.testing.assert_array_equal(forked.column("knn", "neighbor"), tables.column("knn", "neighbor"))
