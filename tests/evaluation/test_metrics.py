import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import pair_confusion_matrix

from raycluster.errors import InputError
from raycluster.evaluation import groups, metrics
from raycluster.evaluation.groups import hard_cluster_table
from raycluster.evaluation.metrics import (
    Contingency,
    bcubed,
    evaluate,
    evaluate_part,
    nmi,
    pairwise,
)

LABELLINGS = st.integers(1, 40).flatmap(
    lambda rows: st.tuples(
        *(
            st.integers(1, 12).flatmap(lambda top: st.lists(st.integers(-1, top), min_size=rows, max_size=rows))
            for _ in range(2)
        )
    )
)


def f_of(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def brute_pairwise(truth, predicted, inside):
    """Score over explicit pairs: predicted pairs touch the rows `inside`, true pairs lie within them."""
    first, second = np.triu_indices(len(truth), 1)
    true, together = truth[first] == truth[second], predicted[first] == predicted[second]
    hits = np.sum(true & together & inside[first])
    predicted_pairs = np.sum(together & (inside[first] | inside[second]))
    true_pairs = np.sum(true & inside[first])
    precision = hits / predicted_pairs if predicted_pairs else 1.0
    recall = hits / true_pairs if true_pairs else 1.0
    return {"precision": precision, "recall": recall, "f": f_of(precision, recall)}


def brute_bcubed(truth, predicted, inside):
    true, together = truth[:, None] == truth, predicted[:, None] == predicted
    hits = (true & together).sum(1)
    precision = np.mean((hits / together.sum(1))[inside])
    recall = np.mean((hits / true.sum(1))[inside])
    return {"precision": precision, "recall": recall, "f": f_of(precision, recall)}


def brute_identity_f(truth, predicted, threshold):
    found = 0
    for person in set(truth):
        for cluster in set(predicted):
            shared = sum((truth == person) & (predicted == cluster))
            found += shared > threshold * max(sum(truth == person), sum(predicted == cluster)) + 1e-9
    return f_of(found / len(set(predicted)), found / len(set(truth)))


def unit_rows(rows, seed, spread=0.7, dims=6):
    vectors = np.random.default_rng(seed).normal(spread, 1.0, (rows, dims)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(LABELLINGS)
def test_scores_equal_brute_force_and_scikit_learn(labelling):
    truth, predicted = map(np.array, labelling)
    result = evaluate(truth, predicted)
    everywhere = np.ones(len(truth), bool)
    assert result["pairwise"] == pytest.approx(brute_pairwise(truth, predicted, everywhere))
    assert result["bcubed"] == pytest.approx(brute_bcubed(truth, predicted, everywhere))
    for mean in ("arithmetic", "geometric"):
        expected = normalized_mutual_info_score(truth, predicted, average_method=mean)
        assert result["nmi"][mean] == pytest.approx(expected, abs=1e-9)
    identities, clusters = len(set(truth)), len(set(predicted))
    singletons = sum(np.sum(predicted == cluster) == 1 for cluster in set(predicted))
    assert (result["rows"], result["identities"], result["clusters"]) == (len(truth), identities, clusters)
    assert result["singletons"] == singletons
    assert result["identity"] == pytest.approx(
        {
            "clusters_per_identity": clusters / identities,
            "singletons_per_identity": singletons / identities,
            "f_0.5": brute_identity_f(truth, predicted, 0.5),
            "f_0.9": brute_identity_f(truth, predicted, 0.9),
        }
    )


@settings(max_examples=100, deadline=None)
@given(LABELLINGS, st.integers(0, 1000))
def test_group_tables_equal_brute_force(labelling, seed):
    truth, predicted = map(np.array, labelling)
    embeddings = unit_rows(len(truth), seed)
    people, inverse, sizes = np.unique(truth, return_inverse=True, return_counts=True)
    cosines = embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    np.fill_diagonal(cosines, 0)
    sums = [cosines[np.ix_(truth == person, truth == person)].sum() for person in people]
    sparsity = 1 - np.array(sums) / np.maximum(sizes * (sizes - 1), 1)
    by_size = sorted(range(len(people)), key=lambda i: (-sizes[i], i))
    by_sparsity = sorted((i for i in range(len(people)) if sizes[i] > 1), key=lambda i: sparsity[i])
    expected = {}
    for name, ranked in (("sz", by_size), ("sp", by_sparsity)):
        for number, members in enumerate(np.array_split(np.array(ranked, int), 5), 1):
            if len(members):
                inside = np.isin(inverse, members)
                expected[f"{name}-{number}"] = {
                    "pairwise": brute_pairwise(truth, predicted, inside),
                    "bcubed": brute_bcubed(truth, predicted, inside),
                    "identities": len(members),
                    "rows": int(inside.sum()),
                }
    result = hard_cluster_table(truth, predicted, embeddings)
    assert list(result) == list(expected)
    for name, group in expected.items():
        assert result[name]["pairwise"] == pytest.approx(group["pairwise"]), name
        assert result[name]["bcubed"] == pytest.approx(group["bcubed"]), name
        assert (result[name]["identities"], result[name]["rows"]) == (group["identities"], group["rows"])
    assert hard_cluster_table(truth, predicted) == {k: v for k, v in result.items() if k.startswith("sz")}


def scores_of_part(truth, predicted, part):
    return {name: asdict(score) for name, score in evaluate_part(truth, predicted, part).items()}


@settings(max_examples=100, deadline=None)
@given(LABELLINGS, st.integers(0, 1000))
def test_the_score_of_a_part_equals_brute_force_over_its_identities(labelling, seed):
    truth, predicted = map(np.array, labelling)
    part = np.random.default_rng(seed).random(len(truth)) < 0.3
    part[seed % len(truth)] = True
    inside = np.isin(truth, truth[part])
    expected = {"pairwise": brute_pairwise(truth, predicted, inside), "bcubed": brute_bcubed(truth, predicted, inside)}
    result = scores_of_part(truth, predicted, part)
    assert list(result) == list(expected)
    for name, score in expected.items():
        assert result[name] == pytest.approx(score), name
    assert scores_of_part(truth, predicted, inside) == result


@settings(max_examples=60, deadline=None)
@given(LABELLINGS)
def test_the_score_of_all_rows_as_a_part_is_that_of_the_whole(labelling):
    result = evaluate(*labelling)
    expected = {name: result[name] for name in ("pairwise", "bcubed")}
    assert scores_of_part(*labelling, np.ones(len(labelling[0]), bool)) == expected


def test_a_part_pays_for_rows_of_others_in_its_clusters_and_not_for_how_others_are_split():
    truth, predicted = [0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 1, 2, 3]
    held_out = np.array(truth) == 0
    score = evaluate_part(truth, predicted, held_out)
    assert score["pairwise"] == metrics.Score(0.6, 1.0, pytest.approx(0.75))
    assert score["bcubed"] == metrics.Score(pytest.approx(4 / 5), 1.0, pytest.approx(8 / 9))
    assert evaluate_part(truth, [0, 0, 0, 0, 0, 1, 9, 9], held_out) == score


def test_pairwise_equals_scikit_learn_on_many_rows():
    rng = np.random.default_rng(3)
    truth = rng.zipf(1.5, 20_000) % 3000
    predicted = np.where(rng.random(20_000) < 0.2, rng.integers(0, 4000, 20_000), truth)
    (_, false_positive), (false_negative, true_positive) = pair_confusion_matrix(truth, predicted)
    score = pairwise(Contingency.of(truth, predicted))
    assert score.precision == true_positive / (true_positive + false_positive)
    assert score.recall == true_positive / (true_positive + false_negative)


@settings(max_examples=60, deadline=None)
@given(LABELLINGS, st.integers(0, 1000))
def test_order_of_rows_and_names_of_labels_do_not_matter(labelling, seed):
    truth, predicted = map(np.array, labelling)
    result = evaluate(truth, predicted)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    assert evaluate(truth[order], predicted[order]) == result
    names = rng.integers(-(2**63), 2**63 - 1, 14)
    renamed = evaluate([f"person {-label}" for label in truth], names[predicted])
    for key in ("pairwise", "bcubed", "nmi", "identity"):
        assert renamed[key] == pytest.approx(result[key])
    swapped = evaluate(predicted, truth)
    assert swapped["pairwise"]["precision"] == result["pairwise"]["recall"]
    assert swapped["bcubed"]["recall"] == pytest.approx(result["bcubed"]["precision"])


@pytest.mark.parametrize(
    "convert",
    [
        lambda labels: np.array(labels, np.int8),
        lambda labels: np.array(labels, np.uint64) + np.uint64(2**64 - 200),
        lambda labels: np.array(labels) + np.iinfo(np.int64).min,
        lambda labels: np.array(labels) * 2**50,
        lambda labels: [f"{label:04d}" for label in labels],
        lambda labels: np.array([f"{label:04d}" for label in labels], "S"),
        lambda labels: np.array([f"{label:04d}" for label in labels], np.dtypes.StringDType()),
    ],
)
def test_every_label_dtype_gives_the_same_table(convert):
    labels = [5, 100, 5, 7, 0, 7, 5]
    table = Contingency.of(convert(labels), convert(labels[::-1]))
    assert table.identity_sizes.tolist() == table.cluster_sizes.tolist() == [1, 3, 2, 1]
    cells = zip(table.identity.tolist(), table.cluster.tolist(), table.counts.tolist(), strict=True)
    assert list(cells) == [(0, 1, 1), (1, 0, 1), (1, 1, 2), (2, 2, 1), (2, 3, 1), (3, 2, 1)]
    assert all(array.dtype == np.int64 for array in (table.counts, table.identity, table.cluster))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_dense_labels_at_the_ends_of_a_dtype(dtype):
    limits = np.iinfo(dtype)
    for edge in (np.arange(100, dtype=dtype) + dtype(limits.min), dtype(limits.max) - np.arange(100, dtype=dtype)):
        labels = np.concatenate([edge, edge[::3]])
        table = Contingency.of(labels, labels)
        assert table.identity_sizes.tolist() == np.unique(labels, return_counts=True)[1].tolist()
        assert table.counts.tolist() == table.identity_sizes.tolist()


@settings(max_examples=100, deadline=None)
@given(LABELLINGS, st.integers(0, 1000))
def test_the_majority_equals_a_count_and_ties_are_shared(labelling, seed):
    truth, predicted = (np.array(labels) for labels in labelling)
    right, shared = metrics.majority(truth, predicted)
    for row in range(len(truth)):
        values, counts = np.unique(truth[predicted == predicted[row]], return_counts=True)
        top = values[counts == counts.max()]
        assert right[row] == (1 / len(top) if truth[row] in top else 0)
        assert shared[row] == (counts.sum() > 1)
    assert (right[~shared] == 1).all()
    order = np.random.default_rng(seed).permutation(len(truth))
    for moved, still in zip(metrics.majority(truth[order], predicted[order]), (right, shared), strict=True):
        np.testing.assert_array_equal(moved, still[order])


def test_perfect_clusters_score_one():
    result = evaluate([3, 3, 1, 1, 1, 2], ["c", "c", "a", "a", "a", "b"])
    assert result["pairwise"] == result["bcubed"] == {"precision": 1.0, "recall": 1.0, "f": 1.0}
    assert result["nmi"] == pytest.approx({"arithmetic": 1.0, "geometric": 1.0})
    assert result["identity"] == {
        "clusters_per_identity": 1.0,
        "singletons_per_identity": 1 / 3,
        "f_0.5": 1.0,
        "f_0.9": 1.0,
    }


def test_all_singletons():
    result = evaluate([0, 0, 1, 1], [0, 1, 2, 3])
    assert result["pairwise"] == {"precision": 1.0, "recall": 0.0, "f": 0.0}
    assert result["bcubed"] == {"precision": 1.0, "recall": 0.5, "f": pytest.approx(2 / 3)}
    assert result["singletons"] == 4
    assert result["identity"]["clusters_per_identity"] == result["identity"]["singletons_per_identity"] == 2.0
    assert result["identity"]["f_0.5"] == 0.0  # half an identity is not more than half


def test_truth_without_pairs():
    assert pairwise(Contingency.of([0, 1, 2], [0, 1, 2])) == metrics.Score(1.0, 1.0, 1.0)
    assert pairwise(Contingency.of([0, 1, 2], [0, 0, 0])) == metrics.Score(0.0, 1.0, 0.0)


def test_one_cluster():
    table = Contingency.of([0, 0, 0, 1], [9, 9, 9, 9])
    assert pairwise(table) == metrics.Score(0.5, 1.0, pytest.approx(2 / 3))
    assert bcubed(table) == metrics.Score(10 / 16, 1.0, pytest.approx(10 / 13))
    assert nmi(table) == {"arithmetic": 0.0, "geometric": 0.0}
    assert nmi(Contingency.of([4, 4], ["x", "x"])) == {"arithmetic": 1.0, "geometric": 1.0}
    assert evaluate([1], [1])["nmi"] == {"arithmetic": 1.0, "geometric": 1.0}


def test_identity_match_needs_more_than_the_threshold():
    truth = [0] * 10 + [1] * 20
    predicted = [0] * 9 + [5] + [1] * 19 + [6]
    scores = metrics.identity(Contingency.of(truth, predicted), (0.9, 0.95))
    assert scores["f_0.9"] == pytest.approx(f_of(1 / 4, 1 / 2))
    assert scores["f_0.95"] == 0.0


def test_result_is_json_with_the_documented_keys():
    result = evaluate(np.array([0, 0, 1], np.int32), np.array(["a", "b", "b"]))
    assert json.loads(json.dumps(result)) == result
    assert list(result) == ["rows", "identities", "clusters", "singletons", "pairwise", "bcubed", "nmi", "identity"]
    assert list(result["identity"]) == ["clusters_per_identity", "singletons_per_identity", "f_0.5", "f_0.9"]
    json.dumps(hard_cluster_table([0, 0, 1], [0, 1, 1], unit_rows(3, 0)))


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        ([], [], "non-empty"),
        ([1, 2], [1], "truth has 2 rows, predicted 1"),
        ([[1, 2]], [1, 2], "truth labels must be a non-empty 1-d array"),
        ([1, 2], [1.0, math.nan], "predicted labels must be integers or strings"),
        ([1, None], [1, 2], "truth labels must be integers or strings"),
    ],
)
def test_bad_labels(truth, predicted, words):
    for score in (evaluate, hard_cluster_table, lambda *labels: evaluate_part(*labels, np.array([True, False]))):
        with pytest.raises(InputError, match=words):
            score(truth, predicted)


def test_bad_arguments():
    rows = unit_rows(4, 0)
    truth = [0, 0, 1, 1]
    with pytest.raises(InputError, match="float32 of shape"):
        groups.sparsity_groups(truth, rows[:3])
    with pytest.raises(InputError, match="float32 of shape"):
        groups.sparsity_groups(truth, rows.astype(np.float64))
    with pytest.raises(InputError, match="row 2 is not of unit length"):
        groups.sparsity_groups(truth, rows * np.array([[1], [1], [2], [1]], np.float32))
    with pytest.raises(InputError, match="at least 1"):
        groups.size_groups(truth, groups=0)
    with pytest.raises(InputError, match="thresholds must be at least"):
        metrics.identity(Contingency.of(truth, truth), (0.4,))
