"""A network of a model, opened on a set: weights and neighbors on one device.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, D width of the vectors.
"""

from dataclasses import dataclass

import torch

from raycluster.arrays import Int32, Vectors
from raycluster.models.arithmetic import network_device
from raycluster.models.blocks import BlockRunner, block_size
from raycluster.models.build import Network, NetworkName, build_network
from raycluster.models.card import Card
from raycluster.models.neighborhoods import Neighborhoods, free_bytes
from raycluster.models.requirements import require_width
from raycluster.models.weights import MOST_LOADED, load_network

_loaded_networks: dict[object, Network] = {}


@dataclass(frozen=True)
class OpenedNetwork:
    """A network with its weights, and the set it is applied to, on one device."""

    network: Network
    near: Neighborhoods
    runner: BlockRunner
    block: int
    """Rows or pairs computed at once."""


def open_network(
    url: str, card: Card, name: NetworkName, neighbor: Int32, vectors: Vectors, gathered: Vectors, threads: int
) -> OpenedNetwork:
    """Load a network of a model for a set.

    Parameters
    ----------
    url
        The model's folder.
    card
        The card in that folder.
    name
        The network.
    neighbor
        int32 (N, K), -1 where a list is short.
    vectors
        float32 or float16 (N, D), of unit length: the embeddings.
    gathered
        (N, ...), what the network reads: the embeddings or contexts.
    threads
        Blocks computed at once on a CPU.

    Returns
    -------
    OpenedNetwork
        In evaluation mode, on a GPU where there is one.

    Raises
    ------
    InputError
        Where the set does not fit the model, or the weights are missing or damaged.
    """
    require_width(card, vectors.shape[1], neighbor.shape[1], url)
    device = network_device()
    network = _loaded(url, card, name, device)
    near = Neighborhoods(neighbor, gathered, device)
    # after the upload, which takes its share of a GPU's memory
    block = block_size(network, device.type, free_bytes(device), vectors.shape[1])
    return OpenedNetwork(network, near, BlockRunner(device, threads), block)


def _loaded(url: str, card: Card, name: NetworkName, device: torch.device) -> Network:
    """Return a network with its weights, which a process reads once.

    Re-joining applies the model of a run to a set of its own, and calibration does so for every limit that it tries.
    """
    key = (url, name, card.networks[name].sha256, repr(card.training), card.k, card.embedding_width, device)
    if key not in _loaded_networks:
        network = build_network(name, card)
        network.load_state_dict(load_network(url, card, name))
        while len(_loaded_networks) >= MOST_LOADED:
            _loaded_networks.pop(next(iter(_loaded_networks)))  # the one that was loaded first
        _loaded_networks[key] = network.to(device).eval()
    return _loaded_networks[key]
