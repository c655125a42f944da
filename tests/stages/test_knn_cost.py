"""Costs of a search follow the way in which it reads the rows."""

from dataclasses import replace

import pytest

from raycluster.config.load import load_config
from raycluster.stages.knn_cost import (
    LISTED_NEIGHBOR,
    MEASURING_ROWS,
    MOST_SHARE,
    TYPICAL_SHARE,
    cost_of_search,
    joins_itself,
    pairs_compared,
    share_read,
)
from support.estimates import a_size

EXACT = load_config("cosine", {"knn": {"index": "exact"}}, "test")
LISTS = load_config("cosine", {"knn": {"index": "ivf", "lists": 100}}, "test")


def test_lists_read_the_share_that_was_measured_or_the_typical_one() -> None:
    size = a_size(1_000_000)
    assert share_read(size, EXACT) == 1.0
    assert share_read(replace(size, share=None), LISTS) == TYPICAL_SHARE
    assert share_read(replace(size, share=0.01), LISTS) == 0.01


def test_pairs_are_those_of_the_rows_that_are_read() -> None:
    size = replace(a_size(10_000), shards=1, share=None)
    assert joins_itself(size, EXACT)
    assert pairs_compared(size, EXACT) == 10_000**2 / 2
    assert pairs_compared(replace(size, shards=2), EXACT) == 10_000**2
    expected = 10_000 * (100 + TYPICAL_SHARE * 10_000 + MEASURING_ROWS)
    assert pairs_compared(size, LISTS) == pytest.approx(expected)
    assert pairs_compared(replace(size, shards=2, share=MOST_SHARE + 0.1), LISTS) == 10_000**2


def test_more_threads_and_larger_shards_take_more_memory() -> None:
    size = a_size(1_000_000, 8)
    needs = [
        cost_of_search(one, EXACT).worker_bytes for one in (size, replace(size, threads=4), replace(size, shards=4))
    ]
    assert needs[0] < min(needs[1:])


def test_a_search_by_lists_counts_products_and_the_neighbors_that_it_finds() -> None:
    size = replace(a_size(1_000_000), share=0.01)
    few, many = (load_config("cosine", {"knn": {"index": "ivf", "k": k}}, "test") for k in (20, 80))
    more = cost_of_search(size, many).work - cost_of_search(size, few).work
    assert more == pytest.approx(LISTED_NEIGHBOR * 60 * size.rows)
    assert cost_of_search(size, EXACT).work == pairs_compared(size, EXACT) * size.width
