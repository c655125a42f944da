import types

import numpy as np
import pytest

from data import KINDS, assert_same, awkward_rows, unit_rows
from raycluster.errors import ConfigError
from raycluster.graph import faiss_flat
from raycluster.graph.faiss_flat import flat_top_k
from raycluster.graph.nearest import exact_top_k

faiss = pytest.importorskip("faiss")


def rows_of(vectors):
    return np.arange(len(vectors), dtype=np.int32)


@pytest.fixture
def cpu(monkeypatch):
    """The CPU branch, also on a machine with a GPU."""
    monkeypatch.setattr(faiss_flat, "gpu_available", lambda: False)


class FakeGpuFaiss(types.SimpleNamespace):
    """A faiss whose GPU search is its CPU search, and the dtypes it was asked with."""

    METRIC_INNER_PRODUCT = faiss.METRIC_INNER_PRODUCT

    def __init__(self):
        super().__init__(asked=[], resources=object())

    def StandardGpuResources(self):
        return self.resources

    def knn_gpu(self, resources, queries, database, k, metric):
        assert resources is self.resources
        assert metric == faiss.METRIC_INNER_PRODUCT
        assert queries.flags.c_contiguous
        assert database.flags.c_contiguous
        self.asked.append((queries.dtype.name, database.dtype.name, len(queries), len(database)))
        return faiss.knn(queries.astype(np.float32), database.astype(np.float32), k, metric=metric)


@pytest.fixture
def fake_gpu(monkeypatch):
    fake = FakeGpuFaiss()
    monkeypatch.setattr(faiss_flat, "gpu_available", lambda: True)
    monkeypatch.setattr(faiss_flat, "_faiss", lambda: fake)
    faiss_flat._gpu_resources.cache_clear()
    yield fake
    faiss_flat._gpu_resources.cache_clear()


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("storage", [np.float32, np.float16])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 7, 149])
def test_faiss_on_the_cpu_equals_the_exact_search(kind, storage, k):
    vectors = awkward_rows(kind, 150, 21, 6).astype(storage)
    assert_same(flat_top_k(vectors, rows_of(vectors), vectors, k), exact_top_k(vectors, rows_of(vectors), vectors, k))


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("storage", [np.float32, np.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_query_and_database_blocks_do_not_change_the_result(monkeypatch, kind, storage):
    vectors = awkward_rows(kind, 230, 10, 1).astype(storage)
    expected = exact_top_k(vectors, rows_of(vectors), vectors, 9)
    for queries, database in ((8192, 37), (41, 100), (230, 5)):
        monkeypatch.setattr(faiss_flat, "QUERY_BLOCK", queries)
        monkeypatch.setattr(faiss_flat, "DATABASE_BLOCK", database)
        assert_same(flat_top_k(vectors, rows_of(vectors), vectors, 9), expected)
        part = flat_top_k(vectors[20:90], rows_of(vectors)[20:90], vectors, 9)
        assert_same(part, (expected[0][20:90], expected[1][20:90]))


@pytest.mark.usefixtures("cpu")
def test_queries_that_are_no_database_row_have_no_forced_rank():
    database, asked = unit_rows(90, 8, 0), unit_rows(20, 8, 1)
    none = np.full(20, -1, np.int32)
    assert_same(flat_top_k(asked, none, database, 5), exact_top_k(asked, none, database, 5))


@pytest.mark.usefixtures("cpu")
def test_near_duplicates_in_float16_that_are_longer_than_one_tie_at_similarity_one():
    noise = np.random.default_rng(1).normal(size=(300, 32))
    vectors = (1.0009 * unit_rows(1, 32, 0) + 2e-4 * noise).astype(np.float16)
    neighbor, similarity = flat_top_k(vectors, rows_of(vectors), vectors, 5)
    assert (similarity == 1).all()
    assert neighbor[50].tolist() == [50, 0, 1, 2, 3]


@pytest.mark.usefixtures("cpu")
def test_near_ties_in_float16_past_the_extra_neighbors_are_ranked_by_the_fixed_kernel():
    rng = np.random.default_rng(2)
    base = unit_rows(1, 512, 0)[0].astype(np.float16)
    vectors = np.repeat(base[None] * np.float16(0.99), 400, axis=0)
    small = np.argsort(np.abs(base))[:8]
    vectors[:, small] = np.nextafter(vectors[:, small], rng.choice([-1, 1], (400, 8)).astype(np.float16))
    assert len(np.unique(vectors, axis=0)) > 100
    assert_same(flat_top_k(vectors, rows_of(vectors), vectors, 5), exact_top_k(vectors, rows_of(vectors), vectors, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gpu_branch_searches_float32_blocks_and_equals_the_exact_search(monkeypatch, fake_gpu, kind):
    monkeypatch.setattr(faiss_flat, "QUERY_BLOCK", 60)
    monkeypatch.setattr(faiss_flat, "DATABASE_BLOCK", 64)
    vectors = awkward_rows(kind, 150, 12, 3)
    found = flat_top_k(vectors, rows_of(vectors), vectors, 8)
    assert_same(found, exact_top_k(vectors, rows_of(vectors), vectors, 8))
    assert {asked[:2] for asked in fake_gpu.asked} == {("float32", "float32")}
    assert [asked[2:] for asked in fake_gpu.asked] == [(q, d) for q in (60, 60, 30) for d in (64, 64, 22)]


def test_the_gpu_branch_searches_float16_as_float16(fake_gpu):
    vectors = unit_rows(200, 16, 0, np.float16)
    found = flat_top_k(vectors, rows_of(vectors), vectors, 8)
    assert_same(found, exact_top_k(vectors, rows_of(vectors), vectors, 8))
    assert fake_gpu.asked == [("float16", "float16", 200, 200)]


def test_the_gpu_branch_takes_read_only_strided_vectors(fake_gpu):
    wide = unit_rows(80, 24, 0)
    wide.flags.writeable = False
    vectors = wide[:, ::2]
    found = flat_top_k(vectors, rows_of(vectors), vectors, 4)
    assert_same(found, exact_top_k(vectors, rows_of(vectors), vectors, 4))
    assert len(fake_gpu.asked) == 1


def test_without_faiss_there_is_no_gpu_and_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(faiss_flat.importlib.util, "find_spec", lambda name: None)
    faiss_flat.gpu_available.cache_clear()
    try:
        assert not faiss_flat.gpu_available()
        with pytest.raises(ConfigError, match=r"install raycluster\[cpu\]"):
            flat_top_k(unit_rows(9, 4, 0), np.arange(9, dtype=np.int32), unit_rows(9, 4, 0), 2)
    finally:
        faiss_flat.gpu_available.cache_clear()
