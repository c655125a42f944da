import types
import weakref

import numpy as np
import pytest

from raycluster.errors import ConfigError
from raycluster.kernels.search import faiss_flat
from raycluster.kernels.search.faiss_flat import flat_top_k
from raycluster.kernels.search.nearest import exact_top_k
from support.data import KINDS, assert_same, awkward_rows, unit_rows

faiss = pytest.importorskip("faiss")


def rows_of(vectors):
    return np.arange(len(vectors), dtype=np.int32)


@pytest.fixture
def cpu(monkeypatch):
    """The CPU branch, also on a machine with a GPU."""
    monkeypatch.setattr(faiss_flat, "gpu_available", lambda: False)


class FakeGpuFaiss(types.SimpleNamespace):
    """A faiss whose GPU indexes search on the CPU, and what was put into them and asked of them."""

    class GpuIndexFlatConfig:
        useFloat16 = False

    def __init__(self):
        super().__init__(indexes=[], resources=object())

    def StandardGpuResources(self):
        return self.resources

    def GpuIndexFlatIP(self, resources, width, config):
        assert resources is self.resources
        self.indexes.append(FakeGpuIndex(width, config.useFloat16))
        return self.indexes[-1]


class FakeGpuIndex:
    """Holds its rows in float32 or float16, as a GPU index does."""

    def __init__(self, width, use_float16):
        self.storage = np.dtype(np.float16 if use_float16 else np.float32)
        self.rows = np.empty((0, width), self.storage)
        self.asked = []

    def add(self, rows):
        assert rows.dtype == np.float32
        assert rows.flags.c_contiguous
        self.rows = np.concatenate([self.rows, rows.astype(self.storage)])

    def search(self, queries, k):
        assert queries.dtype == np.float32
        assert queries.flags.c_contiguous
        self.asked.append(len(queries))
        return faiss.knn(queries, self.rows.astype(np.float32), k, metric=faiss.METRIC_INNER_PRODUCT)


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
        monkeypatch.setattr(faiss_flat, "DATABASE_BYTES", 4 * 10 * database)
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
def test_the_gpu_holds_each_database_block_once_and_equals_the_exact_search(monkeypatch, fake_gpu, kind):
    monkeypatch.setattr(faiss_flat, "QUERY_BLOCK", 60)
    monkeypatch.setattr(faiss_flat, "DATABASE_BYTES", 4 * 12 * 64)
    vectors = awkward_rows(kind, 150, 12, 3)
    found = flat_top_k(vectors, rows_of(vectors), vectors, 8)
    assert_same(found, exact_top_k(vectors, rows_of(vectors), vectors, 8))
    assert [len(index.rows) for index in fake_gpu.indexes] == [64, 64, 22]
    assert [index.asked for index in fake_gpu.indexes] == [[60, 60, 30]] * 3
    assert {index.storage.name for index in fake_gpu.indexes} == {"float32"}


def test_the_gpu_lets_go_of_a_database_block_before_it_takes_the_next(monkeypatch, fake_gpu):
    alive = []
    make = fake_gpu.GpuIndexFlatIP

    def counted(*given):
        index = make(*given)
        fake_gpu.indexes.clear()
        alive.append(sum(reference() is not None for reference in references))
        references.append(weakref.ref(index))
        return index

    references = []
    fake_gpu.GpuIndexFlatIP = counted
    monkeypatch.setattr(faiss_flat, "DATABASE_BYTES", 4 * 12 * 30)
    vectors = unit_rows(150, 12, 3)
    flat_top_k(vectors, rows_of(vectors), vectors, 8)
    assert alive == [0] * 5


def test_the_gpu_holds_float16_vectors_as_float16(fake_gpu):
    vectors = unit_rows(200, 16, 0, np.float16)
    found = flat_top_k(vectors, rows_of(vectors), vectors, 8)
    assert_same(found, exact_top_k(vectors, rows_of(vectors), vectors, 8))
    assert [(index.storage.name, index.asked) for index in fake_gpu.indexes] == [("float16", [200])]


def test_the_gpu_takes_read_only_strided_vectors(fake_gpu):
    wide = unit_rows(80, 24, 0)
    wide.flags.writeable = False
    vectors = wide[:, ::2]
    found = flat_top_k(vectors, rows_of(vectors), vectors, 4)
    assert_same(found, exact_top_k(vectors, rows_of(vectors), vectors, 4))
    assert len(fake_gpu.indexes) == 1


def test_without_faiss_there_is_no_gpu_and_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(faiss_flat.importlib.util, "find_spec", lambda name: None)
    faiss_flat.gpu_available.cache_clear()
    try:
        assert not faiss_flat.gpu_available()
        with pytest.raises(ConfigError, match=r"install raycluster\[cpu\]"):
            flat_top_k(unit_rows(9, 4, 0), np.arange(9, dtype=np.int32), unit_rows(9, 4, 0), 2)
    finally:
        faiss_flat.gpu_available.cache_clear()
