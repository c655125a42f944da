"""The loop that fits one network, in one of several workers.

Every worker holds the whole network and a share of each batch. A step follows from the seed and its number alone. So a fit
that was killed goes on from its checkpoint to the very same weights. The number of workers changes only dropout and the
order of sums.

Shapes: B samples of a batch.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from raycluster.arrays import Int64
from raycluster.config.networks import FitConfig
from raycluster.errors import ConfigError, RayclusterError
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.checkpoint import State
from raycluster.training.interrupts import Interrupts
from raycluster.training.keeper import Keeper
from raycluster.training.schedule import Order, learning_rate, make_optimizer, share
from raycluster.training.standing import Standing

Report = Callable[[dict[str, float]], None]
"""Takes the entry of an evaluation."""

LARGEST_GRADIENT = 1.0
"""Gradient norm that AdamW's gradients are cut to, the usual bound for Transformers. SGD's stay as they are, as in the papers."""


class Objective(Protocol):
    """One network with its samples, loss and held-out metrics."""

    name: str
    """For messages: filter or predictor."""
    groups: Sequence[int]
    """Training samples per group, numbered through. Every batch draws on the groups equally."""

    @property
    def module(self) -> nn.Module:
        """The network to fit."""
        ...

    def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
        """Return the mean loss, a scalar, of samples (B,).

        `module` is the objective's own, or one that stands for it.
        """
        ...

    def describe(self, chosen: Int64) -> str:
        """Return the rows or pairs of samples (B,) in words, for messages."""
        ...

    def validate(self) -> dict[str, float]:
        """Return metrics of the module, in evaluation mode, on held-out identities.

        Early stopping maximizes `score`.
        """
        ...


@dataclass(frozen=True)
class Fitted:
    """The best module of a fit, and the history of the fit."""

    tensors: dict[str, Tensor]
    """State of the module at `step`, on the CPU."""
    step: int
    steps: int
    """Optimizer steps that were done."""
    history: list[dict[str, float]]
    """One entry per evaluation: step, loss (mean since the one before), learning_rate, seconds, and the metrics."""


class _Worker:
    """The module, its optimizer and this worker's share of the batches."""

    def __init__(
        self,
        objective: Objective,
        config: FitConfig,
        seed: int,
        precision: str,
        rank: int,
        world: int,
        device: torch.device | None,
    ) -> None:
        self.objective, self.config, self.seed, self.rank, self.world = objective, config, seed, rank, world
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module = objective.module.to(self.device).train()
        self.optimizer = make_optimizer(self.module, config)
        self.order = Order(seed, *objective.groups)
        self.model = DistributedDataParallel(self.module) if world > 1 else self.module
        bfloat16 = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(self.device))
        self.autocast = partial(torch.autocast, self.device.type, torch.bfloat16, enabled=bfloat16)

    def load(self, state: State) -> None:
        """Take over a checkpoint."""
        self.module.load_state_dict(state.module)
        whole = self.optimizer.state_dict()
        for name, tensor in state.optimizer.items():
            parameter, _, kind = name.partition(".")
            whole["state"].setdefault(int(parameter), {})[kind] = tensor
        self.optimizer.load_state_dict(whole)

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Return the optimizer's state of every parameter, by `number.kind`."""
        state = self.optimizer.state_dict()["state"].items()
        return {f"{number}.{kind}": tensor for number, kinds in state for kind, tensor in kinds.items()}

    def into(self, state: State) -> State:
        """Put the tensors of this moment into a state, and return it."""
        state.module, state.optimizer = self.module.state_dict(), self.optimizer_tensors()
        return state

    def update(self, step: int) -> float:
        """Take one optimizer step, after `step` others; return the batch's loss.

        The loss is that of the whole batch, the same on all workers.
        """
        mine, weight = share(self.order.batch(step, self.config.batch), self.rank, self.world)
        torch.manual_seed(int(np.random.SeedSequence([self.seed, step, self.rank]).generate_state(1, np.uint64)[0]))
        with self.autocast():
            loss = weight * self.objective.loss(self.model, mine)
        whole = loss.detach().double()
        if self.world > 1:
            dist.all_reduce(whole)
        # waits for the forward pass only: a GPU computes the backward pass while the next batch is made
        value = whole.item() / self.world
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self.config.optimizer == "adamw":
            clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.config)
        self.optimizer.step()
        return value

    def evaluate(self) -> dict[str, float]:
        """Return the held-out metrics, computed by worker 0; others get only the score."""
        metrics = {"score": 0.0}
        if self.rank == 0:
            self.module.eval()
            with torch.no_grad(), self.autocast():
                metrics = dict(self.objective.validate())
            self.module.train()
        if self.world > 1:
            score = torch.tensor(metrics["score"], dtype=torch.float64, device=self.device)
            dist.broadcast(score, 0)
            metrics["score"] = score.item()
        return metrics

    def describe(self, step: int) -> str:
        """Return the samples of a step in words."""
        return self.objective.describe(self.order.batch(step, self.config.batch))


