"""The order of samples, the shares of workers, the learning rate, and what decays."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from raycluster.arrays import Int64
from raycluster.config.networks import FitConfig
from raycluster.training.schedule import Order, learning_rate, make_optimizer, share
from support.toy import CONFIG, Toy

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 40)
FITS = {"sgd": CONFIG, "adamw": replace(CONFIG, optimizer="adamw", learning_rate=0.02)}


@given(SEEDS, SIZES, SIZES, st.integers(1, 8))
def test_batches_are_the_epochs_permutations_in_turn(seed: int, samples: int, size: int, batches: int) -> None:
    order = Order(seed, samples)
    found = np.concatenate([order.batch(number, size) for number in range(batches)])
    epochs = range(-(-batches * size // samples))
    expected = np.concatenate([np.random.default_rng([seed, epoch]).permutation(samples) for epoch in epochs])
    np.testing.assert_array_equal(found, expected[: batches * size])


@given(SEEDS, SIZES, SIZES, st.lists(st.integers(0, 50), min_size=2, max_size=5))
def test_a_batch_depends_on_nothing_before_it(seed: int, samples: int, size: int, numbers: list[int]) -> None:
    order = Order(seed, samples)
    for number in numbers:
        np.testing.assert_array_equal(order.batch(number, size), Order(seed, samples).batch(number, size))


@given(SEEDS, SIZES, SIZES, SIZES, st.integers(1, 8))
def test_two_groups_take_turns_each_in_epochs_of_its_own(
    seed: int, few: int, many: int, size: int, batches: int
) -> None:
    order = Order(seed, few, many)
    found = np.concatenate([order.batch(number, size) for number in range(batches)])
    of_few, of_many = found[0::2], found[1::2]
    np.testing.assert_array_equal(of_few, Order(seed, few).batch(0, len(of_few)))
    assert ((of_many >= few) & (of_many < few + many)).all()
    for start in range(0, len(of_many) - many + 1, many):
        np.testing.assert_array_equal(np.sort(of_many[start : start + many]), np.arange(few, few + many))
    again = Order(seed, few, many)
    np.testing.assert_array_equal(again.batch(batches - 1, size), found[-size:])


def test_a_constant_schedule_stays_at_its_peak_after_the_warm_up() -> None:
    fit = FitConfig(schedule="constant", learning_rate=0.4, warmup_steps=4, steps=10)
    assert [learning_rate(step, fit) for step in range(10)] == pytest.approx([0.1, 0.2, 0.3, *[0.4] * 7])


@given(st.integers(1, 6), st.integers(0, 40), SEEDS)
def test_shares_partition_a_batch_and_their_mean_is_that_of_the_batch(world: int, more: int, seed: int) -> None:
    batch = np.random.default_rng(seed).permutation(world + more)
    shares = [share(batch, rank, world) for rank in range(world)]
    mine = [chosen for chosen, _ in shares]
    np.testing.assert_array_equal(np.sort(np.concatenate(mine)), np.sort(batch))
    assert max(map(len, mine)) - min(map(len, mine)) <= 1
    value = np.random.default_rng(seed).normal(size=len(batch))
    assert np.mean([weight * value[chosen].mean() for chosen, weight in shares]) == pytest.approx(value[batch].mean())


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_mean_gradient_of_all_workers_is_that_of_the_batch(world: int) -> None:
    batch = Order(0, 50).batch(2, 23)

    def gradient(chosen: Int64, weight: float) -> list[Tensor]:
        task = Toy()
        (weight * task.loss(task.module, chosen)).backward()
        return [parameter.grad for parameter in task.module.parameters()]

    parts = [gradient(*share(batch, rank, world)) for rank in range(world)]
    for whole, *part in zip(gradient(batch, 1.0), *parts, strict=True):
        torch.testing.assert_close(torch.stack(part).mean(dim=0), whole)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero_by_a_cosine() -> None:
    config = FitConfig(learning_rate=2.0, warmup_steps=4, steps=12)
    rates = [learning_rate(step, config) for step in range(12)]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[4:] == pytest.approx([1 + math.cos(math.pi * step / 8) for step in range(8)])
    assert learning_rate(12, config) == pytest.approx(0)


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_learning_rate_is_positive_up_to_the_last_step(warmup: int, steps: int) -> None:
    config = FitConfig(learning_rate=3.0, warmup_steps=warmup, steps=steps)
    rates = [learning_rate(step, config) for step in range(steps)]
    assert all(0 < rate <= 3.0 for rate in rates)
    assert rates == sorted(rates[:warmup]) + sorted(rates[warmup:], reverse=True)


@pytest.mark.parametrize("name", FITS)
def test_only_matrices_decay(name: str) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    module[2].weight.requires_grad_(False)
    decays = {
        id(parameter): group["weight_decay"]
        for group in make_optimizer(module, FITS[name]).param_groups
        for parameter in group["params"]
    }
    trained = {id(module[0].weight): 0.01, id(module[0].bias): 0.0, id(module[1].weight): 0.0, id(module[1].bias): 0.0}
    assert decays == trained | {id(module[2].bias): 0.0}
