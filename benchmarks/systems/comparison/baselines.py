"""Clustering methods that the papers compare with.

Every method is a function, its published setting and a sweep. A function takes a `Prepared` set and settings and
returns labels int64 (N,). Rows that a method leaves as noise are singletons. Published settings of traditional methods
are those of the learn-to-cluster repository (scripts/baseline), whose rows the papers quote; elsewhere they are the
library's defaults. Random methods have seed 0.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.systems.comparison.prepared import Prepared
from raycluster.arrays import Int64
from raycluster.errors import ResourceError
from raycluster.kernels import edge_rules
from raycluster.kernels.components import components
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import pick_threshold
from raycluster.limits.random_pairs import sample_pairs

Settings = dict[str, Any]
TOUCHING = 1e-12
"""Squared distance of copies of one vector: a sparse matrix drops zeros."""


@dataclass(frozen=True)
class Baseline:
    """A method of the table."""

    labels: Callable[..., Int64]
    published: Settings
    published_by: str
    sweep: tuple[Settings, ...]
    """Settings besides the published one; the best of all by BCubed F on the labels is an oracle's choice."""
    packages: tuple[str, ...] = ()
    """Distributions whose versions decide the result."""
    neighbors: bool = True
    """Whether the method reads the neighbor table, whose time then counts."""
    oracle: bool = False
    """Whether even the published setting is told the true number of identities."""


