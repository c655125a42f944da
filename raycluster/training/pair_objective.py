"""The objective of the form pair: pairs that edge recall scores (S1, FC-ESER).

Shapes: N rows of a set, B pairs of a batch, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from raycluster.arrays import Bool, Int64
from raycluster.kernels.edge_rules import recallable
from raycluster.models.networks.relation_predictor import PairPredictor
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.objectives import VALIDATION_BATCH, Module, describe_rows, pair_metrics
from raycluster.training.sampler import MultiSetSampler

VALIDATION_PAIRS = 8192
"""Held-out pairs, evenly spread, that an evaluation scores; a pair takes as long as 80 neighbors of the row form."""


class PairObjective:
    """One pair from both rows' neighborhoods, for pairs that edge recall would score.

    Parameters
    ----------
    sets
        The labelled sets.
    module
        The predictor to fit.
    theta
        NEP at which the walk ends.
    floor
        Least NEP of a pair that is recalled.
    device
        Where batches lie.
    """

    name = "predictor"

    def __init__(
        self, sets: Sequence[LabelledSet], module: PairPredictor, theta: float, floor: float, device: torch.device
    ) -> None:
        self.module, self.sets = module, sets
        self.row: dict[bool, list[Int64]] = {False: [], True: []}
        self.rank: dict[bool, list[Int64]] = {False: [], True: []}
        for labelled in sets:
            recalled = recall_pairs(labelled, theta, floor)
            for held_out in (False, True):
                rows = labelled.anchors(held_out)
                at, rank = np.nonzero(recalled[rows] & labelled.usable(rows, held_out))
                self.row[held_out].append(rows[at])
                self.rank[held_out].append(rank)
        self.sampler = MultiSetSampler(sets, [len(rows) for rows in self.row[False]], device)
        self.groups: Sequence[int] = self.sampler.groups
        self.held_out = MultiSetSampler(sets, [len(rows) for rows in self.row[True]], device)

    def loss(self, module: Module, chosen: Int64) -> Tensor:
        """Return the two-class cross-entropy of a batch of pairs."""
        logit, same = self._logits(module, self.sampler, chosen, False)
        return binary_cross_entropy_with_logits(logit.float(), same)

    def _logits(self, module: Module, sampler: MultiSetSampler, chosen: Int64, held_out: bool) -> tuple[Tensor, Tensor]:
        """Return logits and truth (B,) of pairs (B,)."""
        split = sampler.split(chosen)
        i = [(number, self.row[held_out][number][some]) for number, some in split]
        ranks = [self.rank[held_out][number][some] for number, some in split]
        j = [
            (number, self.sets[number].neighbor[rows, rank].astype(np.int64))
            for (number, rows), rank in zip(i, ranks, strict=True)
        ]
        vectors_i, present_i, _, topk_i = sampler.gather(i)
        vectors_j, present_j, _, topk_j = sampler.gather(j)
        identities = [self.sets[number].identity for number, _ in i]
        same = [identity[a] == identity[b] for identity, (_, a), (_, b) in zip(identities, i, j, strict=True)]
        logit = module(vectors_i, vectors_j, present_i, present_j, topk_i, topk_j)
        return logit, sampler.tensor(same).float()

    def describe(self, chosen: Int64) -> str:
        """Return the rows i of a batch in words, for messages."""
        split = self.sampler.split(chosen)
        return describe_rows(self.sampler, [(number, self.row[False][number][some]) for number, some in split])

    def validate(self) -> dict[str, float]:
        """Return average precision and cross-entropy over held-out pairs."""
        chosen = self.held_out.spread(VALIDATION_PAIRS)
        batches = [
            self._logits(self.module, self.held_out, chosen[start : start + VALIDATION_BATCH], True)
            for start in range(0, len(chosen), VALIDATION_BATCH)
        ]
        logit, same = (torch.cat(tensors).float().cpu().numpy() for tensors in zip(*batches, strict=True))
        return pair_metrics(logit, same > 0)


def recall_pairs(labelled: LabelledSet, theta: float, floor: float) -> Bool:
    """Return which pairs of a set edge recall scores (S1, FC-ESER).

    Parameters
    ----------
    labelled
        The set.
    theta
        NEP at which the walk ends. Raising it leaves more pairs to recall.
    floor
        Least NEP of a recalled pair. Raising it leaves fewer.

    Returns
    -------
    bool (N, K)
        True where a pair is scored.
    """
    tables, neighbor = labelled.tables, labelled.neighbor
    shards = [recallable(neighbor[task.rows], nep_of(tables, task), theta, floor) for task in row_shards(tables)]
    return np.concatenate(shards)
