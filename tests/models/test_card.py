"""The model folder: what is saved is what is read, and whatever is wrong with a folder is one clear sentence."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.networks import EncoderConfig, FilterConfig, FitConfig, PredictorConfig, TrainingConfig
from raycluster.errors import InputError
from raycluster.models import card as folder
from raycluster.models.card import Card, NetworkFile, TrainingSet
from raycluster.models.earlier_cards import fill_earlier
from raycluster.models.strength import EARLIER_WEIGHTS, WEIGHTS
from raycluster.models.weights import load_network
from raycluster.storage.object_store import Store

TRAINING = TrainingConfig(
    seed=3,
    precision="float32",
    filter=FilterConfig(network="transformer", tokens="gram", fit=FitConfig(optimizer="adamw", steps=7)),
    predictor=PredictorConfig(form="pair", encoder=EncoderConfig(attention="differential", mask="mixture", width=64)),
)
CARD = Card(
    recipe="s1",
    config={"knn": {"k": 80, "lists": None}},
    training=TRAINING,
    k=80,
    embedding_width=512,
    data=[TrainingSet("s3://bucket/train", rows=1000, identities=50, width=512, fingerprint="abc")],
    thresholds={"theta": 0.22, "eta": 0.9, "slope": 1, "intercept": -0.1},
    curves={"edges": [{"threshold": 0.1, "precision": 1.0, "recall": 0.3, "edges": 12}]},
    confidence=[{"low": 1, "high": 10, "count": 3, "share": 0.5, "mean_error": 1.5}],
    metrics={"average_precision": 0.1 + 0.2},
    history={"predictor": [{"step": 500, "loss": 0.7}]},
    versions=folder.versions(),
    seconds=12.5,
)


def tensors() -> dict[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return {
        "filter": {"layer.weight": torch.randn(4, 3, generator=generator).T, "steps": torch.tensor(7)},
        "predictor": {"half": torch.randn(5, generator=generator).bfloat16(), "layer.bias": torch.zeros(2)},
    }


def edited(model: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the values of a card in place."""
    values = json.loads((model / "card.json").read_text())
    change(values)
    (model / "card.json").write_text(json.dumps(values))


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    url = str(tmp_path / "model")
    saved = folder.save(url, CARD, tensors())
    card, digest = folder.load_card(url)
    assert card == saved == replace(CARD, networks=saved.networks)
    assert card.training == TRAINING
    text = (tmp_path / "model" / "card.json").read_bytes()
    assert digest == sha256(text).hexdigest()
    assert text.startswith(b'{\n  "format": 1,\n  "recipe": "s1",\n')
    assert {name: entry.parameters for name, entry in card.networks.items()} == {"filter": 13, "predictor": 7}
    for name, state in tensors().items():
        read = load_network(url, card, name)
        assert read.keys() == state.keys()
        for key, value in state.items():
            assert read[key].dtype == value.dtype
            assert torch.equal(read[key], value)


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    once = folder.save(str(tmp_path / "a"), CARD, tensors())
    backwards = {name: dict(reversed(state.items())) for name, state in reversed(tensors().items())}
    assert folder.save(str(tmp_path / "b"), CARD, backwards).networks == once.networks


