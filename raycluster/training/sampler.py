"""Batches over several sets: samples numbered through, and gathered onto a device.

Shapes: B samples of a batch, K neighbors per row with the row itself at rank 0, D width of the widest set's vectors.
R is the number of rows that a batch encodes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from raycluster.arrays import Array, Int64
from raycluster.models.neighborhoods import Neighborhoods
from raycluster.training.labelled_set import LabelledSet

RowsOfSets = list[tuple[int, Int64]]
"""Rows of several sets: the number of a set, and rows (M,) of it."""


class MultiSetSampler:
    """Numbers the samples of several sets through, and gathers batches of them.

    Samples are in two groups that weigh the same: those of the plain sets and those of the sets of `training.varied`.

    Parameters
    ----------
    sets
        The sets, the varied ones last.
    counts
        Samples per set.
    device
        Where batches lie.
    """

    def __init__(self, sets: Sequence[LabelledSet], counts: Sequence[int], device: torch.device) -> None:
        self.sets, self.device = sets, device
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        first_varied = sum(not labelled.is_varied for labelled in sets)
        assert all(labelled.is_varied for labelled in sets[first_varied:]), "varied sets come last"
        self.groups = [num for num in (sum(counts[:first_varied]), sum(counts[first_varied:])) if num]
        self.width = max(labelled.vectors.shape[1] for labelled in sets)
        self.neighborhoods = [Neighborhoods(labelled.neighbor, labelled.vectors, device) for labelled in sets]

    def spread(self, most: int) -> Int64:
        """Return at most `most` samples, equally many per group and evenly spread in each."""
        chosen, start = [], 0
        for num in self.groups:
            places = np.linspace(start, start + num - 1, min(num, most // len(self.groups)))
            chosen.append(np.unique(places.astype(np.int64)))
            start += num
        return np.concatenate(chosen)

    def mean(self, value: Tensor, weight: Tensor, chosen: Int64) -> Tensor:
        """Return the mean over groups of a group's weighted mean.

        So a set with few labels is not lost among others with many.

        Parameters
        ----------
        value
            (B, K), in the order of `split`.
        weight
            (B, K), 0 for what does not count.
        chosen
            (B,) the samples, in any order.

        Returns
        -------
        Tensor
            A scalar.
        """
        first = int(np.count_nonzero(chosen < self.groups[0]))
        pieces = [piece for piece in (slice(0, first), slice(first, len(chosen))) if piece.start < piece.stop]
        means = [(value[piece] * weight[piece]).sum() / weight[piece].sum().clamp(min=1) for piece in pieces]
        return torch.stack(means).mean()

    def split(self, chosen: Int64) -> RowsOfSets:
        """Return the samples (B,) by set: the set's number and their numbers within it."""
        number = np.searchsorted(self.starts, chosen, side="right") - 1
        return [(int(at), chosen[number == at] - self.starts[at]) for at in np.unique(number)]

    def gather(self, rows: RowsOfSets) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], Tensor | None]:
        """Gather the neighborhoods of rows.

        Vectors of a narrower set are filled up with zeros, which changes no cosine: only Gram tokens mix widths.

        Parameters
        ----------
        rows
            The rows of a batch.

        Returns
        -------
        tuple
            Vectors (B, K, D), present (B, K), background (median and spread, each (B, 1, 1)), Top-K (B,) or None.
        """
        gathered = [self.neighborhoods[number].gather(some) for number, some in rows]
        vectors = torch.cat([pad(one, (0, self.width - one.shape[2])) for one, _ in gathered])
        present = torch.cat([one for _, one in gathered])
        background = torch.tensor([self.sets[number].background for number, some in rows for _ in some])
        median, spread = background.to(self.device).float()[:, :, None, None].unbind(1)
        topk = None
        if self.sets[0].topk is not None:
            topk = self.tensor([np.asarray(self.sets[number].topk)[some] for number, some in rows])
        return vectors, present, (median, spread), topk

    def gather_listed(self, rows: RowsOfSets, nearest: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gather the neighborhoods of all rows that some rows list, each once.

        Parameters
        ----------
        rows
            The rows of a batch.
        nearest
            Neighbors per listed row, the row itself included.

        Returns
        -------
        tuple
            Vectors (R, nearest, D) and present (R, nearest) of the listed rows; the place (B, K) of every neighbor among
            them, and present (B, K).
        """
        gathered, places, is_present, count = [], [], [], 0
        for number, some in rows:
            ids = self.sets[number].neighbor[some]
            listed, place = np.unique(ids.clip(min=0), return_inverse=True)
            gathered.append(self.neighborhoods[number].gather(listed, nearest))
            places.append(place.reshape(ids.shape) + count)
            is_present.append(ids >= 0)
            count += len(listed)
        vectors, near = (torch.cat(tensors) for tensors in zip(*gathered, strict=True))
        return vectors, near, self.tensor(places), self.tensor(is_present)

    def tensor(self, arrays: Sequence[Array]) -> Tensor:
        """Return arrays of several sets as one tensor on the device."""
        return torch.from_numpy(np.concatenate(arrays)).to(self.device)
