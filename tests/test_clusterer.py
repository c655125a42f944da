import pickle
import resource
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone, is_clusterer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

import raycluster
from raycluster import Clusterer
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, recipe_names
from raycluster.errors import ConfigError, InputError, ResourceError
from raycluster.evaluation.metrics import evaluate
from raycluster.pipeline import run as pipeline
from raycluster.stages import communities
from support.data import identities, unit_rows
from support.runs import labels

SMALL = {"knn": {"k": 12}, "edges": {"threshold": 0.5}}


def fitted(vectors, overrides=SMALL, recipe="cosine", **arguments):
    return Clusterer(recipe, overrides=overrides, **arguments).fit(vectors)


def bcubed_f(truth, predicted):
    return evaluate(truth, predicted)["bcubed"]["f"]


def test_identities_are_found():
    vectors, people = identities(60, 8)
    found = fitted(vectors)
    assert bcubed_f(people, found.labels_) > 0.95
    assert found.labels_.dtype == np.int64
    assert sorted(set(found.labels_.tolist())) == list(range(found.labels_.max() + 1))
    assert found.strengths_.dtype == np.float32
    assert found.strengths_.shape == (480,)
    assert found.strengths_.min() >= 0
    assert found.strengths_.max() <= 1
    assert found.threshold_ == 0.5
    assert found.n_features_in_ == 32
    np.testing.assert_array_equal(found.labels_, found.result_.cluster_id)


UNTRAINED = [name for name in recipe_names() if not load_config(name).needs_model]


@pytest.mark.parametrize("recipe", UNTRAINED)
def test_every_recipe_without_a_network_finds_the_identities(recipe):
    vectors, people = identities(20, 30, spread=0.3, width=64)
    overrides = {"knn": {"k": 40}, "edges": {"threshold": 0.6, "theta": 0.4}}
    found = fitted(vectors, overrides, recipe)
    assert bcubed_f(people, found.labels_) > 0.95
    assert found.threshold_ == (0.6 if recipe in ("cosine", "components") else None)


def test_a_limit_that_only_a_model_could_give_is_refused():
    with pytest.raises(ConfigError, match=r"^edges\.theta is not set and no model was given"):
        fitted(unit_rows(30, 8, 0), {"knn": {"k": 12}, "edges": {"rule": "early-stop", "theta": None}})


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        SMALL,
        {"knn": {"k": 12, "storage": "float16"}, "edges": {"threshold": 0.5}},
        {"knn": {"k": 12, "index": "ivf", "lists": 9, "probes": 3}, "edges": {"threshold": 0.5}},
        {"knn": {"k": 12, "index": "ivf", "recall": 0.9}, "edges": {"threshold": 0.5}},
        {"knn": {"k": 12}, "edges": {"rule": "early-stop"}},
        {"knn": {"k": 30}, "edges": {"rule": "gap"}},
        {**SMALL, "communities": {"engine": "native"}},
    ],
)
def test_the_order_of_the_rows_does_not_change_any_label(overrides):
    vectors, _ = identities(40, 8, spread=1.0)
    expected = fitted(vectors, overrides)
    assert 1 < expected.labels_.max() + 1 < len(vectors)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(vectors))
        found = fitted(vectors[order], overrides)
        np.testing.assert_array_equal(found.labels_, expected.labels_[order])
        np.testing.assert_array_equal(found.strengths_, expected.strengths_[order])
        np.testing.assert_array_equal(found.result_.is_representative, expected.result_.is_representative[order])


def test_fitting_twice_and_on_any_threads_gives_the_same():
    vectors, _ = identities(40, 8, spread=1.0)
    expected = fitted(vectors, threads=1)
    for found in (fitted(vectors, threads=1), fitted(vectors, threads=2), fitted(vectors.astype(np.float64))):
        np.testing.assert_array_equal(found.labels_, expected.labels_)
        np.testing.assert_array_equal(found.strengths_, expected.strengths_)


def test_rows_of_any_length_and_real_type_give_the_same_partition():
    vectors = np.random.default_rng(0).integers(-50, 50, (20, 16)).repeat(6, axis=0)
    expected = fitted(vectors.astype(np.float64), {"knn": {"k": 8}, "edges": {"threshold": 0.9}}).labels_
    assert expected.max() + 1 == 20
    for given in (vectors.astype(np.int8), vectors.astype(np.float32) * 1e30, (vectors * 1e-200).tolist()):
        found = fitted(given, {"knn": {"k": 8}, "edges": {"threshold": 0.9}}).labels_
        assert bcubed_f(expected, found) == 1


