"""The whole training job on a small synthetic set: the model it leaves, what the main job does with it, and mistakes."""

import dataclasses
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config import networks as config
from raycluster.config.load import load_config, load_training
from raycluster.errors import ConfigError, InputError, RayclusterError
from raycluster.evaluation.evaluate import evaluate
from raycluster.models.card import load_card
from raycluster.models.strength import WEIGHTS
from raycluster.pipeline.run import Execution, cluster
from raycluster.synthetic import varied as generated
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from raycluster.training import calibration
from raycluster.training.job import TrainingRequest
from raycluster.training.job import train_model as train
from support.command_line import call
from support.paths import ROOT
from support.runs import interrupted, labels, run

pytestmark = pytest.mark.slow

SMALL = {"layers": 1, "heads": 2, "width": 16, "hidden": 32, "dropout": 0.0}
FIT = {"optimizer": "adamw", "learning-rate": 0.01, "warmup-steps": 5, "batch": 32, "patience": 0}
LOCAL = Execution(executor="local")
OVERRIDES = {
    "knn": {"k": 16},
    "training": {
        "generated": 0,
        "filter": {"tokens": "gram", "encoder": SMALL, "fit": {**FIT, "steps": 150, "evaluate-every": 50}},
        "predictor": {"encoder": SMALL, "fit": {**FIT, "steps": 150, "evaluate-every": 50}},
    },
}


def arguments(source: str, output: Path | str, recipe: str = "sdt-row", **training: object) -> TrainingRequest:
    """A training long enough to learn from."""
    settings = load_config(recipe, OVERRIDES)
    chosen = dataclasses.replace(load_training(recipe, OVERRIDES), **training)
    return TrainingRequest((source,), str(output), settings, chosen, LOCAL)


def narrow_head() -> config.PredictorConfig:
    """The pair network with a head that two processors fit in seconds; the published one has 2,048 units twice."""
    predictor = load_training("diff-cluster", OVERRIDES).predictor
    return dataclasses.replace(predictor, adjust=32, head=(64, 64))


def briefly(source: str, output: Path | str, recipe: str = "sdt-row", **training: object) -> TrainingRequest:
    """The same for ten steps, where what is learned does not matter."""
    args = arguments(source, output, recipe, **training)
    parts = (args.training.filter, args.training.predictor)
    fits = [dataclasses.replace(part.fit, steps=10, evaluate_every=5) for part in parts]
    filter, predictor = (dataclasses.replace(part, fit=fit) for part, fit in zip(parts, fits, strict=True))
    return dataclasses.replace(args, training=dataclasses.replace(args.training, filter=filter, predictor=predictor))