def grid(**choices: tuple[Any, ...]) -> tuple[Settings, ...]:
    """Return every combination of the values of the settings."""
    return tuple(dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def alone(labels: npt.ArrayLike) -> Int64:
    """Return labels (N,) in which every row of noise (-1) is its own cluster."""
    found = np.array(labels, np.int64)
    noise = found < 0
    found[noise] = found.max() + 1 + np.arange(noise.sum())
    return found


def require_memory(data: Prepared, needed: float, what: str) -> None:
    """Raise ResourceError where a method needs more bytes than it may take."""
    if needed > data.memory_gib * 2**30:
        raise ResourceError(
            f"{what} of {data.rows} rows: {needed / 2**30:.3g} GiB, more than {data.memory_gib:.3g} GiB"
        )


def clusters(data: Prepared, share: float) -> int:
    """Return a number of clusters as a share of the true number of identities."""
    return min(max(round(share * data.identities), 1), data.rows)


def k_means(data: Prepared, share: float) -> Int64:
    """Return the labels of k-means on all rows from a k-means++ start (faiss).

    Lloyd's algorithm takes 25 rounds; faiss would otherwise take a sample of the rows.
    """
    import faiss

    model = faiss.Kmeans(
        data.vectors.shape[1], clusters(data, share), niter=25, seed=1, min_points_per_centroid=1,
        max_points_per_centroid=data.rows, init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
    )  # fmt: skip
    vectors = np.ascontiguousarray(data.vectors)
    model.train(vectors)
    return np.asarray(model.index.search(vectors, 1)[1][:, 0], np.int64)


def mini_batch_k_means(data: Prepared, share: float, batch: int) -> Int64:
    """Return the labels of mini-batch k-means from random rows (scikit-learn).

    A start by k-means++ takes minutes for 3,000 clusters.
    """
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(clusters(data, share), init="random", batch_size=batch, random_state=0, n_init=1)
    return np.asarray(model.fit_predict(data.vectors), np.int64)


def hierarchical(data: Prepared, linkage: Literal["average", "single"], distance: float) -> Int64:
    """Return the labels of HAC on cosine distance, cut at `distance` (scipy).

    All pairs are held twice, 16 bytes per pair.
    """
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as tree

    rows, block = data.rows, 512
    require_memory(data, 8 * rows * (rows - 1), "distances of all pairs")
    pairs, at = np.empty(rows * (rows - 1) // 2), 0
    for start in range(0, rows, block):
        apart = 1 - data.vectors[start : start + block] @ data.vectors[start:].T
        for line, row in enumerate(apart):
            part = row[line + 1 :]
            pairs[at : at + len(part)] = part
            at += len(part)
    np.maximum(pairs, 0, out=pairs)
    return np.asarray(fcluster(tree(pairs, linkage), distance, criterion="distance"), np.int64)


def dbscan(data: Prepared, eps: float, min_samples: int) -> Int64:
    """Return the labels of DBSCAN on the symmetric neighbor lists (scikit-learn)."""
    from sklearn.cluster import DBSCAN

    graph = neighbor_graph(data)
    graph.data = np.maximum(1 - graph.data, 0)
    return alone(DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(graph))


def hdbscan(data: Prepared, min_cluster_size: int, min_samples: int | None) -> Int64:
    """Return the labels of HDBSCAN* on the exact neighbor lists (fast_hdbscan).

    Given vectors of more than 30 dimensions it searches neighbors by itself, approximately and unseeded.
    """
    from fast_hdbscan import HDBSCAN
    from scipy.sparse import csr_matrix

    graph = csr_matrix(neighbor_graph(data))
    graph.data = np.sqrt(np.maximum(2 - 2 * graph.data, TOUCHING))
    model = HDBSCAN(min_cluster_size=min_cluster_size, min_samples=min_samples, metric="precomputed")
    return alone(model.fit_predict(graph))


def spectral(data: Prepared, neighbors: int) -> Int64:
    """Return the labels of spectral clustering into the true number of identities.

    The graph has the nearest `neighbors` of every row, itself included.
    """
    from sklearn.cluster import SpectralClustering

    count = clusters(data, 1)
    require_memory(data, 8 * data.rows * 4.0 * count, "eigenvectors")
    graph = neighbor_graph(data, neighbors)
    graph.data[:] = 1
    model = SpectralClustering(count, affinity="precomputed", assign_labels="cluster_qr", random_state=0)
    return np.asarray(model.fit_predict(graph), np.int64)


def approximate_rank_order(data: Prepared, threshold: float) -> Int64:
    """Return the labels of ARO, see `rank_order`."""
    from benchmarks.systems.comparison.rank_order import rank_order

    return rank_order(np.asarray(data.neighbor), threshold)


def cdp(data: Prepared, threshold: float, max_size: int) -> Int64:
    """Return the labels of CDP of a single model, see `propagation`."""
    from benchmarks.systems.comparison.propagation import propagate

    return propagate(data.neighbor, data.similarity, threshold, max_size)


def linked(data: Prepared, threshold: float | None) -> Int64:
    """Return the connected components of the edges of recipe cosine."""
    edges = cosine_edges(data, threshold)
    return components(edges["source"], edges["target"], data.rows)


def louvain(data: Prepared, threshold: float | None) -> Int64:
    """Return the labels of Louvain on the edges of recipe cosine (igraph).

    Modularity at resolution 1.
    """
    graph, weights = cosine_graph(data, threshold)
    return np.asarray(graph.community_multilevel(weights).membership, np.int64)


def leiden(data: Prepared, threshold: float | None) -> Int64:
    """Return the labels of Leiden on the edges of recipe cosine (igraph).

    Modularity at resolution 1, to convergence.
    """
    graph, weights = cosine_graph(data, threshold)
    found = graph.community_leiden("modularity", weights, n_iterations=-1)
    return np.asarray(found.membership, np.int64)


def evoc(data: Prepared, layer: int | None, min_cluster_size: int, noise_level: float) -> Int64:
    """Return the labels of EVoC.

    Layer 0 is the finest, none the one that it calls most persistent. Beyond its layers it is the coarsest.
    """
    from evoc import EVoC

    model = EVoC(base_min_cluster_size=min_cluster_size, noise_level=noise_level, random_state=0)
    model.fit(np.ascontiguousarray(data.vectors))
    layers = model.cluster_layers_
    return alone(model.labels_ if layer is None else layers[min(layer, len(layers) - 1)])


def finch(data: Prepared, layer: int) -> Int64:
    """Return the labels of FINCH, which holds all pairs of rows.

    Layer 0 is the finest. Beyond its layers it is the coarsest.
    """
    from finch import FINCH

    require_memory(data, 12.0 * data.rows**2, "distances of all pairs")
    layers = FINCH(data.vectors, distance="cosine", ann_threshold=data.rows, verbose=False)[0]
    return np.asarray(layers[:, min(layer, layers.shape[1] - 1)], np.int64)


def neighbor_graph(data: Prepared, neighbors: int | None = None) -> Any:
    """Return the lists as a symmetric matrix (N, N) of the positive cosines.

    The row itself is left out.
    """
    from scipy.sparse import csr_array

    neighbor, similarity = data.neighbor[:, 1:neighbors], data.similarity[:, 1:neighbors]
    row, rank = np.nonzero((similarity > 0) & (neighbor >= 0))
    ends = row.astype(np.int32), neighbor[row, rank]  # scikit-learn takes no 64-bit indices
    graph = csr_array((similarity[row, rank].astype(np.float64), ends), shape=(data.rows, data.rows))
    return graph.maximum(graph.T).tocsr()


def cosine_edges(data: Prepared, threshold: float | None) -> edge_rules.Columns:
    """Return the pairs whose cosine is `threshold` or more.

    None takes the threshold that is picked from the data.
    """
    if threshold is None:
        threshold = pick_threshold(data.similarity, sample_pairs(data.vectors), Lists(data.neighbor, data.vectors))[0]
    return edge_rules.threshold_edges(0, data.rows, data.neighbor, data.similarity, threshold)


def cosine_graph(data: Prepared, threshold: float | None) -> tuple[Any, Any]:
    """Return the igraph of `cosine_edges`, and its weights."""
    import igraph

    edges = cosine_edges(data, threshold)
    random.seed(0)  # igraph draws its random numbers from here
    return igraph.Graph(data.rows, np.column_stack([edges["source"], edges["target"]])), edges["weight"].tolist()


LOW, COSINES = (0.3, 0.4), (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 0.95)
SHARES = (0.5, 0.75, 1.0, 1.25, 1.5)
LTC = "learn-to-cluster"
BASELINES = {
    "k-means": Baseline(
        k_means, {"share": 1.0}, LTC, grid(share=SHARES), ("faiss-cpu",), neighbors=False, oracle=True
    ),
    "mini-batch k-means": Baseline(
        mini_batch_k_means, {"share": 1.0, "batch": 1000}, LTC, grid(share=SHARES, batch=(1000,)),
        ("scikit-learn",), neighbors=False, oracle=True,
    ),
    "HAC": Baseline(
        hierarchical, {"linkage": "single", "distance": 0.2592}, f"{LTC}: Euclidean 0.72",
        grid(linkage=("average",), distance=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)), ("scipy",), neighbors=False,
    ),
    "DBSCAN": Baseline(
        dbscan, {"eps": 0.25, "min_samples": 1}, LTC,
        grid(eps=(0.05, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6), min_samples=(1, 4)), ("scikit-learn",),
    ),
    "HDBSCAN": Baseline(
        hdbscan, {"min_cluster_size": 5, "min_samples": None}, "fast_hdbscan's defaults",
        grid(min_cluster_size=(2, 3, 5, 10), min_samples=(None, 1)), ("fast-hdbscan", "numba"),
    ),
    "spectral": Baseline(
        spectral, {"neighbors": 10}, "scikit-learn's default", grid(neighbors=(5, 20)), ("scikit-learn", "scipy"),
        oracle=True,
    ),
    "ARO": Baseline(
        approximate_rank_order, {"threshold": 1.0}, LTC,
        grid(threshold=(0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.5, 2.0)), ("scipy",),
    ),
    "CDP": Baseline(
        cdp, {"threshold": 0.7, "max_size": 300}, LTC, grid(threshold=LOW + COSINES, max_size=(300,)), ("scipy",)
    ),
    "components": Baseline(linked, {"threshold": None}, "threshold of recipe cosine", grid(threshold=LOW + COSINES)),
    "Louvain": Baseline(
        louvain, {"threshold": None}, "threshold of recipe cosine", grid(threshold=LOW + COSINES), ("igraph",)
    ),
    "Leiden": Baseline(
        leiden, {"threshold": None}, "threshold of recipe cosine", grid(threshold=LOW + COSINES), ("igraph",)
    ),
    "EVoC": Baseline(
        evoc, {"layer": None, "min_cluster_size": 5, "noise_level": 0.5}, "evoc's defaults",
        grid(layer=(0, 1, 2), min_cluster_size=(2, 5), noise_level=(0.0, 0.5)),
        ("evoc", "numba", "scikit-learn"), neighbors=False,
    ),
    "FINCH": Baseline(
        finch, {"layer": 0}, "first partition", grid(layer=(1, 2, 3)), ("finch-clust", "scikit-learn"), neighbors=False
    ),
}  # fmt: skip
