"""`Clusterer.update` and `Clusterer.predict`."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

from raycluster import Clusterer
from raycluster.errors import InputError
from raycluster.evaluation.metrics import evaluate
from support.living import BASE, OVERRIDES, ROWS, rows


@pytest.fixture
def fitted():
    return Clusterer("cosine", overrides=OVERRIDES, n_jobs=1).fit(rows()[0][:BASE])


def agreement(one, other):
    return evaluate(np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1])["pairwise"]["f"]


def test_an_update_has_the_partition_of_a_fit_of_all_rows_and_keeps_labels(fitted):
    before = fitted.labels_.copy()
    fitted.update(rows()[0][BASE:])
    assert len(fitted.labels_) == len(fitted.probabilities_) == ROWS
    whole = Clusterer("cosine", overrides=OVERRIDES, n_jobs=1).fit(rows()[0])
    assert agreement(whole.labels_, fitted.labels_) > 0.99
    assert (fitted.labels_[:BASE] == before).mean() > 0.97
    assert fitted.rows_["id"].to_pylist() == list(range(ROWS))
    np.testing.assert_array_equal(fitted.rows_["cluster_id"].to_numpy(), fitted.labels_)
    size = np.unique(fitted.labels_, return_counts=True)[1]
    np.testing.assert_array_equal(np.sort(fitted.clusters_["size"].to_numpy()), np.sort(size[size > 1]))


def test_batches_in_any_order_of_rows_give_the_same_labels(fitted):
    other = Clusterer("cosine", overrides=OVERRIDES, n_jobs=1).fit(rows()[0][:BASE])
    order = np.random.default_rng(0).permutation(ROWS - BASE)
    fitted.update(rows()[0][BASE:])
    other.update(rows()[0][BASE:][order])
    assert agreement(fitted.labels_[BASE:][order], other.labels_[BASE:]) == 1
    np.testing.assert_array_equal(fitted.labels_[:BASE], other.labels_[:BASE])


def test_no_label_is_used_twice_for_different_identities(fitted):
    for start in range(BASE, ROWS, 20):
        before = fitted.labels_.copy()
        fitted.update(rows()[0][start : start + 20])
        fresh = set(fitted.labels_.tolist()) - set(before.tolist())
        assert all(name > before.max() for name in fresh)


def test_predict_names_the_cluster_and_leaves_the_fit(fitted):
    before = fitted.labels_.copy()
    predicted = fitted.predict(rows()[0][BASE:])
    people = rows()[1]
    for row, name in zip(range(BASE, ROWS), predicted, strict=True):
        if name >= 0:
            assert people[row] in people[:BASE][before == name]
    np.testing.assert_array_equal(fitted.labels_, before)
    stranger = np.zeros((1, 32), np.float32)
    stranger[0, 0] = -1.0
    far = rows()[0][:BASE] @ stranger[0]
    assert fitted.predict(stranger)[0] == (-1 if far.max() < 0.55 else fitted.labels_[far.argmax()])
    np.testing.assert_array_equal(fitted.predict(rows()[0][:BASE]), before)


def test_a_stored_estimator_goes_on(fitted, tmp_path):
    fitted.save(tmp_path / "fitted.pkl")
    loaded = Clusterer.load(tmp_path / "fitted.pkl")
    np.testing.assert_array_equal(loaded.predict(rows()[0][BASE:]), fitted.predict(rows()[0][BASE:]))
    np.testing.assert_array_equal(loaded.update(rows()[0][BASE:]).labels_, fitted.update(rows()[0][BASE:]).labels_)
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(again.labels_, loaded.labels_)
    assert not hasattr(clone(fitted), "labels_")


def test_ids_go_on(fitted):
    with_ids = Clusterer("cosine", overrides=OVERRIDES, n_jobs=1)
    with_ids.fit(rows()[0][:BASE], ids=[f"a{row:03d}" for row in range(BASE)])
    with pytest.raises(InputError, match="update needs ids"):
        with_ids.update(rows()[0][BASE:])
    with pytest.raises(InputError, match="The id a007 is there already"):
        with_ids.update(rows()[0][BASE : BASE + 1], ids=["a007"])
    with_ids.update(rows()[0][BASE:], ids=[f"b{row:03d}" for row in range(ROWS - BASE)])
    assert with_ids.rows_["id"].to_pylist()[BASE] == "b000"
    assert agreement(with_ids.labels_, fitted.update(rows()[0][BASE:]).labels_) == 1


def test_what_new_rows_must_be(fitted):
    with pytest.raises(InputError, match="3 features, but Clusterer is expecting 32"):
        fitted.predict(np.ones((2, 3)))
    with pytest.raises(InputError, match="row 1: the vector holds"):
        fitted.update(np.stack([np.ones(32), np.zeros(32)]))
    components = Clusterer("components", overrides=OVERRIDES).fit(rows()[0][:BASE])
    with pytest.raises(InputError, match="connected components have no frozen objective"):
        components.predict(rows()[0][BASE:])


def test_the_default_recipe_takes_new_rows():
    estimator = Clusterer(n_neighbors=12).fit(rows()[0][:BASE])
    assert agreement(Clusterer(n_neighbors=12).fit(rows()[0]).labels_, estimator.update(rows()[0][BASE:]).labels_) > 0.9
    assert pa.types.is_floating(estimator.rows_["strength"].type)


@pytest.mark.parametrize("limit", [None, 0.9])
def test_rows_join_identities_that_share_no_edge(limit):
    centers = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0][:8]
    noise = 0.02 * np.random.default_rng(1).standard_normal((48, 16))
    first = np.repeat(centers, 5, axis=0) + noise[:40]
    fitted = Clusterer("cosine", limit=limit, n_jobs=1).fit(first)
    np.testing.assert_array_equal(fitted.predict(first), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict(centers + noise[40:]), fitted.labels_[::5])
    assert fitted.predict(-centers.sum(axis=0, keepdims=True)).tolist() == [-1]


def by_halves(ids):
    """A set without a configured limit, fitted by half and then updated by the rest."""
    order = np.random.default_rng(2).permutation(ROWS)
    estimator, vectors = Clusterer("cosine", n_neighbors=40, n_jobs=1), rows()[0][order]
    names = None if ids is None else np.array(ids)[order]
    estimator.fit(vectors[:140], ids=None if names is None else names[:140])
    return estimator, vectors, names


@pytest.mark.parametrize("ids", [None, [f"p{row:03d}" for row in range(ROWS)]])
def test_more_rows_than_half_are_clustered_again_as_a_fit_of_all(ids, capsys):
    estimator, vectors, names = by_halves(ids)
    before = estimator.labels_.copy()
    estimator.set_params(verbose=True)
    estimator.update(vectors[140:], ids=None if names is None else names[140:])
    assert "everything is clustered again, because 160 new rows come to 140" in capsys.readouterr().err
    whole = Clusterer("cosine", n_neighbors=40, n_jobs=1).fit(vectors, ids=names)
    assert agreement(whole.labels_, estimator.labels_) == 1
    assert estimator.threshold_ == whole.threshold_
    assert (estimator.labels_[:140] == before).mean() > 0.9
    assert estimator.rows_["id"].to_pylist() == (list(range(ROWS)) if names is None else names.tolist())
    np.testing.assert_array_equal(estimator.rows_["cluster_id"].to_numpy(), estimator.labels_)
    # Rows that come later find their places, too.
    np.testing.assert_array_equal(estimator.predict(vectors), estimator.labels_)
    more = rows()[0][:3] + 0.01
    estimator.update(more, ids=None if names is None else ["q1", "q2", "q3"])
    assert len(estimator.labels_) == ROWS + 3


def test_another_limit_is_followed(monkeypatch):
    estimator, vectors, _ = by_halves(None)
    estimator.update(vectors[140:200])
    picked = Clusterer("cosine", n_neighbors=40, n_jobs=1).fit(vectors[:200]).threshold_
    assert abs(estimator.threshold_ - picked) < 0.00625
    monkeypatch.setattr("raycluster.identities.advice.threshold_of", lambda *_: 0.99)
    estimator.update(vectors[200:])
    whole = Clusterer("cosine", n_neighbors=40, n_jobs=1).fit(vectors)
    assert agreement(whole.labels_, estimator.labels_) == 1
    assert estimator.threshold_ == whole.threshold_
