"""knn -> weighted edges, by one of three rules, each computed shard by shard with nothing left to merge.

    threshold    undirected, similarity >= threshold, weight = similarity
    early-stop   directed (FC-ES): walk a row's neighbors in cosine order while NEP >= theta, weight = NEP
    gap          undirected (FaceMap): neighbors before the first outlying similarity gap, weight = similarity / row sum

A pair that both ends list is stored once, by the end with the lower row; `threshold` and `early-stop` also store edges up
to `edges.reserve` below the limit, and `in_force` leaves them out at read.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pyarrow as pa

from raycluster import schemas, scratch
from raycluster.config import EdgesConfig
from raycluster.graph import jaccard
from raycluster.graph.nearest import Float32, Int32, Int64
from raycluster.run import Part, Run, Stage
from raycluster.stages.topk import TOPK, rounded
from raycluster.threshold import pick_threshold, sample_pairs

Columns = dict[str, Any]


@numba.njit(nogil=True, cache=True)
def _rank_of(row, neighbors, length):  # type: ignore[no-untyped-def]
    for rank in range(length):
        if neighbors[rank] == row:
            return rank
    return -1


@numba.njit(nogil=True, cache=True)
def _undirected(first, last, neighbor, similarity, length, scale, source, target, weight, raw):  # type: ignore[no-untyped-def]
    """Emit each pair once. `scale` (N,) multiplies what a listing end contributes; empty means the plain similarity."""
    count = 0
    for i in range(first, last):
        for rank in range(length[i]):
            j = neighbor[i, rank]
            if j < 0 or j == i:
                continue
            back = _rank_of(i, neighbor[j], length[j])
            if j < i and back >= 0:
                continue
            source[count], target[count] = min(i, j), max(i, j)
            raw[count] = similarity[i, rank]
            if scale.shape[0] == 0:
                weight[count] = similarity[i, rank]
            else:
                weight[count] = similarity[i, rank] * scale[i]
                if back >= 0:
                    weight[count] += similarity[j, back] * scale[j]
            count += 1
    return count


def _undirected_columns(
    start: int, stop: int, neighbor: Int32, similarity: Float32, length: Int64, scale: Float32
) -> Columns:
    room = int(length[start:stop].sum())
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    weight, raw = np.empty(room, np.float32), np.empty(room, np.float32)
    count = _undirected(start, stop, neighbor, similarity, length, scale, source, target, weight, raw)
    nothing = np.full(count, np.nan, np.float32)
    return {
        "source": source[:count],
        "target": target[:count],
        "weight": weight[:count],
        "nep": nothing,
        "similarity": raw[:count],
    }


def threshold_edges(start: int, stop: int, neighbor: Int32, similarity: Float32, floor: float) -> Columns:
    """Undirected pairs of rows start..stop with similarity >= `floor`; neighbor and similarity are (N, K) of all rows.

    A pair that only one end lists counts as well. Returns the columns of the edges table.
    """
    length = _lengths_above(similarity, floor)
    return _undirected_columns(start, stop, neighbor, similarity, length, np.empty(0, np.float32))


@numba.njit(nogil=True, cache=True)
def _lengths_above(similarity, floor):  # type: ignore[no-untyped-def]
    length = np.zeros(similarity.shape[0], np.int64)
    for i in range(similarity.shape[0]):
        while length[i] < similarity.shape[1] and similarity[i, length[i]] >= np.float32(floor):
            length[i] += 1
    return length


def early_stop_edges(start: int, neighbor: Int32, similarity: Float32, nep: Float32, floor: float) -> Columns:
    """FC-ES walk of rows start..: all arrays (R, K) of these rows. Each walk ends at the first NEP below `floor`."""
    walked = (nep[:, 1:] >= np.float32(floor)) & (neighbor[:, 1:] >= 0)
    row, rank = np.nonzero(np.logical_and.accumulate(walked, axis=1))
    rank += 1
    return {
        "source": (row + start).astype(np.int32),
        "target": neighbor[row, rank],
        "weight": nep[row, rank],
        "nep": nep[row, rank],
        "similarity": similarity[row, rank],
    }


@numba.njit(nogil=True, cache=True)
def gap_lengths(similarity: Float32, window: int, z: float) -> Int64:
    """FaceMap's cut: neighbors (self included) before the first gap that stands out from the `window` gaps before it.

    similarity (N, K), self at rank 0 and not part of any gap. A gap stands out when it exceeds the mean of the gaps
    before it by more than `z` of their standard deviations. Returns int64 (N,) in 1..K.
    """
    length = np.empty(similarity.shape[0], np.int64)
    for i in range(similarity.shape[0]):
        gaps = similarity[i, 1:-1] - similarity[i, 2:]
        length[i] = similarity.shape[1]
        for rank in range(window, gaps.shape[0]):
            before = gaps[rank - window : rank]
            if gaps[rank] > before.mean() + z * before.std():
                length[i] = rank + 2
                break
    return length


def gap_edges(start: int, stop: int, neighbor: Int32, similarity: Float32, window: int, z: float) -> Columns:
    """FaceMap's undirected pairs of rows start..stop; a pair's weight adds up over the ends that list it."""
    length = gap_lengths(similarity, window, z)
    kept = np.where(np.arange(similarity.shape[1]) < length[:, None], np.maximum(similarity, 0), 0)[:, 1:]
    total = kept.sum(axis=1, dtype=np.float64)
    scale = np.where(total > 0, 1 / np.where(total > 0, total, 1), 0).astype(np.float32)
    columns = _undirected_columns(start, stop, neighbor, similarity, length, scale)
    positive = columns["weight"] > 0
    return {name: values[positive] for name, values in columns.items()}


def in_force(edges: Columns, config: EdgesConfig, limit: float) -> Any:
    """Which stored edges (E,) count at `limit`: a threshold or a theta at or above the one they were stored with.

    For `early-stop` the edges must be in stored order: a walk ends at its first edge below the limit.
    """
    if config.rule == "threshold":
        return edges["weight"] >= np.float32(limit)
    if config.rule == "gap":
        return np.ones(len(edges["weight"]), bool)
    below = np.cumsum(edges["nep"] < np.float32(limit))
    first = np.concatenate([[True], edges["source"][1:] != edges["source"][:-1]]) if len(below) else np.empty(0, bool)
    before = np.concatenate([[0], below[:-1]])[first] if len(below) else below
    return below == before[np.cumsum(first) - 1] if len(below) else first


def transform(config: EdgesConfig) -> Callable[[Float32], Float32]:
    """Similarities (R, K) to normalized edge probabilities p_hat; empty ranks (similarity -1) get 0."""

    def p_hat(similarity: Float32) -> Float32:
        if config.transform == "exponential":
            probability = jaccard.exponential_probability(similarity, config.tau)
        else:
            probability = jaccard.sigmoid_probability(similarity, config.delta, config.epsilon)
        return jaccard.normalized(np.where(similarity > -1, probability, np.float32(0)))

    return p_hat


def limit(config: EdgesConfig, picked: dict[str, Any]) -> float:
    """The threshold or theta in force, given what `prepare` picked."""
    if config.rule == "threshold":
        return float(picked["threshold"])
    return config.theta if config.rule == "early-stop" else -1.0


def build(
    start: int,
    stop: int,
    neighbor: Int32,
    similarity: Float32,
    config: EdgesConfig,
    floor: float,
    p_hat: Any,
    threads: int,
    length: Int64 | None = None,
) -> Columns:
    """The edges of rows start..stop under a configuration; neighbor and similarity are (N, K) of all rows.

    `p_hat` is called for the normalized edge probabilities (N, K), which only `early-stop` needs; `length` (N,) truncates
    its neighbor lists (S1 eq. 8).
    """
    if config.rule == "threshold":
        return threshold_edges(start, stop, neighbor, similarity, floor)
    if config.rule == "gap":
        return gap_edges(start, stop, neighbor, similarity, config.gap_window, config.gap_z)
    nep = jaccard.neighbor_edge_probability(neighbor, p_hat(), start, stop, length, threads)
    return early_stop_edges(start, neighbor[start:stop], similarity[start:stop], nep, floor)


def pick(config: EdgesConfig, similarity: Float32, vectors: Any) -> dict[str, Any]:
    """The threshold of rule `threshold` with how it was found: the one given, or one read from the data."""
    if config.rule != "threshold":
        return {}
    if config.threshold is not None:
        return {"threshold": config.threshold, "picked": False}
    threshold, why = pick_threshold(similarity, sample_pairs(vectors))
    return {"threshold": threshold, "picked": True, **why}


def prepare(run: Run) -> dict[str, Any]:
    """Settle the threshold."""
    _, similarity = neighbors(run)
    vectors = scratch.joined(run, "embeddings", "embedding", run.config.knn.storage)
    return pick(run.config.edges, similarity, vectors)


def neighbors(run: Run) -> tuple[Int32, Float32]:
    """The kNN table of all rows, memory-mapped."""
    return scratch.joined(run, "knn", "neighbor", "int32"), scratch.joined(run, "knn", "similarity", "float32")


def compute(run: Run, shard: int) -> Part:
    """Build one shard's edges."""
    config = run.config.edges
    start, stop = run.starts[shard : shard + 2]
    neighbor, similarity = neighbors(run)

    def p_hat() -> Any:
        tag = f"p_hat-{config.transform}-{config.tau}-{config.delta}-{config.epsilon}"
        return scratch.joined(run, "knn", "similarity", "float32", transform(config), tag)

    floor = limit(config, run.prepared("edges")) - config.reserve
    length = None
    if TOPK.wanted(run.config):
        length = rounded(scratch.joined(run, "topk", "k", "int64"), run.config.knn.k)
    columns = build(start, stop, neighbor, similarity, config, floor, p_hat, run.threads, length)
    return Part([schemas.from_columns(schemas.EDGES, **columns)])


def load(run: Run, at: float | None = None) -> Columns:
    """All edges in force at the run's own limit, or `at` another: source, target int32 and weight float32 (E,)."""
    config = run.config.edges
    value = limit(config, run.prepared("edges")) if at is None else at
    parts = []
    for shard in range(run.shards):
        table: pa.Table = run.table("edges", shard, ["source", "target", "weight", "nep"])
        columns = {name: table[name].to_numpy() for name in table.schema.names}
        keep = in_force(columns, config, value)
        parts.append({name: columns[name][keep] for name in ("source", "target", "weight")})
    return {name: np.concatenate([part[name] for part in parts]) for name in ("source", "target", "weight")}


EDGES = Stage(name="edges", settings=lambda config: config.edges.__dict__, compute=compute, prepare=prepare)
