"""Labels in clusters and in neighbor lists."""

import numpy as np
import pytest

from raycluster.review.between import Between
from raycluster.review.label_evidence import Groups, disagreements, group_features, leads, row_features, supported
from support.labelled_groups import LIMITS, full, pairs


def test_groups_have_their_cluster_their_home_and_their_sizes():
    label = np.array([0, 0, 1, 1, 1, 0, -1])
    cluster = np.array([0, 0, 0, 1, 1, 1, 1], np.int32)
    groups = Groups.of(label, cluster)
    named = list(zip(groups.cluster.tolist(), groups.label.tolist(), groups.size.tolist(), strict=True))
    assert named == [(0, 0, 2), (0, 1, 1), (1, 1, 2), (1, 0, 1)]
    assert groups.row.tolist() == [0, 0, 1, 2, 2, 3, -1]
    assert groups.first.tolist() == [0, 0, 2, 2]
    assert groups.second.tolist() == [1, 1, 3, 3]
    assert groups.home.tolist() == [0, 2, 2, 0]
    assert groups.label_size.tolist() == [3, 3, 3, 3]


def test_support_is_the_mean_of_the_strongest_pairs_of_a_label():
    label = np.array([0, 0, 1, 1, 1, 1])
    listed = pairs((0, 1, 0.2), (0, 2, 0.9), (0, 3, 0.8), (0, 4, 0.7), (0, 5, 0.1))
    found = supported(label, listed)
    assert found.own[0] == pytest.approx(0.2)
    assert (found.rival[0], found.rival_label[0]) == (pytest.approx(0.8), 1)
    assert found.rival[1] == 0
    assert found.rival_label[1] == -1


def test_a_row_without_a_label_takes_and_lends_no_support():
    found = supported(np.array([0, 0, -1]), pairs((0, 2, 0.9), (0, 1, 0.4)))
    assert found.own.tolist() == pytest.approx([0.4, 0.4, 0])
    assert found.rival.tolist() == [0, 0, 0]


def test_the_suggestion_is_the_other_label_of_the_cluster():
    cluster, listed = full([4, 3])
    label = np.array([0, 0, 0, 1, 1, 1, 1])
    groups = Groups.of(label, cluster)
    features, suggested = row_features(groups, supported(label, listed), LIMITS)
    assert suggested[3] == 0
    assert features["rival_share"][3] == 1
    assert features["is_away"][3] == 1
    assert features["own_share"][4:].tolist() == [1, 1, 1]


def test_a_label_of_two_clusters_is_scattered_and_one_cluster_of_two_labels_is_mixed():
    label, cluster = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1], np.int32)
    groups = Groups.of(label, cluster)
    shares = disagreements(groups, 2)
    assert shares["mixed"].tolist() == [np.log(2 / 4)] * 2
    assert shares["scattered"].tolist() == [np.log(2 / 4)] * 2


def test_rows_that_are_as_near_to_both_labels_lead_by_nothing():
    cluster, listed = full([4])
    label = np.array([0, 0, 1, 1])
    groups = Groups.of(label, cluster)
    lead = leads(groups, supported(label, listed), LIMITS)
    assert lead == pytest.approx([0, 0], abs=1e-6)
    between = Between.of(listed, groups.row, groups.size)
    features = group_features(groups, np.array([1]), np.array([0]), between, lead, LIMITS)
    assert features["best"][0] > 0
    assert features["share"].tolist() == [1]
