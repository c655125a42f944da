"""Clustering quality, exact, from one sparse contingency table.

Its rows are true identities, and its columns predicted clusters.

Every label value is a group of its own: a noise label such as -1 is one cluster, not many singletons.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raycluster.arrays import Ints
from raycluster.errors import InputError

THRESHOLDS = (0.5, 0.9)
"""Shares of a cluster and of an identity that must agree for a match, at least 0.5: a majority, and nearly all."""


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and their harmonic mean `f` (0 when both are 0).

    Each in 0..1.
    """

    precision: float
    recall: float
    f: float


@dataclass(frozen=True, slots=True, eq=False)
class Contingency:
    """The non-empty cells n_ij of the table of I identities against C clusters.

    Every array is 1-d int64.

    counts: (cells,) rows in each cell, at least 1; cells are ordered by identity, then cluster.
    identity: (cells,) 0..I-1, the rank of the cell's true label among the distinct true labels.
    cluster: (cells,) 0..C-1, likewise for the predicted label.
    identity_sizes: (I,) rows of each identity. cluster_sizes: (C,) rows of each cluster.
    """

    counts: Ints
    identity: Ints
    cluster: Ints
    identity_sizes: Ints
    cluster_sizes: Ints

    @classmethod
    def of(cls, truth: ArrayLike, predicted: ArrayLike) -> Self:
        """Build the table from two (N,) arrays of any integer or string dtype, N >= 1.

        Raises InputError when an array is empty, not 1-d or of another dtype, or when the lengths differ.
        """
        identity, identity_sizes = encode(truth, "truth")
        cluster, cluster_sizes = encode(predicted, "predicted")
        if len(identity) != len(cluster):
            raise InputError(f"The labels differ in length: truth has {len(identity)} rows, predicted {len(cluster)}.")
        cells, counts = np.unique(identity * len(cluster_sizes) + cluster, return_counts=True)
        return cls(counts, *np.divmod(cells, len(cluster_sizes)), identity_sizes, cluster_sizes)


def pairwise(table: Contingency) -> Score:
    """Score over unordered pairs of rows.

    Precision: of the pairs put together, the true ones. Recall: of the true pairs, those put together.

    P = (sum n_ij^2 - N) / (sum_j n_.j^2 - N), and R likewise over identities. P = 1 when no pair is predicted (all
    clusters are singletons; R is then 0) and R = 1 when the truth has no pair, for there is nothing to recall.
    """
    hits = _pairs(table.counts)
    members = np.bincount(table.cluster, weights=table.counts, minlength=len(table.cluster_sizes)).astype(np.int64)
    predicted = _pairs(table.cluster_sizes) - _pairs(table.cluster_sizes - members)
    true = _pairs(table.identity_sizes)
    return _score(hits / predicted if predicted else 1.0, hits / true if true else 1.0)


def bcubed(table: Contingency) -> Score:
    """Score per row, averaged over all rows: BCubed, Amigo et al. 2009.

    Singletons count.

    P = 1/N sum n_ij^2 / n_.j and R = 1/N sum n_ij^2 / n_i.
    """
    squares = table.counts**2
    rows = table.counts.sum()
    precision = float((squares / table.cluster_sizes[table.cluster]).sum() / rows)
    return _score(precision, float((squares / table.identity_sizes[table.identity]).sum() / rows))


def nmi(table: Contingency) -> dict[str, float]:
    """Mutual information over the mean of the two entropies, 0..1.

    The mean is `arithmetic` or `geometric`.

    As in scikit-learn: 1 when both sides are a single group, 0 when only one of them is.
    """
    if len(table.identity_sizes) == 1 or len(table.cluster_sizes) == 1:
        return dict.fromkeys(("arithmetic", "geometric"), float(len(table.identity_sizes) == len(table.cluster_sizes)))
    rows = int(table.counts.sum())
    lift = (table.counts / table.identity_sizes[table.identity]) * (rows / table.cluster_sizes[table.cluster])
    mutual = max(float(table.counts @ np.log(lift)) / rows, 0.0)
    true, predicted = _entropy(table.identity_sizes), _entropy(table.cluster_sizes)
    means = {"arithmetic": (true + predicted) / 2, "geometric": math.sqrt(true * predicted)}
    return {name: min(mutual / mean, 1.0) for name, mean in means.items()}


