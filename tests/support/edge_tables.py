"""Edge tables in tests: which columns they have, how they compare, and cases of kNN tables to build them from."""

import numpy as np
from hypothesis import strategies as st

COLUMNS = {
    "source": np.int32,
    "target": np.int32,
    "weight": np.float32,
    "nep": np.float32,
    "score": np.float32,
    "similarity": np.float32,
}

COMBINE = {
    "mean": lambda forth, back: (forth + back) / np.float32(2),
    "geometric": lambda forth, back: np.sqrt(forth * back),
    "minimum": min,
    "maximum": max,
}
"""How the scores of a pair's two ends are joined."""

TABLES = st.integers(2, 60).flatmap(
    lambda rows: st.tuples(st.just(rows), st.integers(2, rows), st.integers(0, 10**6), st.booleans())
)
"""Arguments of `data.neighbor_table`."""


def stacked(shards):
    """Return the edge tables of all shards as one."""
    return {name: np.concatenate([edges[name] for edges in shards]) for name in COLUMNS}


def kept(edges, keep):
    """The edges (E,) for which `keep` is true."""
    return {name: values[keep] for name, values in edges.items()}


def assert_equal_columns(actual, expected):
    """The same columns in the same order, of the documented dtypes, equal bit for bit but for NaN."""
    assert list(actual) == list(COLUMNS)
    for name, dtype in COLUMNS.items():
        assert actual[name].dtype == dtype, name
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def shards_of(rows, seed):
    """Four ranges, some maybe empty, that cover 0..rows."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, rows + 1, 3)).tolist()
    return list(zip([0, *cuts], [*cuts, rows], strict=True))


def random_scores(neighbor, seed, missing=0.0):
    """Scores (N, K) in 0..1, some of them equal, NaN for self, for empty ranks and for a share `missing` of the others."""
    rng = np.random.default_rng(seed)
    score = (rng.integers(0, 41, neighbor.shape) / 40).astype(np.float32)
    score[(neighbor < 0) | (rng.random(neighbor.shape) < missing)] = np.nan
    score[:, 0] = np.nan
    return score


def pairs_of(edges):
    """The pairs (source, target) of an edge table, in order."""
    return list(zip(edges["source"].tolist(), edges["target"].tolist(), strict=True))


def as_columns(edges):
    """Rows of (source, target, weight, nep, score, similarity) as columns."""
    return {name: np.array([edge[at] for edge in edges], dtype) for at, (name, dtype) in enumerate(COLUMNS.items())}


def elsewhere(neighbor, start, stop):
    """Rows (N,) that neither belong to the shard start..stop nor are a neighbor of one of its rows."""
    away = np.ones(len(neighbor), bool)
    away[start:stop] = False
    away[neighbor[start:stop][neighbor[start:stop] >= 0]] = False
    return away
