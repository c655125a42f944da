"""Attention against a loop over eq. 9-13 in numpy, and what masks, experts and precision may change."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from raycluster.config.networks import EncoderConfig
from raycluster.models.networks.attention import Attention, highest, visible

ATTENTIONS, MASKS = ("vanilla", "differential"), ("none", "topk", "mixture")
KINDS = list(product(ATTENTIONS, MASKS))
every_kind = pytest.mark.parametrize(("attention", "mask"), KINDS)
examples = settings(max_examples=40, deadline=None)


def config(attention: str = "vanilla", mask: str = "none", **changes) -> EncoderConfig:
    return EncoderConfig(**{"heads": 2, "mask_step": 2, "dropout": 0.0, "attention": attention, "mask": mask} | changes)


def module(settings: EncoderConfig, width: int = 8, seed: int = 0) -> Attention:
    """In float64, every parameter off its initial value, so that none can be forgotten unnoticed."""
    torch.manual_seed(seed)
    made = Attention(width, settings).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return made


def rows(
    settings: EncoderConfig, batch: int, k: int, width: int = 8, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random x (batch, k, width) in float64, and its visible keys for random Top-K and lists of random length."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, k, width, generator=generator, dtype=torch.float64)
    topk, length = torch.randint(1, k + 1, (2, batch), generator=generator)
    return x, visible(topk, torch.arange(k) < length[:, None], settings)


def softmax(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    weights = np.zeros(len(scores))
    weights[seen] = np.exp(scores[seen] - scores[seen].max())
    return weights / weights.sum()


def oracle(made: Attention, settings: EncoderConfig, x: torch.Tensor, seen: torch.Tensor) -> np.ndarray:
    """Eq. 9-13, one query, head, expert and map at a time."""
    p = {name: value.detach().numpy() for name, value in made.named_parameters()}
    tokens, masks = x.numpy(), seen.numpy()
    batch, length, _ = tokens.shape
    maps = 2 if settings.attention == "differential" else 1
    size = len(p["v.weight"]) // settings.heads
    half = size // maps
    signs = [1.0]
    if maps == 2:
        exponents = [(p[f"lambda_q{n}"] * p[f"lambda_k{n}"]).sum() for n in (1, 2)]
        signs.append(-(np.exp(exponents[0]) - np.exp(exponents[1]) + settings.lambda_init))
    weights = p["experts"] if settings.mask == "mixture" else [1.0]
    found = np.zeros_like(tokens)
    for b, t in product(range(batch), range(length)):
        q, k, v = p["q.weight"] @ tokens[b, t], tokens[b] @ p["k.weight"].T, tokens[b] @ p["v.weight"].T
        heads = []
        for head in range(settings.heads):
            output = np.zeros(size)
            for weight, mask in zip(weights, masks[b], strict=True):
                for index, sign in enumerate(signs):
                    part = slice((index * settings.heads + head) * half, (index * settings.heads + head + 1) * half)
                    attended = softmax(k[:, part] @ q[part] / np.sqrt(half), mask)
                    output += weight * sign * (attended @ v[:, head * size : (head + 1) * size])
            if maps == 2:
                output *= p["norm.weight"] / np.sqrt(np.mean(output**2) + 1e-5) * (1 - settings.lambda_init)
            heads.append(output)
        found[b, t] = p["out.weight"] @ np.concatenate(heads)
    return found


@every_kind
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7)),
    heads=st.sampled_from([1, 2, 4]),
    head_width=st.sampled_from([None, None, 2, 6]),
    lambda_init=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=15, deadline=None)
def test_is_the_published_formula(attention, mask, shape, heads, head_width, lambda_init, seed):
    chosen = config(attention, mask, heads=heads, head_width=head_width, lambda_init=lambda_init)
    made, (x, seen) = module(chosen, seed=seed), rows(chosen, *shape, seed=seed)
    before = x.clone()
    found = made(x, seen).detach().numpy()
    np.testing.assert_allclose(found, oracle(made, chosen, x, seen), rtol=1e-9, atol=1e-10)
    assert torch.equal(x, before)


@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 12)), step=st.integers(1, 15), seed=st.integers(0, 2**31))
@examples
def test_visible_keys_are_those_before_topk(shape, step, seed):
    generator = torch.Generator().manual_seed(seed)
    batch, k = shape
    topk = torch.randint(1, k + 1, (batch,), generator=generator)
    present = torch.rand(batch, k, generator=generator) < 0.7
    before = present.clone()
    for mask, steps in (("none", [k]), ("topk", [0]), ("mixture", [-step, 0, step])):
        found = visible(None if mask == "none" else topk, present, config(mask=mask, mask_step=step))
        assert found.dtype == torch.bool
        assert found.shape == (batch, len(steps), k)
        for row, expert, rank in np.ndindex(*found.shape):
            count = min(max(int(topk[row]) + steps[expert], 1), k)
            assert found[row, expert, rank] == (rank == 0 or (rank < count and bool(present[row, rank])))
    assert torch.equal(present, before)


@pytest.mark.parametrize("mask", ["topk", "mixture"])
def test_a_mask_without_topk_is_refused(mask):
    with pytest.raises(AssertionError, match="needs Top-K"):
        visible(None, torch.ones(1, 3, dtype=torch.bool), config(mask=mask))


@pytest.mark.parametrize(("mask", "experts"), [("none", 3), ("topk", 3), ("mixture", 1), ("mixture", None)])
def test_there_is_one_mask_for_each_expert(mask, experts):
    seen = None if experts is None else torch.ones(2, experts, 5, dtype=torch.bool)
    with pytest.raises(AssertionError, match="one mask per expert"):
        module(config(mask=mask))(torch.randn(2, 5, 8, dtype=torch.float64), seen)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_topk_of_all_is_dense(attention):
    chosen = config(attention, "topk")
    made, (x, _) = module(chosen), rows(chosen, 4, 6)
    everyone = torch.ones(4, 6, dtype=torch.bool)
    dense = made(x, None)
    for topk in (6, 9):
        assert torch.equal(made(x, visible(torch.full((4,), topk), everyone, chosen)), dense)
    assert torch.equal(made(x, visible(None, everyone, config(attention, "none"))), dense)
    mixture = module(config(attention, "mixture"))
    with torch.no_grad():
        mixture.load_state_dict(made.state_dict() | {"experts": torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)})
    torch.testing.assert_close(mixture(x, everyone[:, None].expand(4, 3, 6)), dense, rtol=1e-12, atol=1e-12)


@examples
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 10**6))
def test_every_query_keeps_its_highest_visible_scores(batch, keys, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(batch, 2, 3, keys, generator=generator)
    count, length = torch.randint(1, keys + 1, (2, batch), generator=generator)
    seen = torch.arange(keys) < length[:, None]
    kept = highest(scores, seen[:, None], count)
    for b in range(batch):
        for line, found in zip(scores[b].reshape(-1, keys), kept[b].reshape(-1, keys), strict=True):
            wanted = sorted(line[: length[b]].tolist(), reverse=True)[: count[b]]
            assert sorted(found[found > -torch.inf].tolist(), reverse=True) == wanted


def test_vanilla_is_torch_attention():
    made, (x, seen) = module(config(mask="topk")), rows(config(mask="topk"), 4, 6)
    q, k, v = (part(x).unflatten(2, (2, 4)).transpose(1, 2) for part in (made.q, made.k, made.v))
    expected = made.out(scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None]).transpose(1, 2).flatten(2))
    torch.testing.assert_close(made(x, seen), expected, rtol=1e-12, atol=1e-12)


def silence_lambda(made: Attention) -> None:
    """Make lambda exp(0) - exp(log(1 + lambda_init)) + lambda_init = 0."""
    with torch.no_grad():
        made.lambda_q1.zero_()
        made.lambda_q2.copy_(made.lambda_k2 / made.lambda_k2.square().sum() * np.log(1 + made.lambda_init))
    assert made.lambda_().item() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("mask", MASKS)
def test_differential_without_lambda_is_vanilla_on_the_first_half(mask):
    """... then normalized, times 1 - lambda_init."""
    chosen = config("differential", mask)
    made, (x, seen) = module(chosen), rows(chosen, 4, 6)
    silence_lambda(made)
    q, k = (part(x)[..., :4].unflatten(2, (2, 2)).transpose(1, 2) for part in (made.q, made.k))
    v = made.v(x).unflatten(2, (2, 4)).transpose(1, 2)
    experts = made.experts if mask == "mixture" else torch.ones(1, dtype=torch.float64)
    heads = sum(
        weight * scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, [expert]])
        for expert, weight in enumerate(experts)
    )
    normalized = made.norm.weight * heads / (heads.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    expected = made.out(0.2 * normalized.transpose(1, 2).flatten(2))
    torch.testing.assert_close(made(x, seen), expected, rtol=1e-12, atol=1e-12)


@given(lambda_init=st.floats(0, 0.99), seed=st.integers(0, 2**31))
@examples
def test_lambda_is_eq_11(lambda_init, seed):
    made = module(config("differential", lambda_init=lambda_init), seed=seed)
    first = made.lambda_q1.tolist(), made.lambda_k1.tolist()
    second = made.lambda_q2.tolist(), made.lambda_k2.tolist()
    dots = [sum(a * b for a, b in zip(*pair, strict=True)) for pair in (first, second)]
    assert made.lambda_().shape == ()
    assert made.lambda_().item() == pytest.approx(np.exp(dots[0]) - np.exp(dots[1]) + lambda_init, abs=1e-12)


def test_initial_values():
    torch.manual_seed(0)
    made = Attention(1024, config("differential", "mixture", heads=1))
    for name in ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"):
        vector = getattr(made, name)
        assert vector.shape == (512,)
        assert abs(vector.mean().item()) < 0.02
        assert vector.std().item() == pytest.approx(0.1, rel=0.1)
    assert made.experts.tolist() == pytest.approx([1 / 3] * 3)
    assert torch.equal(made.norm.weight, torch.ones(1024))
    assert {"experts", "norm.weight", "lambda_q1"}.isdisjoint(dict(Attention(8, config()).named_parameters()))


@every_kind
@given(shape=st.tuples(st.integers(1, 3), st.integers(2, 9)), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_masked_keys_have_no_influence_on_other_positions(attention, mask, shape, seed):
    chosen = config(attention, mask)
    made, (x, seen) = module(chosen, seed=seed), rows(chosen, *shape, seed=seed)
    hidden = ~seen.any(dim=1)
    other = torch.where(hidden[:, :, None], 100 * torch.randn_like(x), x)
    assert torch.equal(made(x, seen)[~hidden], made(other, seen)[~hidden])


@every_kind
def test_visible_keys_have_influence(attention, mask):
    """So that the test above is none of a module that reads nothing."""
    chosen = config(attention, mask)
    made, (x, seen) = module(chosen), rows(chosen, 1, 6)
    seen = torch.ones_like(seen)
    for rank in range(1, 6):
        other = x.clone()
        other[:, rank] += 1
        assert not torch.allclose(made(x, seen)[:, 0], made(other, seen)[:, 0], atol=1e-4)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("expert", range(3))
def test_a_mixture_of_one_expert_is_that_expert(attention, expert):
    chosen = config(attention, "mixture")
    mixture, (x, seen) = module(chosen), rows(chosen, 6, 9)
    with torch.no_grad():
        mixture.experts.copy_(torch.eye(3)[expert])
    alone = module(config(attention, "topk"))
    alone.load_state_dict({name: value for name, value in mixture.state_dict().items() if name != "experts"})
    assert len({tuple(mask.sum(dim=1).tolist()) for mask in seen.unbind(1)}) == 3
    torch.testing.assert_close(mixture(x, seen), alone(x, seen[:, [expert]]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("large", [3, 5, 6, 7, 30])
def test_an_expert_left_with_next_to_nothing_stays_finite(attention, large):
    """Scores 10 to 1,800 apart: of the widest map the narrow experts' keys have a share from small to none in float32."""
    chosen = config(attention, "mixture", mask_step=1)
    made = module(chosen).float()
    x = torch.zeros(1, 3, 8)
    x[0, 2] = large
    with torch.no_grad():
        made.q.weight.copy_(torch.eye(8))
        made.k.weight.copy_(torch.eye(8))
    x.requires_grad_()
    found = made(x, visible(torch.tensor([2]), torch.ones(1, 3, dtype=torch.bool), chosen))
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in made.parameters())


