"""The folder of a trained model: weights, and a card that describes them.

    MODEL/card.json                all but the weights.
    MODEL/filter.safetensors       weights of the adaptive filter, if any.
    MODEL/predictor.safetensors    weights of the relation predictor, if any.

The card is written last, so that a folder without one holds no model. Reading a card takes no torch.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import msgspec

from raycluster._version import __version__
from raycluster.config.checks import kinds
from raycluster.config.load import apply
from raycluster.config.networks import TrainingConfig
from raycluster.errors import ConfigError, InputError
from raycluster.models.calibration import Table
from raycluster.models.earlier_cards import fill_earlier
from raycluster.models.strength import EARLIER_WEIGHTS, WEIGHTS
from raycluster.storage.object_store import Store

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
"""Layout of the folder. It rises when versions before could not read a model; cards of another format are refused."""
CARD = "card.json"
SHIPPED = "pretrained"
"""Folder of the package with the models that come with it. Each goes by its name: `auto`."""
NETWORKS = ("filter", "predictor")
THRESHOLDS = ("theta", "floor", "eta", "closeness", "slope", "intercept", "similarity")
"""What a model may be calibrated to: limits of edges, the NEP floor of edge recall, logits to probabilities, and the slope of a
second opinion (`raycluster.models.second_opinion`)."""
PACKAGES = ("torch", "numpy", "ray", "infomap")
"""Packages that decide a trained model."""


@dataclass(frozen=True)
class NetworkFile:
    """The weights of one network."""

    file: str
    """Name of the file in the folder."""
    sha256: str
    """SHA-256 of its bytes, in hex."""
    parameters: int
    """Number of weights."""


@dataclass(frozen=True)
class TrainingSet:
    """A set that a model was trained on."""

    url: str
    rows: int
    identities: int
    """Identities with a label."""
    width: int
    """Dimensions of an embedding."""
    fingerprint: str
    """Fingerprint of the input files."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything needed to apply a model besides its weights, and its origin."""

    format: int = FORMAT
    recipe: str
    """Recipe it was trained with."""
    config: dict[str, Any]
    """Resolved configuration of the stages before it, by section and key."""
    training: TrainingConfig
    k: int
    """Length of a neighbor list, the row itself included."""
    embedding_width: int | None
    """Dimensions of the embeddings it reads; none where all tokens are gram, which fit any width."""
    data: list[TrainingSet]
    networks: dict[str, NetworkFile] = field(default_factory=dict)
    """`filter`, `predictor` or both. `save` fills it."""
    thresholds: dict[str, float]
    """Those of `THRESHOLDS` that the model was calibrated to."""
    curves: dict[str, Table]
    """What the thresholds were read from, and the reliability of scores and of `strength`."""
    confidence: Table
    """Reliability of a predicted Top-K, as `topk_confidence` returns it; empty without a filter."""
    metrics: dict[str, Any]
    """Quality on held-out identities, by network and metric, and the purpose of the training."""
    history: dict[str, Table]
    """Evaluations during the training, by network."""
    versions: dict[str, str]
    """Versions of raycluster, Python and `PACKAGES`."""
    seconds: float
    """Wall-clock time of the training."""
    strength: dict[str, float] = field(default_factory=dict)
    """Weights of `raycluster.models.strength`; empty where the model was not calibrated for it, as in early cards."""


def save(url: str, card: Card, tensors: "dict[str, dict[str, Tensor]]") -> Card:
    """Write a model in place of an earlier one.

    Parameters
    ----------
    url
        Folder or storage URL of the model.
    card
        Its card; `networks` is filled in.
    tensors
        State of the networks, by their names. A network without a state loses its file.

    Returns
    -------
    Card
        The card as `load_card` reads it.

    Raises
    ------
    InputError
        Where the card holds NaN or infinity, before anything is written.
    """
    from safetensors.torch import save as encode

    assert set(tensors) <= set(NETWORKS), f"networks are {NETWORKS}"
    store = Store(url)
    weights = {
        name: encode({key: value.detach().cpu().contiguous() for key, value in state.items()})
        for name, state in tensors.items()
    }
    networks = {
        name: NetworkFile(
            f"{name}.safetensors", digest_of(weights[name]), sum(value.numel() for value in state.values())
        )
        for name, state in tensors.items()
    }
    try:
        data = json.dumps(asdict(replace(card, networks=networks)), indent=2, allow_nan=False).encode()
    except ValueError as error:
        raise InputError(
            f"The model {url} was not written, for its card holds NaN or infinity, which a training that diverged "
            "leaves; lower fit.learning_rate."
        ) from error
    written = _card(data, store.name(CARD))
    store.delete(CARD)  # first, so that no card ever describes weights that are not its own
    for name in NETWORKS:
        if name in weights:
            store.put(networks[name].file, weights[name])
        else:
            store.delete(f"{name}.safetensors")
    store.put(CARD, data)
    return written


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def place(url: str) -> str:
    """Return the folder of a model, which may be the name of a shipped one."""
    shipped = resources.files("raycluster.models") / SHIPPED / url
    return str(shipped) if url.isidentifier() and (shipped / CARD).is_file() else url


