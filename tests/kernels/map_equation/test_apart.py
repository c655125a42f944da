"""Rules of what must be apart, against loops over all pairs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raycluster.kernels.map_equation.apart import broken_communities, conflict, ranges
from support.living_graphs import apart_of

GROUPS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=5)
COMMUNITIES = st.lists(st.integers(0, 3), min_size=10, max_size=10)
VALUES = st.lists(st.lists(st.integers(-1, 2), min_size=2, max_size=2), min_size=10, max_size=10)


def parted(groups, value, a, b):
    """Whether nodes a and b must be apart, by definition."""
    differ = any(one >= 0 and other >= 0 and one != other for one, other in zip(value[a], value[b], strict=True))
    return differ or any(a in group and b in group for group in groups)


@given(GROUPS, COMMUNITIES, VALUES)
def test_communities_that_break_a_rule(groups, of, value):
    apart, of = apart_of(groups, 10, np.array(value, np.int32)), np.array(of)
    expected = {int(of[a]) for a in range(10) for b in range(a) if of[a] == of[b] and parted(groups, value, a, b)}
    assert set(broken_communities(of, apart).tolist()) == expected
    assert (apart.violations(of) > 0) == bool(expected)


@given(GROUPS, VALUES)
def test_conflicts_of_two_nodes(groups, value):
    apart = apart_of(groups, 10, np.array(value, np.int32))
    start, group = apart.memberships(np.arange(10, dtype=np.int32))
    for a in range(10):
        for b in range(a):
            ends = start[a], start[a + 1], start[b], start[b + 1]
            assert conflict(a, b, *ends, group, apart.value) == parted(groups, value, a, b)


def test_violations_count_members_and_values():
    apart = apart_of([[0, 1, 2], [3, 4]], 6, np.array([[-1], [-1], [-1], [0], [1], [2]], np.int32))
    assert apart.violations(np.array([0, 0, 0, 1, 1, 1])) == 2 + 1 + 2
    assert apart.violations(np.arange(6)) == 0


def test_rules_of_some_nodes_bring_the_other_members():
    apart = apart_of([[0, 5], [5, 7, 9], [2, 3]], 10)
    member, group = apart.shared(np.array([7], np.int32))
    assert member.tolist() == [5, 7, 9]
    assert set(group.tolist()) == {1}


def test_mapped_rules_name_the_new_nodes_once():
    apart = apart_of([[0, 1, 2]], 4).mapped(np.array([0, 0, 1, -1]), None, 2)
    assert apart.member.tolist() == [0, 1]


def test_ranges():
    assert ranges(np.array([5, 0, 2]), np.array([7, 0, 5])).tolist() == [5, 6, 2, 3, 4]
