"""The objective of the form relative, and how its batches are varied.

Shapes: S sets, B rows of a batch, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raycluster.models.neighbor_profiles import NeighborProfiles
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.relative_terms import MOST, UNITS
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.objectives import RowObjective
from raycluster.training.sampler import MultiSetSampler, RowsOfSets

LIST_DIVISORS = (1, 1, 2, 4)
"""Equally likely divisors of K: half of the batches have whole lists, a quarter their first half, a quarter their first quarter.
So the network holds for any number of neighbors."""
BLUR = 0.05
"""Standard deviation of the noise on a set's setting, whose entries are of order 1: a network must not recognize a set by them.
Raising it makes the network rely on them less."""
WITHOUT_SETTING = 0.2
"""Share of sets per batch whose setting is zero, as in the second pass of inference (`RelativePredictor.forward`)."""


class RelativeObjective(RowObjective):
    """All neighbors of a row scored at once, on the scale of the row's set.

    In training the lists are cut and the sets' settings are blurred at random.

    Parameters
    ----------
    sets
        The labelled sets.
    module
        The predictor to fit.
    device
        Where batches lie.
    teacher
        The network that fitting starts from, if any, as `RowObjective` reads it.
    """

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        module: RelativePredictor,
        device: torch.device,
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__(sets, module, device, teacher)
        self.k = min(MOST, *(labelled.neighbor.shape[1] for labelled in sets))
        self.profiles = [NeighborProfiles(labelled.neighbor, labelled.similarity) for labelled in sets]
        self.statistics = module.statistics_tensor([labelled.statistics for labelled in sets], device)

    def _inputs(self, sampler: MultiSetSampler, rows: RowsOfSets) -> tuple[Any, ...]:
        vectors, present, _, _ = sampler.gather(rows)
        k, statistics = self.k, self.statistics
        if self.module.training:
            k = -(-self.k // LIST_DIVISORS[int(torch.randint(len(LIST_DIVISORS), ()))])
            statistics = blurred(statistics)
        gathered = [self.profiles[number].gather(some, k) for number, some in rows]
        return_rank, profile = (sampler.tensor(arrays) for arrays in zip(*gathered, strict=True))
        set_number = sampler.tensor([np.full(len(some), number) for number, some in rows])
        return vectors[:, :k], present[:, :k], return_rank, profile, statistics, set_number


def blurred(statistics: Tensor) -> Tensor:
    """Return statistics (S, SET_WIDTH) with noise on their setting, some with none.

    The units, by which cosines are read, stay as they are.
    """
    noise = BLUR * torch.randn_like(statistics)
    noise[:, :UNITS] = 0
    has_setting = torch.rand(len(statistics), 1, device=statistics.device) >= WITHOUT_SETTING
    return torch.cat([statistics[:, :UNITS], (statistics + noise)[:, UNITS:] * has_setting], dim=1)