def fit(
    objective: Objective,
    config: FitConfig,
    store: Store,
    folder: str,
    *,
    seed: int,
    precision: Literal["auto", "float32", "bfloat16"],
    rank: int = 0,
    world: int = 1,
    device: torch.device | None = None,
    report: Report = lambda entry: None,
    standing: Standing | None = None,
) -> Fitted:
    """Fit an objective's module, from the checkpoint in `folder` where there is one.

    A finished fit returns at once.

    Parameters
    ----------
    objective
        The network and its samples.
    config
        Optimizer, batch and schedule.
    store
        Storage of the checkpoints.
    folder
        Path within it, for this objective, configuration and seed alone. Worker 0 writes it: at every evaluation,
        once per minute, and when a signal ends the job.
    seed
        Of the order of samples and of dropout.
    precision
        Of matrix products; `auto` is bfloat16 where the hardware has it.
    rank
        Number of this worker.
    world
        Workers. Several need an initialized torch.distributed.
    device
        None is a GPU where there is one.
    report
        Called by every worker at every evaluation with the entry of the history. Workers other than 0 have no metrics but
        the score.
    standing
        Written to after every step, for a line of progress.

    Returns
    -------
    Fitted
        The best module.

    Raises
    ------
    RayclusterError
        On every worker, where the loss or the score is NaN or infinite.
    ConfigError
        Where a batch is smaller than `world`.
    StorageError
        Where the checkpoint is damaged.
    """
    if config.batch < world:
        raise ConfigError(f"{objective.name}.fit.batch is {config.batch}: it must be at least {world}, one per worker.")
    assert world == 1 or dist.get_world_size() == world, "workers that cannot reach each other"
    state = checkpoint.load(store, folder) or State()
    if not state.finished:
        worker = _Worker(objective, config, seed, precision, rank, world, device)
        if state.step:
            worker.load(state)
        standing = standing or Standing(objective.name)
        standing.start(config.steps, state.step)
        _go_on(worker, state, Keeper(store, folder, rank, state), standing, report)
    return Fitted(state.best, state.best_step, state.step, state.history)


def _go_on(worker: _Worker, state: State, keeper: Keeper, standing: Standing, report: Report) -> None:
    """Train from `state` to the end; a signal ends it after a step, which is saved."""
    with Interrupts() as interrupts:
        try:
            while not state.finished:
                if not state.is_evaluation_due(worker.config):
                    with interrupts.held():
                        _take_step(worker, state, keeper.kept)
                if state.is_evaluation_due(worker.config):
                    metrics = worker.evaluate()
                    if not math.isfinite(metrics["score"]):
                        raise _stopped(worker, state.step, keeper.kept, f"held-out score is {metrics['score']}")
                    with interrupts.held():
                        _record(state, metrics, worker, keeper.seconds)
                        keeper.save(state)
                    report(state.history[-1])
                elif keeper.is_due:
                    keeper.save(worker.into(state))
                standing.take(state.step, state.losses, state.history)
        except KeyboardInterrupt:
            if keeper.kept < state.step:
                keeper.save(worker.into(state))
            raise


def _take_step(worker: _Worker, state: State, kept: int) -> None:
    """Take the next step. Raises RayclusterError where its loss is no number."""
    loss = worker.update(state.step)
    state.step += 1
    if not math.isfinite(loss):
        raise _stopped(worker, state.step, kept, f"loss is {loss} on {worker.describe(state.step - 1)}")
    state.losses.append(loss)


def _record(state: State, metrics: dict[str, float], worker: _Worker, seconds: float) -> None:
    """Bring the state up to an evaluation."""
    config = worker.config
    entry = {
        "step": state.step,
        "loss": fmean(state.losses),
        "learning_rate": learning_rate(state.step - 1, config),
        "seconds": seconds,
        **metrics,
    }
    state.history.append(entry)
    state.losses = []
    worker.into(state)
    state.stale += 1
    if entry["score"] > state.best_score:
        state.best_score, state.best_step, state.stale = entry["score"], state.step, 0
        state.best = {name: tensor.to("cpu", copy=True) for name, tensor in state.module.items()}
    state.finished = state.step == config.steps or 0 < config.patience <= state.stale


def _stopped(worker: _Worker, step: int, kept: int, why: str) -> RayclusterError:
    left = f"the last checkpoint (step {kept}) is kept" if kept else "there is no checkpoint yet"
    return RayclusterError(f"Training {worker.objective.name} stopped at step {step}: the {why}; {left}.")
