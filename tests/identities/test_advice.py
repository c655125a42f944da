"""Reasons to cluster everything again."""

import itertools
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from raycluster.identities import advice as advice_module
from raycluster.identities.advice import advice, recall_of_new, valley_of, why_again, why_at_once
from raycluster.identities.grown import Change
from raycluster.identities.state import Lists, from_tables
from raycluster.identities.update import update
from raycluster.limits.valley import SCORES
from support.living import BASE, ROWS, base, change, config_of, rows, tables_of, updated


def test_a_small_update_gives_no_reason_and_many_new_rows_do():
    assert updated(base(), range(BASE, BASE + 20)).advice == []
    assert "25% of the rows are new since the last full run" in updated(base(), range(BASE, ROWS)).advice


def test_a_batch_of_more_than_half_of_the_rows_runs_in_full():
    configured = config_of()
    assert why_at_once(base(), BASE // 2, configured) is None
    assert why_at_once(base(), BASE // 2 + 1, configured).startswith("121 new rows come to 240")
    fewer = updated(base(), removed=range(40)).state
    assert why_at_once(fewer, 101, configured).startswith("101 new rows come to 200")
    assert why_at_once(base(), 60, configured, num_gone=120) is None
    assert why_at_once(base(), 61, configured, num_gone=120).startswith("61 new rows come to 120 that stay")
    assert "connected components" in why_at_once(
        from_tables(tables_of(rows()[0][:50], recipe="components")), 1, config_of("components")
    )


def test_lists_that_few_rows_made_short_are_made_again():
    few = from_tables(tables_of(rows()[0][:10]))
    assert why_at_once(few, 1, config_of()) == (
        "its neighbor lists can have 10 ranks, and those of the last full run have 9"
    )
    assert why_at_once(from_tables(tables_of(rows()[0][:13])), 1, config_of()) is None


def test_a_drift_of_the_exits_is_a_reason():
    state = replace(base(), base=replace(base().base, exits=base().base.exits / 2 + 1e-3))
    reasons = update(state, change(state, range(BASE, BASE + 1)), "run").advice
    assert any("the weight between clusters is" in reason for reason in reasons) == (base().base.exits > 0)


def test_the_recall_of_new_rows_is_that_of_an_exact_search():
    lists = {"knn": {"k": 12, "index": "ivf", "lists": 8, "probes": 2}}
    state = from_tables(tables_of(rows()[0][:BASE], **lists))
    after = update(state, change(state, range(BASE, BASE + 30)), "run").state
    vectors, expected = after.vectors.astype(np.float64), []
    for row in range(BASE, BASE + 30):
        exact = np.sort(np.delete(vectors @ vectors[row], row))[::-1][:11]
        own = after.lists.similarity[row, 1:]
        expected.append((own >= exact[-1] - 1e-6).sum() / 11)
    assert recall_of_new(after, BASE, 1) == pytest.approx(np.mean(expected), abs=1e-6)
    removed = update(after, change(after, (), [3, BASE + 1]), "run").state
    assert 0 < recall_of_new(removed, BASE, 1) <= 1
    assert recall_of_new(after, after.num_rows, 1) is None
    assert recall_of_new(updated(base(), range(BASE, ROWS)).state, BASE, 1) is None
    far = replace(after, base=replace(after.base, recall=recall_of_new(after, BASE, 1) + 0.02))
    none = Change(pa.array([], pa.int64()), rows()[0][:0], np.empty(0, np.int32))
    solution = update(after, none, "run")
    assert solution.advice == [] or "recall" not in solution.advice[0]
    flows = type("Solution", (), {"flows": type("Flows", (), {"enter": np.zeros(1)})})
    assert any("recall of new rows" in reason for reason in advice(far, BASE, flows, 1))


def test_the_valley_is_sought_where_limits_came_from_one():
    assert valley_of(base()) is None
    neighbor = np.stack([np.arange(400), (np.arange(400) + 1) % 400, (np.arange(400) + 7) % 400], 1).astype(np.int32)
    generator = np.random.default_rng(0)
    score = np.concatenate([generator.beta(30, 2, 200), generator.beta(2, 20, 200)])
    scores = np.stack([np.full(400, np.nan), score, generator.permutation(score)], 1).astype(np.float32)
    lists = Lists(neighbor, np.ones((400, 3), np.float32), scores)
    limits = replace(base().limits, threshold=None, eta=0.5, valley=True)
    state = replace(base(), lists=lists, limits=limits)
    floor = valley_of(state)
    assert floor is not None
    assert 0.2 < floor < 0.95
    assert np.abs(SCORES - floor).min() < 1e-6


def picking(count):
    """A run of the first rows that picks its limit."""
    return from_tables(tables_of(rows()[0][:count], knn={"k": 40}, edges={}))


@pytest.fixture
def grown():
    """States of 240 rows, and after updates by 1, 7 and 12 more."""
    steps = [picking(BASE)]
    for new in (range(BASE, BASE + 1), range(BASE + 1, BASE + 8), range(BASE + 8, BASE + 20)):
        steps.append(update(steps[-1], change(steps[-1], new), "run").state)
    return list(itertools.pairwise(steps))


def test_another_limit_is_a_reason_once_half_a_percent_of_the_rows_changed(monkeypatch, grown):
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: 0.7)
    before = grown[0][0].limits.threshold
    assert why_again(*grown[0], 1) is None, "one row of 240 came, and the limit is picked at two"
    assert why_again(*grown[1], 1) == (
        f"its 248 rows pick a limit of 0.7000, and the limit of the last full run, of 240 rows, is {before:.4f}"
    )
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: before + 0.006)
    assert why_again(*grown[1], 1) is None, "less than half a step of the grid"


def test_larger_sets_follow_another_limit_later(monkeypatch, grown):
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: 0.7)
    monkeypatch.setattr(advice_module, "FOLLOWED_AT_ONCE", 100)
    assert why_again(*grown[1], 1) is None, "8 rows of 240 are less than 5 %"
    assert why_again(*grown[2], 1).startswith("its 260 rows pick a limit of 0.7000")


def test_the_limit_is_picked_more_rarely_where_many_lists_lost_a_row(monkeypatch):
    state = picking(BASE)
    steps = [state, update(state, change(state, (), range(8)), "run").state]
    steps.append(update(steps[-1], change(steps[-1], (), range(8, 13)), "run").state)
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: 0.7)
    assert why_again(steps[0], steps[1], 1) is None
    assert why_again(steps[1], steps[2], 1).startswith("its 227 rows pick")
    monkeypatch.setattr(advice_module, "MOST_ANEW", 1.0)
    assert why_again(steps[0], steps[1], 1).startswith("its 232 rows pick")
