"""Exact copies: found once, left out of neighbor lists, and together in the labels; by the job and in memory."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster import Clusterer
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import cluster, open_run, opened, run_stages
from raycluster.pipeline.sweep import communities_at
from support.partitions import same_partition

CONFIG = load_config("cosine", {"knn": {"k": 10}, "edges": {"threshold": 0.6}}, "test")
LOCAL = Execution("local", shards=1)


def identities(count: int, rows: int, width: int = 32, noise: float = 0.5, seed: int = 0) -> tuple[Any, Any]:
    """Vectors and identities of a set without copies."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(count), rows)
    centers = rng.normal(size=(count, width))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    return (centers[truth] + noise * rng.normal(size=(len(truth), width)) / np.sqrt(width)).astype(np.float32), truth


def write(path: Path, vectors: Any) -> str:
    """One Parquet with row numbers as ids."""
    columns = {"id": np.arange(len(vectors)), "embedding": pa.array(list(vectors), pa.list_(pa.float32()))}
    pq.write_table(pa.table(columns), path)
    return str(path)


def labels(run: str) -> Any:
    """Cluster of every row, in the order of ids."""
    return pq.read_table(f"{run}/labels").sort_by("id")


def test_every_row_twice_gives_the_clusters_of_every_row_once(tmp_path: Path) -> None:
    vectors, _ = identities(30, 6)
    cluster(write(tmp_path / "once.parquet", vectors), str(tmp_path / "once"), CONFIG, LOCAL)
    summary = cluster(
        write(tmp_path / "twice.parquet", np.concatenate([vectors] * 2)), str(tmp_path / "twice"), CONFIG, LOCAL
    )
    once, twice = labels(str(tmp_path / "once")), labels(str(tmp_path / "twice"))
    assert twice["cluster_id"].to_pylist() == once["cluster_id"].to_pylist() * 2
    assert twice["strength"].to_pylist() == once["strength"].to_pylist() * 2
    assert twice["cluster_size"].to_pylist() == [2 * size for size in once["cluster_size"].to_pylist()] * 2
    clusters = pq.read_table(tmp_path / "twice" / "clusters.parquet")
    assert sum(clusters["size"].to_pylist()) == summary["rows"] == 2 * len(vectors)
    assert sum(twice["is_representative"].to_pylist()) == clusters.num_rows
    assert summary["duplicates"] == len(vectors)
    manifest = json.loads((tmp_path / "twice" / "MANIFEST.json").read_text())
    assert manifest["duplicates"] == {"copies": 180, "distinct": 180, "groups": 180, "largest": 2}
    listed = pq.read_table(tmp_path / "twice" / "duplicates.parquet")
    assert listed["id"].to_pylist() == list(range(180, 360))
    assert listed["original"].to_pylist() == list(range(180))


@pytest.mark.slow
def test_shards_resuming_and_arrays_give_the_same(tmp_path: Path) -> None:
    vectors, _ = identities(25, 4)
    rng = np.random.default_rng(1)
    vectors = vectors[np.concatenate([np.arange(100), rng.integers(0, 100, 140)])][rng.permutation(240)]
    source = write(tmp_path / "rows.parquet", vectors)
    for name, shards in (("one", 1), ("three", 3)):
        cluster(source, str(tmp_path / name), CONFIG, Execution("local", shards=shards))
    execution = Execution("local", shards=3)
    with opened(source, str(tmp_path / "resumed"), CONFIG, execution, Silence()) as tables:
        run_stages(tables, execution, Silence(), until="knn")
    cluster(source, str(tmp_path / "resumed"), CONFIG, execution)
    one = labels(str(tmp_path / "one"))
    assert labels(str(tmp_path / "three")).equals(one)
    assert labels(str(tmp_path / "resumed")).equals(one)
    fitted = Clusterer("cosine", overrides={"knn": {"k": 10}, "edges": {"threshold": 0.6}}).fit(vectors)
    assert same_partition(fitted.labels_, one["cluster_id"].to_numpy())
    _, group = np.unique(vectors, axis=0, return_inverse=True)
    for copies in range(group.max() + 1):
        assert len(set(fitted.labels_[group == copies])) == 1


