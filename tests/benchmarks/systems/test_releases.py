"""The least number of changed ids against brute force."""

import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.systems.releases import clusters, least_changes
from raycluster.identities.inheritance import Before, inherit


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9))
def test_no_assignment_changes_fewer_rows(pairs):
    old = np.array([pair[0] for pair in pairs], np.int64)
    cluster = clusters(pa.chunked_array([[pair[1] for pair in pairs]]))[0]
    ids, sizes = np.unique(old, return_counts=True)
    before = Before(old, np.zeros(len(old), bool), ids, sizes, 9, np.empty(0, np.int64))
    count = int(cluster.max()) + 1
    names = [*ids.tolist(), *range(100, 100 + count)]
    fewest = min(int((np.array(chosen)[cluster] != old).sum()) for chosen in itertools.permutations(names, count))
    assert least_changes(before, cluster) == fewest
    inherited = inherit(before, cluster, with_singletons=True).of_rows(cluster)
    assert fewest <= (inherited != old).sum()


def test_rows_that_a_release_lacks_are_alone():
    cluster, there = clusters(pa.chunked_array([["x", None, "x", None]]))
    assert there.tolist() == [True, False, True, False]
    assert len(set(cluster.tolist())) == 3
