"""Fitting: the order of samples, the shares of workers, the schedule, evaluations, faults, and going on after a kill."""

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from raycluster.arrays import Int64
from raycluster.errors import ConfigError, RayclusterError
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint, keeper
from raycluster.training.schedule import Order, learning_rate
from raycluster.training.standing import Standing
from support.toy import CONFIG, Toy, fitted

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 40)
FITS = {"sgd": CONFIG, "adamw": replace(CONFIG, optimizer="adamw", learning_rate=0.02)}


class Scripted(Toy):
    """Scores as given, whatever is learned; remembers the weights at every evaluation."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores, self.seen = list(scores), []

    def validate(self) -> dict[str, float]:
        assert not self.module.training
        assert not torch.is_grad_enabled()
        self.seen.append(weights(self.module))
        return {"score": self.scores[len(self.seen) - 1]}


class Killed(Exception):
    pass


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def kill_at(evaluation: int) -> Callable[[dict[str, float]], None]:
    """A `report` that kills the fit at the given evaluation, from 1."""
    seen: list[dict[str, float]] = []

    def report(entry: dict[str, float]) -> None:
        seen.append(entry)
        if len(seen) == evaluation:
            raise Killed

    return report


def timeless(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in history]


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_sgd_does_what_its_formula_says(tmp_path: Path) -> None:
    found = fitted(task := Toy(), CONFIG, tmp_path)
    twin, order = Toy(), Order(3, *task.groups)
    speed = [torch.zeros_like(parameter) for parameter in twin.module.parameters()]
    losses = []
    for step in range(CONFIG.steps):
        loss = twin.loss(twin.module, order.batch(step, CONFIG.batch))
        losses.append(loss.item())
        parameters = list(twin.module.parameters())
        for one, gradient, parameter in zip(speed, torch.autograd.grad(loss, parameters), parameters, strict=True):
            decay = CONFIG.weight_decay if parameter.ndim >= 2 else 0
            one.mul_(CONFIG.momentum).add_(gradient + decay * parameter.detach())
            parameter.data -= learning_rate(step, CONFIG) * one
    for name, tensor in twin.module.state_dict().items():
        torch.testing.assert_close(task.module.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)
    assert [entry["loss"] for entry in found.history] == pytest.approx(
        np.mean(np.reshape(losses, (3, 10)), axis=1).tolist(), rel=1e-4
    )


@pytest.mark.parametrize("name", FITS)
def test_only_the_gradients_of_adamw_are_clipped(tmp_path: Path, name: str) -> None:
    task = Toy()
    task.y = 1000 * task.y
    fitted(task, replace(FITS[name], learning_rate=1e-9, steps=1), tmp_path)
    norm = torch.cat([parameter.grad.flatten() for parameter in task.module.parameters()]).norm().item()
    assert norm == pytest.approx(1.0, rel=1e-4) if name == "adamw" else norm > 100


@pytest.mark.parametrize("name", FITS)
def test_a_fit_learns_and_tells_how_it_went(tmp_path: Path, name: str) -> None:
    config, reports = replace(FITS[name], steps=305, evaluate_every=100), []
    found = fitted(task := Toy(), config, tmp_path, report=reports.append)
    assert found.history == reports
    assert [entry["step"] for entry in found.history] == [100, 200, 300, 305]
    assert [entry["learning_rate"] for entry in found.history] == [
        learning_rate(s - 1, config) for s in (100, 200, 300, 305)
    ]
    seconds = [entry["seconds"] for entry in found.history]
    assert seconds == sorted(seconds)
    assert found.steps == 305
    best = max(found.history, key=lambda entry: entry["score"])
    assert found.step == best["step"]
    assert found.history[-1]["loss"] < 0.3 * task.y.var().item()
    task.module.load_state_dict(found.tensors)
    assert task.validate()["score"] == best["score"]


def test_it_stops_when_patience_is_at_an_end_and_returns_the_best(tmp_path: Path) -> None:
    task = Scripted(0.1, 0.5, 0.5, 0.4, 0.6, 0.2, 0.6, 0.3)
    found = fitted(task, replace(CONFIG, steps=1000, patience=3), tmp_path)
    assert (found.step, found.steps) == (50, 80)
    assert_same(found.tensors, task.seen[4])
    assert len(task.seen) == 8


def test_no_patience_never_stops_early(tmp_path: Path) -> None:
    found = fitted(Scripted(1.0, *[0.0] * 20), replace(CONFIG, steps=200), tmp_path)
    assert (found.step, found.steps) == (10, 200)


def test_evaluating_changes_nothing(tmp_path: Path) -> None:
    class Noisy(Toy):
        def validate(self) -> dict[str, float]:
            torch.rand(7)
            return super().validate()

    often, rarely = Noisy(dropout=0.5), Toy(dropout=0.5)
    fitted(often, replace(CONFIG, evaluate_every=1), tmp_path / "often")
    fitted(rarely, replace(CONFIG, evaluate_every=30), tmp_path / "rarely")
    assert_same(often.module.state_dict(), rarely.module.state_dict())


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("evaluations", [[1], [2], [1, 1, 1]])
def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path: Path, name: str, evaluations: list[int]) -> None:
    config = replace(FITS[name], steps=45)
    expected = fitted(straight := Toy(dropout=0.3), config, tmp_path / "straight")
    for evaluation in evaluations:
        with pytest.raises(Killed):
            fitted(Toy(dropout=0.3), config, tmp_path / "killed", report=kill_at(evaluation))
    found = fitted(task := Toy(dropout=0.3), config, tmp_path / "killed")
    assert_same(task.module.state_dict(), straight.module.state_dict())
    assert_same(found.tensors, expected.tensors)
    assert (found.step, found.steps, timeless(found.history)) == (
        expected.step, expected.steps, timeless(expected.history),
    )  # fmt: skip


def test_what_was_done_since_the_checkpoint_is_done_again(tmp_path: Path) -> None:
    class Fragile(Toy):
        steps = 0

        def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
            self.steps += 1
            if self.steps == 17:
                raise Killed
            return super().loss(module, chosen)

    expected = fitted(Toy(), CONFIG, tmp_path / "straight")
    with pytest.raises(Killed):
        fitted(Fragile(), CONFIG, tmp_path / "killed")
    assert_same(fitted(Toy(), CONFIG, tmp_path / "killed").tensors, expected.tensors)


class Signalled(Toy):
    """Sends its own process a signal in the middle of a step or of an evaluation."""

    def __init__(self, step: int = 0, evaluation: int = 0) -> None:
        super().__init__(dropout=0.3)
        self.at_step, self.at_evaluation, self.steps, self.evaluations = step, evaluation, 0, 0

    def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
        self.steps += 1
        if self.steps == self.at_step:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(module, chosen)

    def validate(self) -> dict[str, float]:
        self.evaluations += 1
        if self.evaluations == self.at_evaluation:
            os.kill(os.getpid(), signal.SIGINT)
        return super().validate()


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(("moment", "kept"), [({"step": 17}, 17), ({"evaluation": 2}, 20), ({"step": 1}, 1)])
def test_a_signal_loses_no_step(tmp_path: Path, name: str, moment: dict[str, int], kept: int) -> None:
    expected = fitted(straight := Toy(dropout=0.3), FITS[name], tmp_path / "straight")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fitted(Signalled(**moment), FITS[name], tmp_path / "killed")
    assert signal.getsignal(signal.SIGINT) is handler
    state = checkpoint.load(Store(str(tmp_path / "killed")), "training/toy")
    assert state is not None
    assert state.step == kept
    again = Signalled()
    found = fitted(again, FITS[name], tmp_path / "killed")
    assert again.steps == CONFIG.steps - kept, "the step under way was finished and saved"
    assert_same(again.module.state_dict(), straight.module.state_dict())
    assert timeless(found.history) == timeless(expected.history)


def test_a_long_stretch_without_evaluation_saves_checkpoints(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(keeper, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    config = replace(CONFIG, evaluate_every=30)
    steps: list[int] = []
    save = checkpoint.save

    def seen(store: Store, folder: str, state: checkpoint.State) -> None:
        steps.append(state.step)
        save(store, folder, state)

    monkeypatch.setattr(checkpoint, "save", seen)
    fitted(Toy(), config, tmp_path)
    assert steps == list(range(1, 31))


def test_weights_that_are_no_numbers_replace_no_checkpoint(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(keeper, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    class Exploding(Toy):
        steps = 0

        def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
            self.steps += 1
            value = super().loss(module, chosen)
            return torch.sqrt(value - value) if self.steps == 5 else value  # a loss of 0 whose gradient is NaN

    with pytest.raises(RayclusterError, match=r"stopped at step 6: .* the last checkpoint \(step 4\) is kept"):
        fitted(Exploding(), CONFIG, tmp_path)


def test_what_people_see_follows_every_step(tmp_path: Path) -> None:
    standing, lines = Standing("toy"), []

    class Watched(Toy):
        def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
            lines.append(standing.words(standing.began + 3.0))
            return super().loss(module, chosen)

    found = fitted(Watched(), CONFIG, tmp_path, standing=standing)
    assert lines[0] == "toy: step 0 of 30"
    assert lines[1].startswith("toy: step 1 of 30, loss ")
    assert f"held-out score {found.history[0]['score']:.4g} at step 10, at most 3 s left" in lines[15]


@pytest.mark.parametrize("patience", [0, 1])
def test_a_finished_fit_returns_at_once(tmp_path: Path, patience: int) -> None:
    config = replace(CONFIG, patience=patience)
    first = fitted(Scripted(0.3, 0.2, 0.1), config, tmp_path)
    assert first.steps == (20 if patience else 30)

    def fail(*_: Any) -> Any:
        raise AssertionError("it goes on")

    again = Toy()
    again.loss = again.validate = fail  # type: ignore[method-assign]
    second = fitted(again, config, tmp_path, report=fail)
    assert_same(second.tensors, first.tensors)
    assert (second.step, second.steps, second.history) == (first.step, first.steps, first.history)


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_loss_that_is_no_number_ends_it_in_a_sentence(tmp_path: Path, bad: float, word: str) -> None:
    task = Toy(samples=1000)
    batches = [Order(3, 1000).batch(number, CONFIG.batch) for number in range(30)]
    task.y[batches[22][4]] = bad
    with pytest.raises(RayclusterError) as error:
        fitted(task, CONFIG, tmp_path)
    rows = " ".join(map(str, batches[22]))
    assert str(error.value) == (
        f"Training toy stopped at step 23: the loss is {word} on rows {rows}; the last checkpoint (step 20) is kept."
    )
    kept = checkpoint.load(Store(str(tmp_path)), "training/toy")
    assert kept is not None
    assert (kept.step, kept.finished) == (20, False)
    assert all(bool(tensor.isfinite().all()) for tensor in kept.module.values())


def test_a_loss_that_is_no_number_before_the_first_checkpoint(tmp_path: Path) -> None:
    task = Toy(samples=7)
    task.x[3] = math.nan
    with pytest.raises(RayclusterError, match=r"^Training toy stopped at step 1: .*; there is no checkpoint yet\.$"):
        fitted(task, CONFIG, tmp_path)
    assert checkpoint.load(Store(str(tmp_path)), "training/toy") is None


def test_a_score_that_is_no_number_ends_it_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RayclusterError) as error:
        fitted(Scripted(0.5, math.nan), CONFIG, tmp_path)
    assert str(error.value) == (
        "Training toy stopped at step 20: the held-out score is nan; the last checkpoint (step 10) is kept."
    )


def test_a_batch_gives_every_worker_a_sample(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^toy\.fit\.batch is 7: it must be at least 8, one per worker\.$"):
        fitted(Toy(), CONFIG, tmp_path, world=8)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_precision_is_that_of_matrix_products_alone(tmp_path: Path, precision: str) -> None:
    kinds = set()

    class Watched(Toy):
        def loss(self, module: Callable[..., Tensor], chosen: Int64) -> Tensor:
            kinds.add(module(self.x[:2]).dtype)
            return super().loss(module, chosen)

        def validate(self) -> dict[str, float]:
            kinds.add(self.module(self.x[:2]).dtype)
            return {"score": 0.0}

    found = fitted(Watched(), CONFIG, tmp_path, precision=precision, device=torch.device("cpu"))
    half = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(torch.device("cpu")))
    assert kinds == {torch.bfloat16 if half else torch.float32}
    assert {tensor.dtype for tensor in found.tensors.values()} == {torch.float32}