@pytest.mark.parametrize("similarity", ["cosine", "probability"])
def test_density_peaks_follow_any_recipe_in_memory_whatever_the_order_and_threads(similarity):
    vectors, people = identities(40, 8, width=64)
    peaks = {"edges": {"rule": "density-peaks"}, "communities": {"engine": "components"}}
    overrides = {**peaks, "knn": {"k": 8}, "density": {"similarity": similarity}}
    found = fitted(vectors, overrides, threads=2).labels_
    assert bcubed_f(people, found) > 0.95
    order = np.random.default_rng(0).permutation(len(vectors))
    other = fitted(vectors[order], overrides, threads=1).labels_
    assert bcubed_f(found[order], other) == 1


def test_identical_rows_share_a_cluster():
    base = unit_rows(30, 16, 0)
    found = fitted(np.repeat(base, 5, axis=0))
    assert evaluate(np.repeat(np.arange(30), 5), found.labels_)["pairwise"]["recall"] == 1


def test_in_memory_results_name_rows_of_the_input():
    vectors, _ = identities(30, 6)
    result = fitted(vectors).result_
    assert (result.cluster_id[result.representative] == np.arange(len(result.representative))).all()
    assert result.is_representative.sum() == len(result.representative)
    assert result.cluster_size.tolist() == np.bincount(result.cluster_id)[result.cluster_id].tolist()


def test_outliers_become_noise_only_when_asked():
    vectors, people = identities(20, 6, width=128)
    strangers = unit_rows(7, 128, 99)
    rows = np.concatenate([vectors, strangers])
    plain, noise = fitted(rows), fitted(rows, outliers_as_noise=True)
    assert plain.labels_.min() == 0
    assert (noise.labels_[-7:] == -1).all()
    assert ((noise.labels_ == -1) == (plain.result_.cluster_size == 1)).all()
    kept = noise.labels_ >= 0
    np.testing.assert_array_equal(noise.labels_[kept], plain.labels_[kept])
    assert bcubed_f(people, noise.labels_[:-7]) > 0.95
    everyone = fitted(rows, {**SMALL, "labels": {"min-cluster-size": 1}}, outliers_as_noise=True)
    assert everyone.labels_.min() == 0


def test_the_trial_of_the_lowest_codelength_wins_and_the_lowest_of_equals(monkeypatch):
    def trial_of(*, rows, trial, **_):
        members = np.arange(rows, dtype=np.int32) // (trial + 2)
        return communities.Partition(members, np.zeros(rows), [3.0, 1.0, 1.0, 2.0][trial])

    monkeypatch.setattr(communities, "partition", trial_of)
    found = fitted(unit_rows(30, 8, 0), {**SMALL, "communities": {"trials": 4}})
    assert np.bincount(found.labels_).tolist() == [3] * 10


def test_fit_predict_returns_the_labels():
    vectors, _ = identities(20, 6)
    clusterer = Clusterer("cosine", overrides=SMALL)
    np.testing.assert_array_equal(clusterer.fit_predict(vectors), clusterer.labels_)
    np.testing.assert_array_equal(fitted(vectors).labels_, clusterer.labels_)


def test_parameters_are_read_set_and_cloned_as_in_scikit_learn():
    clusterer = Clusterer("fc-es", overrides=SMALL, threads=1)
    defaults = Clusterer().get_params()
    assert clusterer.get_params() == defaults | {"recipe": "fc-es", "overrides": SMALL, "threads": 1}
    assert clusterer.set_params(recipe="components", outliers_as_noise=True) is clusterer
    assert (clusterer.recipe, clusterer.outliers_as_noise) == ("components", True)
    copy = clone(clusterer)
    assert copy is not clusterer
    assert copy.get_params() == clusterer.get_params()
    with pytest.raises(ConfigError, match="no parameter 'k'; it has effort, limit,"):
        clusterer.set_params(k=3)


def spoiled(value):
    rows = unit_rows(20, 8, 0)
    rows[13] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (spoiled(np.nan), "X, row 13: the vector holds NaN or infinity"),
        (spoiled(np.inf), "X, row 13: the vector holds NaN or infinity"),
        (spoiled(0), "X, row 13: the vector holds only zeros"),
        (np.ones(20), r"X must be a 2-d array of numbers, not float64 of shape \(20,\)"),
        (np.ones((20, 2, 2)), r"2-d array of numbers, not float64 of shape \(20, 2, 2\)"),
        (np.ones((20, 0)), r"2-d array of numbers, not float64 of shape \(20, 0\)"),
        (np.ones((20, 4), complex), "2-d array of numbers, not complex128"),
        (np.ones((20, 4), bool), "2-d array of numbers, not bool"),
        ([["a", "b"]] * 20, "2-d array of numbers, not <U1"),
        ([[None, 1.0]] * 20, "X, row 0: the vector holds NaN or infinity"),
        ([[{}, 1.0]] * 20, "2-d array of numbers, not object"),
        ([[1.0, 2.0]] * 19 + [[1.0]], "2-d array of numbers, but its rows differ in length"),
        (np.empty((0, 8)), r"2-d array of numbers, not float64 of shape \(0, 8\)"),
    ],
)
def test_unusable_input_is_refused_with_a_sentence(rows, words):
    with pytest.raises(InputError, match=words):
        fitted(rows)


