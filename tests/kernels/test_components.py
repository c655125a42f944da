"""Connected components against networkx."""

import networkx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.components import components


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 10**6))
def test_components_are_those_of_networkx_numbered_without_a_gap(rows: int, edges: int, seed: int) -> None:
    source, target = np.random.default_rng(seed).integers(0, rows, (2, edges)).astype(np.int32)
    found = components(source, target, rows)
    assert (found.shape, found.dtype) == ((rows,), np.int64)
    graph = networkx.Graph()
    graph.add_nodes_from(range(rows))
    graph.add_edges_from(zip(source.tolist(), target.tolist(), strict=True))
    expected = {frozenset(part) for part in networkx.connected_components(graph)}
    assert {frozenset(np.flatnonzero(found == number).tolist()) for number in range(len(expected))} == expected
