"""A model to start from: refused where its networks are built otherwise, told in one sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raycluster.config.networks import EncoderConfig, FitConfig
from raycluster.errors import ConfigError, InputError
from raycluster.models.card import load_network
from raycluster.training.base_model import Source
from support import tiny


@pytest.fixture
def source(tmp_path: Path) -> Source:
    tiny.model(tmp_path / "model")
    return Source.of(str(tmp_path / "model"))


def test_a_model_built_as_asked_gives_its_weights_however_it_was_fitted(source: Source) -> None:
    training = source.card.training
    asked = replace(
        training,
        seed=5,
        filter=replace(training.filter, fit=FitConfig(steps=7), source="elsewhere"),
        predictor=replace(training.predictor, fit=FitConfig(steps=9)),
    )
    for name in ("filter", "predictor"):
        source.require(name, asked, tiny.K)
        expected = load_network(source.url, source.card, name)
        assert source.weights(name).keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in source.weights(name).items())


def test_a_network_of_another_shape_is_refused_with_what_differs(source: Source) -> None:
    training = source.card.training
    encoder: EncoderConfig = replace(training.predictor.encoder, width=32)
    asked = replace(training, predictor=replace(training.predictor, encoder=encoder))
    with pytest.raises(ConfigError) as error:
        source.require("predictor", asked, tiny.K)
    assert str(error.value) == (
        f"The predictor of the model {source.url} is built otherwise than is asked for (encoder.width: 16 -> 32); use its "
        "recipe, sdt-row, or train without it."
    )


def test_k_matters_but_for_the_form_relative(source: Source) -> None:
    with pytest.raises(ConfigError, match=r"\(knn.k: 12 -> 20\)"):
        source.require("predictor", source.card.training, 20)
    gram = replace(source.card.training.predictor.encoder, mask="none")
    relative = replace(
        source.card.training, predictor=replace(source.card.training.predictor, form="relative", encoder=gram)
    )
    free = replace(source, card=replace(source.card, training=relative))
    free.require("predictor", relative, 20)
    with pytest.raises(ConfigError, match=r"^The filter .*\(knn.k: 12 -> 20\)"):
        free.require("filter", relative, 20)


def test_a_network_or_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    tiny.model(tmp_path / "filter", "none", recipe="fc-es-topk")
    lacking = Source.of(str(tmp_path / "filter"))
    with pytest.raises(ConfigError, match="of recipe fc-es-topk, has no predictor to take"):
        lacking.require("predictor", lacking.card.training, tiny.K)
    with pytest.raises(InputError, match="nowhere holds no trained model"):
        Source.of(str(tmp_path / "nowhere"))


def test_the_width_matters_where_vectors_are_read(source: Source) -> None:
    source.require_width(None)
    source.require_width(99)
    wide = replace(source, card=replace(source.card, embedding_width=64))
    wide.require_width(64)
    with pytest.raises(ConfigError, match="trained on embeddings of width 64, these have 99"):
        wide.require_width(99)
