"""Reasons to cluster everything again."""

import itertools
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from raycluster.identities.advice import advice, recall_of_new, threshold_of, valley_of, why_again, why_at_once
from raycluster.identities.grown import Change
from raycluster.identities.state import Lists, from_tables
from raycluster.identities.update import update
from raycluster.limits.valley import SCORES
from support.living import BASE, ROWS, base, change, rows, tables_of, updated


def test_a_small_update_gives_no_reason_and_many_new_rows_do():
    assert updated(base(), range(BASE, BASE + 20)).advice == []
    assert "25% of the rows are new since the last full run" in updated(base(), range(BASE, ROWS)).advice


def test_a_batch_of_more_than_half_of_the_rows_runs_in_full():
    assert why_at_once(base(), BASE // 2) is None
    assert why_at_once(base(), BASE // 2 + 1).startswith("121 new rows come to 240")
    fewer = updated(base(), removed=range(40)).state
    assert why_at_once(fewer, 101).startswith("101 new rows come to 200")
    assert "connected components" in why_at_once(from_tables(tables_of(rows()[0][:50], recipe="components")), 1)


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


def test_the_limit_of_a_grown_set_is_the_one_that_a_full_run_picks():
    state = picking(150)
    assert state.limits.picked
    grown = update(state, change(state, range(150, ROWS)), "run").state
    expected = picking(ROWS).limits.threshold
    assert threshold_of(grown, 1) == expected
    fewer = update(grown, change(grown, (), range(150, ROWS)), "run").state
    assert threshold_of(fewer, 1) == state.limits.threshold
    assert threshold_of(base(), 1) is None


def test_another_limit_is_a_reason_once_five_percent_of_the_rows_changed(monkeypatch):
    state = picking(BASE)
    steps = [state]
    for new in (range(BASE, BASE + 11), range(BASE + 11, BASE + 13), range(BASE + 13, BASE + 20)):
        steps.append(update(steps[-1], change(steps[-1], new), "run").state)
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: 0.7)
    before = state.limits.threshold
    reasons = [why_again(*pair, 1) for pair in itertools.pairwise(steps)]
    assert reasons[0] is None
    assert reasons[1] == (
        f"its 253 rows pick a limit of 0.7000, and the limit of the last full run, of 240 rows, is {before:.4f}"
    )
    assert reasons[2] is None, "the limit was picked at 13 rows, and the next time is at 24"
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: before)
    assert why_again(steps[1], steps[2], 1) is None
