"""Shards, executors, workers and the order of rows change no label. All tests on Ray share one cluster of this process."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.executors.progress import Silence
from raycluster.pipeline import run as pipeline
from support.dying import STAGE, TASK, attempts, open_dying, sent_by_value
from support.runs import labels

CONFIG = load_config("cosine", {"knn": {"k": 20}, "edges": {"threshold": 0.6}}, "test")
FC_ES = load_config("fc-es", {"knn": {"k": 20}}, "test")


def _labels(source: str, output: Path, config: Config = CONFIG, **execution: Any) -> pa.Table:
    pipeline.cluster(source, str(output), config, Execution(**execution))
    return labels(output)


@pytest.fixture(scope="module")
def expected(identities: str, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return _labels(identities, tmp_path_factory.mktemp("one") / "run", executor="local", shards=1)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [3, 16])
def test_the_number_of_shards_changes_no_label(
    identities: str, expected: pa.Table, tmp_path: Path, shards: int
) -> None:
    assert _labels(identities, tmp_path / "run", executor="local", shards=shards).equals(expected)


def test_ray_its_workers_and_their_deaths_change_no_label(
    identities: str, expected: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, url = Execution("ray", shards=4, workers=2), str(tmp_path / "run")
    here = replace(execution, executor="local")
    with pipeline.opened(identities, url, CONFIG, here, Silence()) as tables:
        pipeline.run_stages(tables, here, Silence(), until="embeddings")  # test_submit.py has these stages on Ray, too
    monkeypatch.setattr(pipeline, "open_run", open_dying)
    with sent_by_value(), pipeline.opened(identities, url, CONFIG, execution, Silence()) as tables:
        pipeline.run_stages(tables, execution, Silence(), until=STAGE)
    monkeypatch.undo()
    assert _labels(identities, tmp_path / "run", executor="local", shards=4).equals(expected)
    assert attempts(tmp_path / "run")[TASK] == 2


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["fc-es", "facemap", "components"])
def test_every_recipe_gives_the_same_labels_for_any_shards(identities: str, tmp_path: Path, recipe: str) -> None:
    config = load_config(recipe, {"knn": {"k": 30}}, "test")
    one = _labels(identities, tmp_path / "one", config, executor="local", shards=1)
    assert one.equals(_labels(identities, tmp_path / "many", config, executor="local", shards=7))


@pytest.mark.slow
def test_inverted_lists_give_the_same_labels_for_any_shards(identities: str, tmp_path: Path) -> None:
    config = replace(CONFIG, knn=replace(CONFIG.knn, index="ivf", probes=4))
    one = _labels(identities, tmp_path / "one", config, executor="local", shards=1)
    assert one.equals(_labels(identities, tmp_path / "many", config, executor="local", shards=5))


def test_trials_run_on_ray_as_in_this_process(identities: str, tmp_path: Path) -> None:
    config = replace(CONFIG, communities=replace(CONFIG.communities, trials=3))
    output = tmp_path / "run"
    here = pipeline.cluster(identities, str(output), config, Execution(executor="local", shards=2))
    found = labels(output)
    for name in ("MANIFEST.json", "stages/communities", "stages/labels"):
        path = output / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    there = pipeline.cluster(identities, str(output), config, Execution(executor="ray"))
    assert here["codelength"] == there["codelength"]
    assert labels(output).equals(found)
    assert len(list(output.glob("stages/communities/*/attempts/*"))) == 3, "the trials did not run on Ray"


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, FC_ES], ids=["cosine", "fc-es"])
def test_the_order_of_rows_changes_no_label(identities: str, tmp_path: Path, config: Config) -> None:
    table = pq.read_table(identities)
    order = np.random.default_rng(3).permutation(table.num_rows)
    (tmp_path / "shuffled").mkdir()
    for number, part in enumerate(np.array_split(order, 3)):
        pq.write_table(table.take(part), tmp_path / "shuffled" / f"{number}.parquet", row_group_size=400)
    shuffled = _labels(str(tmp_path / "shuffled"), tmp_path / "run", config, executor="local", shards=4)
    straight = _labels(identities, tmp_path / "straight", config, executor="local")
    assert shuffled.equals(straight)
