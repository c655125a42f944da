"""A model to start from: refused where its networks are built otherwise, told in one sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raycluster.config.networks import EncoderConfig, FitConfig
from raycluster.errors import ConfigError, InputError
from raycluster.models.weights import load_network
from raycluster.training.base_model import BaseModel
from support import tiny


@pytest.fixture
def base(tmp_path: Path) -> BaseModel:
    tiny.model(tmp_path / "model")
    return BaseModel.open(str(tmp_path / "model"))


def test_a_model_built_as_asked_gives_its_weights_however_it_was_fitted(base: BaseModel) -> None:
    training = base.card.training
    asked = replace(
        training,
        seed=5,
        filter=replace(training.filter, fit=FitConfig(steps=7), source="elsewhere"),
        predictor=replace(training.predictor, fit=FitConfig(steps=9)),
    )
    for name in ("filter", "predictor"):
        base.require(name, asked, tiny.K)
        expected = load_network(base.url, base.card, name)
        assert base.weights(name).keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in base.weights(name).items())


def test_a_network_of_another_shape_is_refused_with_what_differs(base: BaseModel) -> None:
    training = base.card.training
    encoder: EncoderConfig = replace(training.predictor.encoder, width=32)
    asked = replace(training, predictor=replace(training.predictor, encoder=encoder))
    with pytest.raises(ConfigError) as error:
        base.require("predictor", asked, tiny.K)
    assert str(error.value) == (
        f"The predictor of the model {base.url} differs from the one to train (encoder.width: 16 -> 32); use its "
        "recipe, sdt-row, or train without it."
    )


def test_k_matters_but_for_the_form_relative(base: BaseModel) -> None:
    with pytest.raises(ConfigError, match=r"\(knn.k: 12 -> 20\)"):
        base.require("predictor", base.card.training, 20)
    gram = replace(base.card.training.predictor.encoder, mask="none")
    relative = replace(
        base.card.training, predictor=replace(base.card.training.predictor, form="relative", encoder=gram)
    )
    free = replace(base, card=replace(base.card, training=relative))
    free.require("predictor", relative, 20)
    with pytest.raises(ConfigError, match=r"^The filter .*\(knn.k: 12 -> 20\)"):
        free.require("filter", relative, 20)


def test_a_network_or_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    tiny.model(tmp_path / "filter", "none", recipe="fc-es-topk")
    lacking = BaseModel.open(str(tmp_path / "filter"))
    with pytest.raises(ConfigError, match="of recipe fc-es-topk, has no predictor to take"):
        lacking.require("predictor", lacking.card.training, tiny.K)
    with pytest.raises(InputError, match="nowhere holds no trained model"):
        BaseModel.open(str(tmp_path / "nowhere"))


def test_the_width_matters_where_vectors_are_read(base: BaseModel) -> None:
    base.require_width(None)
    base.require_width(99)
    wide = replace(base, card=replace(base.card, embedding_width=64))
    wide.require_width(64)
    with pytest.raises(ConfigError, match="trained on embeddings of width 64, these have 99"):
        wide.require_width(99)
