import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import awkward_rows, identities, unit_rows
from raycluster.config import EdgesConfig
from raycluster.graph.nearest import exact_top_k
from raycluster.stages import edges
from raycluster.stages.edges import build, early_stop_edges, gap_edges, gap_lengths, in_force, threshold_edges

COLUMNS = {"source": np.int32, "target": np.int32, "weight": np.float32, "nep": np.float32, "similarity": np.float32}


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


def stacked(parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def assert_equal_columns(found, expected):
    assert list(found) == list(COLUMNS)
    for name, dtype in COLUMNS.items():
        assert found[name].dtype == dtype, name
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def shards_of(rows, seed):
    cuts = np.sort(np.random.default_rng(seed).integers(0, rows + 1, 3))
    return list(zip([0, *cuts], [*cuts, rows], strict=True))


TABLES = st.integers(2, 60).flatmap(
    lambda rows: st.tuples(st.just(rows), st.integers(2, rows), st.integers(0, 10**6), st.booleans())
)


@settings(max_examples=50, deadline=None)
@given(TABLES, st.floats(-1.1, 1))
def test_threshold_pairs_equal_the_union_of_both_directions_each_once(table, floor):
    neighbor, similarity = neighbor_table(*table)
    expected = {}
    for i, line in enumerate(neighbor.tolist()):
        for rank, j in enumerate(line):
            if j >= 0 and j != i and similarity[i, rank] >= np.float32(floor):
                expected[min(i, j), max(i, j)] = similarity[i, rank]
    found = threshold_edges(0, len(neighbor), neighbor, similarity, floor)
    pairs = list(zip(found["source"].tolist(), found["target"].tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert dict(zip(pairs, found["weight"], strict=True)) == expected
    np.testing.assert_array_equal(found["similarity"], found["weight"])
    assert np.isnan(found["nep"]).all()


def test_a_pair_that_only_the_higher_row_lists_is_kept():
    neighbor = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    similarity = np.array([[1, 0.9], [1, 0.9], [1, 0.7]], np.float32)
    found = threshold_edges(0, 3, neighbor, similarity, 0.5)
    assert found["source"].tolist() == [0, 0]
    assert found["target"].tolist() == [1, 2]


@settings(max_examples=25, deadline=None)
@given(TABLES, st.floats(-0.5, 1), st.integers(0, 1000), st.sampled_from(["threshold", "early-stop", "gap"]))
def test_row_shards_stack_to_the_edges_of_the_whole(table, floor, seed, rule):
    neighbor, similarity = neighbor_table(*table)
    config = EdgesConfig(rule=rule, gap_window=2, gap_z=1.0)

    def of(start, stop):
        p_hat = lambda: edges.transform(config)(similarity)  # noqa: E731
        return build(start, stop, neighbor, similarity, config, floor, p_hat, threads=2)

    whole = of(0, len(neighbor))
    assert_equal_columns(whole, stacked([of(start, stop) for start, stop in shards_of(len(neighbor), seed)]))


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(0, 1))
def test_early_stop_equals_a_walk_that_ends_at_the_first_nep_below(table, floor):
    neighbor, similarity = neighbor_table(*table)
    rng = np.random.default_rng(table[2])
    nep = np.where(neighbor >= 0, rng.random(neighbor.shape), 0).astype(np.float32)
    nep[rng.random(nep.shape) < 0.1] = np.float32(floor)
    start = 1000
    expected = []
    for i in range(len(neighbor)):
        for rank in range(1, neighbor.shape[1]):
            if neighbor[i, rank] < 0 or nep[i, rank] < np.float32(floor):
                break
            expected.append((start + i, neighbor[i, rank], nep[i, rank], nep[i, rank], similarity[i, rank]))
    columns = {
        name: np.array([edge[at] for edge in expected], dtype) for at, (name, dtype) in enumerate(COLUMNS.items())
    }
    assert_equal_columns(early_stop_edges(start, neighbor, similarity, nep, floor), columns)


def brute_force_gap_lengths(similarity, window, z):
    lengths = []
    for row in similarity.astype(np.float64).tolist():
        gaps = [row[rank] - row[rank + 1] for rank in range(1, len(row) - 1)]
        length = len(row)
        for at in range(window, len(gaps)):
            before = gaps[at - window : at]
            mean = sum(before) / window
            std = (sum((gap - mean) ** 2 for gap in before) / window) ** 0.5
            if gaps[at] > mean + z * std:
                length = at + 2
                break
        lengths.append(length)
    return lengths


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 20), st.sampled_from([0.517, 1.03, 3.07]), st.integers(0, 10**6))
def test_gap_lengths_equal_a_loop_over_the_gaps(k, window, z, seed):
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 64, (25, k)) * np.where(rng.random((25, k)) < 0.1, 16, 1)
    similarity = (1 - np.cumsum(steps, axis=1) / 2**16).astype(np.float32)
    found = gap_lengths(similarity, window, z)
    assert found.dtype == np.int64
    assert found.tolist() == brute_force_gap_lengths(similarity, window, z)


