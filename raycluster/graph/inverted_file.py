"""Inverted file (IVF): k-means centroids and a list-major search that scores only the lists a query probes.

Every step is deterministic: centroids start from a seeded sample of rows in canonical order, sums are float64 in row
order, and every assignment goes through the exact top-K of `nearest`, whose result no tile or thread layout can change.
"""

from dataclasses import dataclass

import numpy as np

from raycluster.graph.nearest import (
    Candidates,
    Float32,
    Int32,
    Int64,
    Vectors,
    exact_top_k,
    map_blocks,
    rank_crowded,
)

QUERY_BLOCK = 16384
ITERATIONS = 10


@dataclass(frozen=True)
class InvertedFile:
    """Database rows grouped by list: `members[offsets[c]:offsets[c + 1]]` are the rows of centroid `c`, ascending."""

    centroids: Float32
    members: Int32
    offsets: Int64

    @classmethod
    def group(cls, centroids: Float32, lists: Int32) -> "InvertedFile":
        """Group rows by `lists` (N,), the list of each database row."""
        sizes = np.bincount(lists, minlength=len(centroids))
        members = np.argsort(lists, kind="stable").astype(np.int32)
        return cls(centroids, members, np.concatenate([[0], np.cumsum(sizes)]))


def train_centroids(sample: Float32, lists: int, seed: int, threads: int = 1) -> Float32:
    """Spherical k-means: `lists` unit centroids (lists, D) float32 from unit rows `sample` (S, D), S >= lists.

    A list that empties is restarted at the sample row farthest from its centroid.
    """
    start = np.sort(np.random.default_rng(seed).choice(len(sample), lists, replace=False))
    centroids = np.array(sample[start], np.float32)
    for _ in range(ITERATIONS):
        nearest, similarity = _nearest_list(sample, centroids, threads)
        order = np.argsort(nearest, kind="stable")
        sizes = np.bincount(nearest, minlength=lists)
        filled = np.flatnonzero(sizes)
        starts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]])
        sums = np.add.reduceat(sample[order].astype(np.float64), starts, axis=0)
        centroids[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        farthest = np.argsort(similarity, kind="stable")[: lists - len(filled)]
        centroids[np.flatnonzero(sizes == 0)] = sample[farthest]
    return centroids


def assign_lists(embeddings: Vectors, centroids: Float32, threads: int = 1) -> Int32:
    """The list (N,) of each row: its nearest centroid, ties to the lowest."""
    return _nearest_list(embeddings, centroids, threads)[0]


def _nearest_list(embeddings: Vectors, centroids: Float32, threads: int) -> tuple[Int32, Float32]:
    none = np.full(len(embeddings), -1, np.int32)
    nearest, similarity = exact_top_k(embeddings, none, centroids, 1, threads)
    return nearest[:, 0], similarity[:, 0]


def probe_top_k(
    queries: Vectors, own: Int32, database: Vectors, index: InvertedFile, probes: int, k: int, threads: int = 1
) -> tuple[Int32, Float32]:
    """Approximate top-`k`: like `exact_top_k`, over the `probes` lists nearest to each query only.

    Raising `probes` raises recall and time in proportion. Where the probed lists hold fewer than `k` rows, the last
    ranks are filled with neighbor -1 and similarity -1.
    """
    none = np.full(len(queries), -1, np.int32)
    probed, _ = exact_top_k(queries, none, index.centroids, probes, threads)

    def block(start: int) -> tuple[Int32, Float32]:
        part = np.ascontiguousarray(queries[start : start + QUERY_BLOCK], np.float32)
        ids = own[start : start + QUERY_BLOCK]
        wanted = probed[start : start + QUERY_BLOCK]
        by_list = np.argsort(wanted.ravel(), kind="stable")
        bounds = np.searchsorted(wanted.ravel()[by_list], np.arange(len(index.centroids) + 1))
        candidates = Candidates(len(part), part.shape[1], k)
        for number in np.flatnonzero(np.diff(bounds)):
            members = index.members[index.offsets[number] : index.offsets[number + 1]]
            rows = by_list[bounds[number] : bounds[number + 1]] // probes
            if len(members):
                vectors = np.asarray(database[members], np.float32)
                candidates.push(part[rows] @ vectors.T, members, rows)
        neighbor, similarity, crowded = candidates.finish(part, ids, database)

        def near(row: int) -> Int32:
            return np.concatenate([index.members[index.offsets[c] : index.offsets[c + 1]] for c in wanted[row]])

        rank_crowded(part, ids, database, crowded, near, neighbor, similarity)
        return neighbor, similarity

    return map_blocks(block, len(queries), QUERY_BLOCK, threads)
