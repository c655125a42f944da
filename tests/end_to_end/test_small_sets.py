"""Sets of a few rows: every recipe that needs no labels gives the obvious answer, by command and in memory."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster import Clusterer
from raycluster.config.load import load_config
from support import runs
from support.command_line import call
from support.data import unit_rows

RECIPES = ("auto", "cosine", "components", "fc-es", "fc-es-sigmoid", "facemap")
"""All recipes that run without a model of the user's."""
Rows = npt.NDArray[np.float32]


def equal(rows: int) -> Rows:
    return np.repeat(unit_rows(1, 16, 1), rows, axis=0)


def groups(count: int, size: int) -> Rows:
    """Rows of `count` identities, `size` each, in turn."""
    vectors = np.tile(unit_rows(count, 64, 3), (size, 1)) + 0.4 * unit_rows(count * size, 64, 4)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("rows", [1, 2, 3, 9, 50, 100])
def test_equal_rows_are_one_cluster(recipe: str, rows: int) -> None:
    assert Clusterer(recipe).fit_predict(equal(rows)).tolist() == [0] * rows


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("rows", [2, 3, 10])
def test_strangers_are_alone(recipe: str, rows: int) -> None:
    assert len(set(Clusterer(recipe).fit_predict(unit_rows(rows, 64, 2)))) == rows


@pytest.mark.parametrize("recipe", ["auto", "cosine", "components"])
@pytest.mark.parametrize(("count", "size"), [(2, 2), (5, 2), (10, 5)])
def test_groups_are_found(recipe: str, count: int, size: int) -> None:
    labels = Clusterer(recipe).fit_predict(groups(count, size))
    assert len(set(labels)) == count
    assert (labels.reshape(size, count) == labels[:count]).all()


@pytest.mark.parametrize("recipe", ["auto", "cosine"])
def test_two_directions_of_width_1_are_two_clusters(recipe: str) -> None:
    vectors = np.where(np.arange(60)[:, None] % 3 == 0, 1.0, -2.0)
    labels = Clusterer(recipe).fit_predict(vectors)
    assert len(set(labels)) == 2
    assert len(set(labels[::3])) == 1


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("rows", [1, 2, 50])
def test_the_command_agrees_and_goes_on(recipe: str, rows: int, tmp_path: Path) -> None:
    vectors = groups(10, 5)[:rows]
    path, run = tmp_path / "in.parquet", tmp_path / "run"
    pq.write_table(pa.table({"id": np.arange(rows), "embedding": vectors.tolist()}), path)
    words = ["--input", str(path), "--output", str(run), "--recipe", recipe]
    outcome = call("cluster", *words)
    assert outcome.code == 0, outcome.stderr
    assert (run / "report.html").exists(), outcome.stderr
    assert (
        f"knn.k is {max(rows - 1, 2)} in place of {load_config(recipe, {}).knn.k}: the set has only {rows} row"
        in outcome.stderr
    )
    assert call("cluster", *words).code == 0
    alone = Clusterer(recipe).fit_predict(vectors)
    found = runs.labels(run)["cluster_id"].to_numpy()
    assert len({*zip(alone, found, strict=True)}) == len(set(alone)) == len(set(found))