@pytest.mark.parametrize("names", [(), ("filter",), ("predictor",)])
def test_only_the_networks_of_a_model_are_there_also_where_another_model_was(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder.save(str(tmp_path), CARD, tensors())
    card = folder.save(str(tmp_path), CARD, {name: tensors()[name] for name in names})
    assert card.networks.keys() == set(names)
    assert {path.name for path in tmp_path.iterdir()} == {"card.json", *(f"{name}.safetensors" for name in names)}


def test_a_model_whose_writing_was_interrupted_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.save(str(tmp_path), CARD, tensors())
    put = Store.put

    def fail_at_the_card(store: Store, path: str, data: bytes) -> None:
        if path == "card.json":
            raise KeyboardInterrupt
        put(store, path, data)

    monkeypatch.setattr(Store, "put", fail_at_the_card)
    with pytest.raises(KeyboardInterrupt):
        folder.save(str(tmp_path), CARD, tensors())
    with pytest.raises(InputError, match="holds no trained model"):
        folder.load_card(str(tmp_path))


def test_a_card_with_nan_is_not_written_and_leaves_the_model_that_is_there(tmp_path: Path) -> None:
    before = folder.save(str(tmp_path), CARD, tensors())
    with pytest.raises(InputError, match="was not written, for its card holds NaN or infinity"):
        folder.save(str(tmp_path), replace(CARD, metrics={"loss": float("nan")}), {})
    assert folder.load_card(str(tmp_path))[0] == before


def test_an_object_store_holds_models_too() -> None:
    url = "memory://models/one"
    card = folder.save(url, CARD, tensors())
    assert folder.load_card(url)[0] == card
    assert torch.equal(load_network(url, card, "filter")["steps"], torch.tensor(7))


def test_no_model_at_all(tmp_path: Path) -> None:
    for place in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputError) as error:
            folder.load_card(str(place))
        assert str(error.value) == f"{place} holds no trained model: there is no card.json."


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"not a card"])
def test_a_card_that_is_no_json(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "card.json").write_bytes(text)
    with pytest.raises(InputError, match=r"card\.json is no JSON: "):
        folder.load_card(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda card: card.pop("format"), "is no card of a model: it has no format number."),
        (lambda card: card.update(format=2), "is of format 2, and raycluster .* reads format 1; use the version"),
        (lambda card: [card.pop("k"), card.pop("data")], "lacks data, k."),
        (lambda card: card.update(extra=1, more=2), "has unknown keys: extra, more."),
        (lambda card: card.update(k="80"), "The value of 'k' in .* has the wrong type."),
        (lambda card: card.update(k=True), "The value of 'k' in .* has the wrong type."),
        (lambda card: card.update(embedding_width=1.5), "The value of 'embedding_width' in .* has the wrong type."),
        (
            lambda card: card["thresholds"].update(eta=None),
            "The value of 'thresholds' in .* has the wrong type: Expected `float`, got `null`",
        ),
        (lambda card: card.update(strength={"row": "1"}), "The value of 'strength' in .* has the wrong type."),
        (lambda card: card.update(strength={"row": 1.0}), "does not hold the weights of strength .*: intercept, row, "),
        (lambda card: card["thresholds"].update(teta=0.1), "has unknown thresholds: teta."),
        (lambda card: card["data"][0].update(more=1), "has unknown keys in its 'data'."),
        (lambda card: card["data"][0].pop("width"), "The value of 'data' in .* has the wrong type: .*`width`"),
        (lambda card: card["data"][0].update(rows="9"), "The value of 'data' in .* has the wrong type: .*rows"),
        (lambda card: card["curves"]["edges"][0].update(recall="1"), "The value of 'curves' in .* has the wrong type"),
        (lambda card: card["history"].update(filter=3), "The value of 'history' in .* has the wrong type"),
        (lambda card: card.update(data=[1]), "The value of 'data' in .* has the wrong type."),
        (lambda card: card.update(training=[]), "The value of 'training' in .* has the wrong type."),
        (lambda card: card["training"].update(sed=1), "no usable training configuration: it sets 'training.sed'"),
        (lambda card: card["training"]["filter"].update(network="gru"), "no usable training configuration: it sets"),
        (
            lambda card: card["training"].update(folds=1),
            "no usable training configuration: it sets 'training.folds' to 1",
        ),
        (lambda card: card["training"]["filter"].pop("beta"), "lacks keys of its training configuration."),
        (lambda card: card["networks"].update(judge=card["networks"]["filter"]), "describes a network 'judge'"),
        (
            lambda card: card["networks"]["filter"].pop("sha256"),
            "The value of 'networks' in .* has the wrong type: .*`sha256`",
        ),
        (lambda card: card["networks"]["filter"].update(more=1), "describes a network 'filter'"),
        (lambda card: card["networks"]["filter"].update(file="../x"), "describes a network 'filter'"),
    ],
)
def test_a_card_that_is_not_as_it_should_be(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    folder.save(str(tmp_path), CARD, tensors())
    edited(tmp_path, change)
    with pytest.raises(InputError, match=sentence) as error:
        folder.load_card(str(tmp_path))
    assert f"{tmp_path}/card.json" in str(error.value)


def test_a_card_of_before_there_were_strengths_has_none(tmp_path: Path) -> None:
    folder.save(str(tmp_path), replace(CARD, strength=dict.fromkeys(WEIGHTS, 0.5)), tensors())
    assert folder.load_card(str(tmp_path))[0].strength == dict.fromkeys(WEIGHTS, 0.5)
    edited(tmp_path, lambda card: card.pop("strength"))
    assert folder.load_card(str(tmp_path))[0].strength == {}


def test_a_card_that_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(InputError, match="is no card of a model"):
        folder.load_card(str(tmp_path))


def test_weights_that_are_missing(tmp_path: Path) -> None:
    card = folder.save(str(tmp_path), CARD, tensors())
    (tmp_path / "filter.safetensors").unlink()
    with pytest.raises(InputError) as error:
        load_network(str(tmp_path), card, "filter")
    assert str(error.value) == f"The model {tmp_path} is incomplete: there is no filter.safetensors."


@settings(max_examples=25, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_weights_with_one_byte_changed_are_refused(
    tmp_path_factory: pytest.TempPathFactory, at: float, flip: int
) -> None:
    model = tmp_path_factory.mktemp("model")
    card = folder.save(str(model), CARD, tensors())
    file = model / "predictor.safetensors"
    data = bytearray(file.read_bytes())
    data[int(at * len(data))] ^= flip
    file.write_bytes(data)
    with pytest.raises(InputError) as error:
        load_network(str(model), card, "predictor")
    assert str(error.value) == f"{file} was changed or damaged; its SHA-256 is not the card's."


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x08\0\0\0\0\0\0\0{not it}"])
def test_weights_that_are_no_safetensors_though_the_card_says_so(tmp_path: Path, data: bytes) -> None:
    folder.save(str(tmp_path), CARD, tensors())
    (tmp_path / "filter.safetensors").write_bytes(data)
    edited(tmp_path, lambda card: card["networks"]["filter"].update(sha256=sha256(data).hexdigest()))
    with pytest.raises(InputError, match=r"filter\.safetensors is no safetensors file: "):
        load_network(str(tmp_path), folder.load_card(str(tmp_path))[0], "filter")


def test_versions_name_what_decides_a_model() -> None:
    versions = folder.versions()
    assert list(versions) == ["raycluster", "python", "torch", "numpy", "ray", "infomap"]
    assert versions["torch"] == torch.__version__
    assert versions["python"] == sys.version.split()[0]


def test_reading_a_card_imports_neither_torch_nor_ray(tmp_path: Path) -> None:
    folder.save(str(tmp_path), CARD, tensors())
    script = (
        "import sys; from raycluster.models import card; card.load_card(sys.argv[1]); card.versions(); "
        "assert not {'torch', 'ray', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_every_training_configuration_survives_json(tmp_path: Path) -> None:
    row = TrainingConfig(predictor=PredictorConfig(form="row", tokens="gram", head=(64, 32)))
    for training in (TrainingConfig(), TRAINING, row):
        folder.save(str(tmp_path), replace(CARD, training=training), {})
        read = folder.load_card(str(tmp_path))[0].training
        assert read == training
        assert asdict(read) == asdict(training)


def test_entries_of_a_card_have_types(tmp_path: Path) -> None:
    saved = folder.save(str(tmp_path), CARD, tensors())
    entry = saved.networks["filter"]
    assert entry == NetworkFile("filter.safetensors", sha256((tmp_path / entry.file).read_bytes()).hexdigest(), 13)
    assert saved.data[0].rows == 1000


def test_the_card_that_comes_with_the_package_reads_as_it_was_written() -> None:
    card, digest = folder.load_card("auto")
    data = Path(folder.place("auto"), "card.json").read_bytes()
    assert digest == sha256(data).hexdigest()
    written = json.loads(data)
    assert "output" not in written["training"]["filter"]
    fill_earlier(written["training"])
    assert json.loads(json.dumps(asdict(card))) == written
    assert card.training.filter.output == "sigmoid"
    assert not card.training.filter.lstm_residual
    assert card.networks["predictor"].parameters == 330057
    assert (card.data[0].rows, card.thresholds["eta"]) == (5930, 0.6)


def test_a_card_of_before_there_were_conflicts_keeps_its_weights(tmp_path: Path) -> None:
    earlier = dict.fromkeys(EARLIER_WEIGHTS, 0.5)
    folder.save(str(tmp_path), replace(CARD, strength=earlier), tensors())
    assert folder.load_card(str(tmp_path))[0].strength == earlier
