"""Pairs of rows that lists name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.limits.in_force import EdgeLimits
from raycluster.review.pairs import Pairs, beyond_limit, values_of
from support.living import base


def entries(seed, rows=12, count=40):
    """Directed entries without repeats, and their values."""
    random = np.random.default_rng(seed)
    keys = random.choice(rows * rows, count, replace=False)
    row, neighbor = keys // rows, keys % rows
    kept = row != neighbor
    return row[kept].astype(np.int32), neighbor[kept].astype(np.int32), random.random(kept.sum()) + 0.01


@given(st.integers(0, 2**32 - 1))
def test_a_pair_has_the_mean_of_both_directions(seed):
    row, neighbor, value = entries(seed)
    table = {(a, b): v for a, b, v in zip(row.tolist(), neighbor.tolist(), value.tolist(), strict=True)}
    found = Pairs.from_directed(row, neighbor, value)
    assert len(found.one) == len({frozenset(key) for key in table})
    for a, b, v, mutual in zip(
        found.one.tolist(), found.other.tolist(), found.value.tolist(), found.is_mutual, strict=True
    ):
        assert a < b
        assert v == pytest.approx((table.get((a, b), 0) + table.get((b, a), 0)) / 2, abs=1e-6)
        assert mutual == ((a, b) in table and (b, a) in table)


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_entries_has_no_influence(seed):
    row, neighbor, value = entries(seed)
    order = np.random.default_rng(seed + 1).permutation(len(row))
    one, other = (
        Pairs.from_directed(row, neighbor, value),
        Pairs.from_directed(row[order], neighbor[order], value[order]),
    )
    assert all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("one", "other", "value", "is_mutual")
    )


def test_pairs_of_a_state_are_those_of_its_lists():
    state = base()
    found = Pairs.of(state)
    listed = state.lists.neighbor[found.one] == found.other[:, None]
    back = state.lists.neighbor[found.other] == found.one[:, None]
    assert np.array_equal(found.is_mutual, listed.any(axis=1) & back.any(axis=1))
    assert (listed.any(axis=1) | back.any(axis=1)).all()
    assert values_of(state) is state.lists.similarity


def test_a_copy_has_the_pairs_of_its_first_row_and_one_with_it():
    found = Pairs.from_directed(np.array([0, 1], np.int32), np.array([1, 0], np.int32), np.array([0.5, 0.7]))
    more = found.with_copies(np.array([2], np.int32), np.array([0], np.int32))
    table = dict(zip(zip(more.one.tolist(), more.other.tolist(), strict=True), more.value.tolist(), strict=True))
    assert table == pytest.approx({(0, 1): 0.6, (1, 2): 0.6, (0, 2): 1.0})


def test_the_limit_is_zero_and_values_above_it_are_positive():
    scores, cosines = EdgeLimits(eta=0.7), EdgeLimits(threshold=0.4)
    assert beyond_limit(np.array([0.7, 0.4]), scores)[0] == pytest.approx(0)
    assert beyond_limit(np.array([0.5, 0.3]), cosines) == pytest.approx([1, -1])
    assert np.isfinite(beyond_limit(np.array([0.0, 1.0]), scores)).all()
