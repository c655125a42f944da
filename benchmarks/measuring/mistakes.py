"""Mistakes planted in the labels of a set.

    permuted   rows pass their labels round among themselves
    aliased    fewer than half of the rows of an identity get a label of their own
    merged     two identities get one label

Each returns the labels (N,) with mistakes, and which rows (N,) carry one: the permuted rows whose label changed, the rows of
the new label, the rows of the smaller of two merged identities.
"""

from collections.abc import Callable

import numpy as np

from raycluster.arrays import Bool, Int64

Planted = Callable[[Int64, float, np.random.Generator], tuple[Int64, Bool]]


def permuted(label: Int64, share: float, random: np.random.Generator) -> tuple[Int64, Bool]:
    """Pass the labels of a share of the rows round among them."""
    rows = random.choice(len(label), round(share * len(label)), replace=False)
    mistaken = label.copy()
    mistaken[rows] = label[random.permutation(rows)]
    return mistaken, mistaken != label


def aliased(label: Int64, share: float, random: np.random.Generator) -> tuple[Int64, Bool]:
    """Give part of a share of the identities of five rows and more another label: at least two rows, fewer than half."""
    size = np.bincount(label)
    large = np.flatnonzero(size >= 5)
    mistaken, count = label.copy(), len(size)
    for identity in random.choice(large, max(1, round(share * len(large))), replace=False):
        rows = random.permutation(np.flatnonzero(label == identity))
        mistaken[rows[: random.integers(2, (len(rows) - 1) // 2 + 1)]] = count
        count += 1
    return mistaken, mistaken != label


def merged(label: Int64, share: float, random: np.random.Generator) -> tuple[Int64, Bool]:
    """Give a share of the identities of two rows and more the label of another, no smaller one."""
    size = np.bincount(label)
    large = random.permutation(np.flatnonzero(size >= 2))
    mistaken = label.copy()
    for one, other in large[: 2 * max(1, round(share * len(large) / 2))].reshape(-1, 2):
        small, big = sorted((one, other), key=lambda identity: size[identity])
        mistaken[label == small] = big
    return mistaken, mistaken != label


PLANTED: dict[str, Planted] = {"permuted": permuted, "aliased": aliased, "merged": merged}
"""In the order of `raycluster.review.audit.KINDS`."""
