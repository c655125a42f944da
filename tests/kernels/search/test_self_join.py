"""The half-price search of all rows among themselves gives exactly what the plain search gives."""

import numpy as np
import pytest

from raycluster.kernels.search import self_join
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.self_join import self_top_k
from support.data import assert_same, awkward_rows, unit_rows


def _plain(vectors, k):
    return exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, k)


@pytest.mark.parametrize("block", [7, 64, 1024])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("storage", [np.float32, np.float16])
def test_it_equals_the_plain_search_for_any_block_and_threads(monkeypatch, block, threads, storage):
    monkeypatch.setattr(self_join, "BLOCK", block)
    vectors = unit_rows(333, 21, 5).astype(storage)
    assert_same(self_top_k(vectors, 12, threads), _plain(vectors, 12))


@pytest.mark.parametrize("kind", ["duplicates", "near-duplicates", "one-crowd"])
def test_ties_and_crowds_fall_as_in_the_plain_search(monkeypatch, kind):
    monkeypatch.setattr(self_join, "BLOCK", 50)
    vectors = awkward_rows(kind, 400, 24, 2)
    assert_same(self_top_k(vectors, 6, 2), _plain(vectors, 6))
