"""What a configuration needs of a model, and the model that it uses."""

import dataclasses
from collections.abc import Iterator

from raycluster.config.stages import Config
from raycluster.config.stored import stored_config
from raycluster.errors import ConfigError, InputError
from raycluster.models.card import Card, load_card, place
from raycluster.storage.places import plain_url

FORMS = {"recall": ("pair", "row"), "all": ("row", "relative", "linkage", "distance")}
"""Forms of predictor that compute the scores of relations.score."""


def with_model(config: Config) -> Config:
    """Return the configuration with the digest of its model filled in.

    A configuration that needs no model loses it. Raises InputError where the folder holds no model. Raises ConfigError
    where a model is needed and missing, where it lacks what the configuration needs, and where another digest is pinned.
    """
    if not config.needs_model:
        return dataclasses.replace(config, model=None, model_digest=None)
    if config.model is None:
        raise ConfigError(f"The recipe {config.recipe} needs a trained model: give --model, a folder of jobs/train.py.")
    card, digest = load_card(config.model)
    if config.model_digest not in (None, digest):
        raise ConfigError(
            f"The model {config.model} is {digest[:12]}..., but the run needs {config.model_digest}; use the model that "
            "the run started with."
        )
    for sentence in _missing(config, card):
        raise ConfigError(sentence)
    # workers have working directories of their own
    url = config.model if place(config.model) != config.model else plain_url(config.model)
    return dataclasses.replace(config, model=url, model_digest=digest)


def has_other_model(config: Config) -> bool:
    """Whether the model of a configuration is another one since it was pinned."""
    return config.model is not None and load_card(config.model)[1] != config.model_digest


def _missing(config: Config, card: Card) -> Iterator[str]:
    """Yield a sentence per need of a configuration that a model does not meet."""
    score = config.relations.score
    needs = {"filter": config.topk.predict, "predictor": score != "none"}
    for name, is_needed in needs.items():
        if is_needed and name not in card.networks:
            yield f"The model {config.model}, of recipe {card.recipe}, has no {name}, but this recipe needs one."
    if score == "none":
        return
    predictor = card.training.predictor
    if predictor.form not in FORMS[score]:
        yield (
            f"relations.score {score} needs a predictor of form {' or '.join(FORMS[score])}, and that of the model "
            f"{config.model} is of form {predictor.form}."
        )
    if predictor.encodes != config.contexts.encode:
        yield (
            f"The predictor of {config.model} reads {'contexts' if predictor.encodes else 'no contexts'}; "
            f"set contexts.encode to {str(predictor.encodes).lower()}."
        )
    has_topk = config.topk.predict or config.topk.source is not None
    if predictor.encoder.mask != "none" and not has_topk:
        yield f"The predictor of {config.model} reads Top-K neighbors; set topk.predict or topk.source."


def require_width(card: Card, width: int, k: int, url: str) -> None:
    """Raise InputError unless a model fits a set.

    Parameters
    ----------
    card
        The model's card.
    width
        Dimensions of the set's embeddings.
    k
        Length of its neighbor lists. Predictors of form relative fit any.
    url
        The model, as error sentences name it.
    """
    if card.embedding_width not in (None, width):
        raise InputError(
            f"The model {url} was trained on embeddings of width {card.embedding_width}, these have {width}; "
            "train one with gram tokens to be free of the width."
        )
    if card.k != k and card.training.predictor.form != "relative":
        raise InputError(
            f"The model {url} was trained on {card.k} neighbors per row, and knn.k is {k}; make it {card.k}."
        )


def thresholds_of(config: Config) -> dict[str, float]:
    """Return what the configuration's model was calibrated to; empty without a model."""
    return {} if config.model is None else load_card(config.model)[0].thresholds


def recipe_of(model: str) -> Config:
    """Return the configuration that a model was trained for."""
    card, _ = load_card(model)
    return stored_config(card.config, f"{model}/card.json")
