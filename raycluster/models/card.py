"""The folder of a trained model: weights as safetensors, and a card that says what they are and how they came about.

    MODEL/card.json                all but the weights, for people and programs alike
    MODEL/filter.safetensors       only where the model has an adaptive filter
    MODEL/predictor.safetensors    only where the model has a relation predictor

The card is written last, so a folder without one is no model. Reading a card takes no torch.
"""

import hashlib
import json
import platform
import types
import typing
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

from raycluster._version import __version__
from raycluster.config.load import apply
from raycluster.config.networks import TrainingConfig
from raycluster.errors import ConfigError, InputError
from raycluster.models.strength import WEIGHTS
from raycluster.storage.object_store import Store

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
CARD = "card.json"
SHIPPED = "pretrained"
"""Folder of the package with the models that come with it; each goes by its name, such as `auto`."""
NETWORKS = ("filter", "predictor")
_ENTRY = {"file", "sha256", "parameters"}
_PACKAGES = ("torch", "numpy", "ray", "infomap")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is: everything needed to apply it besides the weights, and everything it was made from."""

    format: int = FORMAT
    """Layout of the folder; a number this version does not know is refused."""
    recipe: str
    """Recipe it was trained with."""
    config: dict[str, Any]
    """Resolved configuration of the stages before it."""
    training: TrainingConfig
    k: int
    """Neighbors a row, the row itself included."""
    embedding_width: int | None
    """D of the embeddings it reads; none where all tokens are gram, which fit any width."""
    data: list[dict[str, Any]]
    """One a training set: url, rows, identities, width, fingerprint."""
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`filter`, `predictor` or both: file, sha256 and number of parameters; `save` fills it."""
    thresholds: dict[str, float]
    """Those of theta, floor, eta, closeness, slope and intercept that were calibrated."""
    curves: dict[str, list[dict[str, Any]]]
    """What the thresholds were read from, and how far `strength` is to be trusted."""
    confidence: list[dict[str, Any]]
    """How far to trust a predicted Top-K, as `calibration.topk_confidence` makes it."""
    metrics: dict[str, Any]
    history: dict[str, Any]
    versions: dict[str, str]
    """Of raycluster, Python and the packages that decide a model, as `versions` tells them."""
    seconds: float
    """Wall-clock time of the training."""
    strength: dict[str, float] = field(default_factory=dict)
    """Weights of `models.membership`; empty where the model says nothing of strengths, as in cards of before there were any."""


def save(url: str, card: Card, tensors: "dict[str, dict[str, Tensor]]") -> Card:
    """Write a model, in place of one that is there; returns the card as `load_card` will, its `networks` filled.

    `tensors` maps the names of the networks it has to their state. Raises InputError where the card holds NaN or
    infinity; nothing is written then.
    """
    from safetensors.torch import save as encode

    assert set(tensors) <= set(NETWORKS), f"networks are {NETWORKS}"
    store = Store(url)
    weights: dict[str, bytes] = {}
    networks: dict[str, dict[str, Any]] = {}
    for name, state in tensors.items():
        weights[name] = encode({key: value.detach().cpu().contiguous() for key, value in state.items()})
        networks[name] = {
            "file": f"{name}.safetensors",
            "sha256": hashlib.sha256(weights[name]).hexdigest(),
            "parameters": sum(value.numel() for value in state.values()),
        }
    try:
        data = json.dumps(asdict(replace(card, networks=networks)), indent=2, allow_nan=False).encode()
    except ValueError as error:
        raise InputError(
            f"The model {url} was not written, for its card holds NaN or infinity, which a training that diverged "
            "leaves; lower fit.learning_rate."
        ) from error
    written = _card(data, store.name(CARD))
    store.delete(CARD)
    for name in NETWORKS:
        if name in weights:
            store.put(networks[name]["file"], weights[name])
        else:
            store.delete(f"{name}.safetensors")
    store.put(CARD, data)
    return written


def place(url: str) -> str:
    """Where the model `url` lies: the name of a model that comes with the package, else a folder or storage URL."""
    shipped = resources.files("raycluster.models") / SHIPPED / url
    return str(shipped) if url.isidentifier() and (shipped / CARD).is_file() else url


