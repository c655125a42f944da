"""A runner whose results depend on nothing but the row, in torch and without."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from raycluster.models.blocks import BlockRunner
from raycluster.models.row_blocks import RowBlocks


@pytest.mark.parametrize("runner", [RowBlocks, lambda threads: BlockRunner(torch.device("cpu"), threads)])
@given(
    rows=st.integers(1, 50), block=st.integers(1, 20), threads=st.integers(1, 3),
    cut=st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_row_is_computed_beside_the_same_others_whatever_range_is_asked_for(runner, rows, block, threads, cut):
    start, stop = (min(end, rows) for end in cut)
    company = []

    def compute(together):
        company.append(tuple(together.tolist()))
        return 10 * together

    found = runner(threads).fill(np.empty(stop - start), start, rows, block, compute)
    np.testing.assert_array_equal(found, 10 * np.arange(start, stop))
    whole = {tuple(range(first, min(first + block, rows))) for first in range(0, rows, block)}
    assert set(company) <= whole
    assert len(set(company)) == len(company)


def test_a_block_has_one_core_for_its_matrix_products_and_an_error_in_it_reaches_the_caller():
    def check(first):
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
        if first == 2:
            raise ValueError("block 2")

    runner = RowBlocks(2)
    runner.run(check, range(2))
    with pytest.raises(ValueError, match="block 2"):
        runner.run(check, range(4))
