"""The encoder against its formula written out, in float64."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from raycluster.config.networks import EncoderConfig
from raycluster.models.networks.attention import visible
from raycluster.models.networks.encoder import Encoder, EncoderLayer

KINDS = list(product(("vanilla", "differential"), ("none", "topk", "mixture")))
every_kind = pytest.mark.parametrize(("attention", "mask"), KINDS)


def config(attention: str = "vanilla", mask: str = "none", **changes) -> EncoderConfig:
    small = {"layers": 2, "heads": 2, "hidden": 12, "dropout": 0.0, "mask_step": 2}
    return EncoderConfig(**small | {"attention": attention, "mask": mask} | changes)


def module(kind: type[nn.Module], width: int, settings: EncoderConfig) -> nn.Module:
    """In float64, every parameter off its initial value, so that none can be forgotten unnoticed."""
    torch.manual_seed(0)
    made = kind(width, settings).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return made


def rows(settings: EncoderConfig, batch: int = 3, k: int = 6, width: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens (batch, k, width) in float64, and visible keys with a gap: no row sees position 2, some see later."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, k, width, generator=generator, dtype=torch.float64)
    present = torch.rand(batch, k, generator=generator) < 0.8
    present[:, 2], present[0, 3] = False, True
    seen = visible(torch.randint(4, k + 1, (batch,), generator=generator), present, settings)
    assert seen.any(dim=1)[:, 3:].any()
    return x, seen


def layer_norm(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    centered = x - x.mean(dim=-1, keepdim=True)
    return norm.weight * centered / (centered.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() + norm.bias


def layer_oracle(layer: EncoderLayer, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    x = x + layer.attention(layer_norm(x, layer.attention_norm), seen)
    first, second = layer.ffn[0], layer.ffn[3]
    hidden = layer_norm(x, layer.ffn_norm) @ first.weight.T + first.bias
    gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    return x + gelu @ second.weight.T + second.bias


@every_kind
def test_a_layer_is_its_formula(attention, mask):
    chosen = config(attention, mask)
    layer, (x, seen) = module(EncoderLayer, 8, chosen), rows(chosen)
    before = x.clone()
    torch.testing.assert_close(layer(x, seen), layer_oracle(layer, x, seen), rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


def test_ffn_is_linear_gelu_dropout_linear():
    layer = EncoderLayer(8, config(dropout=0.3))
    assert [type(part) for part in layer.ffn] == [nn.Linear, nn.GELU, nn.Dropout, nn.Linear]
    assert (layer.ffn[0].in_features, layer.ffn[0].out_features) == (8, 12)
    assert (layer.ffn[3].in_features, layer.ffn[3].out_features) == (12, 8)
    assert layer.ffn[2].p == layer.attention.dropout.p == 0.3


@every_kind
def test_a_layer_with_its_norms_after_is_its_formula(attention, mask):
    chosen = config(attention, mask, norm="after")
    layer, (x, seen) = module(EncoderLayer, 8, chosen), rows(chosen)
    first, second = layer.ffn[0], layer.ffn[3]
    inner = layer_norm(x + layer.attention(x, seen), layer.attention_norm)
    hidden = inner @ first.weight.T + first.bias
    gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    expected = layer_norm(inner + gelu @ second.weight.T + second.bias, layer.ffn_norm)
    torch.testing.assert_close(layer(x, seen), expected, rtol=1e-12, atol=1e-12)


@every_kind
def test_norms_after_drop_summands_alone(attention, mask):
    """In training the layer is S3's equation 4 with two dropped summands, and draws nothing else."""
    chosen = config(attention, mask, norm="after", dropout=0.4)
    layer, (x, seen) = module(EncoderLayer, 8, chosen).train(), rows(chosen)
    generator = torch.Generator().manual_seed(1)
    masks = [(torch.rand(3, 6, 8, generator=generator) < 0.6).double() / 0.6 for _ in range(2)]
    drawn = iter(masks)
    layer.dropout.register_forward_hook(lambda _module, inputs, _output: inputs[0] * next(drawn))
    found = layer(x, seen)
    layer.eval()
    inner = layer_norm(x + masks[0] * layer.attention(x, seen), layer.attention_norm)
    expected = layer_norm(inner + masks[1] * layer.ffn(inner), layer.ffn_norm)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert layer.dropout.p == 0.4


