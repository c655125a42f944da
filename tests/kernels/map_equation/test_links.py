"""Links in rows, against dictionaries; weights on the grid add up without error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.map_equation.links import Rows, directed_rows, grid, packed, rounded, undirected_rows
from support.graphs import random_links

CASES = st.tuples(st.integers(1, 25), st.integers(0, 80), st.integers(0, 10**6))


def entries(rows):
    """Neighbors and weights of every row."""
    return [
        list(zip(rows.neighbor[a:b].tolist(), rows.weight[a:b].tolist(), strict=True))
        for a, b in zip(rows.start[:-1], rows.start[1:], strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(0, 10**6), st.floats(1e-6, 1e6))
def test_weights_on_the_grid_add_up_to_the_same_in_any_order(links, seed, scale):
    rng = np.random.default_rng(seed)
    weight = (scale * rng.uniform(0, 1, links) ** 8).astype(np.float32)
    step = grid(weight)
    assert math.log2(step) == round(math.log2(step))
    on_grid = rounded(weight.astype(np.float64), step)
    assert (np.abs(on_grid - weight) <= step / 2).all()
    assert (on_grid.astype(np.float32) == on_grid).all()
    twice = np.concatenate([on_grid, on_grid])
    exact = math.fsum(twice)
    for _ in range(3):
        total = 0.0
        for value in rng.permutation(twice):
            total += value
        assert total == exact


def test_the_grid_of_nothing_is_one_and_weights_must_be_finite():
    assert grid(np.empty(0, np.float32)) == grid(np.array([0, -1], np.float32)) == 1
    with pytest.raises(AssertionError, match="finite"):
        grid(np.array([1, np.inf], np.float32))


@settings(max_examples=40, deadline=None)
@given(CASES, st.integers(1, 4))
def test_an_undirected_link_is_in_the_rows_of_both_its_ends(case, tasks):
    nodes, links, seed = case
    source, target, weight = random_links(nodes, links, seed, lightest=-0.5)
    number = np.random.default_rng(seed).permutation(nodes).astype(np.int32)
    step = grid(weight)
    rows = undirected_rows(source, target, weight, number, step, tasks)
    expected = [[] for _ in range(nodes)]
    for one, other, value in zip(number[source], number[target], weight, strict=True):
        if value > 0 and one != other:
            on_grid = float(rounded(float(value), step))
            expected[one].append((int(other), on_grid))
            expected[other].append((int(one), on_grid))
    assert [sorted(row) for row in entries(rows)] == [sorted(row) for row in expected]
    assert (rows.neighbor.dtype, rows.weight.dtype) == (np.int32, np.float32)


@settings(max_examples=40, deadline=None)
@given(CASES, st.integers(1, 4))
def test_directed_rows_hold_incoming_then_outgoing_links_sorted_and_without_duplicates(case, tasks):
    nodes, links, seed = case
    source, target, weight = random_links(nodes, links, seed, lightest=-0.5)
    number = np.random.default_rng(seed).permutation(nodes).astype(np.int32)
    rows = directed_rows(source, target, weight, number, grid(weight), tasks)
    expected = [{} for _ in range(nodes)]
    for one, other, value in zip(number[source].tolist(), number[target].tolist(), weight, strict=True):
        if value > 0:
            expected[one][other] = expected[one].get(other, 0) + float(value)
            expected[other][~one] = expected[other].get(~one, 0) + float(value)
    for row, sums in zip(entries(rows), expected, strict=True):
        assert [neighbor for neighbor, _ in row] == sorted(sums)
        assert [value for _, value in row] == pytest.approx([sums[neighbor] for neighbor in sorted(sums)], rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(CASES, st.integers(0, 10**6))
def test_directed_rows_depend_neither_on_tasks_nor_on_the_order_of_links(case, seed):
    nodes, links, _ = case
    source, target, weight = random_links(*case)
    number, step = np.arange(nodes, dtype=np.int32), grid(weight)
    order = np.random.default_rng(seed).permutation(links)
    one = directed_rows(source, target, weight, number, step, 1)
    other = directed_rows(source[order], target[order], weight[order], number, step, 3)
    for name in ("start", "neighbor", "weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(0, 10**6))
def test_packed_rows_keep_their_first_entries(lengths, seed):
    rng = np.random.default_rng(seed)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = Rows(start, np.arange(start[-1], dtype=np.int32), rng.random(start[-1]).astype(np.float32))
    kept = np.array([rng.integers(0, length + 1) for length in lengths], np.int64)
    expected = [row[:count] for row, count in zip(entries(rows), kept, strict=True)]
    assert entries(packed(rows, kept)) == expected