def load_card(url: str) -> tuple[Card, str]:
    """Return the card of a model and the SHA-256 of it, which stands for the model.

    Raises InputError where there is none, or where this version cannot read it.
    """
    folder = place(url)
    store = Store(folder)
    data = store.get(CARD)
    if data is None:
        raise InputError(f"{url} holds no trained model: there is no {CARD}.")
    return _card(data, store.name(CARD)), digest_of(data)


def strength_weights(url: str) -> dict[str, float]:
    """Return the weights by which a model was calibrated for strength.

    Empty where it was not.
    """
    card, _ = load_card(url)
    return card.strength


def _card(data: bytes, name: str) -> Card:
    """Return the card in the bytes of the file `name`."""
    values = _readable(data, name)
    values.setdefault("strength", {})
    types = kinds(Card)
    if missing := sorted(types.keys() - values.keys()):
        raise InputError(f"{name} lacks {', '.join(missing)}.")
    if unknown := sorted(values.keys() - types.keys()):
        raise InputError(f"{name} has unknown keys: {', '.join(unknown)}.")
    typed: dict[str, Any] = {"training": _training(values["training"], name)}
    for key in [key for key in types if key not in typed]:
        try:
            typed[key] = msgspec.convert(values[key], types[key])
        except msgspec.ValidationError as error:
            raise InputError(f"The value of '{key}' in {name} has the wrong type: {error}.") from error
    # Whole numbers stay whole where a float is allowed, so that a card reads back as it was written.
    card = Card(**{key: typed[key] if key in ("training", "networks", "data") else values[key] for key in types})
    _require_consistency(card, values, name)
    return card


def _readable(data: bytes, name: str) -> dict[str, Any]:
    """Return the values of a card of the format that this version reads."""
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
    return values


def _require_consistency(card: Card, values: dict[str, Any], name: str) -> None:
    """Raise InputError where a card holds what `save` never writes."""
    for network, entry in card.networks.items():
        is_ours = network in NETWORKS and entry.file == f"{network}.safetensors"
        if not is_ours or asdict(entry) != values["networks"][network]:
            raise InputError(f"{name} describes a network '{network}' that raycluster does not write.")
    if [asdict(entry) for entry in card.data] != values["data"]:
        raise InputError(f"{name} has unknown keys in its 'data'.")
    if unknown := sorted(card.thresholds.keys() - set(THRESHOLDS)):
        raise InputError(f"{name} has unknown thresholds: {', '.join(unknown)}.")
    if card.strength and card.strength.keys() not in (set(WEIGHTS), set(EARLIER_WEIGHTS)):
        raise InputError(f"{name} does not hold the weights of strength that raycluster writes: {', '.join(WEIGHTS)}.")


def _training(values: Any, name: str) -> TrainingConfig:
    """Return the training configuration of a card, all of whose keys must be there."""
    if not isinstance(values, dict):
        raise InputError(f"The value of 'training' in {name} has the wrong type: it must be a mapping of keys.")
    fill_earlier(values)
    try:
        training = apply(TrainingConfig(), values, "it", "training.")
    except ConfigError as error:
        raise InputError(f"{name} holds no usable training configuration: {error}") from error
    if json.loads(json.dumps(asdict(training))) != values:
        raise InputError(f"{name} lacks keys of its training configuration.")
    return training


def versions() -> dict[str, str]:
    """Return the versions of what decides a trained model, read without importing it."""
    own = {"raycluster": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in PACKAGES}