def test_norms_after_end_a_stack():
    encoder = module(Encoder, 8, config(norm="after", dropout=0.3))
    assert [layer.dropout.p for layer in encoder.layers] == [0.3, 0.3]
    assert [layer.dropout.p for layer in module(Encoder, 8, config(dropout=0.3)).layers] == [0.0, 0.0]
    x, seen = rows(config())
    encoder.eval()
    expected = encoder.layers[1](encoder.layers[0](x, seen), seen)
    torch.testing.assert_close(encoder(x, seen), expected, rtol=1e-12, atol=1e-12)
    last = encoder.layers[-1].ffn_norm
    torch.testing.assert_close(((encoder(x, seen) - last.bias) / last.weight).mean(dim=2), torch.zeros(3, 6).double())


@every_kind
def test_an_encoder_is_its_formula(attention, mask):
    chosen = config(attention, mask, width=12, layers=3)
    encoder, (tokens, seen) = module(Encoder, 8, chosen), rows(chosen)
    position = torch.randn(6, 12, dtype=torch.float64)
    assert len(encoder.layers) == 3
    embedded = tokens @ encoder.embed.weight.T + encoder.embed.bias
    for given_position, x in ((None, embedded), (position, embedded + position)):
        for layer in encoder.layers:
            x = layer_oracle(layer, x, seen)
        found = encoder(tokens, seen, position=given_position)
        torch.testing.assert_close(found, layer_norm(x, encoder.norm), rtol=1e-11, atol=1e-11)


@given(attention=st.sampled_from(["vanilla", "differential"]), heads=st.integers(1, 8), token_width=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_without_a_width_it_is_the_tokens_own_or_the_next_that_heads_share(attention, heads, token_width):
    unit = heads * (2 if attention == "differential" else 1)
    encoder = Encoder(token_width, config(attention, heads=heads, layers=1))
    assert encoder.width % unit == 0
    assert 0 <= encoder.width - token_width < unit
    assert isinstance(encoder.embed, nn.Identity if token_width % unit == 0 else nn.Linear)
    assert encoder(torch.randn(2, 3, token_width), None).shape == (2, 3, encoder.width)


@pytest.mark.parametrize("token_width", [8, 16, 20])
def test_a_given_width_is_always_projected_to(token_width):
    encoder = Encoder(token_width, config(width=16))
    assert encoder.width == 16
    assert (encoder.embed.in_features, encoder.embed.out_features) == (token_width, 16)


@every_kind
@given(read=st.lists(st.integers(0, 5), min_size=1, max_size=4), layers=st.integers(1, 3))
@settings(max_examples=8, deadline=None)
def test_read_is_a_slice_of_all_positions(attention, mask, read, layers):
    chosen = config(attention, mask, layers=layers)
    encoder, (tokens, seen) = module(Encoder, 8, chosen), rows(chosen)
    for position in (None, torch.randn(6, 8, dtype=torch.float64)):
        everywhere, some = (encoder(tokens, seen, some, position) for some in (None, torch.tensor(read)))
        torch.testing.assert_close(some, everywhere[:, read], rtol=1e-11, atol=1e-11)


def test_the_last_layer_computes_what_is_read_alone():
    encoder, (tokens, seen) = module(Encoder, 8, config()), rows(config())
    widths = []
    for layer in encoder.layers:
        layer.ffn.register_forward_hook(lambda module, inputs, output: widths.append(output.shape[1]))
    encoder(tokens, torch.ones_like(seen), torch.tensor([0, 3]))
    assert widths == [6, 2]


@every_kind
def test_hidden_tokens_have_no_influence_on_other_positions(attention, mask):
    chosen = config(attention, mask)
    encoder, (tokens, seen) = module(Encoder, 8, chosen), rows(chosen)
    hidden = ~seen.any(dim=1)
    assert hidden.any()
    other = torch.where(hidden[:, :, None], 100 * torch.randn_like(tokens), tokens)
    assert torch.equal(encoder(tokens, seen)[~hidden], encoder(other, seen)[~hidden])


@every_kind
def test_every_parameter_learns_and_scoring_is_deterministic(attention, mask):
    chosen = config(attention, mask, dropout=0.2)
    encoder, (tokens, seen) = module(Encoder, 7, chosen), rows(chosen, width=7)
    encoder(tokens, seen).square().mean().backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []
    encoder.eval()
    assert torch.equal(encoder(tokens, seen), encoder(tokens, seen))


@every_kind
def test_bfloat16_is_near_double(attention, mask):
    """Within 0.05, on average, of outputs of spread 1."""
    chosen = config(attention, mask, heads=4, hidden=64, layers=3)
    torch.manual_seed(0)
    encoder, (tokens, seen) = Encoder(64, chosen).double(), rows(chosen, k=40, width=64)
    exact = encoder(tokens, seen)
    encoder.float()
    with torch.autocast("cpu", torch.bfloat16):
        low = encoder(tokens.float(), seen)
    assert (low.double() - exact).square().mean().sqrt() < 0.05
