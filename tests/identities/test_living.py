"""A clustering in memory and new rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.evaluation.metrics import evaluate
from raycluster.executors.progress import Silence
from raycluster.identities.living import Again, Living
from support.living import BASE, ROWS, config_of, rows, tables_of


@pytest.fixture(scope="module")
def living():
    return Living.of(tables_of(rows()[0][:BASE]))


def test_a_label_does_not_depend_on_the_rows_that_come_with_it(living):
    new = rows()[0][BASE:]
    together = living.labels_for(new, 1)

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(0, len(new) - 1), min_size=1, max_size=8))
    def alone(chosen):
        np.testing.assert_array_equal(living.labels_for(new[chosen], 1), together[chosen])

    alone()


def test_a_row_joins_the_cluster_that_brute_force_over_all_clusters_finds(living):
    limit = 0.55
    state, new = living.state, rows()[0][BASE:]
    found = living.labels_for(new, 1)
    for vector, name in zip(new, found, strict=True):
        near = np.flatnonzero(state.vectors @ vector >= limit + 1e-6)
        assert name in {-1, *living.label[near].tolist()}
        if len(near) and len(set(living.label[near].tolist())) == 1 and len(near) > 1:
            assert name == living.label[near[0]]
        if len(np.flatnonzero(state.vectors @ vector >= limit - 1e-6)) == 0:
            assert name == -1


AGAIN = Again(config_of(), True, Silence())


def test_labels_stay_and_none_is_used_twice(living):
    ids = pa.array(np.arange(BASE, ROWS))
    grown, result = living.with_rows(ids, rows()[0][BASE:], AGAIN, 1)
    assert len(grown.label) == result.state.num_rows == ROWS
    fresh = np.setdiff1d(grown.label, living.label)
    assert fresh.min(initial=10**9) > living.label.max()
    alone = np.unique(grown.label, return_counts=True)
    assert alone[1].sum() == ROWS
    assert grown.state.next_id > grown.label.max()


@pytest.mark.parametrize("reason", ["many rows", "another limit"])
def test_a_full_run_keeps_labels_and_none_is_used_twice(living, monkeypatch, reason):
    """Of rows alone as well, wherever the full run takes them."""
    if reason == "another limit":
        monkeypatch.setattr("raycluster.identities.living.why_again", lambda *_: "its rows pick a limit of 0.6")
    else:
        monkeypatch.setattr("raycluster.identities.living.why_at_once", lambda *_: "60 new rows come to 240")
    ids = pa.array(np.arange(-1, BASE - ROWS - 1, -1))
    grown, result = living.with_rows(ids, rows()[0][BASE:], AGAIN, 1)
    assert result.state.base.rows == ROWS
    assert grown.state.ids.to_pylist() == [*range(BASE - ROWS, 0), *range(BASE)]
    whole = Living.of(tables_of(rows()[0][[*range(ROWS - 1, BASE - 1, -1), *range(BASE)]]))
    assert (
        evaluate(*(np.unique(one, return_inverse=True)[1] for one in (whole.label, grown.label)))["pairwise"]["f"] == 1
    )
    old = grown.label[ROWS - BASE :]
    assert (old == living.label).mean() > 0.97
    size = np.bincount(living.label)
    was_alone, is_alone = size[living.label] == 1, np.bincount(grown.label)[old] == 1
    np.testing.assert_array_equal(old[was_alone & is_alone], living.label[was_alone & is_alone])
    fresh = np.setdiff1d(grown.label, living.label)
    assert fresh.min(initial=10**9) > living.label.max()
    assert grown.state.next_id > grown.label.max()
