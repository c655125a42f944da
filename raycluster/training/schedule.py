"""The schedule of a fit: samples per step, shares of workers, learning rate.

Shapes: B samples of a batch.
"""

import math

import numpy as np
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from raycluster.arrays import Int64
from raycluster.config.networks import FitConfig


class Order:
    """The order in which samples are taken: of each group in turn.

    Every group has epochs of its own, and every epoch is a new permutation. A batch may lie across epochs.

    Parameters
    ----------
    seed
        Of the permutations.
    *groups
        Samples per group, each at least 1.
    """

    def __init__(self, seed: int, *groups: int) -> None:
        assert groups, "there is nothing to learn from"
        assert min(groups) > 0, "a group without samples has no turn"
        self.seed, self.groups = seed, groups
        self._permutations: dict[int, tuple[int, Int64]] = {}

    def batch(self, number: int, size: int) -> Int64:
        """Return the samples (size,) of batch `number`, from 0.

        They follow from seed, groups, number and size alone.
        """
        turn, group = np.divmod(np.arange(number * size, (number + 1) * size), len(self.groups))
        batch = np.empty(size, np.int64)
        for one in np.unique(group).tolist():
            epoch, place = np.divmod(turn[group == one], self.groups[one])
            epochs = range(int(epoch[0]), int(epoch[-1]) + 1)
            taken = np.concatenate([self._permutation(one, number)[place[epoch == number]] for number in epochs])
            batch[group == one] = sum(self.groups[:one]) + taken
        return batch

    def _permutation(self, group: int, epoch: int) -> Int64:
        """Return the order of a group's samples in an epoch; the last one is kept."""
        if group not in self._permutations or self._permutations[group][0] != epoch:
            seed = [self.seed, epoch, group] if group else [self.seed, epoch]
            self._permutations[group] = epoch, np.random.default_rng(seed).permutation(self.groups[group])
        return self._permutations[group][1]


def share(batch: Int64, rank: int, world: int) -> tuple[Int64, float]:
    """Return a worker's samples of a batch, and the weight of their mean loss.

    With these weights the mean over workers is the mean loss of the whole batch, whatever the sizes of their shares.

    Parameters
    ----------
    batch
        (B,) samples.
    rank
        Number of the worker.
    world
        Workers.

    Returns
    -------
    tuple
        Samples, every `world`-th of the batch, and the weight.
    """
    mine = batch[rank::world]
    return mine, len(mine) * world / len(batch)


def learning_rate(step: int, config: FitConfig) -> float:
    """Return the learning rate of the update after `step` others.

    It rises linearly to its peak at update `warmup_steps`. Then it stays there, or falls as a cosine to zero at `steps`.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2


def make_optimizer(module: nn.Module, config: FitConfig) -> Optimizer:
    """Return SGD or AdamW over all parameters.

    Matrices decay; biases, gains and scalars do not.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return AdamW(groups, lr=config.learning_rate)
