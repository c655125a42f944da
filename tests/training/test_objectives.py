"""Samples, losses and held-out metrics of the objectives per row, against sums made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn.functional import binary_cross_entropy_with_logits as entropy

from raycluster.config.networks import EncoderConfig, FilterConfig, FitConfig, PredictorConfig
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.storage.object_store import Store
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.loop import Fitted, fit
from raycluster.training.objectives import FilterObjective, LinkageObjective, RowObjective, true_topk
from support.labelled import K, opened

CPU = torch.device("cpu")
ENCODER = EncoderConfig(layers=1, heads=2, width=16, hidden=16, dropout=0.0)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledSet]:
    """Two sets of different width."""
    folder = tmp_path_factory.mktemp("sets")
    return [opened(folder / "wide"), opened(folder / "narrow", width=12)]


def predictor(form: Any) -> PredictorConfig:
    return PredictorConfig(form=form, tokens="gram", encoder=ENCODER)


def gathered(labelled: LabelledSet, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors and presence of the neighbors of rows."""
    ids = labelled.neighbor[rows]
    return torch.from_numpy(np.asarray(labelled.vectors)[ids.clip(0)]).float(), torch.from_numpy(ids >= 0)


def test_rows_of_all_sets_are_samples_and_their_loss_is_the_mean_over_usable_pairs(sets: list[LabelledSet]) -> None:
    objective = RowObjective(sets, RowPredictor(predictor("row"), K, 0), CPU)
    training = [labelled.anchors(held_out=False) for labelled in sets]
    assert sum(objective.groups) == sum(map(len, training))
    chosen = np.array([3, sum(objective.groups) - 2, 7, len(training[0])])
    wanted = [(0, training[0][[3, 7]]), (1, training[1][[-2, 0]])]
    total, pairs = 0.0, 0
    for number, rows in wanted:
        labelled = sets[number]
        vectors, present = gathered(labelled, rows)
        logit = objective.module(vectors, present, None, labelled.background)
        usable = torch.from_numpy(labelled.usable(rows, held_out=False))
        same = torch.from_numpy(labelled.same(rows)).float()
        total += entropy(logit[usable], same[usable], reduction="sum").item()
        pairs += int(usable.sum())
    assert objective.loss(objective.module, chosen).item() == pytest.approx(total / pairs, rel=1e-4)
    assert f"a batch of rows {wanted[0][1][0]}, {wanted[0][1][1]}" in objective.describe(chosen)


def test_held_out_rows_decide_the_score_of_the_row_form(sets: list[LabelledSet]) -> None:
    objective = RowObjective(sets, RowPredictor(predictor("row"), K, 0).eval(), CPU)
    logits, truth = [], []
    with torch.no_grad():
        for labelled in sets:
            rows = labelled.anchors(held_out=True)
            logit = objective.module(*gathered(labelled, rows), None, labelled.background).numpy()
            judged = labelled.usable(rows, held_out=True)
            logits.append(logit[judged])
            truth.append(labelled.same(rows)[judged])
        found = objective.validate()
    same = np.concatenate(truth)
    assert found["score"] == pytest.approx(average_precision_score(same, np.concatenate(logits)), abs=1e-4)
    assert found["share_same"] == pytest.approx(same.mean())


