"""What the form relative is varied by in training: units stay, settings are blurred or gone, lists are cut."""

import numpy as np
import pytest
import torch

from raycluster.config.networks import EncoderConfig, PredictorConfig
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.relative_terms import SET_WIDTH, UNITS
from raycluster.training import relative_objective
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.relative_objective import BLUR, WITHOUT_SETTING, RelativeObjective, blurred
from support.labelled import K, opened

CPU = torch.device("cpu")


def test_units_stay_and_settings_are_blurred_or_zero() -> None:
    torch.manual_seed(0)
    statistics = 1 + torch.rand(4000, SET_WIDTH)
    changed = blurred(statistics)
    assert torch.equal(changed[:, :UNITS], statistics[:, :UNITS])
    without = (changed[:, UNITS:] == 0).all(dim=1)
    assert without.float().mean().item() == pytest.approx(WITHOUT_SETTING, abs=0.03)
    noise = (changed - statistics)[~without, UNITS:]
    assert noise.std().item() == pytest.approx(BLUR, rel=0.05)
    assert noise.mean().abs().item() < BLUR / 20


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"))


def objective_of(labelled: LabelledSet) -> RelativeObjective:
    encoder = EncoderConfig(layers=1, heads=2, width=16, hidden=16, dropout=0.0)
    config = PredictorConfig(form="relative", tokens="gram", encoder=encoder)
    torch.manual_seed(0)
    return RelativeObjective([labelled], RelativePredictor(config, K, 0), CPU)


@pytest.mark.parametrize(("divisor", "k"), [(1, K), (2, 5), (4, 3)])
def test_lists_are_cut_in_training_alone(
    labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch, divisor: int, k: int
) -> None:
    monkeypatch.setattr(relative_objective, "LIST_DIVISORS", (divisor,))
    objective = objective_of(labelled)
    rows = [(0, labelled.anchors(held_out=False)[:4])]
    trained = objective._inputs(objective.sampler, rows)
    assert [len(value) for value in trained[:4]] == [4, 4, 4, 4]
    assert {value.shape[1] for value in trained[:4]} == {k}
    objective.module.eval()
    whole = objective._inputs(objective.sampler, rows)
    assert {value.shape[1] for value in whole[:4]} == {K}
    assert torch.equal(whole[4], objective.statistics)


def test_its_loss_falls_on_the_samples_it_is_taken_on(labelled: LabelledSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relative_objective, "LIST_DIVISORS", (1,))  # cut lists hold other shares of true pairs
    objective = objective_of(labelled)
    optimizer = torch.optim.AdamW(objective.module.parameters(), lr=3e-3)
    chosen = np.arange(sum(objective.groups))
    losses = []
    for _ in range(30):
        loss = objective.loss(objective.module, chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
