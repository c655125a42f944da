"""What a fit saves, and when."""

import time
from pathlib import Path

import pytest
import torch

from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.checkpoint import State
from raycluster.training.keeper import SECONDS_BETWEEN_CHECKPOINTS, Keeper


def test_only_worker_0_saves_and_only_numbers(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    good = State(step=3, module={"weight": torch.ones(2)}, losses=[0.5, 0.25])
    Keeper(store, "fit", 1, State()).save(good)
    keeper = Keeper(store, "fit", 0, State())
    keeper.save(State(step=3, module={"weight": torch.tensor([float("nan")])}))
    keeper.save(State(step=0, module={"weight": torch.ones(2)}))
    assert store.files() == []
    keeper.save(good)
    assert keeper.kept == 3
    kept = checkpoint.load(store, "fit")
    assert kept is not None
    assert kept.losses == [0.5, 0.25]
    assert kept.seconds >= 0


def test_it_is_due_once_per_minute_and_time_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    keeper = Keeper(Store(str(tmp_path)), "fit", 0, State(seconds=40.0))
    now[0] += SECONDS_BETWEEN_CHECKPOINTS - 1
    assert not keeper.is_due
    now[0] += 1
    assert keeper.is_due
    assert keeper.seconds == 100.0
    keeper.save(State(step=1, module={"weight": torch.ones(1)}))
    assert not keeper.is_due
