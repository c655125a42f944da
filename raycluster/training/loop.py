"""The loop that fits one network, in one worker of `world`.

Every worker holds the whole network and a part of each batch. What a step computes follows from the seed and the step
alone, so a fit that was killed goes on from its checkpoint to the very same weights, and the number of workers changes
only dropout and the order of sums.
"""

import math
import time
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
from torch.optim import SGD, AdamW, Optimizer

from raycluster.arrays import Int64
from raycluster.config.networks import FitConfig
from raycluster.errors import ConfigError, RayclusterError
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.checkpoint import State

LARGEST_GRADIENT = 1.0
"""Gradient norm that AdamW's gradients are cut to; SGD's are left as they are, as in the papers."""


class Task(Protocol):
    """One network with its samples, as a worker sees it."""

    name: str
    """For messages: filter or predictor."""
    groups: Sequence[int]
    """Training samples there are, numbered through some groups; every batch draws on each group equally."""

    @property
    def module(self) -> nn.Module:
        """The network to fit."""
        ...

    def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
        """Mean loss () of the samples `chosen` (B,); `module` is that of the task, or stands for it."""
        ...

    def describe(self, chosen: Int64) -> str:
        """Which rows or pairs the samples are, for messages."""
        ...

    def validate(self) -> dict[str, float]:
        """Metrics of the module, in evaluation mode, on held-out identities; early stopping maximizes `score`."""
        ...


@dataclass(frozen=True)
class Fitted:
    """The best module a fit has seen, and how it came there."""

    tensors: dict[str, Tensor]
    """State of the module at `step`, on the CPU."""
    step: int
    steps: int
    """Steps that were done."""
    history: list[dict[str, float]]
    """One entry a look: step, loss (mean since the look before), learning_rate, seconds, and the metrics."""


class Order:
    """The order samples are taken in: of each group in turn, which has epochs of its own. A batch may lie across borders."""

    def __init__(self, seed: int, *groups: int) -> None:
        assert groups, "there is nothing to learn from"
        assert min(groups) > 0, "a group without samples has no turn"
        self.seed, self.groups = seed, groups
        self._known: dict[int, tuple[int, Int64]] = {}

    def batch(self, number: int, size: int) -> Int64:
        """Samples (size,) of batch `number` from 0: a function of seed, groups, number and size alone."""
        turn, group = np.divmod(np.arange(number * size, (number + 1) * size), len(self.groups))
        found = np.empty(size, np.int64)
        for one in np.unique(group).tolist():
            epoch, place = np.divmod(turn[group == one], self.groups[one])
            epochs = range(int(epoch[0]), int(epoch[-1]) + 1)
            taken = np.concatenate([self._of(one, each)[place[epoch == each]] for each in epochs])
            found[group == one] = sum(self.groups[:one]) + taken
        return found

    def _of(self, group: int, epoch: int) -> Int64:
        if group not in self._known or self._known[group][0] != epoch:
            seed = [self.seed, epoch, group] if group else [self.seed, epoch]
            self._known[group] = epoch, np.random.default_rng(seed).permutation(self.groups[group])
        return self._known[group][1]


def share(batch: Int64, rank: int, world: int) -> tuple[Int64, float]:
    """A worker's samples of a batch, and the weight of their mean loss.

    Weighted so, the mean over the workers is the mean loss of the whole batch, whatever the sizes of their shares.
    """
    mine = batch[rank::world]
    return mine, len(mine) * world / len(batch)


def learning_rate(step: int, config: FitConfig) -> float:
    """Of the update after `step` others: linear up to the peak at update `warmup_steps`, then cosine to zero at `steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2


def make_optimizer(module: nn.Module, config: FitConfig) -> Optimizer:
    """SGD or AdamW over all parameters; those of two dimensions or more decay, biases, gains and scalars do not."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return AdamW(groups, lr=config.learning_rate)


