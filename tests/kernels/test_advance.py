"""Reports of rows from inner loops: they add up to the rows, whatever the kernel and the threads."""

import numpy as np
import pytest

from raycluster.kernels.advance import listening, rows_done, unheard
from raycluster.kernels.search import list_search, nearest, self_join
from raycluster.kernels.search.inverted_file import InvertedFile, assign_lists, train_centroids
from raycluster.kernels.search.list_search import Probing


def vectors(rows: int = 3000) -> np.ndarray:
    made = np.random.default_rng(0).standard_normal((rows, 16)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_searches_report_every_row(threads: int) -> None:
    rows, reported = vectors(), []
    own = np.arange(len(rows), dtype=np.int32)
    with listening(reported.append):
        nearest.exact_top_k(rows, own, rows, 10, threads)
    assert sum(reported) == len(rows)
    assert len(reported) == 3
    reported.clear()
    with listening(reported.append):
        self_join.self_top_k(rows, 10, threads)
    assert sum(reported) == pytest.approx(len(rows))
    assert len(reported) > 10
    centroids = train_centroids(rows, 20, 0)
    index = InvertedFile.group(centroids, assign_lists(rows, centroids))
    reported.clear()
    with listening(reported.append):
        list_search.list_top_k(rows, own, rows, index, Probing(4), 10, threads)
    assert sum(reported) == len(rows)


def test_the_inner_listener_hears_and_then_the_outer_one_again() -> None:
    outer, inner = [], []
    rows_done(1)
    with listening(outer.append):
        rows_done(2)
        with listening(inner.append):
            rows_done(3)
        with unheard():
            rows_done(4)
        rows_done(5)
    rows_done(6)
    assert outer == [2, 5]
    assert inner == [3]


def test_a_failure_gives_the_ear_back() -> None:
    heard = []
    with listening(heard.append):
        with pytest.raises(ZeroDivisionError), unheard():
            raise ZeroDivisionError
        rows_done(1)
    assert heard == [1]
