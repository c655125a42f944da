"""Scores per fifth of the identities, by size and by sparsity (S2).

Identities are numbered by the order of their labels. Shapes: N rows, I identities, D width.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raycluster.arrays import Ints, Vectors
from raycluster.errors import InputError
from raycluster.evaluation.metrics import Contingency, bcubed, encode, pairwise, restricted

GROUPS = 5
"""Groups of identities in the tables by size and by sparsity, as in S2 (sz-1 to sz-5)."""
_BLOCK_VALUES = 1 << 22
"""Coordinates read at once for the sparsity of identities: 32 MiB in float64. More take more memory."""
_UNIT_TOLERANCE = 1e-2
"""Difference of a squared norm from 1 that still counts as unit length: float16 vectors are off by 1e-3."""


def size_groups(truth: ArrayLike, groups: int = GROUPS) -> Ints:
    """Split identities into groups of equal count by size, as S2 (sz-1 to sz-5).

    The largest come first.

    Returns (I,) int64 in the order of np.unique(truth): 0 for the largest identities, `groups` - 1 for the smallest.
    Ties go by that order; when I is not a multiple of `groups`, the first groups have one identity more. Raises
    InputError for unusable labels (see `Contingency.of`) or `groups` below 1.
    """
    _, sizes = encode(truth, "truth")
    return _equal_groups(np.argsort(-sizes, kind="stable"), len(sizes), groups)


def sparsity_groups(truth: ArrayLike, embeddings: Vectors, groups: int = GROUPS) -> Ints:
    """Split identities into groups of equal count by ascending sparsity (S2).

    The sparsity of an identity is 1 less the mean cosine of its pairs. With n rows that mean is (|sum x|^2 - n) / (n (n - 1)).

    Parameters
    ----------
    truth : (N,)
        True labels.
    embeddings : (N, D) float32
        Unit rows, read in blocks.
    groups : int
        Number of groups.

    Returns
    -------
    (I,) int64
        As of `size_groups`; identities of one row get -1.

    Raises
    ------
    InputError
        For what cannot be used, rows that are not of unit length included.
    """
    codes, sizes = encode(truth, "truth")
    sparsity = _sparsity(codes, sizes, embeddings)
    ranked = np.argsort(sparsity, kind="stable")[: np.count_nonzero(sizes > 1)]
    return _equal_groups(ranked, len(sizes), groups)


def hard_cluster_table(
    truth: ArrayLike, predicted: ArrayLike, embeddings: Vectors | None = None
) -> dict[str, dict[str, Any]]:
    """Return scores per fifth of the identities, by size and by sparsity.

    S2 prints no convention. Here recall is over the rows of the group's identities, and precision counts wrong merges
    with rows outside the group. Pairwise precision is over the predicted pairs with at least one end in the group.
    BCubed is the mean over the group's rows with cluster sizes of the whole set. No pairs score 1, as in `pairwise`.

    Parameters
    ----------
    truth, predicted : (N,)
        True and predicted labels.
    embeddings : (N, D) float32
        Unit rows; without them there are no groups by sparsity.

    Returns
    -------
    dict
        For each group that has an identity: {"identities": int, "rows": int, "pairwise": {precision, recall, f}, "bcubed":
        likewise}.

    Raises
    ------
    InputError
        As in `size_groups`, `sparsity_groups` and `Contingency.of`.
    """
    codes, _ = encode(truth, "truth")
    table = Contingency.of(codes, predicted)
    splits = {"sz": size_groups(codes)}
    if embeddings is not None:
        splits["sp"] = sparsity_groups(codes, embeddings)
    scores: dict[str, dict[str, Any]] = {}
    for name, split in splits.items():
        for number in range(int(split.max()) + 1):
            part = restricted(table, split == number)
            counted = {"identities": len(part.identity_sizes), "rows": int(part.counts.sum())}
            scored = {"pairwise": asdict(pairwise(part)), "bcubed": asdict(bcubed(part))}
            scores[f"{name}-{number + 1}"] = counted | scored
    return scores


def _equal_groups(ranked: Ints, identities: int, groups: int) -> Ints:
    if groups < 1:
        raise InputError(f"The number of groups must be at least 1, got {groups}.")
    assigned = np.full(identities, -1, np.int64)
    for number, members in enumerate(np.array_split(ranked, groups)):
        assigned[members] = number
    return assigned


def _sparsity(codes: Ints, sizes: Ints, embeddings: Vectors) -> NDArray[np.float64]:
    """(I,) sparsity of each identity, NaN for those of one row.

    Memory is bounded by a block, whatever I is.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(codes) or embeddings.dtype != np.float32:
        shape = f"{embeddings.dtype} of shape {embeddings.shape}"
        raise InputError(f"The embeddings must be float32 of shape ({len(codes)}, D), got {shape}.")
    rows = np.argsort(codes, kind="stable")
    rows = rows[sizes[codes[rows]] > 1]
    step = max(_BLOCK_VALUES // max(embeddings.shape[1], 1), 1)
    squared = np.full(len(sizes), np.nan)
    last, carry = -1, np.zeros(embeddings.shape[1])
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        vectors = embeddings[block].astype(np.float64)
        unit = np.abs(np.einsum("nd,nd->n", vectors, vectors) - 1) < _UNIT_TOLERANCE
        if not unit.all():
            raise InputError(f"Embedding row {block[np.argmin(unit)]} is not of unit length.")
        members, starts = np.unique(codes[block], return_index=True)
        sums = np.add.reduceat(vectors, starts, axis=0)
        if members[0] == last:
            sums[0] += carry
        squared[members] = np.einsum("nd,nd->n", sums, sums)
        last, carry = members[-1], sums[-1]
    return 1 - (squared - sizes) / np.maximum(sizes * (sizes - 1), 1)
