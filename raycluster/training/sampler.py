"""Batches: samples of several sets numbered through, in two groups that weigh the same, and gathered onto a device."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from raycluster.arrays import Int64
from raycluster.models.neighborhoods import Neighborhoods
from raycluster.training.labelled_set import LabelledSet


class OverSets:
    """Samples numbered through several sets, and gathered from them as one batch.

    `counts` says how many each set has. The sets of `training.varied` come last and are a group of their own.
    """

    def __init__(self, sets: Sequence[LabelledSet], counts: Sequence[int], device: torch.device) -> None:
        self.sets, self.device = sets, device
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        first = sum(not part.varied for part in sets)
        assert all(part.varied for part in sets[first:]), "varied sets come last"
        self.groups = [samples for samples in (sum(counts[:first]), sum(counts[first:])) if samples]
        self.width = max(part.vectors.shape[1] for part in sets)
        self.neighborhoods = [Neighborhoods(part.neighbor, part.vectors, device) for part in sets]

    def some(self, most: int) -> Int64:
        """At most `most` samples, of the groups equally, and evenly spread in each."""
        found, start = [], 0
        for samples in self.groups:
            spread = np.linspace(start, start + samples - 1, min(samples, most // len(self.groups)))
            found.append(np.unique(spread.astype(np.int64)))
            start += samples
        return np.concatenate(found)

    def mean(self, value: Tensor, weight: Tensor, chosen: Int64) -> Tensor:
        """Mean () over the groups of their weighted mean; value and weight (B, K) of the samples `chosen` in the order of
        `split`. So a set with few known labels is not lost among others with many."""
        first = int(np.count_nonzero(chosen < self.groups[0]))
        parts = [part for part in (slice(0, first), slice(first, len(chosen))) if part.start < part.stop]
        means = [(value[part] * weight[part]).sum() / weight[part].sum().clamp(min=1) for part in parts]
        return torch.stack(means).mean()

    def split(self, chosen: Int64) -> list[tuple[int, Int64]]:
        """For every set that `chosen` samples (B,) fall in, its number and their numbers in it; in the order of sets."""
        of = np.searchsorted(self.starts, chosen, side="right") - 1
        return [(int(part), chosen[of == part] - self.starts[part]) for part in np.unique(of)]

    def gather(self, rows: list[tuple[int, Int64]]) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], Tensor | None]:
        """Vectors (B, K, D), present (B, K), background and Top-K (B,) of rows of several sets.

        Sets of another width are filled up with zeros, which changes no cosine: only Gram tokens mix widths.
        """
        found = [self.neighborhoods[part].gather(some) for part, some in rows]
        vectors = torch.cat([pad(each, (0, self.width - each.shape[2])) for each, _ in found])
        each = torch.tensor([self.sets[part].background for part, some in rows for _ in some], device=self.device)
        topk = None
        if self.sets[0].topk is not None:
            counts = np.concatenate([np.asarray(self.sets[part].topk)[some] for part, some in rows])
            topk = torch.from_numpy(counts).to(self.device)
        background = each[:, 0, None, None].float(), each[:, 1, None, None].float()
        return vectors, torch.cat([present for _, present in found]), background, topk

    def gather_twice(self, rows: list[tuple[int, Int64]], nearest: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For every row that rows of several sets list, the vectors (R, nearest, D) of its own nearest neighbors and which
        are present (R, nearest); then its place among them for every neighbor (B, K), and which of those are present.
        """
        found, places, there, count = [], [], [], 0
        for part, some in rows:
            ids = self.sets[part].neighbor[some]
            listed, place = np.unique(ids.clip(min=0), return_inverse=True)
            found.append(self.neighborhoods[part].gather(listed, nearest))
            places.append(place.reshape(ids.shape) + count)
            there.append(ids >= 0)
            count += len(listed)
        vectors, near = (torch.cat(each) for each in zip(*found, strict=True))
        return vectors, near, self.tensor(places), self.tensor(there)

    def tensor(self, parts: Sequence[npt.NDArray[np.generic]]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(self.device)
