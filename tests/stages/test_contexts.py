"""Contexts of all rows: what the table holds, that scores read from it are those of the whole network, and going on."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.stages import Config, ContextsConfig, EdgesConfig, KnnConfig, RelationsConfig
from raycluster.errors import InputError
from raycluster.executors.worker import StageWorker, TaskResult
from raycluster.models.build import build_network
from raycluster.models.card import load_card
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.set_statistics import ranks_read
from raycluster.models.weights import load_network
from raycluster.pipeline import run as pipeline
from raycluster.stages.contexts import CONTEXTS
from raycluster.storage import schemas
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Task
from support import tiny

IVF = {"index": "ivf", "lists": 25, "probes": 2}
"""An inverted file so coarse that most neighbor lists are short, some down to the row itself."""
RUNS: dict[str, dict[str, Any]] = {
    "full": {"recipe": "face-transformer"},
    "full, short lists": {"recipe": "face-transformer", "knn": {**IVF, "probes": 1}},
    "full, float16": {"recipe": "face-transformer", "knn": {"storage": "float16"}},
    "only RE": {"recipe": "face-transformer-only-re"},
    "only LP": {"recipe": "face-transformer-only-lp"},
}
ENCODED = [name for name in RUNS if name != "only LP"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int], StoredTables]]:
    """A function that makes one of RUNS on so many shards, once. Contexts are wider than the embeddings."""
    root = tmp_path_factory.mktemp("contexts")
    known: dict[str, Any] = {"thresholds": {"eta": 0.5}, "width": 24}
    tiny.model(root / "face-transformer", "linkage", recipe="face-transformer", hop2=4, **known)
    tiny.model(root / "face-transformer-only-re", "distance", recipe="face-transformer-only-re", hop2=4, **known)
    tiny.model(root / "face-transformer-only-lp", "linkage", recipe="face-transformer-only-lp", hop2=0, **known)
    runs: dict[tuple[str, int], StoredTables] = {}

    def finish(name: str, shards: int) -> StoredTables:
        if (name, shards) not in runs:
            keys = {"model": str(root / RUNS[name]["recipe"]), **RUNS[name]}
            runs[name, shards] = tiny.run(root, keys.pop("recipe"), shards, name=f"{name}-{shards}", **keys)
        return runs[name, shards]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield finish


def network_of(run: StoredTables) -> FaceTransformer:
    url = str(run.config.model)
    card, _ = load_card(url)
    network = build_network("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    assert isinstance(network, FaceTransformer)
    return network


def whole(run: StoredTables) -> tuple[Any, Any]:
    """Contexts (N, width) and scores (N, K) by the network itself, from end to end and all rows at once."""
    network = network_of(run)
    neighbor = torch.from_numpy(tiny.column(run, "knn", "neighbor")).long()
    near = neighbor[:, : network.nearest]
    vectors = torch.from_numpy(tiny.column(run, "embeddings", "embedding"))[near]
    with torch.inference_mode():
        logits = network(vectors, near >= 0, neighbor.clamp(min=0), neighbor >= 0)
        return network.encode(vectors, near >= 0).numpy(), logits.sigmoid().numpy()


@pytest.mark.parametrize("name", ENCODED)
def test_the_table_holds_what_the_relation_encoder_makes_of_every_row(
    finished: Callable[[str, int], StoredTables], name: str
) -> None:
    run = finished(name, 1)
    found = tiny.column(run, "contexts", "context")
    assert found.shape == (tiny.ROWS, 24)
    np.testing.assert_allclose(found, whole(run)[0], atol=0.1)  # where there is bfloat16; 1e-5 where there is none
    alone = (tiny.column(run, "knn", "neighbor")[:, 1:] >= 0).sum(axis=1) < 4
    assert alone.any() == ("short" in name)


@pytest.mark.parametrize("name", RUNS)
def test_scores_from_the_table_are_those_of_the_network_from_end_to_end(
    finished: Callable[[str, int], StoredTables], name: str
) -> None:
    run = finished(name, 3)
    score, neighbor = tiny.column(run, "relations", "score"), tiny.column(run, "knn", "neighbor")
    wanted = neighbor >= 0
    wanted[:, 0] = False
    np.testing.assert_array_equal(~np.isnan(score), wanted)
    np.testing.assert_allclose(score[wanted], whole(run)[1][wanted], atol=0.1)
    assert score[wanted].std() > 0.05
    assert ("contexts" in run.folder.folders) == (name != "only LP")


@pytest.mark.parametrize("name", RUNS)
def test_tables_are_the_same_on_three_shards_bit_for_bit(
    finished: Callable[[str, int], StoredTables], name: str
) -> None:
    once, cut = finished(name, 1), finished(name, 3)
    tables = [("relations", "score"), *([("contexts", "context")] if name in ENCODED else [])]
    for stage, column in tables:
        assert tiny.column(cut, stage, column).tobytes() == tiny.column(once, stage, column).tobytes()
    for shard in range(3 if name in ENCODED else 0):
        table = cut.folder.table("contexts", shard)
        assert table.schema == schemas.contexts(24)
        assert table["row"].to_pylist() == list(range(*cut.bounds[shard : shard + 2]))
    labels = [tiny.column(run, "labels", "cluster_id") for run in (once, cut)]
    np.testing.assert_array_equal(*labels)


def test_a_run_that_died_among_the_contexts_goes_on_to_the_same_labels(
    finished: Callable[[str, int], StoredTables], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = finished("full", 3)
    keys = {"model": str(undisturbed.config.model)}
    compute = StageWorker.run

    def dies(worker: StageWorker, task: Task) -> TaskResult:
        if (worker.stage.name, task.number) == ("contexts", 1):
            raise KeyboardInterrupt
        return compute(worker, task)

    with monkeypatch.context() as patch:
        patch.setattr(StageWorker, "run", dies)
        with pytest.raises(KeyboardInterrupt):
            tiny.run(tmp_path, "face-transformer", 3, **keys)
    halted = pipeline.open_run(str(tmp_path / "run"))
    assert halted.finished("contexts") == {0}
    kept = halted.folder.marker("contexts", 0).key
    resumed = tiny.run(tmp_path, "face-transformer", 3, **keys)
    assert resumed.folder.marker("contexts", 0).key == kept
    for stage, column in (("contexts", "context"), ("relations", "score"), ("labels", "cluster_id")):
        np.testing.assert_array_equal(tiny.column(resumed, stage, column), tiny.column(undisturbed, stage, column))


def test_embeddings_of_another_width_are_refused(tmp_path: Path) -> None:
    tiny.model(tmp_path / "model", "linkage", recipe="face-transformer", thresholds={"eta": 0.5})
    card = tmp_path / "model" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "embedding_width": 48}))
    with pytest.raises(InputError, match=r"was trained on embeddings of width 48, these have 16; train one with"):
        tiny.run(tmp_path, "face-transformer", model=str(tmp_path / "model"))
    assert not (tmp_path / "run" / "MANIFEST.json").exists()


def test_a_model_of_another_k_is_refused(tmp_path: Path) -> None:
    tiny.model(tmp_path / "model", "linkage", recipe="face-transformer", thresholds={"eta": 0.5})
    with pytest.raises(InputError, match=r"was trained on 12 neighbors per row, and knn\.k is 9; make it 12"):
        tiny.run(tmp_path, "face-transformer", knn={"k": 9}, model=str(tmp_path / "model"))


def test_a_dry_run_counts_the_copy_of_the_contexts(
    finished: Callable[[str, int], StoredTables], tmp_path: Path
) -> None:
    rows = 100_000
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(rows * tiny.WIDTH, np.float32)), tiny.WIDTH)
    pq.write_table(pa.table({"id": range(rows), "embedding": vectors}), tmp_path / "rows.parquet")
    for name, width in (("full", 24), ("only LP", 0)):
        config, where = finished(name, 1).config, str(tmp_path / "rows.parquet")
        from raycluster.estimate.forecast import dry_run

        told = dry_run(where, "unused", config, Execution("local"), EstimateOptions(probe_seconds=0)).to_json()
        assert ("contexts" in [stage["stage"] for stage in told["stages"]]) == (width > 0)
        # while pairs are scored: vectors, contexts, neighbors, and the ranks of similarities that networks read
        copies = rows * (tiny.WIDTH + width + tiny.K + len(ranks_read(tiny.K))) * 4
        assert max(stage["node_disk_gib"] for stage in told["stages"]) == round(copies / 2**30, 3) > 0


def test_the_model_alone_decides_a_context() -> None:
    config = Config(
        edges=EdgesConfig(rule="score"), relations=RelationsConfig(score="all"), contexts=ContextsConfig(encode=True),
        model="a", model_digest="1",
    )  # fmt: skip
    assert CONTEXTS.is_wanted(config)
    assert not CONTEXTS.is_wanted(replace(config, contexts=ContextsConfig()))
    before = CONTEXTS.settings(config)
    assert CONTEXTS.settings(replace(config, model_digest="2")) != before
    assert CONTEXTS.settings(replace(config, model="elsewhere", knn=KnnConfig(k=9))) == before
