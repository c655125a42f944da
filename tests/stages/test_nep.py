"""NEP of a shard is the kernel's on all rows: with the recipe's transform, and lists truncated by the Top-K."""

from typing import Any

import numpy as np
import pytest

from raycluster.config.load import load_config
from raycluster.kernels.neighborhoods import nep as kernel
from raycluster.pipeline.run import fork, in_memory
from raycluster.stages.nep import nep_of, transform
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.tables import Task
from support.data import neighbor_table, unit_rows

ROWS, K = 60, 25
NEIGHBOR, SIMILARITY = neighbor_table(ROWS, K, 3, short=True)
COUNTS = np.random.default_rng(1).integers(1, K + 1, ROWS)


def tables(recipe: str, **columns: Any) -> ArrayTables:
    """Tables in memory whose neighbors are those of the test."""
    config = load_config(recipe, {"knn": {"k": K}, **({"topk": {"source": "counts"}} if columns else {})}, "test")
    knn = {"neighbor": NEIGHBOR, "similarity": SIMILARITY}
    return fork(in_memory(unit_rows(ROWS, 8, 0), config, 1), config, {"knn": knn, **columns})


@pytest.mark.parametrize("recipe", ["fc-es", "fc-es-sigmoid"])
def test_the_transform_gives_shares_that_add_up_and_empty_ranks_none(recipe: str) -> None:
    p_hat = transform(tables(recipe).config.edges)(SIMILARITY)
    assert p_hat.dtype == np.float32
    np.testing.assert_allclose(p_hat.sum(axis=1), 1, rtol=1e-5)
    assert (p_hat[NEIGHBOR < 0] == 0).all()
    assert (NEIGHBOR < 0).any()


@pytest.mark.parametrize("recipe", ["fc-es", "fc-es-sigmoid"])
def test_shards_give_the_rows_of_the_whole(recipe: str) -> None:
    stored = tables(recipe)
    p_hat = transform(stored.config.edges)(SIMILARITY)
    expected = kernel.neighbor_edge_probability(NEIGHBOR, p_hat, 0, ROWS, None, 1)
    shards = [nep_of(stored, Task(number, start, stop)) for number, (start, stop) in enumerate([(0, 13), (13, ROWS)])]
    np.testing.assert_array_equal(np.concatenate(shards), expected)


def test_lists_are_truncated_by_the_counts_rounded_up() -> None:
    stored = tables("fc-es", topk={"k": COUNTS, "confidence": np.ones(ROWS, np.float32)})
    p_hat = transform(stored.config.edges)(SIMILARITY)
    expected = kernel.neighbor_edge_probability(NEIGHBOR, p_hat, 0, ROWS, COUNTS, 1, length_step=kernel.TOPK_STEP)
    truncated = nep_of(stored, Task(0, 0, ROWS))
    np.testing.assert_array_equal(truncated, expected)
    assert not np.array_equal(truncated, nep_of(tables("fc-es"), Task(0, 0, ROWS)))
