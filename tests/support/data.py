"""Small seeded data sets for tests."""

import numpy as np

from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists, train_centroids
from raycluster.kernels.search.nearest import exact_top_k


def unit_rows(rows, width, seed, dtype=np.float32):
    """Random unit rows (rows, width)."""
    wide = np.random.default_rng(seed).normal(size=(rows, width))
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(dtype)


def identities(people, pictures, width=32, spread=0.5, seed=0):
    """Unit rows of `people` identities of `pictures` rows each, shuffled, and their labels.

    Two pictures of one identity have a cosine near 1 / (1 + spread^2); two strangers one near 0.
    """
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(people, width))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    labels = rng.permutation(np.repeat(np.arange(people), pictures))
    wide = centers[labels] + spread / np.sqrt(width) * rng.normal(size=(len(labels), width))
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32), labels


def awkward_rows(kind, rows, width, seed):
    """Unit rows of one `kind` that is hard for a nearest-neighbor search; see KINDS."""
    rng = np.random.default_rng(seed)
    base = unit_rows(max(1, rows // 5), width, seed).astype(np.float64)
    if kind == "random":
        return unit_rows(rows, width, seed)
    copies = base[rng.integers(0, len(base), rows)]
    if kind == "duplicates":
        return copies.astype(np.float32)
    if kind == "near-duplicates":
        near = copies + 1e-7 * rng.normal(size=copies.shape)
        return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    assert kind == "one-crowd"
    near = base[:1] + 3e-8 * rng.integers(0, 3, (rows, width))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def rows_of(vectors):
    """Row numbers int32 (N,)."""
    return np.arange(len(vectors), dtype=np.int32)


def inverted_file(vectors, lists, seed=0):
    """The inverted file of all rows, trained on all of them."""
    centroids = train_centroids(vectors.astype(np.float32), lists, seed)
    return InvertedFile.group(centroids, assign_lists(vectors, centroids))


def neighbor_table(rows, k, seed, short=False):
    """A kNN table of clustered rows; `short` empties the end of some lists as an inverted file does."""
    rng = np.random.default_rng(seed)
    centers = unit_rows(max(1, rows // 6), 8, seed)
    wide = centers[rng.integers(0, len(centers), rows)] + 0.25 * rng.normal(size=(rows, 8))
    vectors = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    neighbor, similarity = exact_top_k(vectors, np.arange(rows, dtype=np.int32), vectors, k)
    if short:
        empty = np.arange(k) >= rng.integers(1, k + 1, rows)[:, None]
        neighbor[empty], similarity[empty] = -1, -1
    return neighbor, similarity


KINDS = ("random", "duplicates", "near-duplicates", "one-crowd")


def pair_similarities(queries, database):
    """Similarity float32 (Q, N), at most 1, of each pair summed in float64 in eight interleaved lanes."""
    lanes = [np.zeros((len(queries), len(database))) for _ in range(8)]
    width = queries.shape[1]
    whole = width - width % 8
    for i in range(width):
        lane = i % 8 if i < whole else 0
        lanes[lane] += queries[:, i].astype(np.float64)[:, None] * database[:, i].astype(np.float64)
    s = lanes
    total = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
    return np.minimum(total.astype(np.float32), np.float32(1))


def brute_force_top_k(queries, own, database, k, allowed=None):
    """The canonical order by sorting every pair: similarity descending, row ascending, own row first.

    `allowed` (Q, N) leaves out the pairs where it is false. Ranks that nothing fills hold -1.
    """
    similarities = pair_similarities(queries, database)
    neighbor = np.full((len(queries), k), -1, np.int32)
    similarity = np.full((len(queries), k), -1, np.float32)
    for i, row in enumerate(similarities):
        ranked = sorted(
            (-float(row[j]), j) for j in range(len(database)) if j != own[i] and (allowed is None or allowed[i, j])
        )
        if own[i] >= 0:
            ranked.insert(0, (-1.0, int(own[i])))
        for rank, (negative, j) in enumerate(ranked[:k]):
            neighbor[i, rank], similarity[i, rank] = j, -negative
    return neighbor, similarity


def assert_same(actual, expected):
    """Assert equal neighbors and bit-equal similarities, of the documented dtypes."""
    assert actual[0].dtype == np.int32
    assert actual[1].dtype == np.float32
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])
