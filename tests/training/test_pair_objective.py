"""Pairs that recall would score, and their loss, by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn.functional import binary_cross_entropy_with_logits as entropy

from raycluster.arrays import Ints
from raycluster.config.networks import EncoderConfig, PredictorConfig
from raycluster.kernels.edge_rules import recallable
from raycluster.models.networks.relation_predictor import PairPredictor
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.pair_objective import PairObjective
from support.labelled import K, opened

CPU = torch.device("cpu")
ENCODER = EncoderConfig(layers=1, heads=2, width=16, hidden=16, dropout=0.0)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"))


def gathered(labelled: LabelledSet, rows: Ints) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors and presence of the neighbors of rows."""
    ids = labelled.neighbor[rows]
    return torch.from_numpy(np.asarray(labelled.vectors)[ids.clip(0)]).float(), torch.from_numpy(ids >= 0)


def test_pairs_are_those_that_recall_would_score(labelled: LabelledSet) -> None:
    theta, floor = 0.4, 0.05
    config = PredictorConfig(form="pair", tokens="gram", encoder=ENCODER)
    objective = PairObjective([labelled], PairPredictor(config, K, 0), theta, floor, CPU)
    nep = np.concatenate([nep_of(labelled.tables, task) for task in row_shards(labelled.tables)])
    recalled = recallable(labelled.neighbor, nep, theta, floor)
    expected = {
        (i, rank)
        for i in labelled.anchors(held_out=False)
        for rank in range(1, K)
        if recalled[i, rank] and labelled.usable(np.array([i]), held_out=False)[0, rank]
    }
    assert set(zip(objective.row[False][0].tolist(), objective.rank[False][0].tolist(), strict=True)) == expected
    assert sum(objective.groups) == len(expected) > 0
    chosen = np.array([0, sum(objective.groups) // 2])
    i, rank = objective.row[False][0][chosen], objective.rank[False][0][chosen]
    j = labelled.neighbor[i, rank]
    (vectors_i, present_i), (vectors_j, present_j) = gathered(labelled, i), gathered(labelled, j)
    logit = objective.module(vectors_i, vectors_j, present_i, present_j, None, None)
    same = torch.from_numpy(labelled.identity[i] == labelled.identity[j]).float()
    assert objective.loss(objective.module, chosen).item() == pytest.approx(entropy(logit, same).item(), rel=1e-4)


def test_held_out_pairs_decide_the_score(labelled: LabelledSet) -> None:
    config = PredictorConfig(form="pair", tokens="gram", encoder=ENCODER)
    objective = PairObjective([labelled], PairPredictor(config, K, 0).eval(), 0.9, 0.0, CPU)
    i, rank = objective.row[True][0], objective.rank[True][0]
    assert labelled.held_out[i].all()
    j = labelled.neighbor[i, rank]
    (vectors_i, present_i), (vectors_j, present_j) = gathered(labelled, i), gathered(labelled, j)
    with torch.no_grad():
        logit = objective.module(vectors_i, vectors_j, present_i, present_j, None, None).numpy()
        metrics = objective.validate()
    same = labelled.identity[i] == labelled.identity[j]
    assert metrics["score"] == pytest.approx(average_precision_score(same, logit), abs=1e-4)
    assert metrics["share_same"] == pytest.approx(same.mean())
