"""The weakest cut against networkx."""

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_array

from raycluster.pipeline.weakest_cut import conductance


def test_the_weakest_cut_parts_two_cliques() -> None:
    graph = nx.barbell_graph(8, 0)
    links = csr_array(nx.to_scipy_sparse_array(graph, dtype=float))
    found = conductance(links)
    assert found == pytest.approx(nx.conductance(graph, range(8)))
    order = np.random.default_rng(0).permutation(16)
    assert conductance(csr_array(links[order][:, order])) == pytest.approx(found)
