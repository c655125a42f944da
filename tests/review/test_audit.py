"""Findings on sets whose mistakes are plain."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raycluster.review import audit
from support.labelled_groups import LIMITS, full, pairs


def found(label, cluster, listed, **options):
    issues = audit.issues(np.array(label), cluster, listed, LIMITS, **options)
    return {
        row: (kind, label)
        for row, kind, label in zip(issues.row.tolist(), issues.kind.tolist(), issues.suggested.tolist(), strict=True)
    }


def test_a_row_among_another_label_is_mislabelled():
    cluster, listed = full([6, 6])
    label = [0] * 5 + [1] + [1] * 6
    assert found(label, cluster, listed) == {5: (audit.MISLABELLED, 0)}


def test_right_labels_give_no_finding():
    cluster, listed = full([6, 6, 1])
    assert found([0] * 6 + [1] * 6 + [2], cluster, listed) == {}


def test_a_second_label_of_a_cluster_is_one_identity_under_several():
    cluster, listed = full([12, 6, 6, 6])
    label = [0] * 8 + [1] * 4 + [2] * 6 + [3] * 6 + [4] * 6
    kinds = found(label, cluster, listed)
    assert {row: kinds[row] for row in range(8, 12)} == dict.fromkeys(range(8, 12), (audit.ONE_IDENTITY, 0))
    assert set(kinds) == set(range(8, 12))


def test_two_clusters_of_one_label_are_several_identities():
    cluster, listed = full([8, 5, 6])
    label = [0] * 13 + [1] * 6
    assert found(label, cluster, listed) == dict.fromkeys(range(8, 13), (audit.SEVERAL_IDENTITIES, -1))


def test_rows_without_a_label_are_never_found():
    cluster, listed = full([6, 6])
    label = [0] * 5 + [-1] + [1] * 6
    assert found(label, cluster, listed, least=0.0).keys() <= set(range(12)) - {5}


def test_a_higher_confidence_lists_fewer():
    cluster, listed = full([6, 6])
    label = np.array([0] * 5 + [1] + [1] * 6)
    counts = [len(audit.issues(label, cluster, listed, LIMITS, least=least).row) for least in (0, 0.5, 1)]
    assert counts[0] == 12 > counts[1] > counts[2] == 0


@given(st.permutations(range(4)))
def test_names_of_labels_have_no_influence(names):
    cluster, listed = full([6, 6, 5])
    label = np.array([0] * 5 + [1] * 7 + [2] * 2 + [3] * 3)
    renamed = np.array(names)[label]
    one, other = (audit.issues(values, cluster, listed, LIMITS, least=0.0) for values in (label, renamed))
    assert dict(zip(one.row, one.confidence, strict=True)) == dict(zip(other.row, other.confidence, strict=True))


def test_the_table_has_ids_and_names():
    issues = audit.Issues(np.array([2, 0]), np.array([1, -1]), np.array([0.9, 0.6]), np.array([0, 2]))
    table = audit.table_of(
        issues, pa.array(["x", "y", "z"]), np.array([1, 0, 0]), pa.array(["ann", "bob"], pa.large_string())
    )
    assert table.to_pylist() == [
        {"id": "z", "given_label": "ann", "suggested_label": "bob", "confidence": 0.9, "kind": "mislabelled"},
        {"id": "x", "given_label": "bob", "suggested_label": None, "confidence": 0.6,
         "kind": "several identities under one label"},
    ]  # fmt: skip


def test_candidates_of_a_set_without_lists_are_no_findings():
    cluster = np.arange(4, dtype=np.int32)
    assert found([0, 1, 2, 3], cluster, pairs((0, 1, 0.01))) == {}
