"""One worker's share in a fit: open the sets, make the objective, run the loop."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from raycluster.errors import InputError
from raycluster.models.build import Network, NetworkName, build_network
from raycluster.models.card import Card, load_card
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.weights import load_network
from raycluster.pipeline.run import open_run
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.labelled_set import LabelledSet, open_set
from raycluster.training.loop import Fitted, Objective, fit
from raycluster.training.objectives import FilterObjective, LinkageObjective, RowObjective
from raycluster.training.pair_objective import PairObjective
from raycluster.training.relative_objective import RelativeObjective
from raycluster.training.standing import Standing


@dataclass(frozen=True)
class SetFolder:
    """A run folder whose neighbors have been searched, and where its labels are."""

    url: str
    label_column: str
    is_varied: bool
    """Whether it is a set of `training.varied`."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit: plain values, so that they travel to any machine."""

    network: NetworkName
    sets: tuple[SetFolder, ...]
    """The sets, the varied ones last."""
    model: str
    """Folder of a card as far as it has come, with the weights to start from if there are any."""
    folder: str
    """Where checkpoints go, below the network's name."""


def fit_network(
    request: FitRequest,
    rank: int,
    world: int,
    device: torch.device,
    report: Callable[[dict[str, float]], None],
    standing: Standing | None = None,
) -> Fitted:
    """Fit one network in one worker.

    Parameters
    ----------
    request
        What to fit.
    rank
        Number of this worker.
    world
        Workers.
    device
        Where the network is fitted.
    report
        Called at every evaluation, as `loop.fit` does.
    standing
        Written to after every step.

    Returns
    -------
    Fitted
        The best module, the same on all workers.

    Raises
    ------
    InputError
        Where no labelled row has a neighbor to learn from.
    """
    (card, _), name = load_card(request.model), request.network
    training = card.training
    sets = [
        open_set(
            open_run(labelled.url, torch.get_num_threads()),
            labelled.label_column,
            training.seed,
            training.folds,
            labelled.is_varied,
        )
        for labelled in request.sets
    ]
    torch.manual_seed(training.seed)
    network, teacher = build_network(name, card), None
    if name in card.networks:
        network.load_state_dict(load_network(request.model, card, name))
        teacher = copy.deepcopy(network).to(device).eval()
    objective = _objective(network, card, sets, device, teacher)
    if not objective.groups:
        raise InputError("No sample to train on is left: no labelled row has a neighbor that may be learned from.")
    config = training.filter.fit if name == "filter" else training.predictor.fit
    return fit(
        objective, config, Store(request.folder), name,
        seed=training.seed, precision=training.precision, device=device, rank=rank, world=world, report=report,
        standing=standing,
    )  # fmt: skip


def _objective(
    network: Network,
    card: Card,
    sets: Sequence[LabelledSet],
    device: torch.device,
    teacher: Network | None,
) -> Objective:
    """Return the objective of a network."""
    if isinstance(network, AdaptiveFilter):
        return FilterObjective(sets, network, card.training.filter.beta, device)
    if isinstance(network, RowPredictor):
        return RowObjective(sets, network, device, teacher)
    if isinstance(network, RelativePredictor):
        return RelativeObjective(sets, network, device, teacher)
    if isinstance(network, FaceTransformer):
        return LinkageObjective(sets, network, device, teacher)
    return PairObjective(sets, network, card.thresholds["theta"], card.thresholds["floor"], device)


def best_state(folder: str, network: NetworkName) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Return the best state of a finished fit below `folder`, and its history."""
    state = checkpoint.load(Store(folder), network)
    assert state is not None, "a finished fit leaves a checkpoint"
    return state.best, state.history


def progress_line(network: NetworkName, entry: dict[str, Any]) -> str:
    """Return an entry of a fit's history in words."""
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in entry.items() if name not in ("step", "seconds"))
    return f"{network}: step {entry['step']}, {numbers}, {entry['seconds']:.0f} s"
