"""What networks learn per row: samples, loss and held-out metrics.

Shapes: B samples of a batch, R some rows, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from raycluster.arrays import Bool, Float32, Int64
from raycluster.evaluation.reliability import average_precision
from raycluster.models.networks.adaptive_filter import AdaptiveFilter, targets
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.sampler import MultiSetSampler, RowsOfSets

VALIDATION_ROWS = 2048
"""Held-out rows, evenly spread, that an evaluation scores: about 160,000 pairs. More make it slower and steadier."""
VALIDATION_BATCH = 64
"""Samples that an evaluation computes at once. Raising it takes more memory."""
EXAMPLE_ROWS = 5
"""Rows of a batch that a message names."""
Module = Callable[..., Tensor]


class FilterObjective:
    """Top-K from a row's neighborhood.

    Parameters
    ----------
    sets
        The labelled sets.
    module
        The filter to fit.
    beta
        Weight of recall in the true Top-K.
    device
        Where batches lie.
    """

    name = "filter"

    def __init__(self, sets: Sequence[LabelledSet], module: AdaptiveFilter, beta: float, device: torch.device) -> None:
        self.module, self.beta = module, beta
        self.rows = {held_out: [labelled.anchors(held_out) for labelled in sets] for held_out in (False, True)}
        self.truth = {
            held_out: [true_topk(labelled, rows, beta) for labelled, rows in zip(sets, rows_of_sets, strict=True)]
            for held_out, rows_of_sets in self.rows.items()
        }
        self.sampler = MultiSetSampler(sets, [len(rows) for rows in self.rows[False]], device)
        self.groups: Sequence[int] = self.sampler.groups
        self.held_out = MultiSetSampler(sets, [len(rows) for rows in self.rows[True]], device)

    def loss(self, module: Module, chosen: Int64) -> Tensor:
        """Return the Huber loss of a batch of rows."""
        split = self.sampler.split(chosen)
        truth = self.sampler.tensor([self.truth[False][number][some] for number, some in split])
        return self.module.loss(module(*self._inputs(self.sampler, split, False)), truth)

    def _inputs(self, sampler: MultiSetSampler, split: RowsOfSets, held_out: bool) -> tuple[Any, ...]:
        return sampler.gather([(number, self.rows[held_out][number][some]) for number, some in split])[:3]

    def describe(self, chosen: Int64) -> str:
        """Return the rows of a batch in words, for messages."""
        split = self.sampler.split(chosen)
        return describe_rows(self.sampler, [(number, self.rows[False][number][some]) for number, some in split])

    def validate(self) -> dict[str, float]:
        """Return the mean error on held-out rows, and that of the best constant.

        Both are in neighbors.
        """
        chosen = self.held_out.spread(VALIDATION_ROWS)
        predicted, truths = [], []
        for start in range(0, len(chosen), VALIDATION_BATCH):
            split = self.held_out.split(chosen[start : start + VALIDATION_BATCH])
            predicted.append(self.module.topk(self.module(*self._inputs(self.held_out, split, True))).cpu().numpy())
            truths += [self.truth[True][number][some] for number, some in split]
        truth = np.concatenate(truths)
        error = float(np.abs(np.concatenate(predicted) - truth).mean())
        return {"score": -error, "error": error, "error_of_median": float(np.abs(np.median(truth) - truth).mean())}


def true_topk(labelled: LabelledSet, rows: Int64, beta: float) -> Int64:
    """Return the Top-K that the adaptive filter should predict.

    Parameters
    ----------
    labelled
        The set.
    rows
        (R,) labelled rows.
    beta
        Weight of recall, as `adaptive_filter.targets` reads it.

    Returns
    -------
    int64 (R,)
        In 1..K.
    """
    topk = [targets(labelled.same(chunk), labelled.size[chunk], beta) for chunk in labelled.chunks(rows)]
    return np.concatenate(topk) if topk else np.empty(0, np.int64)


class RowObjective:
    """All neighbors of a row scored at once.

    Labels of a few whole identities cover nearly all of their own pairs, and few pairs of strangers. A network that saw these
    alone would take all for the same. A teacher covers the other pairs: it is the network that fitting starts from, and its
    probability is their target (learning without forgetting, Li and Hoiem 2016).

    Parameters
    ----------
    sets
        The labelled sets.
    module
        The predictor to fit.
    device
        Where batches lie.
    teacher
        The network that fitting starts from, if any, in evaluation mode.
    """

    name = "predictor"

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        module: RowPredictor | RelativePredictor | FaceTransformer,
        device: torch.device,
        teacher: nn.Module | None = None,
    ) -> None:
        self.module, self.sets, self.teacher = module, sets, teacher
        self.rows = {held_out: [labelled.anchors(held_out) for labelled in sets] for held_out in (False, True)}
        self.sampler = MultiSetSampler(sets, [len(rows) for rows in self.rows[False]], device)
        self.groups: Sequence[int] = self.sampler.groups
        self.held_out = MultiSetSampler(sets, [len(rows) for rows in self.rows[True]], device)

    def loss(self, module: Module, chosen: Int64) -> Tensor:
        """Return the cross-entropy over usable neighbors, with a teacher over all."""
        rows, inputs = self._batch(self.sampler, chosen, False)
        logit = module(*inputs).float()
        target, weight = self._truth(rows, False, logit.shape[1])
        if self.teacher is not None:
            with torch.no_grad():
                target = torch.where(weight > 0, target, self.teacher(*inputs).float().sigmoid())
            others = [self.sets[number].others(some)[:, : logit.shape[1]] for number, some in rows]
            weight = self.sampler.tensor(others).float()
        return self.sampler.mean(binary_cross_entropy_with_logits(logit, target, reduction="none"), weight, chosen)

    def _batch(self, sampler: MultiSetSampler, chosen: Int64, held_out: bool) -> tuple[RowsOfSets, tuple[Any, ...]]:
        rows = [(number, self.rows[held_out][number][some]) for number, some in sampler.split(chosen)]
        return rows, self._inputs(sampler, rows)

    def _truth(self, rows: RowsOfSets, held_out: bool, num_scored: int) -> tuple[Tensor, Tensor]:
        """Return whether the first neighbors (B, num_scored) are the same, and usable."""
        same = [self.sets[number].same(some)[:, :num_scored] for number, some in rows]
        usable = [self.sets[number].usable(some, held_out)[:, :num_scored] for number, some in rows]
        return self.sampler.tensor(same).float(), self.sampler.tensor(usable).float()

    def _inputs(self, sampler: MultiSetSampler, rows: RowsOfSets) -> tuple[Any, ...]:
        """Return what the module reads of a batch of rows."""
        vectors, present, background, topk = sampler.gather(rows)
        return vectors, present, topk, background

    def describe(self, chosen: Int64) -> str:
        """Return the rows of a batch in words, for messages."""
        split = self.sampler.split(chosen)
        return describe_rows(self.sampler, [(number, self.rows[False][number][some]) for number, some in split])

    def validate(self) -> dict[str, float]:
        """Return average precision and cross-entropy over neighbors of held-out rows."""
        chosen = self.held_out.spread(VALIDATION_ROWS)
        logits, truths = [], []
        for start in range(0, len(chosen), VALIDATION_BATCH):
            rows, inputs = self._batch(self.held_out, chosen[start : start + VALIDATION_BATCH], True)
            logit = self.module(*inputs)
            same, usable = self._truth(rows, True, logit.shape[1])
            logits.append(logit[usable > 0].float().cpu().numpy())
            truths.append(same[usable > 0].cpu().numpy() > 0)
        return pair_metrics(np.concatenate(logits), np.concatenate(truths))


class LinkageObjective(RowObjective):
    """All neighbors of a row scored at once from contexts (S3).

    A batch encodes every row that it lists once. Parameters are those of `RowObjective`.
    """

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        module: FaceTransformer,
        device: torch.device,
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__(sets, module, device, teacher)
        self.nearest = module.nearest

    def _inputs(self, sampler: MultiSetSampler, rows: RowsOfSets) -> tuple[Any, ...]:
        return sampler.gather_listed(rows, self.nearest)


def pair_metrics(logit: Float32, same: Bool) -> dict[str, float]:
    """Return the metrics of logits (M,) against truths (M,)."""
    wide = logit.astype(np.float64)
    entropy = float(np.mean(np.logaddexp(0, np.where(same, -wide, wide))))
    return {"score": average_precision(wide, same), "cross_entropy": entropy, "share_same": float(same.mean())}


def describe_rows(sampler: MultiSetSampler, rows: RowsOfSets) -> str:
    """Return the first rows of a batch in words."""
    number, some = rows[0]
    return f"a batch of rows {', '.join(map(str, some[:EXAMPLE_ROWS]))}, ... of {sampler.sets[number].tables.name}"