@every_kind
def test_gradients(attention, mask):
    chosen = config(attention, mask)
    made, (x, seen) = module(chosen, width=4), rows(chosen, 2, 4, width=4)
    names, values = zip(*made.named_parameters(), strict=True)

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(made, dict(zip(names, values, strict=True)), (x, seen))

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *values))


@every_kind
@given(seed=st.integers(0, 2**31), read=st.lists(st.integers(0, 8), min_size=1, max_size=4))
@settings(max_examples=10, deadline=None)
def test_read_is_a_slice_of_all_positions(attention, mask, seed, read):
    chosen = config(attention, mask)
    made, (x, seen) = module(chosen, seed=seed), rows(chosen, 3, 9, seed=seed)
    everywhere = made(x, seen)
    torch.testing.assert_close(made(x, seen, torch.tensor(read)), everywhere[:, read], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(made(x, seen, torch.tensor([0])), everywhere[:, :1], rtol=1e-12, atol=1e-12)


@every_kind
@pytest.mark.filterwarnings("error")
def test_single_precision_and_bfloat16_are_near_double(attention, mask):
    """Of outputs of order 1: float32 within 1e-5, autocast to bfloat16 within 0.03 on average of their spread.

    bfloat16 has 8 bits; a differential map is the small difference of two near maps, normalized, which magnifies it.
    """
    chosen = config(attention, mask, heads=4, mask_step=5)
    torch.manual_seed(0)
    made, (x, seen) = Attention(64, chosen).double(), rows(chosen, 8, 40, width=64)
    exact = made(x, seen).detach()
    made.float()
    single = made(x.float(), seen).detach()
    with torch.autocast("cpu", torch.bfloat16):
        low = made(x.float(), seen).detach()
    assert low.dtype == torch.bfloat16
    spread = exact.std()
    assert (single - exact).abs().max() < 1e-5 * spread
    assert (low.double() - exact).square().mean().sqrt() < 0.03 * spread


@every_kind
def test_dropout_is_of_the_map_and_of_training_alone(attention, mask):
    chosen = config(attention, mask, dropout=0.5)
    made, (x, seen) = module(chosen), rows(chosen, 4, 9)
    dropped = []
    made.dropout.register_forward_hook(lambda module, inputs, output: dropped.append(output))
    noisy = [made(x, seen), made(x, seen)]
    assert not torch.equal(*noisy)
    assert dropped[0].shape == (4, 2, 9, 9)
    torch.manual_seed(7)
    once = made(x, seen)
    torch.manual_seed(7)
    assert torch.equal(once, made(x, seen))
    made.eval()
    assert torch.equal(made(x, seen), made(x, seen))
    np.testing.assert_allclose(made(x, seen).detach().numpy(), oracle(made, chosen, x, seen), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("attention", "width"), [("vanilla", 6), ("differential", 12)])
def test_width_must_fit_the_heads(attention, width):
    with pytest.raises(AssertionError, match="not a multiple"):
        Attention(width, config(attention, heads=4))
