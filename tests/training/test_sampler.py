"""Samples of several sets in two groups that weigh the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raycluster.training.labelled_set import LabelledSet
from raycluster.training.sampler import MultiSetSampler
from support.labelled import opened

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"))


def sampler(one: LabelledSet, plain: list[int], varied: list[int]) -> MultiSetSampler:
    sets = [one] * len(plain) + [replace(one, is_varied=True)] * len(varied)
    return MultiSetSampler(sets, [*plain, *varied], CPU)


@pytest.mark.parametrize(
    ("plain", "varied", "groups"),
    [([3, 4], [50, 60], [7, 110]), ([3, 4], [], [7]), ([], [50, 60], [110]), ([0], [50], [50]), ([0], [0], [])],
)
def test_varied_sets_are_a_group_and_a_group_without_samples_is_none(
    labelled: LabelledSet, plain: list[int], varied: list[int], groups: list[int]
) -> None:
    assert sampler(labelled, plain, varied).groups == groups


def test_some_samples_are_of_both_groups_equally_and_all_where_there_are_few(labelled: LabelledSet) -> None:
    both = sampler(labelled, [5, 25], [40, 60])
    some = both.spread(40)
    assert len(np.unique(some)) == len(some) == 40
    assert np.count_nonzero(some < 30) == 20
    assert {0, 29, 30, 129} <= set(some.tolist())
    np.testing.assert_array_equal(both.spread(1000), np.arange(130))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_the_mean_is_that_of_the_groups_means(labelled: LabelledSet, few: int, many: int, seed: int) -> None:
    if few + many == 0:
        return
    rng = np.random.default_rng(seed)
    value, weight = rng.normal(size=(few + many, 6)), (rng.random((few + many, 6)) < 0.6).astype(float)
    chosen = rng.permutation(np.concatenate([rng.integers(0, 30, few), rng.integers(30, 130, many)]))
    found = sampler(labelled, [30], [100]).mean(torch.from_numpy(value), torch.from_numpy(weight), chosen)
    expected = [
        (value[rows] * weight[rows]).sum() / max(weight[rows].sum(), 1)
        for rows in (slice(0, few), slice(few, None))
        if len(value[rows])
    ]
    assert found.item() == pytest.approx(np.mean(expected))


def test_sets_of_several_widths_are_filled_up_with_zeros(labelled: LabelledSet, tmp_path: Path) -> None:
    narrow = replace(opened(tmp_path / "narrow", width=12), is_varied=True)
    both = MultiSetSampler([labelled, narrow], [120, 120], CPU)
    rows = both.split(np.array([3, 121, 7]))
    assert [(number, some.tolist()) for number, some in rows] == [(0, [3, 7]), (1, [1])]
    vectors, present, _, topk = both.gather(rows)
    assert vectors.shape == (3, labelled.neighbor.shape[1], 16)
    assert present.all()
    assert topk is None
    np.testing.assert_array_equal(vectors[2, :, :12].numpy(), np.asarray(narrow.vectors)[narrow.neighbor[1]])
    assert not vectors[2, :, 12:].any()
