"""Groups of identities by size and by sparsity, and scores within them."""

import numpy as np
import pytest

from raycluster.evaluation import groups


def unit_rows(rows, seed):
    vectors = np.random.default_rng(seed).normal(0.7, 1.0, (rows, 6)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_size_groups_are_equal_and_ties_keep_label_order():
    truth = ["b"] * 3 + ["a"] * 3 + ["d"] + ["c"] * 4 + ["e"] * 2 + ["f"] * 9
    assert groups.size_groups(truth).tolist() == [1, 2, 0, 4, 3, 0]
    assert groups.size_groups(truth, groups=2).tolist() == [0, 1, 0, 1, 1, 0]
    assert groups.size_groups([7, 7, 8]).tolist() == [0, 1]


def test_sparsity_does_not_depend_on_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    truth = np.concatenate([rng.integers(0, 30, 300), np.full(100, 30), np.arange(50, 60)])
    embeddings = unit_rows(len(truth), 2)
    expected = groups.sparsity_groups(truth, embeddings)
    codes, sizes = np.unique(truth, return_inverse=True, return_counts=True)[1:]
    whole = groups._sparsity(codes, sizes, embeddings)
    assert (expected == -1).tolist() == (sizes == 1).tolist() == np.isnan(whole).tolist()
    assert np.bincount(expected[expected >= 0]).tolist() == [7, 6, 6, 6, 6]
    for values in (1, 6 * 7, 6 * 64):
        monkeypatch.setattr(groups, "_BLOCK_VALUES", values)
        np.testing.assert_allclose(groups._sparsity(codes, sizes, embeddings), whole, rtol=1e-12)


def test_wrong_merges_from_outside_a_group_count_against_its_precision():
    truth = [0] * 4 + [1] * 2
    table = groups.hard_cluster_table(truth, [0, 0, 0, 0, 0, 1])
    assert table["sz-1"]["pairwise"] == {"precision": 0.6, "recall": 1.0, "f": pytest.approx(0.75)}
    assert table["sz-2"]["pairwise"] == {"precision": 0.0, "recall": 0.0, "f": 0.0}
    assert table["sz-1"]["bcubed"]["precision"] == pytest.approx(4 / 5)
