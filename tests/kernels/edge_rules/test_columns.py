"""The columns of the edges table, and the look-up of a row among another's neighbors."""

import numpy as np

from raycluster.kernels.edge_rules.columns import edge_columns, rank_of
from support.edge_tables import COLUMNS


def test_a_rule_without_nep_or_score_leaves_nan():
    ends, values = np.arange(3, dtype=np.int32), np.ones(3, np.float32)
    found = edge_columns(ends, ends + 1, values, values / 2, score=values / 4)
    assert {name: values.dtype for name, values in found.items()} == COLUMNS
    assert list(found) == list(COLUMNS)
    assert np.isnan(found["nep"]).all()
    assert found["score"].tolist() == [0.25] * 3


def test_a_row_is_found_among_the_first_neighbors_only():
    neighbors = np.array([4, 7, 2, -1], np.int32)
    assert [rank_of(row, neighbors, 4) for row in (4, 7, 2, 5)] == [0, 1, 2, -1]
    assert [rank_of(row, neighbors, 2) for row in (4, 7, 2)] == [0, 1, -1]
    assert rank_of(4, neighbors, 0) == -1
