"""The adaptive filter: its target against exact fractions, its networks on lists too small to be hard."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.networks import EncoderConfig, FilterConfig
from raycluster.errors import InputError
from raycluster.models.networks.adaptive_filter import AdaptiveFilter, targets

K, D = 8, 12
RAW = (0.0, 1.0)
NETWORKS = ("transformer", "lstm")
SMALL = FilterConfig(encoder=EncoderConfig(layers=2, heads=2, width=16, hidden=32, dropout=0.0), lstm_width=16)


def small(network: str, **changes) -> AdaptiveFilter:
    torch.manual_seed(0)
    return AdaptiveFilter(replace(SMALL, network=network, **changes), K, D)


def rows(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random unit vectors (count, K, D) and lists of 1 to K neighbors."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.nn.functional.normalize(torch.randn(count, K, D, generator=generator), dim=-1)
    length = torch.randint(1, K + 1, (count, 1), generator=generator)
    return vectors, torch.arange(K) < length


def best_of_all(same: np.ndarray, size: int, beta: Fraction) -> int:
    """First argmax of Q by its definition."""
    quality = []
    for j in range(1, len(same) + 1):
        hits = int(same[:j].sum())
        precision, recall = Fraction(hits, j), Fraction(hits, size)
        quality.append((1 + beta**2) * precision * recall / (beta**2 * precision + recall))
    return quality.index(max(quality)) + 1


@given(
    same=st.lists(st.lists(st.booleans(), min_size=11, max_size=11), min_size=1, max_size=6),
    absent=st.integers(0, 11),
    beyond=st.integers(0, 100),
    beta=st.sampled_from([Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2)]),
)
@settings(max_examples=200, deadline=None)
def test_target_is_the_first_best_q(same, absent, beyond, beta):
    table = np.array([[True, *row] for row in same])
    table[:, 12 - absent :] = False
    size = table.sum(axis=1) + beyond
    found = targets(table, size, float(beta))
    assert found.dtype == np.int64
    assert found.tolist() == [best_of_all(row, count, beta) for row, count in zip(table, size.tolist(), strict=True)]


def test_target_of_plain_cases():
    cases = {
        "alone": ([1, 0, 0, 0], 1, 1),
        "all of it first": ([1, 1, 1, 0], 3, 3),
        "an identity larger than the list": ([1, 1, 1, 1], 90, 4),
        "one stranger between": ([1, 1, 0, 1], 3, 2),
        "never reaches absent neighbors": ([1, 1, 0, 0], 50, 2),
    }
    for name, (same, size, expected) in cases.items():
        assert targets(np.array([same], dtype=bool), np.array([size]), 0.5).tolist() == [expected], name


def test_prediction_is_rounded_and_stays_in_the_list():
    model = small("transformer")
    predicted = model.topk(torch.tensor([-0.3, 0.01, 0.19, 0.5, 0.95, 1.7]))
    assert predicted.dtype == torch.int64
    assert predicted.tolist() == [1, 1, 2, 4, 8, 8]


def test_a_linear_output_may_leave_the_list_and_its_first_guess_is_short():
    model = small("transformer").eval()
    with torch.no_grad():
        model.head[-1].weight.zero_()
        assert model(*rows(4), RAW).tolist() == pytest.approx([0.05] * 4)
        model.head[-1].bias.fill_(1.4)
        share = model(*rows(4), RAW)
    assert share.tolist() == pytest.approx([1.4] * 4)
    assert model.topk(share).tolist() == [K] * 4


def test_tokens_of_the_lstm_have_unit_length_with_its_residual():
    model = small("lstm", tokens="embedding").eval()
    x = torch.randn(3, K, D)
    assert model._recurrent(x).norm(dim=2).flatten().tolist() == pytest.approx([1.0] * 3 * K, abs=1e-5)
    plain = small("lstm", tokens="embedding", lstm_residual=False).eval()
    torch.testing.assert_close(plain._recurrent(x), plain.lstm(x)[0])


def test_the_relative_loss_is_huber_of_the_relative_error():
    model = small("transformer", loss="relative")
    topk = torch.tensor([1, 2, 8])
    y_hat = torch.tensor([0.5, 0.2, 0.9])  # relative errors 3, -0.2, -0.1
    expected = (2.5 + 0.02 + 0.005) / 3
    assert model.loss(y_hat, topk).item() == pytest.approx(expected, rel=1e-6)
    assert model.loss(topk / K, topk).item() == 0


def test_the_absolute_loss_is_huber_of_neighbors():
    model = small("transformer")
    topk = torch.tensor([1, 2, 8])
    y_hat = torch.tensor([0.5, 0.2, 0.9])  # errors of 3, -0.4 and -0.8 neighbors
    expected = (2.5 + 0.08 + 0.32) / 3 / K
    assert model.loss(y_hat, topk).item() == pytest.approx(expected, rel=1e-6)
    assert model.loss(topk / K, topk).item() == 0


def test_the_best_constant_is_the_median_by_the_absolute_loss_and_far_below_by_the_relative_loss():
    topk = torch.tensor([1] * 2 + [7] * 4 + [8] * 4)
    constants = torch.arange(1, K + 1) / K
    best = {}
    for loss in ("absolute", "relative"):
        losses = torch.stack([small("transformer", loss=loss).loss(one.expand(len(topk)), topk) for one in constants])
        best[loss] = 1 + int(losses.argmin())
    assert best == {"absolute": 7, "relative": 1}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("tokens", ["embedding", "gram", "embedding+gram"])
def test_absent_neighbors_have_no_influence(network, tokens):
    model = small(network, tokens=tokens).eval()
    vectors, present = rows(16)
    with torch.no_grad():
        share = model(vectors, present, RAW)
        other = torch.where(present[:, :, None], vectors, torch.nan)
        assert torch.equal(model(other, present, RAW), share)
    assert share.shape == (16,)
    share = small(network, tokens=tokens, output="sigmoid").eval()(vectors, present, RAW)
    assert ((share > 0) & (share < 1)).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_rank_is_known_to_the_network(network):
    model = small(network, tokens="embedding").eval()
    vectors, _ = rows(4)
    present = torch.ones(4, K, dtype=torch.bool)
    with torch.no_grad():
        there, back = model(vectors, present, RAW), model(vectors.flip(1), present, RAW)
    assert ((there - back).abs() > 2e-5).any()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("tokens", ["embedding", "gram", "embedding+gram"])
def test_every_parameter_learns(network, tokens):
    model = small(network, tokens=tokens)
    vectors, present = rows(16)
    present[0] = True
    model.loss(model(vectors, present, RAW), torch.randint(1, K + 1, (16,))).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert still == []


@pytest.mark.parametrize("network", NETWORKS)
def test_gram_tokens_do_not_depend_on_the_width(network):
    model = small(network, tokens="gram").eval()
    vectors, present = rows(16)
    wider = torch.nn.functional.pad(vectors, (0, 20)) @ torch.linalg.qr(torch.randn(D + 20, D + 20))[0]
    with torch.no_grad():
        torch.testing.assert_close(model(wider, present, RAW), model(vectors, present, RAW), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_embedding_tokens_refuse_another_width(network):
    with pytest.raises(InputError, match="trained on embeddings of width 12, these have 7"):
        small(network)(torch.zeros(1, K, 7), torch.ones(1, K, dtype=torch.bool), RAW)


@pytest.mark.parametrize("network", NETWORKS)
def test_bfloat16_autocast_comes_close(network):
    model = small(network).eval()
    vectors, present = rows(16)
    with torch.no_grad():
        exact = model(vectors, present, RAW)
        with torch.autocast("cpu", torch.bfloat16):
            near = model(vectors, present, RAW)
    torch.testing.assert_close(near, exact, rtol=0, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "rate"), [("transformer", 1e-2), ("lstm", 3e-2)])
def test_overfits_a_few_rows(network, rate):
    """Rows whose first Top-K vectors are near one center."""
    model = small(network, tokens="gram")
    generator = torch.Generator().manual_seed(3)
    topk = torch.randint(1, K + 1, (64,), generator=generator)
    center = torch.randn(64, 1, D, generator=generator)
    noise = torch.randn(64, K, D, generator=generator)
    near = (torch.arange(K) < topk[:, None])[:, :, None]
    vectors = torch.nn.functional.normalize(torch.where(near, center + 0.5 * noise, noise), dim=-1)
    present = torch.ones(64, K, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=300)
    for _ in range(300):
        optimizer.zero_grad()
        model.loss(model(vectors, present, RAW), topk).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        error = (model.topk(model(vectors, present, RAW)) - topk).abs()
    assert error.float().mean() < 0.1
