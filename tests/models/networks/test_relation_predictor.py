"""Both relation predictors on rows too small to be hard; float64 where gradients are checked."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize, pad

from raycluster.config.networks import EncoderConfig, PredictorConfig
from raycluster.errors import InputError
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor

K, D = 8, 12
RAW = (0.0, 1.0)
FORMS = {"row": RowPredictor, "pair": PairPredictor}
KINDS = ("embedding", "gram", "embedding+gram")
SMALL = EncoderConfig(layers=2, heads=2, width=16, hidden=32, dropout=0.0, mask_step=2)
VARIANTS = list(product(FORMS, ("vanilla", "differential"), ("none", "topk", "mixture")))


def small(form: str, tokens: str = "embedding+gram", k: int = K, d: int = D, **encoder) -> RowPredictor | PairPredictor:
    torch.manual_seed(0)
    return FORMS[form](PredictorConfig(form=form, tokens=tokens, encoder=replace(SMALL, **encoder)), k, d)


def rows(count: int, seed: int = 0, k: int = K, d: int = D) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random unit vectors (count, k, d), lists of 1 to k neighbors, Top-K of 1 to k."""
    generator = torch.Generator().manual_seed(seed)
    vectors = normalize(torch.randn(count, k, d, generator=generator), dim=-1)
    length, topk = torch.randint(1, k + 1, (2, count), generator=generator)
    return vectors, torch.arange(k) < length[:, None], topk


def logits(model: RowPredictor | PairPredictor, vectors, present, topk, background=RAW) -> torch.Tensor:
    """Of the row form (B, K); of the pair form (B,), of every row with the next."""
    if isinstance(model, RowPredictor):
        return model(vectors, present, topk, background)
    following = None if topk is None else topk.roll(1, 0)
    return model(vectors, vectors.roll(1, 0), present, present.roll(1, 0), topk, following)