def test_the_gap_before_the_first_stranger_cuts_the_list():
    similarity = np.array([[1, 0.9, 0.88, 0.85, 0.83, 0.4, 0.39]], np.float32)
    assert gap_lengths(similarity, 3, 3.0).tolist() == [5]
    assert gap_lengths(similarity, 5, 3.0).tolist() == [7]


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(2, 6), st.sampled_from([0.5, 1.0, 3.0]))
def test_gap_weights_are_shares_of_the_row_sum_added_over_both_ends(table, window, z):
    neighbor, similarity = neighbor_table(*table)
    lengths = gap_lengths(similarity, window, z)
    weight, raw = {}, {}
    for i, length in enumerate(lengths):
        listed = [rank for rank in range(1, length) if neighbor[i, rank] >= 0 and similarity[i, rank] > 0]
        total = sum(float(similarity[i, rank]) for rank in listed)
        for rank in listed:
            j = int(neighbor[i, rank])
            pair = (min(i, j), max(i, j))
            weight[pair] = weight.get(pair, 0) + float(similarity[i, rank]) / total
            raw[pair] = similarity[i, rank]
    found = gap_edges(0, len(neighbor), neighbor, similarity, window, z)
    pairs = list(zip(found["source"].tolist(), found["target"].tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert dict(zip(pairs, found["weight"].tolist(), strict=True)) == pytest.approx(weight, rel=1e-5)
    assert dict(zip(pairs, found["similarity"], strict=True)) == raw
    assert np.isnan(found["nep"]).all()


@settings(max_examples=40, deadline=None)
@given(TABLES, st.floats(-0.2, 0.9), st.floats(0, 0.8), st.sampled_from(["threshold", "early-stop"]))
def test_stored_edges_in_force_at_a_higher_limit_equal_edges_built_at_it(table, floor, above, rule):
    neighbor, similarity = neighbor_table(*table)
    config = EdgesConfig(rule=rule)

    def at(value):
        p_hat = lambda: edges.transform(config)(similarity)  # noqa: E731
        return build(0, len(neighbor), neighbor, similarity, config, value, p_hat, threads=1)

    stored = at(floor)
    keep = in_force(stored, config, floor + above)
    assert keep.dtype == bool
    assert_equal_columns({name: values[keep] for name, values in stored.items()}, at(floor + above))
    assert in_force(stored, config, floor).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30), st.integers(0, 5))
def test_in_force_ends_every_walk_at_its_first_edge_below(pairs, limit):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    stored = {"source": np.array([s for s, _ in pairs], np.int32), "nep": np.array([n for _, n in pairs], np.float32)}
    stored["weight"] = stored["nep"]
    stopped, expected = set(), []
    for source, nep in pairs:
        if nep < limit:
            stopped.add(source)
        expected.append(source not in stopped)
    assert in_force(stored, EdgesConfig(rule="early-stop"), limit).tolist() == expected


def test_gap_edges_are_always_in_force():
    stored = gap_edges(0, 30, *neighbor_table(30, 8, 0), 2, 3.0)
    assert len(stored["weight"]) > 0
    assert in_force(stored, EdgesConfig(rule="gap"), -1.0).tolist() == [True] * len(stored["weight"])


def test_crowds_of_identical_rows_give_each_pair_once():
    vectors = awkward_rows("duplicates", 80, 8, 0)
    neighbor, similarity = exact_top_k(vectors, np.arange(80, dtype=np.int32), vectors, 6)
    found = threshold_edges(0, 80, neighbor, similarity, 0.99)
    listed = {(min(i, j), max(i, j)) for i, line in enumerate(neighbor.tolist()) for j in line if i != j}
    close = {(i, j) for i, j in listed if (vectors[i] == vectors[j]).all()}
    assert sorted(zip(found["source"].tolist(), found["target"].tolist(), strict=True)) == sorted(close)


@pytest.mark.parametrize("kind", ["exponential", "sigmoid"])
def test_transform_gives_empty_ranks_nothing_and_every_row_a_sum_of_one(kind):
    neighbor, similarity = neighbor_table(40, 10, 3, short=True)
    p_hat = edges.transform(EdgesConfig(transform=kind))(similarity)
    assert p_hat.dtype == np.float32
    assert (neighbor < 0).any()
    assert (p_hat[neighbor < 0] == 0).all()
    assert (p_hat[neighbor >= 0] > 0).all()
    assert p_hat.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_transform_takes_its_constants_from_the_configuration():
    similarity = np.array([[1, 0.8, 0.5]], np.float32)
    flat = edges.transform(EdgesConfig(tau=100.0))(similarity)
    assert flat[0] == pytest.approx(1 / 3, abs=0.01)
    soft, steep = (
        edges.transform(EdgesConfig(transform="sigmoid", delta=delta, epsilon=0.0))(similarity) for delta in (1.0, 30.0)
    )
    assert steep[0, 2] < 1e-6 < soft[0, 2]


def test_early_stop_on_identities_links_mostly_one_person():
    vectors, labels = identities(20, 10, spread=0.3)
    neighbor, similarity = exact_top_k(vectors, np.arange(200, dtype=np.int32), vectors, 10)
    config = EdgesConfig(rule="early-stop")
    found = build(0, 200, neighbor, similarity, config, 0.3, lambda: edges.transform(config)(similarity), 1)
    assert len(found["source"]) > 1500
    assert (labels[found["source"]] == labels[found["target"]]).mean() > 0.95


def test_limit_is_the_picked_threshold_or_theta():
    assert edges.limit(EdgesConfig(), {"threshold": 0.61}) == 0.61
    assert edges.limit(EdgesConfig(rule="early-stop", theta=0.3), {}) == 0.3
    _, similarity = neighbor_table(10, 3, 0)
    assert edges.pick(EdgesConfig(threshold=0.4), similarity, None) == {"threshold": 0.4, "picked": False}
    assert edges.pick(EdgesConfig(rule="gap"), similarity, None) == {}
