"""The record of a set to score gives what was measured of it."""

import numpy as np
import pytest

from raycluster.models.scored_set import ScoredSet
from raycluster.models.set_statistics import SetStatistics, measure
from support.scored import Rows


def test_statistics_are_those_that_were_measured():
    rows = Rows(12)
    expected = SetStatistics.measure(rows.neighbor, rows.similarity, rows.vectors)
    assert rows.scored_set().statistics == expected


def test_the_background_is_that_of_random_pairs():
    rows = Rows(12)
    facts = measure("row", rows.neighbor, rows.similarity, rows.vectors)
    median, spread = rows.scored_set(facts=facts).background
    cosine = (rows.vectors @ rows.vectors.T)[np.triu_indices(len(rows.vectors), 1)]
    assert median == pytest.approx(np.median(cosine), abs=0.1)
    assert 0 < spread < 2 * cosine.std()


def test_a_set_without_masks_or_contexts_has_none():
    rows = Rows(12)
    assert ScoredSet(rows.neighbor, rows.similarity, rows.vectors, rows.facts).topk is None
    assert rows.scored_set().contexts is None
