"""Scores of a few rows, for recipes without a model."""

import numpy as np
import pytest

from raycluster.models import sample
from raycluster.models.card import load_card
from raycluster.models.sample import sample_of, score_sample
from raycluster.models.scoring import open_scorer
from raycluster.models.second_opinion import pooled
from raycluster.models.set_statistics import measure
from support.scored import Rows


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (3, 3), (1024, 1024), (5000, 1024)])
def test_a_sample_is_spread_over_all_rows(rows, size):
    chosen = sample_of(rows)
    assert len(chosen) == size
    assert chosen[0] == 0
    assert chosen[-1] == rows - 1
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("k", [12, 40])
def test_sampled_rows_score_as_they_do_among_all(k, monkeypatch):
    monkeypatch.setattr(sample, "ROWS", 50)
    rows, (card, _) = Rows(k), load_card("auto")
    rows.cut(3)
    chosen = sample_of(len(rows.vectors))
    found = score_sample(chosen, rows.neighbor, rows.similarity, rows.vectors)
    facts = measure("relative", rows.neighbor, rows.similarity, rows.vectors)
    scorer = open_scorer("auto", card, rows.scored_set(facts=facts))
    expected = pooled(card, scorer.score_rows(0, len(rows.vectors)), rows.similarity, facts)[chosen]
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.isfinite(found).any()
