"""The relative form: gradients, what it must not depend on, and its bias read from a table."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from raycluster.config.networks import EncoderConfig, PredictorConfig
from raycluster.errors import ConfigError
from raycluster.evaluation.reliability import average_precision
from raycluster.models.networks import relative
from raycluster.models.networks.relative import RelativePredictor, cosines, curve
from raycluster.models.networks.tokens import gram
from raycluster.models.relative_terms import BINS_PER_UNIT, UNITS
from raycluster.models.set_statistics import RANKS, SETTING, SetStatistics

K, D = 12, 20
SMALL = EncoderConfig(layers=2, heads=2, width=16, hidden=32, dropout=0.0)
CPU = torch.device("cpu")
SETS = [
    SetStatistics(0.0, 0.0, 0.2, 0.6, tuple(np.linspace(-1, 1, SETTING).tolist())),
    SetStatistics(0.4, 0.2, 0.1, 0.8, tuple(np.linspace(1, 0, SETTING).tolist())),
]


def model(seed: int = 0, **encoder) -> RelativePredictor:
    torch.manual_seed(seed)
    return RelativePredictor(PredictorConfig(form="relative", tokens="gram", encoder=replace(SMALL, **encoder)), K, D)


def rows(count: int, seed: int = 0, spread: float = 1.0) -> dict[str, torch.Tensor]:
    """Random lists (count, K) of 1 to K neighbors each, of two sets in turn."""
    generator = torch.Generator().manual_seed(seed)
    anchor = torch.randn(count, 1, D, generator=generator)
    vectors = normalize(anchor + spread * torch.randn(count, K, D, generator=generator), dim=-1)
    length = torch.randint(1, K + 1, (count,), generator=generator)
    return {
        "vectors": vectors,
        "present": torch.arange(K) < length[:, None],
        "return_rank": torch.randint(0, 2 * K, (count, K), generator=generator),
        "profile": torch.rand(count, K, len(RANKS), generator=generator),
        "set_statistics": RelativePredictor.statistics_tensor(SETS, CPU),
        "set_number": torch.arange(count) % 2,
    }


@pytest.mark.parametrize("attention", ["vanilla", "differential"])
def test_every_parameter_learns(attention):
    network = model(attention=attention)
    with torch.no_grad():
        network.bias_of_set[2].weight += 0.1 * torch.randn_like(network.bias_of_set[2].weight)
    found = network(**rows(16))
    assert found.shape == (16, K)
    binary_cross_entropy_with_logits(found, torch.rand_like(found).round()).backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert still == []


def test_gradients_are_those_of_finite_differences():
    network = model().double()
    given = {name: value.double() if value.is_floating_point() else value for name, value in rows(3).items()}
    for parameter in (network.bias.weight, network.anchor, network.head[-1].weight):
        network.zero_grad()
        network(**given).sum().backward()
        step, place = 1e-5, tuple(0 for _ in parameter.shape)
        expected = parameter.grad[place].item()
        with torch.no_grad():
            parameter[place] += step
            above = network(**given).sum()
            parameter[place] -= 2 * step
            below = network(**given).sum()
            parameter[place] += step
        assert ((above - below) / (2 * step)).item() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_absent_neighbors_have_no_influence():
    network, given = model().eval(), rows(16)
    other = dict(given)
    absent = ~given["present"]
    other["vectors"] = torch.where(absent[:, :, None], normalize(torch.randn(16, K, D), dim=-1), given["vectors"])
    other["return_rank"] = torch.where(absent, 3, given["return_rank"])
    other["profile"] = torch.where(absent[:, :, None], 0.5, given["profile"])
    with torch.no_grad():
        one, two = network(**given), network(**other)
    torch.testing.assert_close(one[given["present"]], two[given["present"]])


def test_rotation_width_and_company_change_nothing():
    network, given = model().eval(), rows(8)
    turn, _ = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))
    wide = torch.cat([given["vectors"] @ turn, torch.zeros(8, K, 5)], dim=2)
    with torch.no_grad():
        whole = network(**given)
        torch.testing.assert_close(network(**given | {"vectors": wide}), whole, rtol=1e-3, atol=1e-3)
        alone = {name: value if name == "set_statistics" else value[3:4] for name, value in given.items()}
        torch.testing.assert_close(network(**alone), whole[3:4], rtol=1e-4, atol=1e-5)


def test_the_bias_is_the_function_of_the_cosine_at_the_middle_of_its_bin():
    network = model().eval()
    cosine = torch.tensor([[[1.0, 0.4], [0.4, 1.0]]])
    scales = RelativePredictor.statistics_tensor(SETS, CPU)
    with torch.no_grad():
        found = network._biases(cosine, scales, torch.tensor([1]))
        distance = (torch.floor((2 - 2 * cosine[0]).sqrt() * BINS_PER_UNIT) + 0.5) / BINS_PER_UNIT
        at = curve((1 - distance**2 / 2).flatten(), distance.flatten(), scales[1:])
        setting = scales[1:, None, UNITS:].expand(-1, 4, -1)
        expected = network.bias(at) + network.bias_of_set(torch.cat([at, setting], dim=2))
    assert found.shape == (2, 1, 2, 2, 2)
    torch.testing.assert_close(found, expected.view(2, 2, 2, 2).permute(2, 3, 0, 1).unsqueeze(1))


@pytest.mark.parametrize("shared", [0.1, 0.5, 0.8])
def test_what_all_rows_share_changes_no_judgment_where_the_scale_knows_it(shared):
    network, given = model().eval(), rows(16)
    for name in ("shared", "background"):
        given["set_statistics"][:, list(SetStatistics.__annotations__).index(name)] = 0.0
    constant = torch.full((16, K, 1), shared**0.5)
    padded = given | {
        "vectors": torch.cat([given["vectors"] * (1 - shared) ** 0.5, constant], dim=2),
        "profile": given["profile"] * (1 - shared) + shared,
        "set_statistics": given["set_statistics"].clone(),
    }
    with torch.no_grad():
        expected, unknown = network(**given), network(**padded)
        padded["set_statistics"][:, 0] = shared
        torch.testing.assert_close(network(**padded), expected, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(unknown, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_cosines_of_a_centered_set_are_left_alone_and_others_told_apart_whatever_autocast_says(dtype):
    vectors = rows(8)["vectors"].to(dtype)
    shared = torch.full((8, 1, 1), 0.75)
    wide = torch.cat([vectors * 0.5, torch.full((8, K, 1), 0.75**0.5, dtype=dtype)], dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cosines(vectors, torch.zeros(8, 1, 1)), gram(vectors))
        found = cosines(wide, shared)
    exact = gram(vectors.double())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5 if dtype == torch.float32 else 8e-3)


@pytest.mark.slow
def test_it_overfits():
    network, given = model(), rows(40, spread=2.0)
    truth = (torch.rand(40, K, generator=torch.Generator().manual_seed(5)) < 0.5).float()
    learner = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.0)
    usable = given["present"].clone()
    usable[:, 0] = False
    for _ in range(400):
        loss = binary_cross_entropy_with_logits(network(**given)[usable], truth[usable])
        learner.zero_grad()
        loss.backward()
        learner.step()
    with torch.no_grad():
        found = network(**given)[usable].numpy()
    assert average_precision(found, truth[usable].numpy() > 0) > 0.99


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tokens": "embedding"}, "reads only cosines; set predictor.tokens to gram."),
        ({"encoder": EncoderConfig()}, "needs predictor.encoder.width."),
        ({"encoder": EncoderConfig(width=16, heads=2, mask="topk")}, "sees all neighbors; set encoder.mask to none."),
    ],
)
def test_what_it_cannot_be_is_refused(changes, sentence):
    with pytest.raises(ConfigError) as error:
        PredictorConfig(**{"form": "relative", "tokens": "gram", "encoder": SMALL} | changes)
    assert str(error.value) == f"predictor.form relative {sentence}"


def test_rows_that_leave_doubt_are_judged_untold_too_and_get_the_mean(monkeypatch):
    network, given = model().eval(), rows(16)
    scales = given["set_statistics"]
    untold = given | {"set_statistics": torch.cat([scales[:, :UNITS], torch.zeros_like(scales[:, UNITS:])], dim=1)}

    def judged(sure, inputs):
        monkeypatch.setattr(relative, "CERTAIN_LOGIT", sure)
        with torch.no_grad():
            return network(**inputs)

    told, other = judged(0.0, given), judged(0.0, untold)
    assert not torch.allclose(told, other)
    has_neighbors = given["present"][:, 1:].any(dim=1)
    torch.testing.assert_close(judged(np.inf, given)[has_neighbors], ((told + other) / 2)[has_neighbors])
    least = told.abs().masked_fill(~given["present"], np.inf)[:, 1:].min(dim=1).values
    sure = least.median().item()
    expected = torch.where((least < sure)[:, None], (told + other) / 2, told)
    assert 0 < (least < sure).sum() < 16
    torch.testing.assert_close(judged(sure, given), expected, rtol=1e-4, atol=1e-5)