def load_card(url: str) -> tuple[Card, str]:
    """The card of the model at `url`, and the SHA-256 of its bytes in hex, which stands for the whole model.

    Raises InputError where there is none, or it is not one this version can read.
    """
    store = Store(place(url))
    data = store.get(CARD)
    if data is None:
        raise InputError(f"{url} holds no trained model: there is no {CARD}.")
    return _card(data, store.name(CARD)), hashlib.sha256(data).hexdigest()


def _card(data: bytes, name: str) -> Card:
    try:
        values = json.loads(data)
    except ValueError as error:
        raise InputError(f"{name} is no JSON: {error}.") from error
    if not isinstance(values, dict) or "format" not in values:
        raise InputError(f"{name} is no card of a model: it has no format number.")
    if values["format"] != FORMAT:
        raise InputError(
            f"{name} is of format {values['format']!r}, and raycluster {__version__} reads format {FORMAT}; "
            "use the version that trained the model."
        )
    hints = typing.get_type_hints(Card)
    values.setdefault("strength", {})
    if missing := sorted(hints.keys() - values.keys()):
        raise InputError(f"{name} lacks {', '.join(missing)}.")
    if unknown := sorted(values.keys() - hints.keys()):
        raise InputError(f"{name} has unknown keys: {', '.join(unknown)}.")
    hints["training"] = dict[str, Any]
    for key, hint in hints.items():
        if not _fits(values[key], hint):
            raise InputError(f"The value of '{key}' in {name} has the wrong type.")
    for network, entry in values["networks"].items():
        if network not in NETWORKS or entry.keys() != _ENTRY or entry["file"] != f"{network}.safetensors":
            raise InputError(f"{name} describes a network '{network}' that raycluster does not write.")
    if values["strength"] and values["strength"].keys() != set(WEIGHTS):
        raise InputError(f"{name} does not hold the weights of strength that raycluster writes: {', '.join(WEIGHTS)}.")
    return Card(**{**values, "training": _training(values["training"], name)})


def _training(values: dict[str, Any], name: str) -> TrainingConfig:
    try:
        training = apply(TrainingConfig(), values, "it", "training.")
    except ConfigError as error:
        raise InputError(f"{name} holds no usable training configuration: {error}") from error
    if json.loads(json.dumps(asdict(training))) != values:
        raise InputError(f"{name} lacks keys of its training configuration.")
    return training


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of the annotated type."""
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if kind is types.UnionType:
        return any(_fits(value, choice) for choice in inner)
    if kind is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if kind is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    return hint is Any or type(value) is hint or (hint is float and type(value) is int)


def load_network(url: str, card: Card, name: str) -> "dict[str, Tensor]":
    """The state of network `name` of the model at `url`, on the CPU; parsed only if its bytes are those of the card.

    Raises InputError where they are missing, others, or no safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as decode

    store, entry = Store(place(url)), card.networks[name]
    data = store.get(entry["file"])
    if data is None:
        raise InputError(f"The model {url} is incomplete: there is no {entry['file']}.")
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise InputError(f"{store.name(entry['file'])} was changed or damaged; its SHA-256 is not the card's.")
    try:
        return decode(data)
    except SafetensorError as error:
        raise InputError(f"{store.name(entry['file'])} is no safetensors file: {error}.") from error


def require_width(card: Card, width: int, k: int, url: str) -> None:
    """Raise InputError unless the model at `url` fits embeddings of `width` and `k` neighbors a row."""
    if card.embedding_width not in (None, width):
        raise InputError(
            f"The model {url} was trained on embeddings of width {card.embedding_width}, these have {width}; "
            "train one with gram tokens to be free of the width."
        )
    if card.k != k and card.training.predictor.form != "relative":
        raise InputError(
            f"The model {url} was trained on {card.k} neighbors a row, and knn.k is {k}; make it {card.k}."
        )


def versions() -> dict[str, str]:
    """Versions of what decides a trained model, read without importing it."""
    own = {"raycluster": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in _PACKAGES}
