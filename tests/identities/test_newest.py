"""Newer decisions win; a brute force over decisions one by one agrees."""

import networkx
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raycluster.identities.decisions import added
from raycluster.identities.rules import Columns, compiled
from support.decided import decided

IDS = pa.array(range(8))
PAIRS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans(), st.integers(0, 30)).filter(lambda p: p[0] != p[1]),
    max_size=14,
    unique_by=lambda p: p[3],
)


def oracle(pairs):
    """Decisions in force, newest first, each if those before it allow it."""
    kept = []
    for a, b, same, at in sorted(pairs, key=lambda p: -p[3]):
        trial = [*kept, (a, b, same, at)]
        graph = networkx.Graph((x, y) for x, y, is_same, _ in trial if is_same)
        graph.add_nodes_from(range(8))
        if not any(not is_same and networkx.has_path(graph, x, y) for x, y, is_same, _ in trial):
            kept = trial
    return {(min(a, b), max(a, b), same) for a, b, same, _ in kept}


@given(PAIRS)
def test_what_contradicts_newer_decisions_is_left_out(pairs):
    """Equal decisions count as the newest of them, so the oracle reads the table."""
    table = added(decided([]), decided(pairs))
    rows = [(row["id_a"], row["id_b"], row["same"], row["at"].timestamp()) for row in table.to_pylist()]
    _, left_out = compiled(table, IDS, Columns(), "newest")
    in_force = {row[:3] for at, row in enumerate(rows) if at not in set(left_out.tolist())}
    assert in_force == oracle(rows)


@given(PAIRS, st.randoms(), st.sampled_from(["newest", "drop"]))
def test_the_order_of_the_table_has_no_influence(pairs, random, on_conflict):
    shuffled = pairs.copy()
    random.shuffle(shuffled)
    one, other = (compiled(decided(these), IDS, Columns(), on_conflict)[0] for these in (pairs, shuffled))
    np.testing.assert_array_equal(one.ties.of(np.arange(8)), other.ties.of(np.arange(8)))
    groups = [
        {tuple(rules.apart.member[a:b]) for a, b in zip(rules.apart.first[:-1], rules.apart.first[1:], strict=True)}
        for rules in (one, other)
    ]
    assert groups[0] == groups[1]


def test_decisions_beat_columns_and_exclusive_columns_beat_same_columns():
    frame = np.array([0, 0, 1, 1, -1, -1, -1, -1], np.int32)
    ean = np.array([-1, -1, 5, 5, 6, 6, -1, -1], np.int32)
    columns = Columns(exclusive={"frame": frame}, same={"ean": ean})
    rules, left_out = compiled(decided([(0, 1, True, 0)]), IDS, columns, "newest")
    assert rules.ties.of(np.arange(8)).tolist() == [0, 0, 2, 3, 4, 4, 6, 7]
    assert len(left_out) == 0
    rules, _ = compiled(decided([(4, 5, False, 0)]), IDS, columns, "newest")
    assert rules.ties.of(np.arange(8)).tolist() == list(range(8))


def test_differ_columns_part_sets():
    color = np.array([1, -1, 2, -1, -1, -1, -1, -1], np.int32)
    ean = np.array([0, 0, 0, -1, -1, -1, -1, -1], np.int32)
    rules, _ = compiled(decided([]), IDS, Columns(same={"ean": ean}, differ={"color": color}), "newest")
    assert rules.ties.of(np.arange(8)).tolist() == [0, 0, 2, 3, 4, 5, 6, 7]


def test_drop_leaves_out_all_decisions_of_a_contradictory_set():
    pairs = [(0, 1, True, 0), (1, 2, True, 1), (0, 2, False, 2), (2, 7, False, 3), (5, 6, True, 4)]
    rules, left_out = compiled(decided(pairs), IDS, Columns(), "drop")
    assert rules.ties.of(np.arange(8)).tolist() == [0, 1, 2, 3, 4, 5, 5, 7]
    assert left_out.tolist() == [0, 1, 2]
    assert rules.apart.member.tolist() == [2, 7]
