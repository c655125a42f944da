"""Training that starts from another model: fine-tuned on few labels or many, calibrated where these tell, resumed, refused."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raycluster.config.load import load_config, load_training
from raycluster.errors import ConfigError
from raycluster.evaluation.evaluate import evaluate
from raycluster.models.card import Card, load_card
from raycluster.models.requirements import recipe_of
from raycluster.models.weights import load_network
from raycluster.pipeline.run import Execution, cluster
from raycluster.synthetic import varied as generated
from raycluster.training import job
from raycluster.training.job import TrainingRequest
from raycluster.training.job import train_model as train

pytestmark = pytest.mark.slow

LOCAL = Execution(executor="local")
FEW_ROWS: dict[str, Any] = {"rows": 900, "min_size": 1, "mean_size": 6.0, "max_size": 40}
SMALL = {"layers": 1, "heads": 2, "width": 16, "hidden": 32}


@pytest.fixture(autouse=True, scope="module")
def _small_varied_sets() -> Iterator[None]:
    plain = generated.varied
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generated, "varied", lambda *numbers: dataclasses.replace(plain(*numbers), **FEW_ROWS))
        yield


def arguments(
    source: str | None, output: Path | str, recipe: str = "auto-tuned", start: str | None = None, **fit: Any
) -> TrainingRequest:
    fit = {"learning-rate": 0.003, "warmup-steps": 5, "steps": 60, "batch": 32, "evaluate-every": 30, **fit}
    values = {"knn": {"k": 16}, "training": {"varied": 3, "predictor": {"encoder": SMALL, "fit": fit}}}
    settings, training = load_config(recipe, values), load_training(recipe, values)
    return TrainingRequest(
        () if source is None else (source,), str(output), settings, training, LOCAL, base_model=start
    )


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of recipe auto, trained on generated sets alone and for a moment."""
    url = str(tmp_path_factory.mktemp("models") / "auto")
    train(arguments(None, url, "auto"))
    return url


@pytest.fixture(scope="module")
def few(identities: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The set with the labels of some 25 identities, 100 rows."""
    table = pq.read_table(identities)
    label = table["label"].to_numpy()
    size = np.bincount(label)
    chosen = np.flatnonzero((size >= 3) & (size <= 6))[:25]
    column = pa.array(label, mask=~np.isin(label, chosen))
    path = tmp_path_factory.mktemp("few") / "few.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", column), path)
    return str(path)


def card_of(url: Path | str) -> Card:
    return load_card(str(url))[0]


def f_of(source: str, output: Path, model: str, alone: bool = False) -> float:
    """BCubed F of a model's recipe; `alone`, at the limit it was calibrated to, whatever the set tells of itself."""
    config = dataclasses.replace(recipe_of(model), model=model)
    if alone:
        config = dataclasses.replace(config, edges=dataclasses.replace(config.edges, valley=False))
    cluster(source, str(output), config, LOCAL)
    return float(evaluate(str(output), source)["bcubed"]["f"])


def test_many_labels_tune_and_calibrate_and_the_model_serves_the_main_job(
    auto: str, identities: str, tmp_path: Path
) -> None:
    tuned = str(tmp_path / "tuned")
    train(arguments(identities, tuned, start=auto))
    card, (_, digest) = card_of(tuned), load_card(auto)
    assert card.recipe == "auto-tuned"
    assert card.metrics["from"] == {"model": auto, "digest": digest}
    assert card.metrics["predictor"]["calibrated_on"] == [identities]
    assert card.thresholds["eta"] in [point["threshold"] for point in card.curves["eta"]]
    assert [entry.rows for entry in card.data] == [2500, 900, 900, 900]
    assert f_of(identities, tmp_path / "run", tuned) > 0.85
    by_auto, by_tuned = (
        f_of(identities, tmp_path / name, model, alone=True) for name, model in (("a", auto), ("t", tuned))
    )
    assert by_tuned > max(0.85, by_auto - 0.005)


def test_few_labels_tune_and_the_calibration_is_kept(auto: str, few: str, tmp_path: Path) -> None:
    tuned = str(tmp_path / "tuned")
    train(arguments(few, tuned, start=auto))
    card, source = card_of(tuned), card_of(auto)
    assert card.thresholds == source.thresholds
    assert card.metrics["predictor"] == {"calibrated_on": [], "kept": f"the calibration of {auto}"}
    assert card.networks["predictor"].sha256 != source.networks["predictor"].sha256
    assert card.data[0].rows == 2500


def test_few_labels_without_a_model_are_calibrated_on_varied_sets(few: str, tmp_path: Path) -> None:
    train(arguments(few, tmp_path / "scratch"))
    card = card_of(tmp_path / "scratch")
    assert card.metrics["predictor"]["calibrated_on"] == [f"varied/varied-000{number}" for number in range(3)]
    assert "from" not in card.metrics


def test_it_starts_from_the_weights_of_the_model(auto: str, few: str, tmp_path: Path) -> None:
    train(arguments(few, tmp_path / "tuned", start=auto, steps=1, **{"learning-rate": 1e-12, "warmup-steps": 0}))
    before, after = (load_network(url, card_of(url), "predictor") for url in (auto, str(tmp_path / "tuned")))
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-9)


def test_killed_at_an_evaluation_it_goes_on_to_the_same_weights(
    auto: str, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(arguments(few, tmp_path / "straight", start=auto))
    plain = job.fit_network

    def killed(*given: Any) -> Any:
        def report(_: dict[str, float]) -> None:
            raise KeyboardInterrupt

        return plain(*given[:4], report)

    monkeypatch.setattr(job, "fit_network", killed)
    with pytest.raises(KeyboardInterrupt):
        train(arguments(few, tmp_path / "killed", start=auto))
    monkeypatch.setattr(job, "fit_network", plain)
    train(arguments(few, tmp_path / "killed", start=auto))
    assert card_of(tmp_path / "killed").networks == card_of(tmp_path / "straight").networks


def test_a_model_tuned_from_one_is_not_that_tuned_from_another(auto: str, few: str, tmp_path: Path) -> None:
    fast = {"steps": 1, "warmup-steps": 0}
    train(arguments(few, tmp_path / "tuned", start=auto, **fast))
    for start in (None, str(tmp_path / "tuned")):
        with pytest.raises(ConfigError, match="holds a model of another training"):
            train(arguments(few, tmp_path / "tuned", start=start, **fast))


def test_networks_of_another_shape_are_refused_before_anything_is_written(auto: str, few: str, tmp_path: Path) -> None:
    args = arguments(few, tmp_path / "tuned", start=auto)
    values = {"knn": {"k": 16}, "training": {"predictor": {"encoder": {**SMALL, "layers": 2}}}}
    with pytest.raises(ConfigError, match=r"differs from the one to train \(encoder.layers: 1 -> 2\)"):
        train(dataclasses.replace(args, training=load_training("auto-tuned", values)))
    with pytest.raises(ConfigError, match="of recipe auto, has no filter to take"):
        train(dataclasses.replace(args, training=load_training("sdt-row"), config=load_config("sdt-row")))
    with pytest.raises(ConfigError, match=r"^The recipe auto-tuned learns from labelled sets: give --input\.$"):
        train(dataclasses.replace(args, input=()))
    assert not (tmp_path / "tuned").exists()
