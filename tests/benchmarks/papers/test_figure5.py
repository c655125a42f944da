"""Noise on the similarities of a neighbor table."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.papers.figure5 import claims, noisy
from support.data import neighbor_table


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 1), st.integers(0, 10**6))
def test_a_share_is_raised_and_all_are_normalized(share: float, seed: int) -> None:
    neighbor, similarity = neighbor_table(300, 12, seed, short=True)
    found = noisy(similarity, share, seed)
    is_neighbor = neighbor >= 0
    is_neighbor[:, 0] = False
    assert (found[~is_neighbor][neighbor[~is_neighbor] < 0] <= -1).all()
    assert (found[:, 0] == 1).all()
    assert found[is_neighbor].min() == 0
    assert found[is_neighbor].max() == 1
    plain = noisy(similarity, 0.0, seed)
    # what was not raised keeps its order; what was raised has moved up against it
    moved = np.argsort(np.argsort(found[is_neighbor])) > np.argsort(np.argsort(plain[is_neighbor]))
    assert moved.mean() < share + 0.15
    np.testing.assert_array_equal(found, noisy(similarity, share, seed))


def test_claims_are_paired_by_training_and_against_the_clean_score() -> None:
    clean = {"Vanilla": 5.0, "Diff": 4.0, "SDT": 6.0}
    points = {
        share: {
            method: {seed: dict.fromkeys(("F_P", "F_B", "NMI"), value - drop + seed) for seed in (1, 2, 3)}
            for method, value in clean.items()
        }
        for share, drop in ((0.0, 0.0), (0.4, 0.5))
    }
    found = {row["claim"]: (row["F_B"], row["by F_B it"]) for row in claims(points, "row")}
    assert found["Diff is above Vanilla at 0%"] == ("-1.00 ± 0.00", "does not hold")
    assert found["SDT is above Vanilla at 40%"] == ("+1.00 ± 0.00", "holds")
    assert found["Diff is above its clean score at 40%"] == ("-0.50 ± 0.00", "does not hold")
    assert len(found) == 7
