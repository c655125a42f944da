import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raycluster.synthetic.hashed import Hashed

INDEX = np.arange(20_000)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**40))
def test_permutation_is_a_permutation(count, seed):
    permuted = Hashed(seed, "test").permute(np.arange(count), count)
    assert np.array_equal(np.sort(permuted), np.arange(count))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=50), st.integers(0, 2**63 - 1))
def test_a_number_depends_on_its_own_index_alone(index, seed):
    alone = [Hashed(seed, "test").bits(np.array([each])).item() for each in index]
    assert Hashed(seed, "test").bits(np.array(index)).tolist() == alone
    assert min(alone) >= 0


def test_uniform_is_uniform_and_purposes_and_seeds_are_independent():
    draws = [Hashed(0, "one").uniform(INDEX), Hashed(0, "two").uniform(INDEX), Hashed(1, "one").uniform(INDEX)]
    for draw in draws:
        assert stats.kstest(draw, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.03


def test_directions_have_length_one_and_stand_at_right_angles():
    scale = np.full(256, 256**-0.5, np.float32)
    found = Hashed(3, "test").directions(INDEX[:2000], scale)
    assert found.dtype == np.float32
    assert abs((found**2).sum(axis=1).mean() - 1) < 0.01
    cosine = (found[:1000] * found[1000:]).sum(axis=1)
    assert abs(cosine.mean()) < 0.01
    assert abs(cosine.std() - 1 / 16) < 0.005
