"""Inverted lists of all rows: how many, trained on a seeded sample, every row in the list of its nearest centroid."""

import numpy as np
import pytest

from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.coarse_lists import (
    SAMPLE_PER_LIST,
    centroids_of,
    inverted_file_of,
    number_of_lists,
    open_coarse_lists,
    train,
    uses_lists,
)
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.tables import Task
from support.data import identities

LISTS = 9
CONFIG = load_config("cosine", {"knn": {"k": 5, "index": "ivf", "lists": LISTS}}, "test")
VECTORS, _ = identities(60, 8, width=16, spread=0.6)


@pytest.fixture
def tables() -> ArrayTables:
    """Tables in memory whose rows are in their lists."""
    made = in_memory(VECTORS, CONFIG, 2)
    run_stages(made, LOCAL, Silence(), until="coarse_lists")
    return made


@pytest.mark.parametrize(
    ("rows", "configured", "expected"), [(10_000, None, 400), (12, None, 12), (10_000, 77, 77), (5, 77, 5)]
)
def test_lists_grow_with_the_root_of_the_rows_and_never_above_them(
    rows: int, configured: int | None, expected: int
) -> None:
    assert number_of_lists(rows, configured) == expected


def test_every_row_is_in_the_list_of_its_nearest_centroid(tables: ArrayTables) -> None:
    centroids, lists = centroids_of(tables), np.asarray(tables.column("coarse_lists", "list"))
    assert centroids.shape == (LISTS, 16)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, rtol=1e-6)
    similarity = VECTORS.astype(np.float64) @ centroids.astype(np.float64).T
    np.testing.assert_allclose(similarity[np.arange(len(VECTORS)), lists], similarity.max(axis=1), atol=1e-6)
    assert tables.facts("coarse_lists")["lists"] == LISTS


def test_shards_do_not_change_the_lists(tables: ArrayTables) -> None:
    assign = open_coarse_lists(tables)
    blocks = [assign(Task(number, start, start + 160)).blocks[0] for number, start in enumerate((0, 160, 320))]
    np.testing.assert_array_equal(
        np.concatenate([block["list"] for block in blocks]), tables.column("coarse_lists", "list")
    )
    np.testing.assert_array_equal(np.concatenate([block["row"] for block in blocks]), np.arange(len(VECTORS)))


def test_centroids_repeat_with_the_seed_and_differ_without() -> None:
    other = load_config("cosine", {"knn": {"k": 5, "index": "ivf", "lists": LISTS, "seed": 5}}, "test").knn
    first, again = train(VECTORS, CONFIG.knn, 1), train(VECTORS, CONFIG.knn, 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, train(VECTORS, other, 1))


def test_centroids_are_trained_on_a_sample_of_a_large_set() -> None:
    vectors = np.repeat(VECTORS, 4, axis=0)
    assert len(vectors) > SAMPLE_PER_LIST * LISTS
    reads: list[int] = []

    class Watched(np.ndarray):  # type: ignore[type-arg]
        def __getitem__(self, rows: object) -> object:
            reads.append(np.size(rows))
            return np.asarray(self)[rows]  # type: ignore[index]

    train(vectors.view(Watched), CONFIG.knn)
    assert reads == [SAMPLE_PER_LIST * LISTS]


def test_rows_are_grouped_once_per_process(tables: ArrayTables) -> None:
    first = inverted_file_of(tables)
    assert inverted_file_of(tables) is first
    np.testing.assert_array_equal(first.list_of_rows(), tables.column("coarse_lists", "list"))


def test_only_an_approximate_search_of_our_own_uses_lists() -> None:
    assert uses_lists(CONFIG)
    assert not uses_lists(load_config("cosine", {}, "test"))
    assert not uses_lists(load_config("cosine", {"knn": {"index": "ivf", "source": "lists.parquet"}}, "test"))
