"""The faiss engine on a real GPU."""

import numpy as np
import pytest

from raycluster.kernels.search import faiss_flat
from raycluster.kernels.search.faiss_flat import flat_top_k
from raycluster.kernels.search.nearest import exact_top_k
from support.data import KINDS, assert_same, awkward_rows, identities

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not faiss_flat.gpu_available(), reason="needs a CUDA device and faiss-gpu"),
]


def rows_of(vectors):
    return np.arange(len(vectors), dtype=np.int32)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_on_the_gpu_equals_the_exact_search(kind):
    vectors = awkward_rows(kind, 3000, 96, 7)
    assert_same(flat_top_k(vectors, rows_of(vectors), vectors, 40), exact_top_k(vectors, rows_of(vectors), vectors, 40))


def test_several_blocks_on_the_gpu_equal_the_exact_search(monkeypatch):
    monkeypatch.setattr(faiss_flat, "QUERY_BLOCK", 700)
    monkeypatch.setattr(faiss_flat, "DATABASE_BYTES", 4 * 64 * 999)
    vectors, _ = identities(300, 10, width=64)
    expected = exact_top_k(vectors, rows_of(vectors), vectors, 20)
    assert_same(flat_top_k(vectors, rows_of(vectors), vectors, 20), expected)


@pytest.mark.parametrize("database", [999, 10**6])
def test_float16_on_the_gpu_finds_nearly_every_neighbor_with_the_exact_similarity(monkeypatch, database):
    monkeypatch.setattr(faiss_flat, "DATABASE_BYTES", 4 * 256 * database)
    vectors = identities(500, 20, width=256)[0].astype(np.float16)
    neighbor, similarity = flat_top_k(vectors, rows_of(vectors), vectors, 20)
    exact, exact_similarity = exact_top_k(vectors, rows_of(vectors), vectors, 20)
    shared = [len(set(a) & set(b)) for a, b in zip(neighbor.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shared) / 20 > 0.99
    same = neighbor == exact
    np.testing.assert_array_equal(similarity[same], exact_similarity[same])
    assert (neighbor[:, 0] == rows_of(vectors)).all()