@pytest.mark.parametrize(("form", "attention", "mask"), VARIANTS)
def test_every_parameter_learns(form, attention, mask):
    model = small(form, attention=attention, mask=mask)
    vectors, present, topk = rows(16)
    found = logits(model, vectors, present, topk)
    assert found.shape == ((16, K) if form == "row" else (16,))
    binary_cross_entropy_with_logits(found, torch.rand_like(found).round()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert still == []


@pytest.mark.parametrize(("form", "attention", "mask"), VARIANTS)
def test_absent_neighbors_have_no_influence(form, attention, mask):
    model = small(form, attention=attention, mask=mask).eval()
    vectors, present, topk = rows(16)
    with torch.no_grad():
        clean = logits(model, vectors, present, topk)
        other = logits(model, torch.where(present[:, :, None], vectors, torch.nan), present, topk)
    assert torch.equal(clean, other)
    assert torch.isfinite(clean).all()


@pytest.mark.slow
@pytest.mark.parametrize(("form", "attention", "mask"), VARIANTS)
def test_an_absent_neighbor_is_as_a_shorter_list(form, attention, mask):
    """A list of 8 with 3 absent scores as a list of 5, by the same weights."""
    model = small(form, tokens="embedding", attention=attention, mask=mask).eval()
    shorter = small(form, tokens="embedding", k=5, attention=attention, mask=mask).eval()
    weights = model.state_dict()
    if form == "row":
        weights["rank"] = weights["rank"][:5]
    shorter.load_state_dict(weights)
    vectors, _, _ = rows(16)
    present = (torch.arange(K) < 5).expand(16, K)
    topk = torch.randint(1, 6 - SMALL.mask_step, (16,))  # Top-K + u must not be clamped by either list's length
    with torch.no_grad():
        long = logits(model, vectors, present, topk)
        short = logits(shorter, vectors[:, :5], present[:, :5], topk)
    torch.testing.assert_close(long[:, :5] if form == "row" else long, short, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_topk_is_not_needed_without_a_mask(form):
    model = small(form).eval()
    vectors, present, topk = rows(16)
    with torch.no_grad():
        assert torch.equal(logits(model, vectors, present, None), logits(model, vectors, present, topk))


@pytest.mark.parametrize("form", FORMS)
def test_neighbors_beyond_topk_are_not_keys(form):
    """One layer, vectors only: what lies beyond Top-K is read by nobody but itself."""
    model = small(form, tokens="embedding", layers=1, mask="topk").eval()
    vectors, _, _ = rows(16)
    present, topk = torch.ones(16, K, dtype=torch.bool), torch.full((16,), 3)
    changed = vectors.clone()
    changed[:, 3:] = changed[:, 3:].flip(1)
    with torch.no_grad():
        before, after = logits(model, vectors, present, topk), logits(model, changed, present, topk)
        wider = logits(model, changed, present, topk + 3)
    within = (slice(None), slice(0, 3)) if form == "row" else slice(None)
    assert torch.equal(before[within], after[within])
    assert (wider[within] != after[within]).any()


def test_the_head_of_the_row_form_is_an_mlp_of_the_row_and_its_neighbor():
    """S2's 512-256-128-1: the first layer reads [h_k, h_0] in two halves."""
    torch.manual_seed(0)
    encoder = EncoderConfig(layers=1, heads=8, width=256, hidden=2048)
    model = RowPredictor(PredictorConfig(form="row", tokens="embedding", encoder=encoder, head=(256, 128)), K, D).eval()
    linear = [layer for layer in model.head if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(256, 128), (128, 1)]
    vectors, present, _ = rows(4)
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        found = logits(model, vectors, present, None)
        both = torch.cat([seen[0], seen[0][:, :1].expand_as(seen[0])], dim=2)
        first = torch.cat([model.of_neighbor.weight, model.of_anchor.weight], dim=1)
        expected = model.head(both @ first.T + model.of_neighbor.bias).squeeze(2)
    assert first.shape == (256, 512)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_widths_the_head_has_one_hidden_layer_as_wide_as_the_encoder():
    assert [tuple(p.shape) for p in small("row").head.parameters()] == [(1, 16), (1,)]


def test_halves_of_a_pair_have_their_own_topk():
    model = small("pair", tokens="embedding", layers=1, mask="topk").eval()
    (i, present, _), (j, _, _) = rows(4, seed=1), rows(4, seed=2)
    present = torch.ones_like(present)
    few, many = torch.full((4,), 2), torch.full((4,), 5)
    i_changed, j_changed = i.clone(), j.clone()
    i_changed[:, 2:], j_changed[:, 5:] = -i[:, 2:], -j[:, 5:]
    with torch.no_grad():
        score = model(i, j, present, present, few, many)
        assert torch.equal(model(i_changed, j_changed, present, present, few, many), score)
        assert not torch.equal(model(i_changed, j_changed, present, present, many, few), score)


def test_a_pair_has_two_roles():
    model = small("pair").eval()
    (i, present, _), (j, _, _) = rows(4, seed=1), rows(4, seed=2)
    with torch.no_grad():
        there = model(i, j, present, present, None, None)
        back = model(j, i, present, present, None, None)
    assert not torch.allclose(there, back)


def test_order_within_a_half_does_not_matter_to_vectors_of_a_pair():
    """No positions: only the anchors stand out."""
    model = small("pair", tokens="embedding").eval()
    vectors, _, _ = rows(6)
    present = torch.ones(6, K, dtype=torch.bool)
    shuffled = torch.cat([vectors[:, :1], vectors[:, 1:].flip(1)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(
            logits(model, shuffled, present, None), logits(model, vectors, present, None), rtol=1e-4, atol=1e-5
        )


def test_published_width_of_the_pair_form():
    """S1's base: 2K tokens of 256 + 160 numbers, no projection, so f is the anchor's own token."""
    model = FORMS["pair"](PredictorConfig(form="pair"), 80, 256)
    assert model.encoder.width == 416
    assert model.head[0].in_features == 4 * 416


def test_the_head_of_the_base_brings_all_four_vectors_to_one_width_by_one_layer():
    config = PredictorConfig(form="pair", adjust=5, head=(7, 6), encoder=replace(SMALL, dropout=0.3))
    torch.manual_seed(0)
    model = PairPredictor(config, K, D).eval()
    kinds = ["Linear", "PReLU", "Dropout", "Linear", "PReLU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in model.head] == kinds
    assert [layer.out_features for layer in model.head if hasattr(layer, "out_features")] == [7, 6, 2]
    assert (model.adjust.in_features, model.adjust.out_features, model.head[0].in_features) == (16, 5, 20)
    assert model.head[2].p == 0.3
    vectors, present, topk = rows(6)
    assert logits(model, vectors, present, topk).shape == (6,)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("attention", ["vanilla", "differential"])
def test_a_mask_of_the_highest_scores_sees_all_where_topk_is_all_and_less_below(form, attention):
    masked = small(form, attention=attention, mask="topk-scores").eval()
    whole = small(form, attention=attention).eval()
    vectors, present, topk = rows(8)
    with torch.no_grad():
        seen = logits(masked, vectors, present, torch.full_like(topk, K))
        torch.testing.assert_close(seen, logits(whole, vectors, present, None))
        few = logits(masked, vectors, present, torch.ones_like(topk))
    assert ((few - seen).abs() > 1e-6).any()


def test_difference_of_two_logits_is_two_class_cross_entropy():
    both = torch.randn(50, 2, dtype=torch.float64, requires_grad=True)
    same = torch.randint(0, 2, (50,))
    binary = binary_cross_entropy_with_logits(both[:, 1] - both[:, 0], same.double())
    torch.testing.assert_close(binary, cross_entropy(both, same))
    ours, theirs = torch.autograd.grad(binary, both)[0], torch.autograd.grad(cross_entropy(both, same), both)[0]
    torch.testing.assert_close(ours, theirs)


def test_pair_logit_is_the_difference_of_the_classes():
    model = small("pair").eval()
    vectors, present, _ = rows(4)
    seen = []
    model.head.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        logit = logits(model, vectors, present, None)
    assert torch.equal(logit, seen[0][:, 1] - seen[0][:, 0])


@pytest.mark.parametrize(
    ("form", "attention", "mask"), [("row", "differential", "mixture"), ("pair", "differential", "mixture")]
)
def test_gradients_are_those_of_finite_differences(form, attention, mask):
    model = small(form, k=3, d=2, attention=attention, mask=mask, layers=1, width=4, heads=1, hidden=4, mask_step=1)
    model.double()
    vectors, present, topk = rows(2, k=3, d=2)
    names, values = zip(*model.named_parameters(), strict=True)

    def score(*parameters):
        keep = dict(zip(names, parameters, strict=True))
        if form == "row":
            return functional_call(model, keep, (vectors.double(), present, topk, RAW))
        i, j = slice(0, 1), slice(1, 2)
        both = (vectors[i].double(), vectors[j].double(), present[i], present[j], topk[i], topk[j])
        return functional_call(model, keep, both)

    assert torch.autograd.gradcheck(score, tuple(value.detach().clone().requires_grad_() for value in values))


@pytest.mark.parametrize("form", FORMS)
def test_gram_tokens_do_not_depend_on_width_or_axes(form):
    model = small(form, tokens="gram").eval()
    wider = small(form, tokens="gram", d=500)
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in wider.named_parameters()}
    vectors, present, _ = rows(16)
    turned = pad(vectors, (0, 20)) @ torch.linalg.qr(torch.randn(D + 20, D + 20))[0]
    with torch.no_grad():
        torch.testing.assert_close(
            logits(model, turned, present, None), logits(model, vectors, present, None), rtol=1e-4, atol=1e-5
        )


def test_gram_tokens_of_the_row_form_are_told_in_units_of_the_background():
    """Cosines c on a background (m, s) read as cosines (c - m) / s on none."""
    model = small("row", tokens="gram").eval()
    vectors, present, _ = rows(16)
    with torch.no_grad():
        assert not torch.allclose(
            logits(model, vectors, present, None, (0.3, 0.5)), logits(model, vectors, present, None)
        )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tokens", KINDS[::2])
def test_embedding_tokens_refuse_another_width(form, tokens):
    vectors, present, _ = rows(2, d=7)
    with pytest.raises(InputError, match="trained on embeddings of width 12, these have 7"):
        logits(small(form, tokens=tokens), vectors, present, None)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_autocast_comes_close(form):
    model = small(form).eval()
    vectors, present, topk = rows(16)
    with torch.no_grad():
        exact = logits(model, vectors, present, topk)
        with torch.autocast("cpu", torch.bfloat16):
            near = logits(model, vectors, present, topk).float()
    torch.testing.assert_close(near, exact, rtol=0.1, atol=0.05)


@pytest.mark.slow
def test_row_form_overfits():
    """200 rows whose relations are coin flips can only be remembered; average precision above 0.999."""
    model = small("row", layers=1, width=32, hidden=64)
    vectors, _, _ = rows(200, seed=5)
    present = torch.ones(200, K, dtype=torch.bool)
    same = (torch.rand(200, K - 1, generator=torch.Generator().manual_seed(6)) < 0.4).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0)
    steps = 250
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / steps))
    for _ in range(steps):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(model(vectors, present, None, RAW)[:, 1:], same).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        found = model(vectors, present, None, RAW)[:, 1:]
    assert average_precision_score(same.flatten(), found.flatten()) > 0.999
