"""Rules of decisions and columns, and their limits."""

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import InputError
from raycluster.identities import rules
from raycluster.identities.ties import Columns
from support.decided import decided

IDS = pa.array(list("abcdefgh"))


def text(pairs):
    return decided(pairs, pa.string())


def test_rows_of_a_set_are_named_by_the_lowest():
    found, left_out = rules.compiled(
        text([("c", "e", True, 0), ("e", "g", True, 0), ("b", "z", True, 0)]), IDS, Columns()
    )
    assert found.ties.of(np.arange(8)).tolist() == [0, 1, 2, 3, 2, 5, 2, 7]
    assert left_out.tolist() == [2]


def test_without_ties_there_is_no_map():
    found, _ = rules.compiled(text([("a", "b", False, 0)]), IDS, Columns())
    assert found.ties.is_empty
    assert found.apart.member.tolist() == [0, 1]


def test_rules_name_nodes():
    frame = np.array([0, 1, 0, 1, -1, 1, -1, -1], np.int32)
    color = np.array([-1, 4, -1, -1, 3, -1, -1, -1], np.int32)
    table = text([("c", "e", True, 0), ("d", "h", False, 0), ("e", "h", False, 0)])
    found, _ = rules.compiled(table, IDS, Columns(exclusive={"frame": frame}, differ={"color": color}))
    groups = [
        set(found.apart.member[a:b].tolist()) for a, b in zip(found.apart.first, found.apart.first[1:], strict=False)
    ]
    assert groups == [{3, 7}, {2, 7}, {0, 2}, {1, 3, 5}]
    assert found.apart.value[:, 0].tolist() == [-1, 4, 3, -1, 3, -1, -1, -1]


def test_large_sets_need_yes(monkeypatch):
    monkeypatch.setattr(rules, "LARGEST_SET", 3)
    columns = Columns(same={"ean": np.zeros(8, np.int32)})
    with pytest.raises(InputError, match=r"make 8 rows one identity, with the id a; above 3 rows that needs --yes"):
        rules.compiled(text([]), IDS, columns)
    assert rules.compiled(text([]), IDS, columns, yes=True)[0].ties.of(np.arange(8)).tolist() == [0] * 8


def test_large_exclusive_groups_need_yes(monkeypatch):
    monkeypatch.setattr(rules, "LARGEST_GROUP", 3)
    columns = Columns(exclusive={"shop": np.array([1, 0, 0, 0, 0, -1, -1, -1], np.int32)})
    with pytest.raises(InputError, match=r"column shop has one value in 4 rows, the first of them with the id b"):
        rules.compiled(text([]), IDS, columns)
    assert rules.compiled(text([]), IDS, columns, yes=True)[0].apart.groups == 1


def test_an_unknown_way_out_of_conflicts_is_a_mistake_of_the_caller():
    with pytest.raises(AssertionError):
        rules.compiled(text([]), IDS, Columns(), "maybe")
