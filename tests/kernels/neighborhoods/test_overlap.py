import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.overlap import overlaps
from support.data import neighbor_table
from support.edge_tables import TABLES


@settings(max_examples=40, deadline=None)
@given(TABLES, st.booleans())
def test_sums_over_common_neighbors_equal_those_over_sets(table, product):
    neighbor, _ = neighbor_table(*table)
    rows, k = neighbor.shape
    rng = np.random.default_rng(table[2])
    weight = np.where(neighbor >= 0, rng.random(neighbor.shape), 0).astype(np.float32)
    length, mass = rng.integers(1, k + 1, rows), rng.random(rows) + 0.5
    found = overlaps(neighbor, weight, 0, rows, length, mass, product=product)
    lists = [
        {int(h): float(w) for h, w in zip(neighbor[i, :n], weight[i, :n], strict=True) if h >= 0}
        for i, n in enumerate(length)
    ]
    for i in range(rows):
        for rank, j in enumerate(neighbor[i].tolist()):
            expected = 0.0
            if j >= 0 and rank < length[i]:
                common = lists[i].keys() & lists[j].keys()
                terms = [lists[i][h] * lists[j][h] if product else lists[i][h] + lists[j][h] for h in common]
                expected = sum(terms) / (mass[i] + mass[j])
            assert found[i, rank] == pytest.approx(expected, rel=1e-5)
