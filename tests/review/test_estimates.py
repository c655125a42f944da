"""Estimates from reviewed clusters: right on average, and their intervals cover."""

import numpy as np
import pytest

from raycluster.errors import InputError
from raycluster.evaluation import metrics
from raycluster.review.estimates import Reviewed, draw, estimates, mean_of, ratio_of


def population(seed, rows=6000):
    """True identities and clusters: sizes with a tail, a tenth of the rows misplaced, some identities in halves."""
    random = np.random.default_rng(seed)
    sizes = np.minimum(random.zipf(1.8, rows), 60)
    truth = np.repeat(np.arange(rows), sizes)[:rows]
    cluster = truth.copy()
    halves = random.random(rows) < 0.3
    cluster = np.where(halves[truth] & (random.random(rows) < 0.5), cluster + rows, cluster)
    moved = random.random(rows) < 0.1
    cluster[moved] = random.permutation(cluster[moved])
    return truth, np.unique(cluster, return_inverse=True)[1]


def reviewed(truth, cluster, rows):
    pair = cluster.astype(np.int64) * (truth.max() + 1) + truth
    _, inverse, counts = np.unique(pair, return_inverse=True, return_counts=True)
    return Reviewed(np.bincount(cluster)[cluster[rows]], counts[inverse[rows]], np.bincount(truth)[truth[rows]])


def exact(truth, cluster):
    scores = metrics.evaluate(truth, cluster)
    return {f"{kind} {name}": scores[kind][name] for kind in ("bcubed", "pairwise") for name in ("precision", "recall")}


def test_all_rows_give_the_exact_metrics():
    truth, cluster = population(0, 800)
    found = estimates(reviewed(truth, cluster, np.arange(800)))
    for name, value in exact(truth, cluster).items():
        assert found[name].value == pytest.approx(value), name


def test_intervals_cover_as_often_as_they_say():
    truth, cluster = population(1)
    right, trials = exact(truth, cluster), 300
    covered, width = dict.fromkeys(right, 0), dict.fromkeys(right, 0.0)
    for seed in range(trials):
        found = estimates(reviewed(truth, cluster, draw(cluster, 400, seed)))
        for name, value in right.items():
            covered[name] += found[name].low <= value <= found[name].high
            width[name] += (found[name].high - found[name].low) / trials
    print({name: round(count / trials, 3) for name, count in covered.items()}, width)
    assert all(count >= 0.91 * trials for count in covered.values()), covered
    assert all(value < 0.15 for value in width.values()), width


def test_draws_bring_clusters_in_proportion_to_their_size():
    cluster = np.repeat([0, 1], [900, 100])
    drawn = cluster[draw(cluster, 4000)]
    assert np.mean(drawn == 0) == pytest.approx(0.9, abs=0.02)
    assert np.array_equal(draw(cluster, 10, 3), draw(cluster, 10, 3))


def test_a_sample_without_an_exception_is_not_certain():
    found = mean_of(np.ones(400))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.05 ** (1 / 400))
    assert mean_of(np.zeros(400)).high == pytest.approx(1 - 0.05 ** (1 / 400))


def test_without_any_pair_there_is_nothing_to_miss():
    found = ratio_of(np.zeros(5), np.zeros(5))
    assert (found.value, found.low, found.high) == (1, 0, 1)


def test_impossible_reviews_are_refused():
    size = np.array([3, 3])
    with pytest.raises(InputError, match="Reviewed cluster 1: 4 rows are right"):
        Reviewed(size, np.array([1, 4]), np.array([5, 5]))
    with pytest.raises(InputError, match="2 reviewed clusters at least"):
        Reviewed(size[:1], size[:1], size[:1])
    with pytest.raises(InputError, match="one draw at least"):
        draw(np.empty(0, np.int64))
