"""Labels of whole runs: strengths from a model, whatever the shards."""

import numpy as np
import pyarrow.parquet as pq

from raycluster import Clusterer
from raycluster.config.stages import LabelsConfig
from raycluster.kernels.neighborhoods.pair_sums import PairSums
from raycluster.models.strength import Evidence
from raycluster.stages import edges
from raycluster.stages.label_columns import describe
from support import tiny

WEIGHTS = {"intercept": 0.25, "row": 1.5, "pairs": -0.5, "inside": 0.25, "alone": 1.0}


def evidence_of(cluster, block):
    return Evidence.of(cluster, PairSums.of(cluster, [block]))


def test_a_run_takes_strengths_from_its_model_whatever_the_shards(tmp_path):
    url = str(tmp_path / "model")
    tiny.model(url, "row", "none", thresholds={"eta": 0.95}, strength=WEIGHTS)
    keys = {"model": url, "topk": {"predict": False}}
    once = tiny.run(tmp_path, "sdt-row", **keys)
    cluster, strength = tiny.column(once, "labels", "cluster_id"), tiny.column(once, "labels", "strength")
    names = (("knn", "neighbor"), ("knn", "similarity"), ("relations", "score"))
    evidence = evidence_of(cluster.astype(np.int32), (0, *(tiny.column(once, *name) for name in names)))
    expected = np.where(evidence.alone, np.nan, evidence.strength(WEIGHTS))
    np.testing.assert_array_equal(strength, expected.astype(np.float32))
    assert 0 < evidence.alone.sum() < tiny.ROWS
    assert strength[~evidence.alone].std() > 0.01
    cut = tiny.run(tmp_path, "sdt-row", shards=3, name="cut", **keys)
    assert tiny.column(cut, "labels", "strength").tobytes() == strength.tobytes()
    mean = pq.read_table(tmp_path / "run" / "clusters.parquet")["mean_strength"].to_numpy()
    np.testing.assert_allclose(mean, np.bincount(cluster, strength) / np.bincount(cluster), rtol=1e-5, equal_nan=True)
    margin = tiny.column(once, "labels", "margin")
    assert np.isnan(margin).tolist() == evidence.alone.tolist()
    assert tiny.column(cut, "labels", "margin").tobytes() == margin.tobytes()


def test_density_peaks_along_scores_take_strengths_from_their_model_too(tmp_path):
    url = str(tmp_path / "model")
    tiny.model(url, "row", "none", recipe="hard-clusters", thresholds={"closeness": 0.3}, strength=WEIGHTS)
    run = tiny.run(tmp_path, "hard-clusters", model=url)
    names = (("knn", "neighbor"), ("knn", "similarity"), ("relations", "score"))
    cluster = tiny.column(run, "labels", "cluster_id").astype(np.int32)
    evidence = evidence_of(cluster, (0, *(tiny.column(run, *name) for name in names)))
    expected = np.where(evidence.alone, np.nan, evidence.strength(WEIGHTS))
    np.testing.assert_array_equal(tiny.column(run, "labels", "strength"), expected.astype(np.float32))
    assert not evidence.alone.all()


def test_an_array_takes_strengths_from_its_model_row_by_row(tmp_path, monkeypatch):
    url = str(tmp_path / "model")
    tiny.model(url, "row", "none", thresholds={"eta": 0.95}, strength=WEIGHTS)
    vectors = tiny.unit_rows(40, 16, 0).repeat(3, axis=0) + 0.6 * tiny.unit_rows(120, 16, 1)
    seen = []
    plain = Evidence.strength
    monkeypatch.setattr(Evidence, "strength", lambda *given: seen.append(plain(*given)) or seen[-1])
    overrides = {"model": url, "topk": {"predict": False}, "knn": {"k": tiny.K}}
    found = Clusterer("sdt-row", overrides=overrides).fit(vectors)
    np.testing.assert_array_equal(np.sort(found.strengths_), np.sort(seen[0].astype(np.float32)))
    assert ((found.strengths_ == 1) >= (found.result_.cluster_size == 1)).all()
    assert found.strengths_.std() > 0.01
    order = np.random.default_rng(0).permutation(120)
    moved = Clusterer("sdt-row", overrides=overrides).fit(vectors[order])
    np.testing.assert_array_equal(moved.strengths_, found.strengths_[order])


def test_without_weights_in_the_model_strength_is_the_share(tmp_path):
    tiny.model(tmp_path / "model", "row", "none", thresholds={"eta": 0.6})
    run = tiny.run(tmp_path, "sdt-row", model=str(tmp_path / "model"), topk={"predict": False})
    expected = describe(
        tiny.column(run, "labels", "cluster_id").astype(np.int32), **edges.edges_in_force(run), config=LabelsConfig()
    )
    np.testing.assert_array_equal(tiny.column(run, "labels", "strength"), expected.strength.astype(np.float32))