class _Worker:
    """The module, its optimizer and this worker's share of the batches."""

    def __init__(
        self,
        task: Task,
        config: FitConfig,
        seed: int,
        precision: str,
        rank: int,
        world: int,
        device: torch.device | None,
    ) -> None:
        self.task, self.config, self.seed, self.rank, self.world = task, config, seed, rank, world
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module = task.module.to(self.device).train()
        self.optimizer = make_optimizer(self.module, config)
        self.order = Order(seed, *task.groups)
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
        """What the optimizer remembers of each parameter, by `number.kind`."""
        known = self.optimizer.state_dict()["state"].items()
        return {f"{number}.{kind}": tensor for number, kinds in known for kind, tensor in kinds.items()}

    def update(self, step: int) -> float:
        """One optimizer step, after `step` others; returns the loss of the whole batch, the same on all workers."""
        mine, weight = share(self.order.batch(step, self.config.batch), self.rank, self.world)
        torch.manual_seed(int(np.random.SeedSequence([self.seed, step, self.rank]).generate_state(1, np.uint64)[0]))
        with self.autocast():
            loss = weight * self.task.loss(self.model, mine)
        whole = loss.detach().double()
        if self.world > 1:
            dist.all_reduce(whole)
        value = (
            whole.item() / self.world
        )  # waits for the forward pass only: a GPU goes backward as the next batch is made
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self.config.optimizer == "adamw":
            clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.config)
        self.optimizer.step()
        return value

    def look(self) -> dict[str, float]:
        """Held-out metrics as worker 0 finds them; the others learn only the score."""
        metrics = {"score": 0.0}
        if self.rank == 0:
            self.module.eval()
            with torch.no_grad(), self.autocast():
                metrics = dict(self.task.validate())
            self.module.train()
        if self.world > 1:
            score = torch.tensor(metrics["score"], dtype=torch.float64, device=self.device)
            dist.broadcast(score, 0)
            metrics["score"] = score.item()
        return metrics

    def describe(self, step: int) -> str:
        """The samples of a step."""
        return self.task.describe(self.order.batch(step, self.config.batch))


def fit(
    task: Task,
    config: FitConfig,
    store: Store,
    folder: str,
    *,
    seed: int,
    precision: Literal["auto", "float32", "bfloat16"],
    rank: int = 0,
    world: int = 1,
    device: torch.device | None = None,
    report: Callable[[dict[str, float]], None] = lambda entry: None,
) -> Fitted:
    """Fit the task's module, from the checkpoint in `folder` where there is one; a finished fit returns at once.

    `folder` belongs to this task, configuration and seed alone; worker 0 writes it, at every look. All workers call
    `report` at every look, with the entry of the history; of the metrics, those but worker 0 know only the score. With
    several workers torch.distributed is initialized. None for `device` is a GPU where there is one.

    Raises RayclusterError on every worker where the loss or the score is NaN or infinite, ConfigError where a batch is
    smaller than `world`, and StorageError where the checkpoint is damaged.
    """
    if config.batch < world:
        raise ConfigError(f"{task.name}.fit.batch is {config.batch}: it must be at least {world}, one a worker.")
    assert world == 1 or dist.get_world_size() == world, "workers that cannot reach each other"
    state = checkpoint.load(store, folder) or State()
    if not state.finished:
        worker = _Worker(task, config, seed, precision, rank, world, device)
        if state.step:
            worker.load(state)
        _go_on(worker, state, store, folder, report)
    return Fitted(state.best, state.best_step, state.step, state.history)


def _go_on(
    worker: _Worker, state: State, store: Store, folder: str, report: Callable[[dict[str, float]], None]
) -> None:
    """Train from `state` to the end of the fit."""
    config, kept = worker.config, state.step
    began = time.monotonic() - (state.history[-1]["seconds"] if state.history else 0)
    losses = []
    while not state.finished:
        losses.append(worker.update(state.step))
        state.step += 1
        if not math.isfinite(losses[-1]):
            raise _stopped(worker, state.step, kept, f"loss is {losses[-1]} on {worker.describe(state.step - 1)}")
        if state.step % config.evaluate_every and state.step < config.steps:
            continue
        metrics = worker.look()
        if not math.isfinite(metrics["score"]):
            raise _stopped(worker, state.step, kept, f"held-out score is {metrics['score']}")
        entry = {
            "step": state.step,
            "loss": fmean(losses),
            "learning_rate": learning_rate(state.step - 1, config),
            "seconds": round(time.monotonic() - began, 3),
            **metrics,
        }
        _note(state, entry, worker)
        if worker.rank == 0:
            checkpoint.save(store, folder, state)
        kept = state.step
        losses.clear()
        report(entry)


def _note(state: State, entry: dict[str, float], worker: _Worker) -> None:
    """Bring the state up to a look."""
    config = worker.config
    state.history.append(entry)
    state.module, state.optimizer = worker.module.state_dict(), worker.optimizer_tensors()
    state.stale += 1
    if entry["score"] > state.best_score:
        state.best_score, state.best_step, state.stale = entry["score"], state.step, 0
        state.best = {name: tensor.to("cpu", copy=True) for name, tensor in state.module.items()}
    state.finished = state.step == config.steps or 0 < config.patience <= state.stale


def _stopped(worker: _Worker, step: int, kept: int, why: str) -> RayclusterError:
    left = f"the last checkpoint (step {kept}) is kept" if kept else "there is no checkpoint yet"
    return RayclusterError(f"Training {worker.task.name} stopped at step {step}: the {why}; {left}.")