def identity(table: Contingency, thresholds: tuple[float, ...] = THRESHOLDS) -> dict[str, float]:
    """How far clusters stand for identities one to one.

    clusters_per_identity (R#I) = clusters / identities, best at 1; singletons_per_identity (R#S) = clusters of one row
    / identities; neither is bounded by 1. f_T for each threshold T, in 0..1: F of precision = matches / clusters and
    recall = matches / identities. A match is more than T of the cluster and more than T of the identity.
    T is in [0.5, 1), where matches are one to one; InputError else.
    """
    if not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise InputError(f"Identity thresholds must be at least 0.5 and below 1, got {thresholds}.")
    identities, clusters = len(table.identity_sizes), len(table.cluster_sizes)
    larger = np.maximum(table.identity_sizes[table.identity], table.cluster_sizes[table.cluster])
    overlap = table.counts / larger
    matches = {threshold: int(np.count_nonzero(overlap > threshold)) for threshold in thresholds}
    return {
        "clusters_per_identity": clusters / identities,
        "singletons_per_identity": _singletons(table) / identities,
        **{f"f_{threshold}": _score(found / clusters, found / identities).f for threshold, found in matches.items()},
    }


def evaluate(truth: ArrayLike, predicted: ArrayLike) -> dict[str, Any]:
    """All scores of one prediction as plain ints and floats, ready for JSON.

    truth, predicted: (N,) labels as in `Contingency.of`, whose InputError this raises. Keys: rows, identities,
    clusters, singletons (clusters of one row), and pairwise, bcubed, nmi, identity as those functions return them.
    """
    table = Contingency.of(truth, predicted)
    return {
        "rows": int(table.counts.sum()),
        "identities": len(table.identity_sizes),
        "clusters": len(table.cluster_sizes),
        "singletons": _singletons(table),
        "pairwise": asdict(pairwise(table)),
        "bcubed": asdict(bcubed(table)),
        "nmi": nmi(table),
        "identity": identity(table),
    }


def evaluate_part(truth: ArrayLike, predicted: ArrayLike, subset: NDArray[np.bool_]) -> dict[str, Score]:
    """Return `pairwise` and `bcubed` of the identities with a row in `subset` (N,).

    They are scored inside the partition of all rows.

    As in `hard_cluster_table`, recall is over those identities, and precision counts wrong merges with any row.

    Parameters
    ----------
    truth, predicted
        Labels (N,), as in `Contingency.of`.
    subset
        Rows (N,) whose identities count.
    """
    table = Contingency.of(truth, predicted)
    codes, _ = encode(truth, "truth")
    chosen = np.zeros(len(table.identity_sizes), bool)
    chosen[codes[subset]] = True
    kept = restricted(table, chosen)
    return {"pairwise": pairwise(kept), "bcubed": bcubed(kept)}


def majority(truth: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return which rows are of their cluster's majority, and which share one.

    Both are (N,).

    1 or 0, and 1 / t for the rows of each of t identities that tie: the chance of being right if the tie is drawn,
    whatever the order of rows. Arguments and InputError as in `Contingency.of`.
    """
    table = Contingency.of(truth, predicted)
    most = np.zeros(len(table.cluster_sizes), np.int64)
    np.maximum.at(most, table.cluster, table.counts)
    top = table.counts == most[table.cluster]
    value = top / np.bincount(table.cluster, top)[table.cluster]
    cells = table.identity * len(most) + table.cluster
    cluster = encode(predicted, "predicted")[0]
    own = np.searchsorted(cells, encode(truth, "truth")[0] * len(most) + cluster)
    return value[own], table.cluster_sizes[cluster] > 1


def encode(labels: ArrayLike, name: str) -> tuple[Ints, Ints]:
    """Return ranks (N,) of labels among their distinct values, and rows per value.

    Both are int64.
    """
    values = np.asarray(labels)
    if values.ndim != 1 or len(values) == 0:
        raise InputError(f"The {name} labels must be a non-empty 1-d array, got shape {values.shape}.")
    if values.dtype.kind not in "iuUST":
        raise InputError(f"The {name} labels must be integers or strings, got dtype {values.dtype}.")
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if high - low < 4 * len(values) and high <= np.iinfo(np.int64).max:  # dense labels need no sort
            offsets = values.astype(np.int64) - low
            counts = np.bincount(offsets)
            present = counts > 0
            return (np.cumsum(present) - 1)[offsets], counts[present]
    _, codes, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return codes, sizes


def _score(precision: float, recall: float) -> Score:
    total = precision + recall
    return Score(precision, recall, 2 * precision * recall / total if total else 0.0)


def _pairs(sizes: Ints) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _entropy(sizes: Ints) -> float:
    shares = sizes / sizes.sum()
    return -float(shares @ np.log(shares))


def _singletons(table: Contingency) -> int:
    return int(np.count_nonzero(table.cluster_sizes == 1))


def restricted(table: Contingency, chosen: NDArray[np.bool_]) -> Contingency:
    """The cells of the chosen identities, with cluster sizes of the whole set.

    Only `pairwise` and `bcubed` can read them.
    """
    kept = chosen[table.identity]
    members = (np.cumsum(chosen) - 1)[table.identity[kept]]
    sizes = table.identity_sizes[chosen]
    return Contingency(table.counts[kept], members, table.cluster[kept], sizes, table.cluster_sizes)
