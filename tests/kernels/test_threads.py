"""The cap on numba's threads holds inside its block and nowhere else."""

import numba
import pytest

from raycluster.kernels.threads import at_most


def test_a_cap_holds_inside_the_block_only():
    before = numba.get_num_threads()
    with at_most(1) as count:
        assert count == numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


def test_no_cap_and_a_cap_above_all_threads_change_nothing():
    before = numba.get_num_threads()
    for cap in (None, before, before + 100):
        with at_most(cap) as count:
            assert count == numba.get_num_threads() == before


def test_caps_nest_and_an_inner_one_does_not_raise_the_outer():
    before = numba.get_num_threads()
    with at_most(1):
        with at_most(before + 1) as inner:
            assert inner == 1
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


def test_the_number_from_before_comes_back_after_an_exception():
    before = numba.get_num_threads()
    with pytest.raises(RuntimeError), at_most(1):
        raise RuntimeError
    assert numba.get_num_threads() == before