def test_unusable_settings_are_refused_with_a_sentence():
    vectors = unit_rows(20, 8, 0)
    with pytest.raises(ConfigError, match="There is no recipe 'cosin'; did you mean 'cosine'"):
        fitted(vectors, recipe="cosin")
    with pytest.raises(ConfigError, match=r"overrides sets 'knn\.kk', which is no key"):
        fitted(vectors, {"knn": {"kk": 3}})
    with pytest.raises(ResourceError, match="raise the threshold"):
        fitted(vectors, {**SMALL, "communities": {"memory-gib": 1e-9}})


def test_a_threshold_no_pair_reaches_leaves_every_row_alone():
    found = fitted(unit_rows(20, 8, 0), {"knn": {"k": 5}, "edges": {"threshold": 1.0}})
    assert sorted(found.labels_.tolist()) == list(range(20))
    assert (found.strengths_ == 1).all()
    assert not found.result_.is_outlier.any()


def test_a_threshold_below_zero_is_taken():
    found = fitted(unit_rows(20, 3, 0), {"knn": {"k": 19}, "edges": {"threshold": -1.0}})
    assert found.labels_.max() < 19
    assert ((found.strengths_ >= 0) & (found.strengths_ <= 1)).all()


def seconds(code):
    """Of the processor, which other work on the machine stretches less."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_importing_the_package_is_quick():
    taken = min(seconds("import raycluster") for _ in range(3)) - min(seconds("pass") for _ in range(3))
    assert taken < 0.3


def test_fitting_loads_neither_ray_nor_torch():
    code = f"""
