"""The stages from neighbors to communities in this process, on an array of unit rows: for `Clusterer`, and for a sample."""

from dataclasses import dataclass

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import Config
from raycluster.kernels.edge_rules import Columns
from raycluster.kernels.neighborhoods import nep as jaccard
from raycluster.models.requirements import thresholds_of
from raycluster.stages import coarse_lists as lists
from raycluster.stages import communities, density, edges, knn, relations


@dataclass(frozen=True)
class Found:
    """What the stages found for rows (N, D)."""

    neighbor: Int32
    recall: float
    """Of the neighbors: 1, or measured on a sample for inverted lists."""
    score: Float32 | None
    """Learned scores (N, K), where a model judges all neighbors."""
    limits: edges.Limits
    edges: Columns
    """Those in force: source, target, weight (E,)."""
    partition: communities.Partition


def cluster(vectors: Vectors, config: Config, threads: int) -> Found:
    """Neighbors, scores, limits, edges and communities of unit rows (N, D), stored as `knn.storage` says.

    For configurations whose model, if any, judges all neighbors. Raises ResourceError where the edges do not fit in memory.
    """
    config = knn.settled(config, len(vectors))
    index, probing = None, None
    if config.knn.index == "ivf":
        index = lists.build(vectors, config.knn, threads)
        probing = knn.probing_of(knn.choose(vectors, config.knn, index, threads))
    neighbor, similarity = knn.search(vectors, 0, len(vectors), config.knn, threads, index, probing)
    recall = 1.0
    if probing is not None:
        recall = knn.check(vectors, 0, neighbor, similarity, config.knn, threads).mean
    score = None
    if config.relations.score == "all":
        score = relations.scores_in_memory(str(config.model), neighbor, similarity, vectors, threads)
    limits = edges.settle(config, neighbor, similarity, vectors, thresholds_of(config), score)
    found = edges.build(
        0, len(vectors), neighbor, similarity, config.edges, limits, 0.0,
        lambda: jaccard.neighbor_edge_probability(neighbor, edges.transform(config.edges)(similarity), threads=threads),
        score,
        lambda: density.peaks_in_memory(config, neighbor, similarity, similarity if score is None else score, threads),
    )  # fmt: skip
    graph = {name: found[name] for name in ("source", "target", "weight")}
    communities.require_memory(len(graph["source"]), len(vectors), config.communities)
    best = communities.best_of(graph, len(vectors), config, threads, lambda: (neighbor, vectors))
    return Found(neighbor, recall, score, limits, graph, best)