def test_a_teacher_says_what_labels_do_not(sets: list[LabelledSet]) -> None:
    """The loss by hand: labels where known, else the teacher's word, over all neighbors there are."""
    torch.manual_seed(0)
    teacher = RowPredictor(predictor("row"), K, 0).eval()
    objective = RowObjective(sets[:1], RowPredictor(predictor("row"), K, 0), CPU, teacher)
    labelled, chosen = sets[0], np.array([0, 5, 11])
    rows = labelled.anchors(held_out=False)[chosen]
    inputs = (*gathered(labelled, rows), None, labelled.background)
    known, others = labelled.usable(rows, held_out=False), labelled.others(rows)
    assert 0 < known.sum() < others.sum() == len(rows) * (K - 1)
    with torch.no_grad():
        logit, told = objective.module(*inputs).double().numpy(), teacher(*inputs).double().sigmoid().numpy()
    target = np.where(known, labelled.same(rows), told)
    lost = np.logaddexp(0, logit) - target * logit
    assert objective.loss(objective.module, chosen).item() == pytest.approx(lost[others].mean(), rel=1e-4)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_network_that_agrees_with_its_teacher_and_has_no_label_learns_nothing(tmp_path: Path) -> None:
    lonely = [f"person {row // 5}" if row % 5 == 0 else None for row in range(120)]
    labelled = opened(tmp_path, label=lonely)
    labelled.identity[labelled.anchors(held_out=False)[1:]] = -1
    labelled.identity[labelled.held_out] = -1
    torch.manual_seed(0)
    module, teacher = (RowPredictor(predictor("row"), K, 0).eval() for _ in range(2))
    teacher.load_state_dict(module.state_dict())
    objective = RowObjective([labelled], module, CPU, teacher)
    assert not labelled.usable(objective.rows[False][0], held_out=False).any()
    objective.loss(objective.module, np.array([0])).backward()
    assert max(parameter.grad.abs().max().item() for parameter in module.parameters()) < 1e-6


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, sets: list[LabelledSet]) -> list[LabelledSet]:
    """Two sets of the same width, the second noisier."""
    return [sets[0], opened(tmp_path_factory.mktemp("sets") / "noisy", noise=0.8)]


@pytest.mark.parametrize(("form", "hop2"), [("linkage", 3), ("distance", 3), ("linkage", 0)])
def test_linkages_are_learned_as_if_every_row_were_encoded_for_itself(
    twins: list[LabelledSet], form: Any, hop2: int
) -> None:
    """A row that several rows of a batch list is encoded once; loss and metrics are those of a row at a time."""
    config = PredictorConfig(form=form, tokens="embedding", hop2=hop2, encoder=ENCODER)
    torch.manual_seed(0)
    objective = LinkageObjective(twins, FaceTransformer(config, K, 16).eval(), CPU)
    training = [labelled.anchors(held_out=False) for labelled in twins]
    assert sum(objective.groups) == sum(map(len, training))

    def alone(labelled: LabelledSet, row: int) -> torch.Tensor:
        ids = labelled.neighbor[row]
        near = labelled.neighbor[ids, : objective.module.nearest]
        inputs = (torch.from_numpy(np.asarray(labelled.vectors)[near]), torch.from_numpy(near >= 0))
        return objective.module(*inputs, torch.arange(K)[None], torch.from_numpy(ids >= 0)[None])[0]

    chosen = np.array([3, sum(objective.groups) - 2, 7, 8, len(training[0])])
    total, pairs = 0.0, 0
    for labelled, rows in ((twins[0], training[0][[3, 7, 8]]), (twins[1], training[1][[-2, 0]])):
        for row in rows:
            usable = torch.from_numpy(labelled.usable(rows, held_out=False)[rows == row][0])
            same = torch.from_numpy(labelled.same(np.array([row]))[0]).float()
            total += entropy(alone(labelled, row)[usable], same[usable], reduction="sum").item()
            pairs += int(usable.sum())
    assert objective.loss(objective.module, chosen).item() == pytest.approx(total / pairs, rel=1e-4)
    logits, truth = [], []
    with torch.no_grad():
        for labelled in twins:
            for row in labelled.anchors(held_out=True):
                judged = labelled.usable(np.array([row]), held_out=True)[0]
                logits.append(alone(labelled, row).numpy()[judged])
                truth.append(labelled.same(np.array([row]))[0][judged])
        found = objective.validate()
    expected = average_precision_score(np.concatenate(truth), np.concatenate(logits))
    assert found["score"] == pytest.approx(expected, abs=1e-3)


