"""A configuration fitted to the number of rows: the length of lists, and the index that auto comes to."""

from typing import Any

from raycluster.config.fitted import (
    ROWS_FOR_IVF,
    resolved_for,
    shortened,
    shortened_line,
    unfitted,
    unfitted_keys,
)
from raycluster.config.load import load_config
from raycluster.config.stages import Config


def config(**knn: Any) -> Config:
    return load_config("cosine", {"knn": knn, "density": {"nearest": 30}}, "test")


def test_a_list_is_at_most_one_shorter_than_the_set() -> None:
    for rows, k in ((1, 2), (2, 2), (3, 2), (50, 49), (80, 79), (81, 80), (1000, 80)):
        resolved = resolved_for(config(), rows)
        assert resolved.knn.k == shortened(config(), rows).knn.k == k
        assert resolved.density.nearest == min(30, k)
        line = shortened_line(config(), resolved, rows)
        assert (line is None) == (rows > 80)
        assert line is None or f"only {rows} row" in line


def test_auto_reads_inverted_lists_of_large_sets_only() -> None:
    assert resolved_for(config(), ROWS_FOR_IVF - 1).knn.index == "exact"
    assert resolved_for(config(), ROWS_FOR_IVF).knn.index == "ivf"
    assert resolved_for(config(index="ivf"), 3).knn.index == "ivf"
    assert resolved_for(config(index="exact"), 10**9).knn.index == "exact"


def test_auto_leaves_imported_neighbors_and_faiss_alone() -> None:
    assert resolved_for(config(source="elsewhere"), 10**9).knn.index == "exact"
    assert resolved_for(config(engine="faiss"), 10**9).knn.index == "exact"


def test_what_the_number_of_rows_decided_is_decided_anew_for_another_number() -> None:
    configured = load_config("cosine")
    few = resolved_for(configured, 30)
    keys = unfitted_keys(configured, few)
    assert keys == {"knn": {"k": configured.knn.k, "index": "auto"}}
    assert unfitted(few, keys) == configured
    assert resolved_for(unfitted(few, keys), 10**6).knn.index == "ivf"
    exact = load_config("cosine", {"knn": {"index": "exact"}}, "test")
    assert unfitted_keys(exact, resolved_for(exact, 10**6)) == {}
