"""What a configuration asks of a model, and the model that answers."""

import dataclasses

from raycluster.config.stages import Config
from raycluster.config.stored import stored_config
from raycluster.errors import ConfigError
from raycluster.models.card import load_card

FORMS = {"recall": ("pair",), "all": ("row", "relative", "linkage", "distance")}
"""Forms of predictor that can score what relations.score says."""


def with_model(config: Config) -> Config:
    """The configuration with the digest of its model filled in.

    Raises ConfigError where a recipe needs a model and none is given, where the model lacks a network or another digest
    is pinned, and InputError where the folder holds no model.
    """
    if not config.needs_model:
        return dataclasses.replace(config, model=None, model_digest=None)
    if config.model is None:
        raise ConfigError(f"The recipe {config.recipe} needs a trained model: give --model, a folder of jobs/train.py.")
    card, digest = load_card(config.model)
    if config.model_digest not in (None, digest):
        raise ConfigError(f"The model {config.model} is {digest[:12]}..., not {config.model_digest} as asked for.")
    wanted = {"filter": config.topk.predict, "predictor": config.relations.score != "none"}
    for name, needed in wanted.items():
        if needed and name not in card.networks:
            raise ConfigError(
                f"The model {config.model}, of recipe {card.recipe}, has no {name}, but this recipe asks it."
            )
    predictor = card.training.predictor
    if wanted["predictor"] and predictor.form not in FORMS[config.relations.score]:
        forms = " or ".join(FORMS[config.relations.score])
        raise ConfigError(
            f"relations.score {config.relations.score} asks a predictor of form {forms}, and that of the model "
            f"{config.model} is of form {predictor.form}."
        )
    if wanted["predictor"] and predictor.encodes != config.contexts.encode:
        raise ConfigError(
            f"The predictor of {config.model} reads {'contexts' if predictor.encodes else 'no contexts'}; "
            f"set contexts.encode to {str(predictor.encodes).lower()}."
        )
    counted = config.topk.predict or config.topk.source is not None
    if predictor.encoder.mask != "none" and wanted["predictor"] and not counted:
        raise ConfigError(f"The predictor of {config.model} looks at Top-K neighbors; set topk.predict or topk.source.")
    return dataclasses.replace(config, model_digest=digest)


def thresholds_of(config: Config) -> dict[str, float]:
    """What the configuration's model was calibrated to; empty without a model."""
    return {} if config.model is None else load_card(config.model)[0].thresholds


def recipe_of(model: str) -> Config:
    """The cluster configuration that a model was trained for."""
    card, _ = load_card(model)
    return stored_config(card.config, f"{model}/card.json")