@pytest.fixture(scope="module")
def model(identities: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A row model on Gram tokens."""
    folder = tmp_path_factory.mktemp("models") / "row"
    train(arguments(identities, folder))
    return str(folder)


@pytest.fixture(scope="module")
def pair_model(identities: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pair model on embeddings and Gram tokens."""
    folder = tmp_path_factory.mktemp("models") / "pair"
    train(arguments(identities, folder, "diff-cluster", predictor=narrow_head()))
    return str(folder)


def f_of(source: str, output: Path, model: str, recipe: str = "sdt-row", shards: int = 1) -> float:
    config = dataclasses.replace(load_config(recipe, {"knn": {"k": 16}}), model=model)
    cluster(source, str(output), config, dataclasses.replace(LOCAL, shards=shards))
    return float(evaluate(str(output), source)["bcubed"]["f"])


def test_a_model_is_its_weights_and_a_card_that_tells_all(model):
    assert sorted(os.listdir(model)) == ["card.json", "filter.safetensors", "predictor.safetensors"]
    card, _ = load_card(model)
    assert card.recipe == "sdt-row"
    assert card.k == 16
    assert card.embedding_width is None
    assert card.thresholds.keys() == {"eta", "slope", "intercept"}
    assert card.thresholds["eta"] in [point["threshold"] for point in card.curves["eta"]]
    assert tuple(card.strength) == WEIGHTS
    assert sum(line["count"] for line in card.curves["strength"]) == card.metrics["strength"]["rows"] > 100
    assert card.data[0].rows == 2500
    assert card.data[0].identities > 100
    assert [look["step"] for look in card.history["predictor"]] == [50, 100, 150]
    assert card.metrics["predictor"]["average_precision"] > 0.9
    assert card.metrics["filter"]["error"] < card.metrics["filter"]["error_of_median"]
    assert {"torch", "raycluster", "numpy"} <= card.versions.keys()


def test_the_main_job_finds_the_identities_with_it_whatever_the_shards(model, identities, tmp_path):
    assert f_of(identities, tmp_path / "one", model) > 0.9
    f_of(identities, tmp_path / "three", model, shards=3)
    assert labels(tmp_path / "one").equals(labels(tmp_path / "three"))
    summary = json.loads((tmp_path / "one" / "MANIFEST.json").read_text())["summary"]
    assert summary["eta"] == load_card(model)[0].thresholds["eta"]


def test_the_pair_model_scores_what_the_walk_left_out(pair_model, identities, tmp_path):
    card, _ = load_card(pair_model)
    assert card.thresholds.keys() == {"theta", "floor", "eta", "slope", "intercept"}
    assert card.embedding_width == 48
    assert f_of(identities, tmp_path / "run", pair_model, "diff-cluster") > 0.85
    markers = list((tmp_path / "run" / "stages" / "relations").rglob("done/*.json"))
    assert json.loads(markers[0].read_text())["facts"]["scored"] > 0


def test_hard_clusters_learns_from_labels_some_of_them_unknown_and_finds_the_identities(identities, tmp_path):
    table = pq.read_table(identities)
    label = [None if row % 7 == 0 else value for row, value in enumerate(table["label"].to_pylist())]
    partly = table.set_column(table.schema.get_field_index("label"), "label", [label])
    source, model, recipe = str(tmp_path / "partly.parquet"), str(tmp_path / "model"), "hard-clusters"
    pq.write_table(partly, source)
    fit = {**FIT, "batch": 64, "steps": 150, "evaluate-every": 75}
    predictor = {"encoder": {**SMALL, "width": 32, "hidden": 64}, "head": [32, 16], "fit": fit}
    overrides = {"knn": {"k": 16}, "training": {"predictor": predictor}}
    settings, training = load_config(recipe, overrides), load_training(recipe, overrides)
    train(TrainingRequest((source,), model, settings, training, LOCAL))
    card, _ = load_card(model)
    assert card.thresholds.keys() == {"closeness", "slope", "intercept"}
    assert card.thresholds["closeness"] == calibration.best(card.curves["closeness"])["threshold"]
    published = f_of(identities, tmp_path / "one", model, recipe)
    assert published > 0.7
    f_of(identities, tmp_path / "three", model, recipe, shards=3)
    assert labels(tmp_path / "one").equals(labels(tmp_path / "three"))
    summary = json.loads((tmp_path / "one" / "MANIFEST.json").read_text())["summary"]
    assert summary["closeness"] == 0.3
    scored = evaluate(str(tmp_path / "one"), source)
    assert scored["rows"] == len(label) - label.count(None), "unknown labels are clustered and not scored"
    config = load_config(recipe, {"knn": {"k": 16}, "edges": {"closeness": None}, "model": model})
    cluster(identities, str(tmp_path / "calibrated"), config, LOCAL)
    calibrated = evaluate(str(tmp_path / "calibrated"), identities)["bcubed"]["f"]
    assert calibrated > max(published - 0.01, 0.75)


def test_density_peaks_follow_the_scores_of_another_recipe(model, identities, tmp_path):
    peaks = {"edges": {"rule": "density-peaks"}, "communities": {"engine": "components"}, "model": model}
    config = load_config("sdt-row", {"knn": {"k": 16}, **peaks})
    cluster(identities, str(tmp_path / "run"), config, LOCAL)
    assert evaluate(str(tmp_path / "run"), identities)["bcubed"]["f"] > 0.9


def test_the_recipe_of_a_model_is_the_default(model, identities, tmp_path):
    words = ["--input", identities, "--output", str(tmp_path / "run"), "--model", model]
    words += ["--executor", "local", "--no-report"]
    done = call("cluster", *words)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["recipe"] == "sdt-row"
    changed = call("cluster", *words, "--edges.eta", "0.9")
    assert changed.code == 2
    assert "edges.eta: None -> 0.9" in changed.stderr


def test_gram_tokens_fit_any_width_and_vectors_only_their_own(model, pair_model, tmp_path):
    narrow = str(tmp_path / "narrow")
    write_parquet(SyntheticConfig(rows=600, width=24, effective_dimension=24, mean_size=6, same_cosine=0.85), narrow)
    assert f_of(narrow, tmp_path / "fits", model) > 0.6
    with pytest.raises(InputError, match="trained on embeddings of width 48, these have 24"):
        f_of(narrow, tmp_path / "refused", pair_model, "diff-cluster")


def test_sets_of_two_widths_are_for_gram_tokens(identities, tmp_path):
    narrow = str(tmp_path / "narrow")
    write_parquet(SyntheticConfig(rows=600, width=24, effective_dimension=24, mean_size=6, same_cosine=0.85), narrow)
    both = dataclasses.replace(briefly(identities, tmp_path / "row"), input=(identities, narrow))
    train(both)
    assert [entry.width for entry in load_card(str(tmp_path / "row"))[0].data] == [48, 24]
    pairs = briefly(identities, tmp_path / "pair", "diff-cluster")
    with pytest.raises(ConfigError, match="of widths 24, 48"):
        train(dataclasses.replace(pairs, input=(identities, narrow)))


def test_generated_identities_are_sets_beside_the_labelled_ones(identities, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "LEAST_GENERATED", 1000)
    monkeypatch.setattr(generated, "KINDS", ("demo", "long-tail"))
    named = pq.read_table(identities).rename_columns({"id": "key", "embedding": "vector", "label": "person"})
    pq.write_table(named, tmp_path / "named.parquet")
    args = briefly(str(tmp_path / "named.parquet"), tmp_path / "model", generated=1400)
    settings = dataclasses.replace(args.config, id_column="key", embedding_column="vector")
    train(dataclasses.replace(args, config=settings, label_column="person"))
    card, _ = load_card(str(tmp_path / "model"))
    assert [entry.rows for entry in card.data] == [2500, 700, 700]
    assert [entry.url for entry in card.data[1:]] == ["generated/demo", "generated/long-tail"]
    assert card.training.generated == 1400
    assert card.config["id_column"] == "key"
    assert sorted(os.listdir(tmp_path / "model")) == ["card.json", "filter.safetensors", "predictor.safetensors"]


def test_generated_sets_are_written_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(generated, "KINDS", ("demo", "long-tail"))
    urls = generated.write(str(tmp_path), 400, seed=0)
    before = {url: (Path(url) / "part-00000.parquet").stat().st_mtime_ns for url in urls}
    (tmp_path / "long-tail.json").unlink()  # as if it had been killed while this one was written
    assert generated.write(str(tmp_path), 400, seed=0) == urls
    after = {url: (Path(url) / "part-00000.parquet").stat().st_mtime_ns for url in urls}
    assert after[urls[0]] == before[urls[0]]
    assert after[urls[1]] != before[urls[1]]
    assert [len(pq.read_table(url)) for url in urls] == [200, 200]
    other = generated.write(str(tmp_path / "other"), 400, seed=1)
    assert not pq.read_table(other[0]).equals(pq.read_table(urls[0]))


def test_generated_vectors_are_not_for_networks_that_read_vectors():
    with pytest.raises(ConfigError, match=r"^training.generated needs gram tokens"):
        dataclasses.replace(load_training("diff-cluster"), generated=40_000)
    with pytest.raises(ConfigError, match=r"^training.generated is 10: it must be 0 or at least 20000\.$"):
        dataclasses.replace(load_training("sdt-row"), generated=10)


def test_a_finished_model_is_kept_and_no_other_training_may_take_its_place(model, identities):
    before = (Path(model) / "card.json").read_bytes()
    train(arguments(identities, model))
    assert (Path(model) / "card.json").read_bytes() == before
    with pytest.raises(ConfigError, match="another training"):
        train(arguments(identities, model, seed=1))


def test_killed_at_any_time_the_same_command_finishes_with_the_same_weights(model, identities, tmp_path):
    settings = tmp_path / "small.yaml"
    settings.write_text(json.dumps(OVERRIDES))
    command = [sys.executable, str(ROOT / "jobs" / "train.py"), "--input", identities, "--recipe", "sdt-row"]
    command += ["--output", str(tmp_path / "model"), "--config", str(settings), "--executor", "local"]
    for network in ("filter", "predictor"):
        killed = interrupted(command, f"*{network}/latest.json")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (tmp_path / "model" / "card.json").exists()
    done = run(command)
    assert done.returncode == 0, done.stderr
    undisturbed, resumed = (load_card(url)[0] for url in (model, str(tmp_path / "model")))
    assert resumed.thresholds.keys() == undisturbed.thresholds.keys()
    if os.cpu_count() == len(os.sched_getaffinity(0)):
        assert resumed.networks == undisturbed.networks
        assert resumed.thresholds == undisturbed.thresholds


@pytest.mark.long
@pytest.mark.timeout(900)  # a machine with other work starts Ray's workers slowly
def test_two_ray_workers_learn_as_well_as_one_process_and_say_no_more(model, identities, tmp_path, capfd):
    args = arguments(identities, tmp_path / "model")
    chosen = dataclasses.replace(args.training, filter=dataclasses.replace(args.training.filter, source=model))
    train(dataclasses.replace(args, training=chosen, execution=Execution("ray", workers=2)))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert [line for line in printed.err.splitlines() if not re.match(r"\d\d:\d\d:\d\d \w", line)] == []
    assert not (tmp_path / "model" / "work").exists()
    one, two = (load_card(url)[0].metrics["predictor"] for url in (model, str(tmp_path / "model")))
    assert two["average_precision"] == pytest.approx(one["average_precision"], abs=0.02)
    assert two["f"] == pytest.approx(one["f"], abs=0.03)


def relabelled(identities: str, folder: Path, label) -> str:
    table = pq.read_table(identities)
    folder.mkdir()
    changed = table.drop_columns("label")
    if label is not None:
        changed = changed.append_column("label", pa.array([label(row) for row in range(len(table))]))
    pq.write_table(changed, folder / "rows.parquet")
    return str(folder)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (None, "has no column 'label'"),
        (lambda row: None if row else 1, "all rows the same identity"),
        (lambda row: 7, "all rows the same identity"),
        (lambda row: row % 3, "only 3 identities"),
        (lambda row: row / 2, "labels are integers or strings"),
    ],
)
def test_labels_that_cannot_be_learned_from(identities, tmp_path, label, sentence):
    source = relabelled(identities, tmp_path / "rows", label)
    with pytest.raises(InputError, match=sentence):
        train(arguments(source, tmp_path / "model"))
    assert not (tmp_path / "model" / "card.json").exists()


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_batch(identities, tmp_path):
    args = arguments(identities, tmp_path / "model")
    fit = dataclasses.replace(args.training.filter.fit, optimizer="sgd", learning_rate=1e30, warmup_steps=0)
    wild = dataclasses.replace(args.training, filter=dataclasses.replace(args.training.filter, fit=fit))
    with pytest.raises(
        RayclusterError, match=r"Training filter stopped at step \d+: the loss is (nan|inf).* of rows \d+"
    ):
        train(dataclasses.replace(args, training=wild))


