"""The file that embedding-atlas opens."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.pipeline.atlas import SHOWN, atlas_table, main_axes
from raycluster.pipeline.clean import clean
from raycluster.pipeline.export import export
from raycluster.pipeline.run import cluster
from support import labelled

CONFIG = load_config("cosine", {"knn": {"k": 20}, "edges": {"threshold": 0.6}}, "test")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A finished run and its input: in reverse order, with a column of texts and two copies of a row."""
    folder = tmp_path_factory.mktemp("atlas")
    path = labelled.written(folder)
    table = pq.read_table(path).append_column("title", pa.array([f"t{row}" for row in range(labelled.ROWS)]))
    vectors = table["embedding"].to_pylist()
    vectors[3] = vectors[4] = vectors[5]
    table = table.set_column(1, "embedding", pa.array(vectors, table["embedding"].type))
    pq.write_table(table.take(pa.array(range(labelled.ROWS - 1, -1, -1))), path)
    cluster(path, str(folder / "run"), CONFIG, Execution("local", shards=2))
    return str(folder / "run"), path


def test_neighbors_are_rows_of_the_file_and_their_distances(finished: tuple[str, str]) -> None:
    run, path = finished
    table = atlas_table(run, path)
    rows = pq.read_table(path)
    vector = dict(zip(rows["id"].to_pylist(), np.array(rows["embedding"].to_pylist()), strict=True))
    unit = np.stack([vector[key] / np.linalg.norm(vector[key]) for key in table["id"].to_pylist()])
    for row, lists in enumerate(table["neighbors"].to_pylist()):
        assert len(lists["ids"]) == len(lists["distances"]) == SHOWN
        assert np.allclose(1 - unit[lists["ids"]] @ unit[row], lists["distances"], atol=1e-5)
        assert lists["distances"] == sorted(lists["distances"])


def test_the_users_columns_follow_the_order_of_the_run(finished: tuple[str, str], tmp_path: Path) -> None:
    run, path = finished
    assert export(run, str(tmp_path / "atlas.parquet"), "atlas", path) == labelled.ROWS
    table = pq.read_table(tmp_path / "atlas.parquet")
    title = dict(zip(*(pq.read_table(path)[name].to_pylist() for name in ("id", "title")), strict=True))
    assert [title[key] for key in table["id"].to_pylist()] == table["title"].to_pylist()
    assert "embedding" not in table.column_names
    assert table.select(["id", "cluster_id"]).equals(pq.read_table(f"{run}/labels").select(["id", "cluster_id"]))


def test_clusters_lie_together_on_the_map(finished: tuple[str, str]) -> None:
    table = atlas_table(finished[0], None)
    place = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)
    cluster_id = table["cluster_id"].to_numpy()
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    same = cluster_id[:, None] == cluster_id[None]
    np.fill_diagonal(same, False)
    assert np.median(distance[same]) < np.median(distance[~same]) / 3
    again = atlas_table(finished[0], None)
    assert table.equals(again)


def test_main_axes_are_those_of_the_singular_vectors() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 6)) * np.array([5, 3, 1, 1, 1, 1])
    flat = main_axes(vectors)
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0))
    expected = (vectors - vectors.mean(axis=0)) @ axes[:2].T
    ratio = flat / expected
    assert np.allclose(np.abs(ratio), np.abs(ratio[0, 0]))
    assert np.ptp(flat, axis=0).max() == pytest.approx(10)
    assert main_axes(np.ones((3, 1))).tolist() == [[0, 0]] * 3


def test_a_cleaned_run_has_no_neighbors(finished: tuple[str, str], tmp_path: Path) -> None:
    copy = str(tmp_path / "run")
    shutil.copytree(finished[0], copy)
    clean(copy, "results")
    with pytest.raises(InputError, match="its stages were cleaned away"):
        atlas_table(copy, None)