def test_a_killed_fit_of_linkages_goes_on_to_the_same_weights(twins: list[LabelledSet], tmp_path: Path) -> None:
    """Rows that are listed often gather their gradients in one order."""
    encoder = replace(ENCODER, dropout=0.3, norm="after")
    config = PredictorConfig(form="linkage", tokens="embedding", hop2=3, encoder=encoder)
    steps = FitConfig(optimizer="adamw", learning_rate=0.01, warmup_steps=2, steps=12, batch=16, evaluate_every=4)

    def killed(entry: dict[str, float]) -> None:
        if entry["step"] == 8:
            raise KeyboardInterrupt

    def fitted(folder: str, **keys: Any) -> Fitted:
        torch.manual_seed(0)
        objective = LinkageObjective(twins, FaceTransformer(config, K, 16), CPU)
        return fit(
            objective, steps, Store(str(tmp_path / folder)), "predictor", seed=0, precision="auto", device=CPU, **keys
        )

    expected = fitted("straight")
    with pytest.raises(KeyboardInterrupt):
        fitted("killed", report=killed)
    found = fitted("killed")
    assert found.steps == expected.steps == 12
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, expected.tensors[name]), name


def test_a_batch_encodes_a_row_once_however_often_it_is_listed(twins: list[LabelledSet]) -> None:
    config = PredictorConfig(form="linkage", tokens="embedding", hop2=3, encoder=ENCODER)
    objective = LinkageObjective(twins, FaceTransformer(config, K, 16), CPU)
    rows = [(0, np.array([5, 6, 7])), (1, np.array([5]))]
    vectors, near, place, present = objective.sampler.gather_listed(rows, objective.nearest)
    listed = [np.unique(twins[labelled].neighbor[some]) for labelled, some in rows]
    assert len(vectors) == len(near) == sum(map(len, listed)) < present.sum()
    expected = np.concatenate([np.asarray(labelled.vectors)[ids] for labelled, ids in zip(twins, listed, strict=True)])
    np.testing.assert_array_equal(vectors[:, 0].numpy(), expected)
    own = np.concatenate(
        [np.asarray(twins[labelled].vectors)[twins[labelled].neighbor[some]] for labelled, some in rows]
    )
    np.testing.assert_array_equal(vectors[:, 0][place].numpy(), own)


@pytest.mark.parametrize("loss", ["absolute", "relative"])
def test_the_filter_is_held_to_the_true_topk(sets: list[LabelledSet], loss: Literal["absolute", "relative"]) -> None:
    config = FilterConfig(network="transformer", tokens="gram", encoder=ENCODER, loss=loss)
    objective = FilterObjective(sets, AdaptiveFilter(config, K, 0).eval(), 0.5, CPU)
    errors, truths = [], []
    with torch.no_grad():
        for labelled in sets:
            rows = labelled.anchors(held_out=True)
            truth = true_topk(labelled, rows, 0.5)
            predicted = objective.module.topk(objective.module(*gathered(labelled, rows), labelled.background)).numpy()
            errors.append(np.abs(predicted - truth))
            truths.append(truth)
        found = objective.validate()
        chosen = np.arange(4)
        rows = sets[0].anchors(held_out=False)[chosen]
        hat = objective.module(*gathered(sets[0], rows), sets[0].background)
        truth = true_topk(sets[0], rows, 0.5)
        error = hat.numpy() * K / truth - 1 if loss == "relative" else hat.numpy() * K - truth
        huber = np.where(np.abs(error) < 1, error**2 / 2, np.abs(error) - 0.5).mean() / (1 if loss == "relative" else K)
        assert objective.loss(objective.module, chosen).item() == pytest.approx(huber, rel=1e-4)
    assert found["error"] == pytest.approx(np.concatenate(errors).mean(), abs=0.1)
    assert found["score"] == -found["error"]
    all_true = np.concatenate(truths)
    assert found["error_of_median"] == pytest.approx(np.abs(np.median(all_true) - all_true).mean())
