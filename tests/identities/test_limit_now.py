"""The limit that the rows of a living clustering pick now."""

from dataclasses import replace

import numpy as np
import pytest

from raycluster.identities.limit_now import rows_read, share_with_holes, threshold_of, whole_lists
from raycluster.identities.state import from_tables
from raycluster.identities.update import update
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.agreed import AGREED
from support.living import BASE, ROWS, base, change, rows, tables_of


def picking(count, **overrides):
    """A run of the first rows that picks its limit."""
    return from_tables(tables_of(rows()[0][:count], **({"knn": {"k": 40}, "edges": {}} | overrides)))


def fed(state, batches):
    """The state after rows came in batches."""
    for new in batches:
        state = update(state, change(state, new), "run").state
    return state


BATCHES = [range(start, start + 12) for start in range(BASE, ROWS, 12)]


def lists_by_brute_force(state):
    """Similarities of the 40 nearest rows that are there, of every row that is there."""
    alive = np.flatnonzero(state.is_alive)
    vectors = state.vectors[alive]
    return exact_top_k(vectors, np.arange(len(alive), dtype=np.int32), vectors, 40)[1]


@pytest.mark.parametrize("removed", [(), range(5, 9), range(0, ROWS, 3)])
def test_whole_lists_are_those_of_a_search_of_all_rows(removed):
    state = fed(picking(BASE), BATCHES)
    state = update(state, change(state, (), removed), "run").state
    alive = np.flatnonzero(state.is_alive).astype(np.int32)
    neighbor, similarity = whole_lists(state, alive, 1)
    np.testing.assert_allclose(similarity, lists_by_brute_force(state), atol=1e-6)
    np.testing.assert_array_equal(neighbor[:, 0], alive)
    assert all(len(set(line)) == 40 for line in neighbor.tolist())
    assert (share_with_holes(state) > 0) == (len(removed) > 0)
    # Updates themselves do not follow strangers.
    assert (state.lists.similarity[alive] != similarity).any()


def test_lists_of_an_approximate_search_miss_nothing_that_it_finds():
    state = fed(picking(BASE, knn={"k": 40, "index": "ivf", "lists": 8, "probes": 4}), BATCHES)
    alive = np.flatnonzero(state.is_alive).astype(np.int32)
    _, similarity = whole_lists(state, alive, 1)
    exact = lists_by_brute_force(state)
    assert (similarity <= exact + 1e-6).all()
    assert np.abs(similarity - exact).mean() < 0.02


def test_a_limit_by_scores_of_a_sample_is_not_picked_again():
    state = picking(BASE)
    by_scores = replace(state.limits, facts={**state.limits.facts, "basis": AGREED})
    assert threshold_of(replace(state, limits=by_scores), 1) is None


def test_the_limit_of_a_grown_set_is_the_one_that_a_full_run_picks():
    state = picking(150)
    assert state.limits.picked
    grown = fed(state, [range(start, start + 50) for start in range(150, ROWS, 50)])
    assert threshold_of(grown, 1) == picking(ROWS).limits.threshold
    fewer = update(grown, change(grown, (), range(150, ROWS)), "run").state
    assert threshold_of(fewer, 1) == state.limits.threshold
    assert threshold_of(base(), 1) is None


def test_of_many_rows_some_are_read(monkeypatch):
    monkeypatch.setattr("raycluster.identities.limit_now.MAX_ROWS", 100)
    state = fed(picking(BASE), BATCHES)
    assert rows_read(state).tolist() == list(range(0, ROWS, 3))
    assert abs(threshold_of(state, 1) - picking(ROWS).limits.threshold) <= 0.05
