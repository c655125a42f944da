"""Weights of a model's networks, read for torch or for numpy."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raycluster.errors import InputError
from raycluster.models.card import Card, NetworkFile, digest_of, place
from raycluster.storage.object_store import Store

if TYPE_CHECKING:
    from torch import Tensor

MOST_LOADED = 4
"""Networks that a process keeps: filter and predictor of a run's model, and of the model before it. Every step of a training
opens a new model. Raising it keeps more weights in memory."""


def load_network(url: str, card: Card, name: str) -> "dict[str, Tensor]":
    """Return the state of a network of a model, on the CPU.

    Parameters
    ----------
    url
        Folder or storage URL of the model, or the name of a shipped one.
    card
        Its card.
    name
        `filter` or `predictor`.

    Returns
    -------
    dict
        Tensors by name, as `save` received them.

    Raises
    ------
    InputError
        Where the file is missing, was changed, or is no safetensors file.
    """
    from safetensors.torch import load

    return _decoded(url, card.networks[name], load)


@functools.lru_cache(maxsize=MOST_LOADED)
def load_arrays(url: str, entry: NetworkFile) -> dict[str, Any]:
    """Return the weights of a network as numpy arrays by name, without torch.

    A process reads them once: re-joining and calibration open the model of a run again and again.

    Parameters
    ----------
    url
        Folder or storage URL of the model, or the name of a shipped one.
    entry
        The network's file, as the card has it.

    Returns
    -------
    dict
        Arrays by name, which nothing may write to.

    Raises
    ------
    InputError
        Where the file is missing, was changed, or is no safetensors file.
    """
    from safetensors.numpy import load

    return _decoded(url, entry, load)


def _decoded(url: str, entry: NetworkFile, decode: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """Return what `decode` makes of the weights of a network.

    Bytes are parsed only if their SHA-256 is the card's.
    """
    from safetensors import SafetensorError

    store = Store(place(url))
    data = store.get(entry.file)
    if data is None:
        raise InputError(f"The model {url} is incomplete: there is no {entry.file}.")
    if digest_of(data) != entry.sha256:
        raise InputError(f"{store.name(entry.file)} was changed or damaged; its SHA-256 is not the card's.")
    try:
        return decode(data)
    except SafetensorError as error:
        raise InputError(f"{store.name(entry.file)} is no safetensors file: {error}.") from error
