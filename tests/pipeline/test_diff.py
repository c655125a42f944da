"""What became of every cluster between two runs, against a reading of the definitions row by row."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.pipeline.diff import KINDS, compare


def became(old: dict[int, int], new: dict[int, int]) -> Counter[str]:
    """The kinds of clusters of two partitions, row to cluster, by the sentences of `diff`."""
    kinds: Counter[str] = Counter()
    for cluster in set(old.values()):
        members = {row for row in old if old[row] == cluster}
        targets = {new[row] for row in members if row in new}
        if not targets:
            kinds["gone"] += 1
            continue
        is_split = len(targets) > 1
        is_joined = any(new.get(row) in targets for row in old if row not in members)
        if is_split or is_joined:
            kinds["regrouped" if is_split and is_joined else "split" if is_split else "merged"] += 1
            continue
        then = {row for row in new if new[row] in targets}
        kinds["grown" if then - old.keys() else "shrunk" if members - new.keys() else "same"] += 1
    kinds["new"] = len({new[row] for row in new} - {new[row] for row in new if row in old})
    return kinds


def difference(old: dict[int, int], new: dict[int, int]) -> Any:
    """`compare` of two partitions, row to cluster."""
    was, now = (np.unique(list(one.values()), return_inverse=True)[1].astype(np.int64) for one in (old, new))
    common = sorted(old.keys() & new.keys())
    places = [np.array([list(one).index(row) for row in common], np.int64) for one in (old, new)]
    return compare(was, now, *places)


PARTITIONS = st.dictionaries(st.integers(0, 14), st.integers(0, 4), min_size=1, max_size=15)


@given(PARTITIONS, PARTITIONS)
def test_every_cluster_is_of_the_kind_that_the_sentences_give(old: dict[int, int], new: dict[int, int]) -> None:
    found, expected = difference(old, new), became(old, new)
    assert {kind: count for kind, count in found.clusters.items() if count} == {k: v for k, v in expected.items() if v}
    assert found.rows_common == len(old.keys() & new.keys())
    assert (found.rows_new, found.rows_gone) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert 0 <= found.rows_moved <= found.rows_common


@pytest.mark.parametrize(
    ("old", "new", "kind", "moved"),
    [
        ("aabb", "ccdd", {"same": 2}, 0),
        ("aaaa", "bbbc", {"split": 1}, 1),
        ("aaab", "cccc", {"merged": 2}, 1),
        ("aabb", "cdcd", {"regrouped": 2}, 3),
        ("aaa-", "bbbb", {"grown": 1}, 0),
        ("aaab", "ccc-", {"same": 1, "gone": 1}, 0),
        ("aaaa", "bbb-", {"shrunk": 1}, 0),
        ("aa--", "bbcc", {"same": 1, "new": 1}, 0),
    ],
)
def test_small_cases(old: str, new: str, kind: dict[str, int], moved: int) -> None:
    partitions = [{row: ord(letter) for row, letter in enumerate(text) if letter != "-"} for text in (old, new)]
    found = difference(*partitions)
    assert found.clusters == dict.fromkeys(KINDS, 0) | kind
    assert found.rows_moved == moved
    assert found.to_json()["clusters"] == found.clusters
