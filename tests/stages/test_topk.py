from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config, EdgesConfig, TopkConfig
from raycluster.errors import ConfigError, InputError
from raycluster.limits.random_pairs import sample_pairs
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.models.build import build_network
from raycluster.models.card import load_card
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.weights import load_network
from raycluster.pipeline import run as pipeline
from raycluster.stages import edges
from raycluster.stages.topk import TOPK
from raycluster.storage import schemas
from raycluster.storage.stored_tables import StoredTables
from support import tiny
from support.paths import ROWS
from support.runs import labels


def lengths(topk: Any, k: int) -> Any:
    """S1 eq. 7: the next ten, but no more than k."""
    return np.minimum(k, -(-np.asarray(topk) // 10) * 10)


def _run(source: str, output: Path, counts: pa.Table | None, shards: int = 1) -> StoredTables:
    where = {}
    if counts is not None:
        path = output.with_suffix(".counts.parquet")
        pq.write_table(counts, path)
        where = {"topk": {"source": str(path)}}
    # Counts keep exact copies apart, so runs without counts do too.
    config = load_config("fc-es", {"knn": {"k": 30}, "embeddings": {"duplicates": "keep"}, **where}, "test")
    pipeline.cluster(source, str(output), config, Execution(executor="local", shards=shards))
    return pipeline.open_run(str(output))


def _counts(k: list[int], ids: list[int] | None = None) -> pa.Table:
    return pa.table({"id": pa.array(ids or list(range(len(k))), pa.int64()), "k": pa.array(k, pa.int32())})


@pytest.mark.slow
def test_trusting_every_neighbor_is_the_same_as_no_counts(identities: str, tmp_path: Path) -> None:
    _run(identities, tmp_path / "without", None)
    _run(identities, tmp_path / "with", _counts([30] * ROWS))
    assert labels(tmp_path / "with").equals(labels(tmp_path / "without"))


@pytest.mark.slow
def test_counts_are_found_by_id_and_truncate_the_walk_whatever_the_shards(identities: str, tmp_path: Path) -> None:
    k = np.random.default_rng(0).integers(1, 31, ROWS)
    order = np.random.default_rng(1).permutation(ROWS)
    straight = _run(identities, tmp_path / "straight", _counts(k.tolist()))
    shuffled = _run(identities, tmp_path / "shuffled", _counts(k[order].tolist(), order.tolist()), shards=4)
    assert labels(tmp_path / "straight").equals(labels(tmp_path / "shuffled"))
    out = np.bincount(edges.edges_in_force(straight)["source"], minlength=ROWS)
    everything = np.bincount(edges.edges_in_force(_run(identities, tmp_path / "all", None))["source"], minlength=ROWS)
    assert (out != everything).any()
    assert (out >= lengths(k, 30)).any()  # a walk may pass the row's own Top-K, which truncates only what is compared
    assert shuffled.folder.table("topk", 3)["row"].to_numpy()[-1] == ROWS - 1


def test_counts_that_are_missing_or_below_one_are_refused(identities: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no count for 1 ids of the run, the first is 2499"):
        _run(identities, tmp_path / "short", _counts([5] * (ROWS - 1)))
    with pytest.raises(InputError, match="column 'k', row 7: a count is at least 1"):
        _run(identities, tmp_path / "low", _counts([5] * 7 + [0] * (ROWS - 7)))
    with pytest.raises(ConfigError, match=r"topk\.source has no use without edges\.rule early-stop"):
        load_config("cosine", {"topk": {"source": "counts.parquet"}}, "test")


CONFIDENCE = [
    {"low": 1, "high": 3, "count": 40, "share": 0.9, "mean_error": 1.0},
    {"low": 4, "high": 6, "count": 20, "share": 0.5, "mean_error": 3.0},
    {"low": 7, "high": 12, "count": 10, "share": 0.25, "mean_error": 5.0},
]


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[StoredTables]]:
    """The same 150 rows on one shard and on three, their counts predicted by a tiny model."""
    root = tmp_path_factory.mktemp("predicted")
    tiny.model(root / "model", "none", recipe="fc-es-topk", thresholds={"theta": 0.4}, confidence=CONFIDENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        keys: dict[str, Any] = {"model": str(root / "model"), "knn": {"index": "ivf", "lists": 25, "probes": 2}}
        yield [tiny.run(root, "fc-es-topk", shards, name=f"run-{shards}", **keys) for shards in (1, 3)]


def test_predicted_counts_are_those_of_the_network(predicted: list[StoredTables]) -> None:
    run = predicted[0]
    url = str(run.config.model)
    card, _ = load_card(url)
    network = build_network("filter", card).eval()
    assert isinstance(network, AdaptiveFilter)
    network.load_state_dict(load_network(url, card, "filter"))
    embedding, neighbor = tiny.column(run, "embeddings", "embedding"), tiny.column(run, "knn", "neighbor")
    pairs = sample_pairs(embedding)
    assert run.facts("topk") == {"background": [pairs.median, pairs.spread]}
    assert (neighbor < 0).any()
    bfloat16 = fast_bfloat16(torch.device("cpu"))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        vectors, present = torch.from_numpy(embedding[neighbor]), torch.from_numpy(neighbor >= 0)
        expected = (tiny.K * network(vectors, present, (pairs.median, pairs.spread))).numpy()
    k = tiny.column(run, "topk", "k")
    assert (np.abs(k - np.clip(expected, 1, tiny.K)) < 0.6).all()
    assert len(set(k.tolist())) > 5
    assert k.min() >= 1
    assert k.max() <= tiny.K


def test_confidence_of_a_prediction_is_that_of_its_bucket(predicted: list[StoredTables]) -> None:
    k, confidence = (tiny.column(predicted[0], "topk", name) for name in ("k", "confidence"))
    expected = [0.9 if count <= 3 else 0.5 if count <= 6 else 0.25 for count in k.tolist()]
    assert confidence.tolist() == pytest.approx(expected)


def test_predictions_are_the_same_on_three_shards_bit_for_bit(predicted: list[StoredTables]) -> None:
    once, cut = predicted
    assert [len(run.bounds) for run in predicted] == [2, 4]
    for run in predicted:
        assert all(run.folder.table("topk", shard).schema == schemas.TOPK for shard in range(len(run.bounds) - 1))
        assert tiny.column(run, "topk", "row").tolist() == list(range(tiny.ROWS))
    for name in ("k", "confidence"):
        assert tiny.column(cut, "topk", name).tobytes() == tiny.column(once, "topk", name).tobytes()


def test_without_a_table_of_confidence_every_prediction_is_trusted(tmp_path: Path) -> None:
    tiny.model(tmp_path / "model", "none", recipe="fc-es-topk", thresholds={"theta": 0.4})
    run = tiny.run(tmp_path, "fc-es-topk", model=str(tmp_path / "model"))
    assert tiny.column(run, "topk", "confidence").tolist() == [1.0] * tiny.ROWS


def test_given_counts_take_no_model_and_are_cut_at_k(identities: str, tmp_path: Path) -> None:
    run = _run(identities, tmp_path / "given", _counts([5, 100] * (ROWS // 2)))
    assert tiny.column(run, "topk", "k").tolist() == [5, 30] * (ROWS // 2)
    assert run.folder.table("topk", 0).schema == schemas.TOPK
    assert set(tiny.column(run, "topk", "confidence").tolist()) == {1.0}
    assert run.facts("topk") == {}


def _config(topk: TopkConfig, digest: str | None = None) -> Config:
    return Config(topk=topk, edges=EdgesConfig(rule="early-stop"), model="model", model_digest=digest)


def test_the_stage_is_wanted_where_counts_are_given_or_predicted() -> None:
    assert not TOPK.is_wanted(_config(TopkConfig()))
    assert TOPK.is_wanted(_config(TopkConfig(source="counts.parquet")))
    assert TOPK.is_wanted(_config(TopkConfig(predict=True)))


def test_settings_change_with_the_source_and_where_counts_are_predicted_with_the_model() -> None:
    given, predicting = TopkConfig(source="counts.parquet"), TopkConfig(predict=True)
    assert TOPK.settings(_config(given)) != TOPK.settings(_config(TopkConfig(source="others.parquet")))
    assert TOPK.settings(_config(given, "1")) == TOPK.settings(_config(given, "2"))
    assert TOPK.settings(_config(predicting, "1")) != TOPK.settings(_config(predicting, "2"))
    assert TOPK.settings(_config(given, "1")) != TOPK.settings(_config(predicting, "1"))
