"""Settings of networks and training: ranges, and what cannot be built together."""

from dataclasses import replace
from typing import Any

import pytest

from raycluster.config.load import load_training
from raycluster.config.networks import (
    LEAST_GENERATED,
    EncoderConfig,
    FilterConfig,
    FitConfig,
    PredictorConfig,
    TrainingConfig,
)
from raycluster.errors import ConfigError


def complaint(section: Any, **values: Any) -> str:
    """The sentence that refuses values of a section."""
    with pytest.raises(ConfigError) as caught:
        replace(section, **values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value", "takes"),
    [
        (EncoderConfig(), "layers", 0, "a whole number of at least 1"),
        (EncoderConfig(), "heads", 0, "a whole number of at least 1"),
        (EncoderConfig(), "hidden", 0, "a whole number of at least 1"),
        (EncoderConfig(), "mask_step", 0, "a whole number of at least 1"),
        (EncoderConfig(), "width", 0, "a whole number of at least 1, or None"),
        (EncoderConfig(), "dropout", 1.0, "a number of at least 0 and below 1"),
        (EncoderConfig(), "lambda_init", 1.0, "a number of at least 0 and below 1"),
        (FitConfig(), "steps", 0, "a whole number of at least 1"),
        (FitConfig(), "batch", 0, "a whole number of at least 1"),
        (FitConfig(), "evaluate_every", 0, "a whole number of at least 1"),
        (FitConfig(), "warmup_steps", -1, "a whole number of at least 0"),
        (FitConfig(), "patience", -1, "a whole number of at least 0"),
        (FitConfig(), "weight_decay", -0.1, "a number of at least 0"),
        (FitConfig(), "learning_rate", 0.0, "a number above 0"),
        (FitConfig(), "momentum", 1.0, "a number of at least 0 and below 1"),
        (FilterConfig(), "lstm_width", 0, "a whole number of at least 1"),
        (FilterConfig(), "beta", 0.0, "a number above 0"),
        (PredictorConfig(), "hop2", -1, "a whole number of at least 0"),
        (TrainingConfig(), "seed", -1, "a whole number of at least 0"),
        (TrainingConfig(), "folds", 1, "a whole number of at least 2"),
        (TrainingConfig(), "varied", -1, "a whole number of at least 0"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(section: Any, key: str, value: float, takes: str) -> None:
    expected = f"{section.prefix}{key.replace('_', '-')} is {value}: it takes {takes}."
    assert complaint(section, **{key: value}) == expected


def test_heads_divide_the_width() -> None:
    assert complaint(EncoderConfig(), width=12) == "encoder.width is 12: it must be a multiple of 8, for 8 heads."
    said = complaint(EncoderConfig(attention="differential"), width=24)
    assert said == "encoder.width is 24: it must be a multiple of 16, for 8 heads."
    assert EncoderConfig(attention="differential", width=32).width == 32
    assert EncoderConfig(width=12, head_width=3).width == 12
    said = complaint(EncoderConfig(attention="differential"), head_width=3)
    assert said == "encoder.head_width is 3: it must be even with differential attention."
    relative = PredictorConfig(form="relative", tokens="gram", encoder=EncoderConfig(width=16))
    said = complaint(relative, encoder=EncoderConfig(width=16, head_width=4))
    assert said == "predictor.form relative shares its width among the heads; leave predictor.encoder.head_width out."


GRAM = PredictorConfig(tokens="gram", encoder=EncoderConfig(width=16))
VECTORS = PredictorConfig(tokens="embedding", encoder=EncoderConfig(width=16))


@pytest.mark.parametrize(
    ("predictor", "values", "sentence"),
    [
        (
            GRAM,
            {"form": "linkage", "head": (8,)},
            "predictor.head is for the forms row, relative and pair, not linkage.",
        ),
        (GRAM, {"form": "row", "adjust": 8}, "predictor.adjust is for the form pair, not row."),
        (VECTORS, {"form": "distance", "hop2": 0}, "predictor.form distance needs a predictor.hop2 of at least 1."),
        (VECTORS, {"form": "relative"}, "predictor.form relative reads only cosines; set predictor.tokens to gram."),
        (
            PredictorConfig(tokens="gram"),
            {"form": "relative"},
            "predictor.form relative needs predictor.encoder.width.",
        ),
        (GRAM, {"form": "linkage"}, "predictor.form linkage reads the embeddings; set predictor.tokens to embedding."),
        (
            VECTORS,
            {"form": "linkage", "encoder": EncoderConfig(mask="topk")},
            "predictor.form linkage sees all neighbors; set encoder.mask to none.",
        ),
        (
            GRAM,
            {"form": "relative", "encoder": EncoderConfig(width=16, mask="topk")},
            "predictor.form relative sees all neighbors; set encoder.mask to none.",
        ),
    ],
)
def test_a_form_is_refused_what_it_cannot_be_built_with(
    predictor: PredictorConfig, values: dict[str, Any], sentence: str
) -> None:
    assert complaint(predictor, **values) == sentence


def test_masks_need_top_k_and_are_for_the_predictor() -> None:
    masked = PredictorConfig(form="row", encoder=EncoderConfig(mask="mixture"))
    said = complaint(TrainingConfig(), predictor=masked)
    assert said == "training.predictor.encoder.mask mixture needs Top-K; set training.filter.network."
    assert TrainingConfig(filter=FilterConfig(network="lstm"), predictor=masked).predictor == masked
    said = complaint(TrainingConfig(), filter=FilterConfig(encoder=EncoderConfig(mask="topk")))
    assert said == "training.filter.encoder.mask is for the predictor only."


def test_generated_sets_are_large_enough_and_for_gram_tokens() -> None:
    said = complaint(TrainingConfig(), generated=LEAST_GENERATED - 1)
    assert said == "training.generated is 19999: it must be 0 or at least 20000."
    reads = PredictorConfig(form="row")
    for name in ("generated", "varied"):
        said = complaint(TrainingConfig(predictor=reads), **{name: LEAST_GENERATED})
        assert said == f"training.{name} needs gram tokens: generated vectors lie elsewhere than other embeddings."
        TrainingConfig(predictor=replace(reads, tokens="gram"), **{name: LEAST_GENERATED})  # type: ignore[arg-type]


def test_only_networks_that_there_are_read_vectors() -> None:
    assert not TrainingConfig().reads_vectors
    assert TrainingConfig(filter=FilterConfig(network="lstm")).reads_vectors
    assert TrainingConfig(predictor=PredictorConfig(form="pair")).reads_vectors
    assert not TrainingConfig(filter=FilterConfig(network="lstm", tokens="gram")).reads_vectors
    assert not load_training("auto").reads_vectors


def test_contexts_are_read_by_the_forms_of_the_face_transformer() -> None:
    assert PredictorConfig(form="distance", tokens="embedding").encodes
    assert PredictorConfig(form="linkage", tokens="embedding").encodes
    assert not PredictorConfig(form="linkage", tokens="embedding", hop2=0).encodes
    assert not PredictorConfig(form="row").encodes
