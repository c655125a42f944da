import math

import numpy as np
import pytest

from raycluster.stages.topk import rounded


@pytest.mark.parametrize("k", [1, 8, 10, 75, 80, 256])
def test_lengths_are_the_next_ten_but_no_more_than_k(k):
    topk = np.arange(1, k + 1)
    expected = [min(k, 10 * math.ceil(count / 10)) for count in topk.tolist()]
    assert rounded(topk, k).tolist() == expected


def test_lengths_are_int64_from_any_integer_type_and_never_below_the_count():
    for dtype in (np.int16, np.uint8, np.int64):
        found = rounded(np.array([1, 10, 11, 79, 80], dtype), 80)
        assert found.dtype == np.int64
        assert found.tolist() == [10, 10, 20, 80, 80]
