"""Neighbors over inverted lists: the recall asked for, said where users look, and the same however the run is cut."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raycluster import Clusterer
from raycluster.config import fitted
from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config, KnnConfig
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists
from raycluster.kernels.search.list_search import Probing
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.recall import measure
from raycluster.pipeline import run as pipeline
from raycluster.stages import coarse_lists, knn
from raycluster.storage.stored_tables import StoredTables
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support.data import identities as make_identities
from support.data import unit_rows
from support.tiny import column

K = 20


def config(**keys: Any) -> Config:
    return load_config("cosine", {"knn": {"k": K, **keys}, "edges": {"threshold": 0.6}}, "test")


Job = Callable[..., tuple[StoredTables, dict[str, Any]]]


@pytest.fixture
def job(identities: str, tmp_path: Path) -> Job:
    """A function that clusters the small synthetic set in this process."""

    def start(name: str, shards: int = 1, **keys: Any) -> tuple[StoredTables, dict[str, Any]]:
        summary = pipeline.cluster(identities, str(tmp_path / name), config(**keys), Execution("local", shards=shards))
        return pipeline.open_run(str(tmp_path / name)), summary

    return start


def inverted_file(vectors: Any, settings: KnnConfig) -> InvertedFile:
    """The inverted file of all rows, as the stage trains and assigns it."""
    centroids = coarse_lists.train(vectors, settings)
    return InvertedFile.group(centroids, assign_lists(vectors, centroids))


def found(run: StoredTables) -> tuple[Any, Any]:
    return column(run, "knn", "neighbor"), column(run, "knn", "similarity")


@pytest.mark.slow
def test_a_run_reaches_its_target_and_says_so_everywhere(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    run, summary = job("run", index="ivf", recall=0.95)
    vectors = column(run, "embeddings", "embedding")
    whole = measure(np.arange(len(vectors), dtype=np.int32), *found(run), vectors)
    chosen = run.facts("knn")
    assert 0.94 < whole.mean < 1
    assert summary["knn_recall"] == pytest.approx(whole.mean, abs=0.01)
    assert chosen["exact"] is False
    assert 0 < chosen["share"] < 0.4
    assert chosen["expected"] >= 0.95
    manifest = json.loads(run.folder.store.get("MANIFEST.json") or b"")
    assert manifest["knn"]["margin"] == chosen["margin"]
    assert manifest["knn"]["recall"]["rows"] == knn.MEASURING_ROWS
    line = f"recall {summary['knn_recall']:.4f} +- 0.00"
    assert line in capsys.readouterr().err


@pytest.mark.slow
def test_shards_change_neither_neighbors_nor_the_measured_recall(job: Job) -> None:
    one, summary = job("one", index="ivf", recall=0.9)
    many, other = job("many", 7, index="ivf", recall=0.9)
    assert one.facts("knn") == many.facts("knn")
    assert knn.recall_of(one) == knn.recall_of(many)
    assert summary["knn_recall"] == other["knn_recall"]
    for here, there in zip(found(one), found(many), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.slow
def test_a_resumed_run_keeps_its_choice_and_its_measurement(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    run, summary = job("run", 4, index="ivf", recall=0.9)
    expected = found(run)
    for name in ("MANIFEST.json", f"{run.folder.folders['knn']}/done/00002.json"):
        run.folder.store.delete(name)
    monkeypatch.setattr(knn, "choose_reading", lambda *given: pytest.fail("chosen twice"))
    again, later = job("run", 4, index="ivf", recall=0.9)
    assert later["knn_recall"] == summary["knn_recall"]
    for here, there in zip(found(again), expected, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.slow
def test_a_higher_target_finds_more(job: Job) -> None:
    recalls = [job(f"run {target}", index="ivf", recall=target)[1]["knn_recall"] for target in (0.85, 0.97)]
    assert recalls[0] < recalls[1]


def test_a_fixed_number_of_lists_is_measured_as_well(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    run, summary = job("run", index="ivf", probes=1)
    assert run.facts("knn") == {"exact": False, "nearest": 1, "margin": None}
    assert 0 < summary["knn_recall"] < 0.95
    assert "1 lists per row" in capsys.readouterr().err


def test_rows_without_structure_are_all_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "input"
    write_parquet(SyntheticConfig(rows=900, width=64, effective_dimension=64, mean_size=1, max_size=1), source)
    runs = []
    for index in ("ivf", "exact"):
        keys = config(index=index, recall=0.99)
        summary = pipeline.cluster(str(source), str(tmp_path / index), keys, Execution("local", shards=2))
        runs.append(pipeline.open_run(str(tmp_path / index)))
        assert "knn_recall" not in summary
    assert runs[0].facts("knn")["exact"] is True
    assert knn.recall_of(runs[0]) is None
    assert "all rows were compared: recall 0.99 would take reading" in capsys.readouterr().err
    for here, there in zip(found(runs[0]), found(runs[1]), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.slow
def test_auto_is_exact_for_few_rows_and_inverted_lists_for_many(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    few, summary = job("few")
    assert few.config.knn.index == "exact"
    assert "coarse_lists" not in few.folder.folders
    assert "knn_recall" not in summary
    monkeypatch.setattr(fitted, "ROWS_FOR_IVF", 2500)
    many, summary = job("many", recall=0.9)
    assert many.config.knn.index == "ivf"
    assert summary["knn_recall"] > 0.88
    job("many", recall=0.9)  # settled the same way when it is started again


def test_a_dry_run_names_the_stages_that_auto_comes_to(identities: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(fitted, "ROWS_FOR_IVF", 2500)
    from raycluster.estimate.forecast import dry_run

    options = EstimateOptions(probe_seconds=0)
    told = dry_run(identities, str(tmp_path / "run"), config(), Execution("local"), options).to_json()
    assert "coarse_lists" in [stage["stage"] for stage in told["stages"]]
    assert told["config"]["knn"]["index"] == "ivf"


@pytest.mark.slow
def test_the_stage_and_the_estimator_build_the_same_lists(job: Job) -> None:
    run, _ = job("run", 3, index="ivf", recall=0.9)
    vectors = column(run, "embeddings", "embedding")
    index = inverted_file(vectors, run.config.knn)
    np.testing.assert_array_equal(index.list_of_rows(), column(run, "coarse_lists", "list"))
    assert knn.choose_reading(vectors, run.config.knn, index) == run.facts("knn")


def test_clusterer_measures_its_recall() -> None:
    vectors, _ = make_identities(150, 10, spread=0.8)
    keys = {"knn": {"k": 12, "index": "ivf", "recall": 0.9}, "edges": {"threshold": 0.5}}
    assert 0.88 < Clusterer("cosine", overrides=keys).fit(vectors).knn_recall_ <= 1
    assert Clusterer("cosine", overrides={**keys, "knn": {"k": 12}}).fit(vectors).knn_recall_ == 1


@pytest.mark.parametrize("rows", [13, 30, 200])
def test_barely_more_rows_than_neighbors_and_more_lists_than_rows(rows: int) -> None:
    vectors = unit_rows(rows, 8, 0)
    settings = KnnConfig(k=12, index="ivf", lists=500, recall=0.9)
    index = inverted_file(vectors, settings)
    assert len(index.centroids) == rows
    chosen = knn.choose_reading(vectors, settings, index)
    probing = None if chosen["exact"] else Probing(chosen["nearest"], chosen["margin"])
    neighbor, similarity = knn.search(vectors, 0, rows, settings, 1, index, probing)
    assert knn.measure_recall(vectors, 0, neighbor, similarity, settings).mean >= 0.9
    if chosen["exact"]:
        exact = exact_top_k(vectors, np.arange(rows, dtype=np.int32), vectors, 12)
        np.testing.assert_array_equal(neighbor, exact[0])
