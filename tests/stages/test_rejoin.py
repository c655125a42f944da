"""Identities whose modes have more than K rows: split by their neighbor lists, whole by a second look at a few rows of each."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster import Clusterer
from raycluster.config.load import load_config
from raycluster.errors import ConfigError
from raycluster.evaluation import metrics
from raycluster.evaluation.evaluate import evaluate
from raycluster.limits.in_force import EdgeLimits
from raycluster.pipeline.run import cluster_rows
from raycluster.stages import rejoin
from raycluster.synthetic.generator import SyntheticConfig, generate, write_parquet
from support import runs

K = 20
LARGE = SyntheticConfig(rows=3000, width=64, mean_size=150, min_size=140, max_size=160, family_share=0.0)
OFF = {"knn": {"k": K}, "edges": {"threshold": 0.45}}
ON = {**OFF, "communities": {"fragments": True}}


def cluster_subset(vectors, config):
    """Rows clustered as a set of their own, on one thread."""
    return cluster_rows(vectors, config, 1)


@pytest.fixture(scope="module")
def large():
    """Vectors and labels of 20 identities of 150 rows, in one to three modes."""
    blocks = list(generate(LARGE))
    return np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])


def test_pieces_of_identities_larger_than_k_are_joined_and_no_others(large):
    vectors, truth = large
    split = Clusterer("cosine", overrides=OFF).fit_predict(vectors)
    whole = Clusterer("cosine", overrides=ON).fit_predict(vectors)
    before, after = (metrics.evaluate(truth, labels)["bcubed"] for labels in (split, whole))
    assert before["recall"] < 0.85
    assert after["recall"] > 0.97
    assert after["precision"] > 0.99
    pairs = np.unique(np.stack([split, whole]), axis=1)
    assert len(pairs.T) == len(np.unique(split)), "a community was split"


def test_where_scores_on_full_lists_are_too_low_nothing_is_joined(large, monkeypatch):
    vectors, _ = large
    split = Clusterer("cosine", overrides=OFF).fit_predict(vectors)
    full = EdgeLimits(threshold=0.45, is_full=True)
    monkeypatch.setattr(rejoin, "limits_of", lambda tables: full)
    assert np.array_equal(Clusterer("cosine", overrides=ON).fit_predict(vectors), split)
    full = EdgeLimits(threshold=0.45)
    assert len(np.unique(Clusterer("cosine", overrides=ON).fit_predict(vectors))) < len(np.unique(split))


@pytest.mark.slow
def test_threads_and_shards_do_not_matter(large, tmp_path: Path):
    vectors, _ = large
    one, two = (Clusterer("cosine", overrides=ON, threads=threads).fit_predict(vectors) for threads in (1, 2))
    assert np.array_equal(one, two)
    write_parquet(LARGE, tmp_path / "in")
    words = ("--knn.k", str(K), "--edges.threshold", "0.45", "--communities.fragments")
    outcomes = [
        runs.here(str(tmp_path / "in"), str(tmp_path / shards), *words, "--shards", shards) for shards in ("1", "3")
    ]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    labels = [runs.labels(str(tmp_path / shards)) for shards in ("1", "3")]
    assert labels[0] == labels[1]
    told = evaluate(run=str(tmp_path / "3"), truth=str(tmp_path / "in"), sweep=(0.45,))
    assert told["bcubed"]["recall"] > 0.97
    assert told["sweep"][0]["bcubed"] == told["bcubed"]


def test_communities_whose_lists_reach_others_stay(large):
    vectors, _ = large
    config = load_config("cosine", ON, "test")
    community = np.arange(len(vectors), dtype=np.int32) // 50
    neighbor = np.random.default_rng(0).integers(0, len(vectors), (len(vectors), K)).astype(np.int32)
    assert rejoin.rejoined(community, neighbor, vectors, config, cluster_subset) is community


@pytest.mark.parametrize("found", [{"index": "ivf", "lists": 300}, {"index": "ivf", "probes": 1}])
def test_the_sample_is_searched_as_suits_its_own_size(large, found):
    vectors, truth = large
    of_whole = load_config("cosine", {**ON, "knn": {"k": K, **found}}, "test")
    community = (2 * np.unique(truth, return_inverse=True)[1] + np.arange(len(truth)) % 2).astype(np.int32)
    neighbor = np.stack([np.resize(np.flatnonzero(community == each), K) for each in community]).astype(np.int32)
    joined = rejoin.rejoined(community, neighbor, vectors, of_whole, cluster_subset)
    assert np.array_equal(
        joined, rejoin.rejoined(community, neighbor, vectors, load_config("cosine", ON, "test"), cluster_subset)
    )
    assert len(np.unique(joined)) < len(np.unique(community))


def test_recipes_that_a_sample_alone_cannot_follow_are_refused():
    with pytest.raises(ConfigError, match=r"communities\.fragments is not for the recipe fc-eser"):
        load_config("fc-eser", {"communities": {"fragments": True}}, "test")


def test_too_few_to_have_strangers_among_them_stay(large):
    vectors, truth = large
    some = np.isin(truth, np.unique(truth)[:4])
    community = np.unique(truth[some], return_inverse=True)[1].astype(np.int32)
    neighbor = np.stack([np.resize(np.flatnonzero(community == each), K) for each in community]).astype(np.int32)
    config = load_config("cosine", ON, "test")
    assert rejoin.rejoined(community, neighbor, vectors[some], config, cluster_subset) is community


@given(st.integers(0, 2**32 - 1))
def test_the_share_inside_is_that_of_a_count(seed):
    rng = np.random.default_rng(seed)
    community = rng.integers(0, 4, 30).astype(np.int32)
    neighbor = rng.integers(-1, 30, (30, 6)).astype(np.int32)
    expected = []
    for each in range(4):
        listed = neighbor[community == each, 1:]
        listed = listed[listed >= 0]
        expected.append((community[listed] == each).mean() if len(listed) else 0.0)
    assert np.allclose(rejoin._inside(community, neighbor, 4), expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_a_sample_has_as_many_rows_of_every_possible_fragment_and_none_of_others(seed, each):
    rng = np.random.default_rng(seed)
    community = np.concatenate([np.repeat(np.arange(5), 6), rng.integers(0, 5, 20)]).astype(np.int32)
    possible = rng.random(5) < 0.6
    rows = rejoin._sample(community, possible, each, 1)
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(np.bincount(community[rows], minlength=5), np.where(possible, each, 0))
    assert np.array_equal(rows, rejoin._sample(community, possible, each, 1))


def test_most_rows_of_a_community_decide_where_it_goes():
    community = np.array([0, 0, 1, 1, 2, 2, 3, 3], np.int32)
    of = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3], np.int32)
    cluster = np.array([5, 5, 9, 5, 5, 7, 5, 8, 9, 9, 9], np.int32)
    assert rejoin._joined(community, of, cluster).tolist() == [0, 0, 0, 0, 2, 2, 3, 3]
