"""Scores of rows depend on nothing but the set."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.models.arithmetic import Arithmetic, in_force
from raycluster.models.card import load_card
from raycluster.models.scoring import open_scorer
from support.scored import Rows

FLOAT32 = Arithmetic("float32", "cpu")


@given(cuts=st.lists(st.integers(0, 360), min_size=2, max_size=4).map(sorted), threads=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_scores_depend_neither_on_cuts_nor_on_threads(cuts, threads):
    rows, (card, _) = Rows(40), load_card("auto")
    with in_force(FLOAT32):
        whole = open_scorer("auto", card, rows.scored_set()).score_rows(0, 360)
        scorer = open_scorer("auto", card, rows.scored_set(), threads=threads)
        for start, stop in itertools.pairwise(cuts):
            np.testing.assert_array_equal(scorer.score_rows(start, stop), whole[start:stop])
    chosen = np.random.default_rng(0).random(whole.shape) < 0.5
    with in_force(FLOAT32):
        np.testing.assert_array_equal(scorer.score_pairs(0, 360, chosen), np.where(chosen, whole, np.nan))