def test_a_sweep_speaks_of_all_rows(tmp_path: Path) -> None:
    vectors, _ = identities(20, 4)
    source = write(tmp_path / "rows.parquet", np.concatenate([vectors, vectors[:30]]))
    cluster(source, str(tmp_path / "run"), CONFIG, LOCAL)
    community, _ = communities_at(open_run(str(tmp_path / "run")), 0.6)
    assert same_partition(community, labels(str(tmp_path / "run"))["cluster_id"].to_numpy())


def test_keep_lets_copies_stand_in_neighbor_lists(tmp_path: Path) -> None:
    vectors, _ = identities(20, 4)
    source = write(tmp_path / "rows.parquet", np.concatenate([vectors] * 2))
    config = replace(CONFIG, embeddings=replace(CONFIG.embeddings, duplicates="keep"))
    cluster(source, str(tmp_path / "run"), config, LOCAL)
    tables = open_run(str(tmp_path / "run"))
    assert (tables.rows, tables.copies) == (160, None)
    assert (np.asarray(tables.column("knn", "neighbor"))[:80, 1] == np.arange(80, 160)).all()
    assert not (tmp_path / "run" / "duplicates.parquet").exists()


def test_a_set_without_copies_is_as_it_was(tmp_path: Path) -> None:
    vectors, _ = identities(20, 4)
    source = write(tmp_path / "rows.parquet", vectors)
    keep = replace(CONFIG, embeddings=replace(CONFIG.embeddings, duplicates="keep"))
    cluster(source, str(tmp_path / "collapsed"), CONFIG, LOCAL)
    cluster(source, str(tmp_path / "kept"), keep, LOCAL)
    assert labels(str(tmp_path / "collapsed")).equals(labels(str(tmp_path / "kept")))
    assert not (tmp_path / "collapsed" / "duplicates.parquet").exists()


@pytest.mark.parametrize("copies", [20, 50])
def test_labels_change_only_where_identical_rows_were_apart(tmp_path: Path, copies: int) -> None:
    """A fifth of the rows are copies, then a half; identities are hard to tell apart, so that `keep` parts some copies."""
    vectors, _ = identities(25, 4, noise=1.1, seed=5)
    rows = np.concatenate([np.arange(100), np.random.default_rng(2).integers(0, 100, copies)])
    source = write(tmp_path / "rows.parquet", vectors[rows])
    keep = replace(CONFIG, embeddings=replace(CONFIG.embeddings, duplicates="keep"))
    cluster(source, str(tmp_path / "collapsed"), CONFIG, LOCAL)
    cluster(source, str(tmp_path / "kept"), keep, LOCAL)
    collapsed, kept = labels(str(tmp_path / "collapsed")), labels(str(tmp_path / "kept"))
    if copies < 0.25 * len(rows):  # few copies stay rows
        assert collapsed.equals(kept)
        return
    one, other = collapsed["cluster_id"].to_numpy(), kept["cluster_id"].to_numpy()
    assert (one == one[rows]).all()
    apart = np.unique(rows[other != other[rows]])
    near = np.isin(other, other[np.isin(rows, apart)]) | np.isin(one, one[np.isin(rows, apart)])
    differs = [not np.array_equal(one == one[row], other == other[row]) for row in range(len(rows))]
    assert not (differs & ~near).any()


@pytest.mark.parametrize("recipe", ["cosine", "auto"])
def test_three_quarters_of_the_rows_one_vector(recipe: str) -> None:
    vectors, truth = identities(50, 6)
    nobody = np.full((900, vectors.shape[1]), 0.3, np.float32)
    labels_ = Clusterer(recipe).fit(np.concatenate([nobody, vectors])).labels_
    assert len(set(labels_[:900])) == 1
    assert same_partition(labels_[900:], truth)
    assert labels_[0] not in labels_[900:]


def test_ten_thousand_copies_among_twenty_thousand_rows() -> None:
    vectors, truth = identities(2_000, 5, seed=3)
    rows = np.concatenate([vectors, np.repeat(vectors[:1], 10_000, axis=0)])
    labels_ = Clusterer("cosine", overrides={"knn": {"k": 10}, "edges": {"threshold": 0.6}}).fit(rows).labels_
    assert len(set(labels_[10_000:])) == 1
    once = Clusterer("cosine", overrides={"knn": {"k": 10}, "edges": {"threshold": 0.6}}).fit(vectors).labels_
    assert same_partition(labels_[:10_000], once)
    assert len(truth) == 10_000