def test_a_model_that_is_missing_or_tampered_with_is_refused(model, identities, tmp_path):
    with pytest.raises(ConfigError, match="give --model"):
        cluster(identities, str(tmp_path / "run"), load_config("sdt-row"), LOCAL)
    with pytest.raises(InputError, match="holds no trained model"):
        f_of(identities, tmp_path / "run", str(tmp_path / "nothing"))
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    weights = bytearray((copy / "predictor.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "predictor.safetensors").write_bytes(bytes(weights))
    with pytest.raises(InputError, match="SHA-256 is not the card's"):
        f_of(identities, tmp_path / "run", str(copy))
    with pytest.raises(ConfigError, match="has no"):
        f_of(identities, tmp_path / "run", filter_only(identities, tmp_path), "diff-cluster")


def filter_only(identities: str, folder: Path) -> str:
    train(briefly(identities, folder / "filter", "fc-es-topk"))
    return str(folder / "filter")


def test_a_trained_filter_serves_another_recipe(identities, tmp_path):
    source = filter_only(identities, tmp_path)
    args = briefly(identities, tmp_path / "model")
    chosen = dataclasses.replace(args.training, filter=dataclasses.replace(args.training.filter, source=source))
    train(dataclasses.replace(args, training=chosen))
    networks = [load_card(url)[0].networks["filter"].sha256 for url in (source, str(tmp_path / "model"))]
    assert networks[0] == networks[1]


def test_rows_without_a_label_are_neighbors_and_never_samples(identities, tmp_path):
    truth = pq.read_table(identities)["label"].to_numpy()
    source = relabelled(identities, tmp_path / "rows", lambda row: None if row % 4 == 0 else int(truth[row]))
    train(briefly(source, tmp_path / "model"))
    kept = np.unique(truth[np.arange(len(truth)) % 4 != 0])
    assert load_card(str(tmp_path / "model"))[0].data[0].identities == len(kept)
