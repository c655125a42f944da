"""A small network to fit, for tests of the training loop on one process and on Ray Train."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raycluster.arrays import Int64
from raycluster.config.networks import FitConfig
from raycluster.storage.object_store import Store
from raycluster.training.loop import Fitted, fit

CONFIG = FitConfig(
    learning_rate=0.1, weight_decay=0.01, warmup_steps=4, steps=30, batch=7, evaluate_every=10, patience=0
)


class Toy:
    """Regression of x (N, 3) on a function of it by a small network; the score is minus the held-out error."""

    name = "toy"

    def __init__(self, samples: int = 50, dropout: float = 0.0) -> None:
        self.groups = (samples,)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(samples + 20, 3, generator=generator)
        y = x[:, :1] * x[:, 1:2] + x[:, 2:]
        self.x, self.y, self.held_out = x[:samples], y[:samples], (x[samples:], y[samples:])
        torch.manual_seed(1)
        self.module = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))

    def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
        rows = torch.from_numpy(chosen)
        return ((module(self.x[rows]) - self.y[rows]) ** 2).mean()

    def describe(self, chosen: Int64) -> str:
        return f"rows {' '.join(map(str, chosen))}"

    def validate(self) -> dict[str, float]:
        error = ((self.module(self.held_out[0]) - self.held_out[1]) ** 2).mean().item()
        return {"score": -error, "error": error}


def fitted(task: Toy, config: FitConfig, folder: Path, **options: Any) -> Fitted:
    return fit(task, config, Store(str(folder)), "training/toy", **{"seed": 3, "precision": "float32", **options})
