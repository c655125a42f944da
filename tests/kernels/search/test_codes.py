"""Codes propose candidates: their errors are bounded, their products exact, and the searches that use them find the same."""

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raycluster.kernels.search import codes as module
from raycluster.kernels.search import list_search
from raycluster.kernels.search.codes import encode, products, scale_of
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k
from support.data import KINDS, assert_same, awkward_rows, identities, inverted_file, rows_of, unit_rows

KERNELS = [True, False]
"""Whether the processor multiplies bytes; either way runs on every machine, by torch or by floats."""


@pytest.fixture(params=KERNELS, ids=["bytes", "floats"])
def kernel(request, monkeypatch):
    """Both kernels of products, whatever the processor."""
    pytest.importorskip("torch")  # it multiplies bytes once it is loaded
    monkeypatch.setattr(module, "multiplies_bytes", lambda: request.param)
    monkeypatch.setattr("raycluster.kernels.search.candidates.multiplies_bytes", lambda: request.param)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(("rows", "others", "width"), [(1, 1, 1), (3, 5, 2), (17, 40, 9), (64, 33, 256), (5, 7, 385)])
def test_products_are_those_of_integers(rows, others, width):
    rng = np.random.default_rng(width)
    one, other = (rng.integers(-127, 128, (count, width), dtype=np.int8) for count in (rows, others))
    scale = np.sqrt(scale_of(width) ** 2 / (one.astype(float) ** 2).sum(axis=1).max())
    one = (one * min(1, scale)).astype(np.int8)
    expected = one.astype(np.int64) @ other.T.astype(np.int64)
    assert products(one, other).astype(np.int64).tolist() == expected.tolist()


def test_until_torch_is_loaded_floats_multiply_and_a_small_search_does_not_load_it(monkeypatch):
    monkeypatch.setattr(module, "multiplies_bytes", lambda: True)
    rng = np.random.default_rng(0)
    one, other = (rng.integers(-20, 21, (count, 256), dtype=np.int8) for count in (9, 40))
    expected = products(one, other)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert not module.load(9, 40, 256)
    found = products(one, other)
    assert found.dtype == expected.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*KINDS, "corners"]), st.integers(1, 90), st.integers(1, 70), st.sampled_from(["f4", "f2"]))
def test_a_product_is_off_by_at_most_its_certain_slack(kind, rows, width, storage):
    corners = np.eye(width, dtype=np.float32)[np.arange(rows) % width]
    vectors = (corners if kind == "corners" else awkward_rows(kind, rows, width, rows)).astype(storage)
    coded = encode(vectors)
    wide = vectors.astype(np.float64)
    error = np.abs((coded.rows.astype(np.int64) @ coded.rows.T.astype(np.int64)) - coded.unit * (wide @ wide.T))
    # The unit is rounded; half the slack is that of one product.
    assert (error <= coded.certain_slack(coded.largest_error)[:, None] / 2 + 1).all()
    assert (coded.likely_slack(coded.usual_error) <= coded.certain_slack(coded.usual_error)).all()


def test_the_errors_of_random_rows_are_as_likely_as_their_slack_has_it():
    vectors = unit_rows(600, 256, 0)
    coded = encode(vectors)
    assert coded.largest_error < 0.015
    error = np.abs((coded.rows.astype(np.int64) @ coded.rows.T.astype(np.int64)) - coded.unit * (vectors @ vectors.T))
    slack = coded.likely_slack(coded.usual_error)
    assert (error > slack[:, None]).mean() < 1e-5
    assert 0.8 < np.sqrt((error**2).mean()) / (slack.mean() / module.DEVIATIONS) < 1.1
    assert slack.max() < coded.certain_slack(coded.largest_error).min() / 6


@pytest.mark.parametrize("width", [1, 2, 7, 64, 96])
def test_codes_depend_neither_on_threads_nor_on_chunks_nor_on_the_order(monkeypatch, width):
    vectors = unit_rows(300, width, 1)
    expected = encode(vectors)
    order = np.random.default_rng(0).permutation(300).astype(np.int32)
    monkeypatch.setattr(module, "CHUNK", 37)
    again = encode(vectors, order, threads=2)
    np.testing.assert_array_equal(again.rows, expected.rows[order])
    np.testing.assert_array_equal(again.error, expected.error[order])


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("storage", ["f4", "f2"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "width", "k"), [(3, 5, 2), (150, 9, 7), (700, 40, 12)])
def test_an_exact_search_by_codes_equals_that_by_floats(monkeypatch, kind, storage, rows, width, k):
    vectors = awkward_rows(kind, rows, width, rows).astype(storage)
    monkeypatch.setattr(module, "WORTHWHILE", np.inf)
    expected = exact_top_k(vectors, rows_of(vectors), vectors, k)
    assert_same(exact_top_k(vectors, rows_of(vectors), vectors, k, 2, encode(vectors)), expected)
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    assert_same(exact_top_k(vectors, rows_of(vectors), vectors, k, 2), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("kernel")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(3, 200),
    lists=st.integers(1, 20),
    nearest=st.integers(1, 3),
    margin=st.one_of(st.none(), st.floats(-0.6, 0.3)),
    k=st.integers(1, 12),
    width=st.integers(1, 24),
    storage=st.sampled_from(["f4", "f2"]),
)
def test_lists_of_codes_hold_the_same_neighbors_as_lists_of_rows(kind, rows, lists, nearest, margin, k, width, storage):
    vectors = awkward_rows(kind, rows, width, rows).astype(storage)
    index = inverted_file(vectors, min(lists, rows))
    probing = Probing(nearest, margin)
    expected = list_top_k(vectors, rows_of(vectors), vectors, index, probing, min(k, rows))
    coded = index.coded(vectors)
    assert_same(list_top_k(vectors, rows_of(vectors), vectors, coded, probing, min(k, rows)), expected)


@pytest.mark.usefixtures("kernel")
def test_lists_of_codes_of_wide_rows_hold_the_same_neighbors_whatever_the_cut(monkeypatch):
    vectors, _ = identities(120, 20, width=128, spread=0.9)
    index = inverted_file(vectors, 100)
    expected = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(2, -0.2), 15)
    coded = index.coded(vectors)
    assert_same(list_top_k(vectors, rows_of(vectors), vectors, coded, Probing(2, -0.2), 15), expected)
    for block, tile, threads in ((16384, 7, 1), (130, 256, 2)):
        monkeypatch.setattr(list_search, "QUERY_BLOCK", block)
        monkeypatch.setattr(list_search, "CENTROID_TILE", tile)
        assert_same(list_top_k(vectors, rows_of(vectors), vectors, coded, Probing(2, -0.2), 15, threads), expected)
