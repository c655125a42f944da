"""Columns of labels and clusters against a count in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.stages import LabelsConfig
from raycluster.stages.engines import numbered_by_first_row
from raycluster.stages.label_columns import describe

PER_ROW = ("cluster_id", "strength", "is_outlier", "is_representative", "cluster_size", "runner_up", "margin")
PER_CLUSTER = ("mean_strength", "inner_weight", "outer_weight")


@st.composite
def labelled_graphs(draw):
    """Clusters numbered by first row, and edges whose weights (eighths) add up exactly."""
    rows = draw(st.integers(1, 25))
    cluster = numbered_by_first_row(np.array(draw(st.lists(st.integers(0, 6), min_size=rows, max_size=rows))))
    node = st.integers(0, rows - 1)
    edges = [
        edge for edge in draw(st.lists(st.tuples(node, node, st.integers(1, 4)), max_size=60)) if edge[0] != edge[1]
    ]
    source, target = (np.array([edge[at] for edge in edges], np.int32) for at in (0, 1))
    return cluster, source, target, np.array([edge[2] / 8 for edge in edges], np.float32)


def brute_force(cluster, source, target, weight, config):
    rows, clusters = len(cluster), sorted(set(cluster.tolist()))
    to_cluster = [dict.fromkeys(clusters, 0.0) for _ in range(rows)]
    for a, b, w in zip(source.tolist(), target.tolist(), weight.tolist(), strict=True):
        to_cluster[a][cluster[b]] += w
        to_cluster[b][cluster[a]] += w
    members = {c: [i for i in range(rows) if cluster[i] == c] for c in clusters}
    inner = [to_cluster[i][cluster[i]] for i in range(rows)]
    representative = [max(members[c], key=lambda i: (inner[i], -i)) for c in clusters]
    found = {name: [] for name in PER_ROW}
    for i in range(rows):
        total = sum(to_cluster[i].values())
        others = {c: w for c, w in to_cluster[i].items() if c != cluster[i] and w > 0}
        runner_up = min(others, key=lambda c: (-others[c], c)) if others else -1
        size = len(members[cluster[i]])
        strength = np.nan if size == 1 else inner[i] / total if total else 1.0
        least = config.min_cluster_size if config.min_cluster_size > 2 else 0
        found["cluster_id"].append(cluster[i])
        found["strength"].append(strength)
        found["is_outlier"].append(size < least or strength < config.min_strength)
        found["is_representative"].append(i in representative)
        found["cluster_size"].append(size)
        found["runner_up"].append(runner_up)
        margin = (inner[i] - others.get(runner_up, 0)) / total if total else 1.0
        found["margin"].append(np.nan if size == 1 else margin)
    found["representative"] = representative
    found["mean_strength"] = [sum(found["strength"][i] for i in members[c]) / len(members[c]) for c in clusters]
    found["inner_weight"] = [sum(inner[i] for i in members[c]) / 2 for c in clusters]
    found["outer_weight"] = [
        sum(w for i in members[c] for other, w in to_cluster[i].items() if other != c) for c in clusters
    ]
    return found


@settings(max_examples=150, deadline=None)
@given(labelled_graphs(), st.integers(1, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_every_column_equals_a_count_in_plain_python(graph, min_cluster_size, min_strength):
    config = LabelsConfig(min_cluster_size=min_cluster_size, min_strength=min_strength)
    found = describe(*graph, config)
    expected = brute_force(*graph, config)
    for name, values in expected.items():
        if name in ("strength", "margin", "mean_strength"):
            assert getattr(found, name) == pytest.approx(values, abs=1e-12, nan_ok=True), name
        else:
            assert getattr(found, name).tolist() == list(values), name
    shared = found.cluster_size > 1
    assert np.isnan(found.strength).tolist() == np.isnan(found.margin).tolist() == (~shared).tolist()
    assert ((found.strength >= 0) & (found.strength <= 1))[shared].all()
    assert ((found.margin >= -1) & (found.margin <= found.strength))[shared].all()
    assert found.singletons == expected["cluster_size"].count(1)


def small():
    """Two clusters of three and a lone row; row 2 leans to the other cluster."""
    cluster = np.array([0, 0, 0, 1, 1, 1, 2], np.int32)
    source = np.array([0, 0, 3, 4, 2, 2], np.int32)
    target = np.array([1, 2, 4, 5, 3, 4], np.int32)
    return cluster, source, target, np.array([1, 1, 1, 1, 1, 2], np.float32)


def test_columns_of_a_small_graph():
    found = describe(*small(), LabelsConfig(min_strength=0.5))
    assert found.strength[:6].tolist() == [1, 1, 0.25, 0.5, 0.5, 1]
    assert np.isnan([found.strength[6], found.margin[6], found.mean_strength[2]]).all()
    assert found.runner_up.tolist() == [-1, -1, 1, 0, 0, -1, -1]
    assert found.margin[:6].tolist() == [1, 1, -0.5, 0, 0, 1]
    assert found.representative.tolist() == [0, 4, 6]
    assert found.is_outlier.tolist() == [False, False, True, False, False, False, False]
    assert found.inner_weight.tolist() == [2, 2, 0]
    assert found.outer_weight.tolist() == [3, 3, 0]


def test_outliers_are_small_clusters_and_weak_rows():
    cluster_sizes = [3, 3, 3, 3, 3, 3, 1]
    for size in (1, 2, 3, 4):
        found = describe(*small(), LabelsConfig(min_cluster_size=size))
        assert found.is_outlier.tolist() == [size > 2 and members < size for members in cluster_sizes]
    weak = describe(*small(), LabelsConfig(min_cluster_size=1, min_strength=0.6))
    assert weak.is_outlier.tolist() == [False, False, True, True, True, False, False]


def test_calibrated_strengths_take_the_place_of_the_share_and_leave_the_margin():
    calibrated = np.array([0.9, 0.8, 0.4, 0.7, 0.6, 0.5, 1.0])
    found = describe(*small(), LabelsConfig(min_strength=0.5), calibrated)
    share = describe(*small(), LabelsConfig(min_strength=0.5))
    np.testing.assert_array_equal(found.strength[:6], calibrated[:6])
    assert found.mean_strength[:2] == pytest.approx([0.7, 0.6])
    assert found.is_outlier.tolist() == [False, False, True, False, False, False, False]
    np.testing.assert_array_equal(found.margin, share.margin)
    assert found.representative.tolist() == share.representative.tolist()


def test_shuffled_edges_give_the_same_labels():
    rng = np.random.default_rng(0)
    cluster = numbered_by_first_row(rng.integers(0, 5, 40))
    source, target = rng.integers(0, 40, (2, 200)).astype(np.int32)
    kept = source != target
    source, target = source[kept], target[kept]
    weight = (rng.integers(1, 9, len(source)) / 8).astype(np.float32)
    expected = describe(cluster, source, target, weight, LabelsConfig())
    order = rng.permutation(len(source))
    found = describe(cluster, target[order], source[order], weight[order], LabelsConfig())
    for name in (*PER_ROW, *PER_CLUSTER, "representative"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_weights_that_are_not_positive_count_as_none():
    cluster = np.array([0, 0, 1], np.int32)
    source, target = np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32)
    found = describe(cluster, source, target, np.array([0.5, -0.25, -1], np.float32), LabelsConfig())
    assert found.strength[:2].tolist() == found.margin[:2].tolist() == [1, 1]
    assert found.runner_up.tolist() == [-1, -1, -1]
    assert found.outer_weight.tolist() == [0, 0]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(labelled_graphs(), st.integers(0, 1000))
def test_in_rows_moves_every_row_and_keeps_the_clusters(graph, seed):
    found = describe(*graph, LabelsConfig(min_strength=0.3))
    order = np.random.default_rng(seed).permutation(len(graph[0]))
    moved = found.in_rows(order)
    for here, there in enumerate(order):
        for name in PER_ROW:
            np.testing.assert_equal(getattr(moved, name)[there], getattr(found, name)[here])
    for name in PER_CLUSTER:
        np.testing.assert_array_equal(getattr(moved, name), getattr(found, name))
    assert moved.is_representative[moved.representative].all()
    assert moved.cluster_id[moved.representative].tolist() == list(range(len(moved.representative)))