import sys
import numpy as np
from raycluster import Clusterer
rows = np.random.default_rng(0).normal(size=(30, 8))
assert len(Clusterer('cosine', overrides={SMALL!r}).fit(rows).labels_) == 30
print(*sorted({{name.split('.')[0] for name in sys.modules}} & {{'ray', 'torch'}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_the_package_offers_what_it_lists():
    assert {name for name in raycluster.__all__ if hasattr(raycluster, name)} == set(raycluster.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Cluster'"):
        _ = raycluster.Cluster


def test_plain_parameters_are_keys_of_the_configuration():
    vectors, _ = identities(30, 6)
    plain = Clusterer("cosine", n_neighbors=12, limit=0.5, min_cluster_size=3, n_jobs=-1, random_state=4).fit(vectors)
    keys = {"knn": {"k": 12, "seed": 4}, "edges": {"threshold": 0.5}, "labels": {"min_cluster_size": 3}}
    other = Clusterer("cosine", overrides={**keys, "communities": {"seed": 5}}).fit(vectors)
    np.testing.assert_array_equal(plain.labels_, other.labels_)
    np.testing.assert_array_equal(plain.result_.is_outlier, other.result_.is_outlier)
    assert Clusterer(effort="fast", n_neighbors=12).fit(vectors).threshold_ is not None
    with pytest.raises(ConfigError, match="exclude each other"):
        Clusterer("fc-es", effort="fast").fit(vectors)
    with pytest.raises(ConfigError, match="n_jobs is 0"):
        Clusterer("cosine", n_neighbors=12, n_jobs=0).fit(vectors)


@pytest.mark.parametrize("kind", ["pandas", "polars", "tensor", "bfloat16", "sparse", "column", "table", "path"])
def test_rows_come_in_many_shapes_with_the_same_labels(kind, tmp_path):
    vectors, _ = identities(20, 6)
    expected = fitted(vectors).labels_
    column = pa.array(vectors.tolist(), pa.list_(pa.float32()))
    table = pa.table({"embedding": column})
    if kind in ("pandas", "polars"):
        module = pytest.importorskip(kind)
        X = module.DataFrame({f"e{number}": vectors[:, number] for number in range(vectors.shape[1])})
    elif kind in ("tensor", "bfloat16"):
        torch = pytest.importorskip("torch")
        X = torch.tensor(vectors, requires_grad=True) if kind == "tensor" else torch.tensor(vectors).bfloat16()
    elif kind == "sparse":
        X = pytest.importorskip("scipy.sparse").csr_matrix(vectors)
    elif kind == "path":
        pq.write_table(table, tmp_path / "rows.parquet")
        X = tmp_path / "rows.parquet"
    else:
        X = column if kind == "column" else table
    found = fitted(X)
    assert bcubed_f(expected, found.labels_) == 1
    if kind == "pandas":
        assert found.index_.equals(X.index)
        assert found.feature_names_in_.tolist() == list(X.columns)


def test_ids_give_the_rows_the_order_of_the_job(tmp_path):
    vectors, _ = identities(30, 6, spread=0.9)
    ids = np.random.default_rng(0).permutation(len(vectors))
    found = Clusterer("cosine", overrides=SMALL).fit(vectors, ids=ids)
    table = pa.table({"id": ids, "embedding": pa.array(vectors.tolist(), pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "rows.parquet")
    config = load_config("cosine", SMALL, "test")
    pipeline.cluster(str(tmp_path / "rows.parquet"), str(tmp_path / "run"), config, Execution("local", shards=2))
    of_job = labels(tmp_path / "run")
    assert found.rows_.sort_by("id").equals(of_job)
    assert found.clusters_.equals(pq.read_table(tmp_path / "run" / "clusters.parquet"))
    with pytest.raises(InputError, match="ids holds 3 twice"):
        Clusterer("cosine", overrides=SMALL).fit(vectors, ids=np.full(len(vectors), 3))


def test_masked_values_are_refused_with_their_row():
    rows = np.ma.masked_array(unit_rows(20, 8, 0))
    rows[3, 2] = np.ma.masked
    with pytest.raises(InputError, match="X, row 3: the vector holds a masked value"):
        fitted(rows)


def test_a_fitted_estimator_survives_pickle_joblib_pipelines_and_files(tmp_path):
    vectors, _ = identities(20, 6)
    found = fitted(vectors)
    joblib = pytest.importorskip("joblib")
    joblib.dump(found, tmp_path / "a.joblib")
    found.save(tmp_path / "b.pickle")
    for copy in (
        pickle.loads(pickle.dumps(found)),
        joblib.load(tmp_path / "a.joblib"),
        Clusterer.load(tmp_path / "b.pickle"),
    ):
        np.testing.assert_array_equal(copy.labels_, found.labels_)
        assert copy.rows_.equals(found.rows_)
    steps = make_pipeline(StandardScaler(), Clusterer("cosine", overrides=SMALL))
    assert len(steps.fit_predict(vectors)) == len(vectors)
    assert "Clusterer" in steps._repr_html_()
    assert is_clusterer(found)
    check_is_fitted(found)


EXPECTED_FAILURES = {
    "check_clustering": "blobs of the plane by Euclidean distance are no directions: a cosine has other clusters",
    "check_estimators_dtypes": "casts rows to integers, which makes some of them zero: a row of zeros has no direction",
    "check_dtype_object": "wants the words of numpy for an object that is no number; ours name the array's type and shape",
    "check_estimator_sparse_array": "some of its sparse rows are zeros: a row of zeros has no direction",
    "check_estimator_sparse_matrix": "some of its sparse rows are zeros: a row of zeros has no direction",
    "check_estimator_sparse_tag": "some of its sparse rows are zeros: a row of zeros has no direction",
    "check_fit2d_1sample": "one row is a set with one identity",
    "check_fit2d_1feature": "rows of one coordinate have two directions at most",
}
"""Checks of scikit-learn that cosines cannot pass, with the reason."""


def test_a_file_that_holds_no_estimator_is_named_and_one_that_cannot_be_written_stays(tmp_path):
    estimator = Clusterer("cosine", n_neighbors=10).fit(np.repeat(np.eye(4), 5, axis=0))
    place = tmp_path / "fitted.pickle"
    with pytest.raises(InputError, match="does not exist"):
        Clusterer.load(place)
    for data in (b"", b"no pickle", pickle.dumps([1]), pickle.dumps(estimator)[:-50]):
        place.write_bytes(data)
        with pytest.raises(InputError, match="holds no Clusterer"):
            Clusterer.load(place)
    estimator.save(place)
    before = place.read_bytes()
    estimator.index_ = lambda: None  # cannot be pickled
    with pytest.raises((pickle.PicklingError, AttributeError)):
        estimator.save(place)
    assert place.read_bytes() == before
    assert (Clusterer.load(place).labels_ == estimator.labels_).all()
    assert [path.name for path in tmp_path.iterdir()] == ["fitted.pickle"]


@pytest.mark.slow
def test_scikit_learns_own_checks_pass_but_for_the_listed():
    results = check_estimator(
        Clusterer("cosine", n_neighbors=2, limit=0.9),
        expected_failed_checks=EXPECTED_FAILURES,
        on_fail=None,
        on_skip=None,
    )
    assert len(results) > 30
    failed = {result["check_name"]: str(result["exception"]) for result in results if result["status"] == "failed"}
    assert failed == {}
