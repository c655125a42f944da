"""What the networks learn from: samples, loss and held-out metrics of the adaptive filter and the relation predictor."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from raycluster.arrays import Bool, Int64
from raycluster.evaluation.reliability import average_precision
from raycluster.kernels.edge_rules import recallable
from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.networks.adaptive_filter import AdaptiveFilter, targets
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor
from raycluster.models.networks.relative import MOST, UNITS, RelativePredictor
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.sampler import OverSets

VALIDATION_ROWS = 2048
VALIDATION_PAIRS = 8192
CHUNK = 64
Module = Callable[..., Tensor]
Rows = list[tuple[int, Int64]]
"""Rows of several sets, by the number of the set."""


class FilterTask:
    """Top-K from a row's neighborhood."""

    name = "filter"

    def __init__(self, sets: Sequence[LabelledSet], module: AdaptiveFilter, beta: float, device: torch.device) -> None:
        self.module, self.beta = module, beta
        self.rows = {held_out: [part.anchors(held_out) for part in sets] for held_out in (False, True)}
        self.truth = {
            held_out: [true_topk(part, rows, beta) for part, rows in zip(sets, of_sets, strict=True)]
            for held_out, of_sets in self.rows.items()
        }
        self.over = OverSets(sets, [len(rows) for rows in self.rows[False]], device)
        self.groups: Sequence[int] = self.over.groups
        self.checks = OverSets(sets, [len(rows) for rows in self.rows[True]], device)

    def loss(self, module: Module, chosen: Int64) -> Tensor:
        """Relative Huber loss of a batch of rows."""
        split = self.over.split(chosen)
        truth = self.over.tensor([self.truth[False][part][some] for part, some in split])
        return self.module.loss(module(*self._inputs(self.over, split, False)), truth)

    def _inputs(
        self, over: OverSets, split: list[tuple[int, Int64]], held_out: bool
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        return over.gather([(part, self.rows[held_out][part][some]) for part, some in split])[:3]

    def describe(self, chosen: Int64) -> str:
        """The rows of a batch, for messages."""
        return _describe(self.over, [(part, self.rows[False][part][some]) for part, some in self.over.split(chosen)])

    def validate(self) -> dict[str, float]:
        """Mean error in neighbors on held-out rows, the same for the constant that is best, and the score."""
        chosen = self.checks.some(VALIDATION_ROWS)
        predicted, truth = [], []
        for start in range(0, len(chosen), CHUNK):
            split = self.checks.split(chosen[start : start + CHUNK])
            predicted.append(self.module.topk(self.module(*self._inputs(self.checks, split, True))).cpu().numpy())
            truth += [self.truth[True][part][some] for part, some in split]
        right = np.concatenate(truth)
        error = float(np.abs(np.concatenate(predicted) - right).mean())
        return {"score": -error, "error": error, "error_of_median": float(np.abs(np.median(right) - right).mean())}


def true_topk(part: LabelledSet, rows: Int64, beta: float) -> Int64:
    """The Top-K (R,) that the adaptive filter should tell for labelled rows."""
    found = [targets(part.same(chunk), part.size[chunk], beta) for chunk in part.chunks(rows)]
    return np.concatenate(found) if found else np.empty(0, np.int64)


class RowTask:
    """All neighbors of a row judged at once.

    A `teacher`, the network that fitting starts from, says what labels do not: how likely a row and its unlabelled neighbor
    are one identity (learning without forgetting, Li and Hoiem 2016). Labels of a few whole identities tell of nearly all
    pairs that are the same and of few that are not, and a network that saw these alone would call everything the same.
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
        self.rows = {held_out: [part.anchors(held_out) for part in sets] for held_out in (False, True)}
        self.over = OverSets(sets, [len(rows) for rows in self.rows[False]], device)
        self.groups: Sequence[int] = self.over.groups
        self.checks = OverSets(sets, [len(rows) for rows in self.rows[True]], device)

    def loss(self, module: Module, chosen: Int64) -> Tensor:
        """Binary cross-entropy over the usable neighbors of a batch of rows, or with a teacher over all of them."""
        rows, inputs = self._batch(self.over, chosen, False)
        logit = module(*inputs).float()
        target, weight = self._truth(rows, False, logit.shape[1])
        if self.teacher is not None:
            with torch.no_grad():
                target = torch.where(weight > 0, target, self.teacher(*inputs).float().sigmoid())
            others = [self.sets[part].others(some)[:, : logit.shape[1]] for part, some in rows]
            weight = self.over.tensor(others).float()
        return self.over.mean(binary_cross_entropy_with_logits(logit, target, reduction="none"), weight, chosen)

    def _batch(self, over: OverSets, chosen: Int64, held_out: bool) -> tuple[Rows, tuple[Any, ...]]:
        rows = [(part, self.rows[held_out][part][some]) for part, some in over.split(chosen)]
        return rows, self._inputs(over, rows)

    def _truth(self, rows: Rows, held_out: bool, judged: int) -> tuple[Tensor, Tensor]:
        """Whether the first `judged` neighbors (B, judged) are the same identity, and which of them may be judged by."""
        same = [self.sets[part].same(some)[:, :judged] for part, some in rows]
        usable = [self.sets[part].known(some, held_out)[:, :judged] for part, some in rows]
        return self.over.tensor(same).float(), self.over.tensor(usable).float()

    def _inputs(self, over: OverSets, rows: Rows) -> tuple[Any, ...]:
        """What the module reads of a batch of rows."""
        vectors, present, background, topk = over.gather(rows)
        return vectors, present, topk, background

    def describe(self, chosen: Int64) -> str:
        """The rows of a batch, for messages."""
        return _describe(self.over, [(part, self.rows[False][part][some]) for part, some in self.over.split(chosen)])

    def validate(self) -> dict[str, float]:
        """Average precision and cross-entropy over the neighbors of held-out rows."""
        chosen = self.checks.some(VALIDATION_ROWS)
        logits, truths = [], []
        for start in range(0, len(chosen), CHUNK):
            rows, inputs = self._batch(self.checks, chosen[start : start + CHUNK], True)
            logit = self.module(*inputs)
            same, usable = self._truth(rows, True, logit.shape[1])
            logits.append(logit[usable > 0].float().cpu().numpy())
            truths.append(same[usable > 0].cpu().numpy() > 0)
        return _pair_metrics(np.concatenate(logits), np.concatenate(truths))


class RelativeTask(RowTask):
    """All neighbors of a row judged at once, on the scale of the row's set.

    In training half of the batches are told the first half or quarter of every list, so that the network holds for any
    number of neighbors, and scales are blurred, so that it does not know a set by its statistics.
    """

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        module: RelativePredictor,
        device: torch.device,
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__(sets, module, device, teacher)
        self.k = min(MOST, *(part.neighbor.shape[1] for part in sets))
        self.profiles = [NeighborProfiles(part.neighbor, part.similarity) for part in sets]
        self.scales = module.statistics_tensor([part.statistics for part in sets], device)

    def _inputs(self, over: OverSets, rows: Rows) -> tuple[Any, ...]:
        vectors, present, _, _ = over.gather(rows)
        k, scales = self.k, self.scales
        if self.module.training:
            k = -(-self.k // PARTS[int(torch.randint(len(PARTS), ()))])
            scales = blurred(scales)
        told = [self.profiles[part].gather(some, k) for part, some in rows]
        back, profile = (over.tensor(each) for each in zip(*told, strict=True))
        of = over.tensor([np.full(len(some), part) for part, some in rows])
        return vectors[:, :k], present[:, :k], back, profile, scales, of


PARTS = (1, 1, 2, 4)
BLUR = 0.05
UNTOLD = 0.2


def blurred(scales: Tensor) -> Tensor:
    """Scales (S, SCALE) with noise on what they tell of the setting, and some of them telling nothing of it."""
    noise = BLUR * torch.randn_like(scales)
    noise[:, :UNITS] = 0
    told = torch.rand(len(scales), 1, device=scales.device) >= UNTOLD
    return torch.cat([scales[:, :UNITS], (scales + noise)[:, UNITS:] * told], dim=1)


class LinkageTask(RowTask):
    """All neighbors of a row judged at once from contexts, which a batch encodes once for each row that it lists."""

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        module: FaceTransformer,
        device: torch.device,
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__(sets, module, device, teacher)
        self.nearest = module.nearest

    def _inputs(self, over: OverSets, rows: Rows) -> tuple[Any, ...]:
        return over.gather_twice(rows, self.nearest)


class PairTask:
    """One pair from both rows' neighborhoods. Samples are the pairs that edge recall would score."""

    name = "predictor"

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        module: PairPredictor,
        theta: float,
        floor: float,
        device: torch.device,
    ) -> None:
        self.module, self.sets = module, sets
        self.row: dict[bool, list[Int64]] = {False: [], True: []}
        self.rank: dict[bool, list[Int64]] = {False: [], True: []}
        for part in sets:
            recalled = recall_pairs(part, theta, floor)
            for held_out in (False, True):
                rows = part.anchors(held_out)
                at, rank = np.nonzero(recalled[rows] & part.known(rows, held_out))
                self.row[held_out].append(rows[at])
                self.rank[held_out].append(rank)
        self.over = OverSets(sets, [len(rows) for rows in self.row[False]], device)
        self.groups: Sequence[int] = self.over.groups
        self.checks = OverSets(sets, [len(rows) for rows in self.row[True]], device)

    def loss(self, module: Module, chosen: Int64) -> Tensor:
        """Two-class cross-entropy of a batch of pairs."""
        logit, same = self._judged(module, self.over, chosen, False)
        return binary_cross_entropy_with_logits(logit.float(), same)

    def _judged(self, module: Module, over: OverSets, chosen: Int64, held_out: bool) -> tuple[Tensor, Tensor]:
        split = over.split(chosen)
        i = [(part, self.row[held_out][part][some]) for part, some in split]
        ranks = [self.rank[held_out][part][some] for part, some in split]
        j = [
            (part, self.sets[part].neighbor[rows, rank].astype(np.int64))
            for (part, rows), rank in zip(i, ranks, strict=True)
        ]
        vectors_i, present_i, _, topk_i = over.gather(i)
        vectors_j, present_j, _, topk_j = over.gather(j)
        identity = [self.sets[part].identity for part, _ in i]
        same = over.tensor([of[a] == of[b] for of, (_, a), (_, b) in zip(identity, i, j, strict=True)]).float()
        return module(vectors_i, vectors_j, present_i, present_j, topk_i, topk_j), same

    def describe(self, chosen: Int64) -> str:
        """The anchor rows of a batch, for messages."""
        return _describe(self.over, [(part, self.row[False][part][some]) for part, some in self.over.split(chosen)])

    def validate(self) -> dict[str, float]:
        """Average precision and cross-entropy over held-out pairs."""
        chosen = self.checks.some(VALIDATION_PAIRS)
        judged = [
            self._judged(self.module, self.checks, chosen[start : start + CHUNK], True)
            for start in range(0, len(chosen), CHUNK)
        ]
        logit, same = (torch.cat(each).float().cpu().numpy() for each in zip(*judged, strict=True))
        return _pair_metrics(logit, same > 0)


def recall_pairs(part: LabelledSet, theta: float, floor: float) -> Bool:
    """Which pairs (N, K) of a set edge recall scores."""
    tasks = row_shards(part.tables)
    return np.concatenate(
        [recallable(part.neighbor[task.rows], nep_of(part.tables, task), theta, floor) for task in tasks]
    )


def _pair_metrics(logit: npt.NDArray[np.float32], same: Bool) -> dict[str, float]:
    wide = logit.astype(np.float64)
    entropy = float(np.mean(np.logaddexp(0, np.where(same, -wide, wide))))
    return {"score": average_precision(wide, same), "cross_entropy": entropy, "share_same": float(same.mean())}


def _describe(over: OverSets, rows: list[tuple[int, Int64]]) -> str:
    part, some = rows[0]
    return f"a batch of rows {', '.join(map(str, some[:5]))}, ... of {over.sets[part].tables.name}"
