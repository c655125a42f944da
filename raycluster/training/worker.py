"""One worker's part in fitting one network: open the sets, make the task, run the loop."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from raycluster.errors import InputError
from raycluster.models.build import Network, build_network
from raycluster.models.card import Card, load_card, load_network
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.pipeline.run import open_run
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.labelled_set import LabelledSet, open_set
from raycluster.training.loop import Fitted, Task, fit
from raycluster.training.objectives import FilterTask, LinkageTask, PairTask, RelativeTask, RowTask


def learn(
    arguments: dict[str, Any], rank: int, world: int, device: torch.device, report: Callable[[dict[str, float]], None]
) -> Fitted:
    """Fit the network `arguments` names; the arguments are plain values, so that they travel to any machine.

    `network`, filter or predictor; `sets`, run folders, the label columns of their inputs, and whether they are of
    `training.varied`; `model`, a card as far as it has come, with the weights to start from if there are any; `folder`,
    where checkpoints go.
    """
    (card, _), name = load_card(arguments["model"]), arguments["network"]
    training = card.training
    sets = [
        open_set(open_run(url, torch.get_num_threads()), label_column, training.seed, training.folds, varied)
        for url, label_column, varied in arguments["sets"]
    ]
    torch.manual_seed(training.seed)
    network, teacher = build_network(name, card), None
    if name in card.networks:
        network.load_state_dict(load_network(arguments["model"], card, name))
        teacher = copy.deepcopy(network).to(device).eval()
    task = _task(network, card, sets, device, teacher)
    if not task.groups:
        raise InputError("No sample to train on is left: no labelled row has a neighbor that may be learned from.")
    config = training.filter.fit if name == "filter" else training.predictor.fit
    return fit(
        task, config, Store(arguments["folder"]), name,
        seed=training.seed, precision=training.precision, device=device, rank=rank, world=world, report=report,
    )  # fmt: skip


def _task(
    network: Network,
    card: Card,
    sets: Sequence[LabelledSet],
    device: torch.device,
    teacher: Network | None,
) -> Task:
    if isinstance(network, AdaptiveFilter):
        return FilterTask(sets, network, card.training.filter.beta, device)
    if isinstance(network, RowPredictor):
        return RowTask(sets, network, device, teacher)
    if isinstance(network, RelativePredictor):
        return RelativeTask(sets, network, device, teacher)
    if isinstance(network, FaceTransformer):
        return LinkageTask(sets, network, device, teacher)
    return PairTask(sets, network, card.thresholds["theta"], card.thresholds["floor"], device)


def fitted(folder: str, network: str) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """The best state of a network whose fit below `folder` is finished, and the history of its fit."""
    state = checkpoint.load(Store(folder), network)
    assert state is not None, "a finished fit leaves a checkpoint"
    return state.best, state.history


def told(network: str, entry: dict[str, Any]) -> str:
    """A line on how far a fit is."""
    seen = ", ".join(f"{name} {value:.4g}" for name, value in entry.items() if name not in ("step", "seconds"))
    return f"{network}: step {entry['step']}, {seen}, {entry['seconds']:.0f} s"
