"""The Face Transformer against its formulas, part by part and from end to end, on rows too small to be hard."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, layer_norm, normalize

from raycluster.config.networks import EncoderConfig, PredictorConfig
from raycluster.errors import ConfigError, InputError
from raycluster.models.networks.encoder import EncoderLayer
from raycluster.models.networks.face_transformer import FaceTransformer, RelationEncoder, distance_logits

ROWS, K, D, HOP2 = 30, 7, 12, 3
KINDS = {"full": ("linkage", HOP2), "only RE": ("distance", HOP2), "only LP": ("linkage", 0)}
every_kind = pytest.mark.parametrize("kind", KINDS)


def config(form: Any, hop2: int, **encoder: Any) -> PredictorConfig:
    small: dict[str, Any] = {"layers": 2, "heads": 2, "width": 16, "hidden": 24, "dropout": 0.0, "norm": "after"}
    return PredictorConfig(form=form, tokens="embedding", hop2=hop2, encoder=EncoderConfig(**{**small, **encoder}))


def small(kind: str, k: int = K, d: int = D, **encoder: Any) -> FaceTransformer:
    torch.manual_seed(0)
    return FaceTransformer(config(*KINDS[kind], **encoder), k, d)


class Graph:
    """A set of rows with kNN lists of which some are short, one down to the row itself."""

    def __init__(self, seed: int = 0, k: int = K, d: int = D, dtype: torch.dtype = torch.float32) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.vectors = normalize(torch.randn(ROWS, d, generator=generator, dtype=torch.float64), dim=1).to(dtype)
        own = torch.arange(ROWS)[:, None]
        others = torch.rand(ROWS, ROWS - 1, generator=generator).argsort(dim=1)[:, : k - 1]
        self.neighbor = torch.cat([own, (own + 1 + others) % ROWS], dim=1)
        length = torch.randint(2, 2 * k, (ROWS, 1), generator=generator)
        length[3] = 1
        self.present = torch.arange(k) < length

    def inputs(self, model: FaceTransformer, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the whole network reads for `rows`, every row of the set encoded."""
        near = self.neighbor[:, : model.nearest]
        return self.vectors[near], self.present[:, : model.nearest], self.neighbor[rows], self.present[rows]

    def contexts(self, model: FaceTransformer) -> torch.Tensor:
        """Of all rows at once."""
        return model.encode(*self.inputs(model, torch.arange(0))[:2])


ALL = torch.arange(ROWS)


def test_a_context_is_its_formula():
    """Equations 4 to 6 for a row at a time, with torch's own layers; absent neighbors are not there at all."""
    model, graph = small("full").double().eval(), Graph(dtype=torch.float64)
    part = model.relation_encoder
    found = graph.contexts(model)
    embed, inner = part.encoder.embed, part.attention
    for row in range(ROWS):
        ids = graph.neighbor[row, 1 : 1 + HOP2][graph.present[row, 1 : 1 + HOP2]]
        f = graph.vectors[row] @ embed.weight.T + embed.bias
        told = torch.zeros(16, dtype=torch.float64)
        if len(ids):
            h = (graph.vectors[ids] @ embed.weight.T + embed.bias)[None]
            for layer in part.encoder.layers:
                h = as_torch(layer)(h)
            h = h[0]
            heads = []
            for q, k, v in zip(*(m.weight.chunk(2) for m in (inner.q, inner.k, inner.v)), strict=True):
                weight = ((q @ f) @ (h @ k.T).T / math.sqrt(8)).softmax(dim=0)
                heads.append(weight @ (h @ v.T))
            told = torch.cat(heads) @ inner.out.weight.T
        expected = layer_norm(f + told, (16,), part.norm.weight, part.norm.bias)
        torch.testing.assert_close(found[row], expected, rtol=1e-9, atol=1e-9)
    assert (graph.present[:, 1:].sum(dim=1) == 0).any()


def as_torch(layer: Any) -> nn.TransformerEncoderLayer:
    """A layer of ours as torch's, which is post-norm."""
    made = nn.TransformerEncoderLayer(16, 2, 24, 0.0, "gelu", batch_first=True, dtype=torch.float64)
    inner = layer.attention
    with torch.no_grad():
        made.self_attn.in_proj_weight.copy_(torch.cat([inner.q.weight, inner.k.weight, inner.v.weight]))
        made.self_attn.in_proj_bias.zero_()
        made.self_attn.out_proj.weight.copy_(inner.out.weight)
        made.self_attn.out_proj.bias.zero_()
    made.linear1, made.linear2 = layer.ffn[0], layer.ffn[3]
    made.norm1, made.norm2 = layer.attention_norm, layer.ffn_norm
    return made.train()  # no dropout to draw, and not the fused path of inference


def test_a_linkage_is_its_formula():
    """Equations 7 to 9 for a row at a time; absent neighbors are not there at all."""
    model, graph = small("full").double().eval(), Graph(dtype=torch.float64)
    part, g = model.linkage_predictor, graph.contexts(model)
    found = model.link(g[graph.neighbor], graph.present)
    first = torch.cat([part.of_row.weight, part.of_neighbor.weight], dim=1)
    for row in range(ROWS):
        ids = graph.neighbor[row, 1:][graph.present[row, 1:]]
        if len(ids) == 0:
            continue
        h = g[ids][None] @ part.encoder.embed.weight.T + part.encoder.embed.bias
        for layer in part.encoder.layers:
            h = as_torch(layer)(h)
        e = torch.cat([g[row].expand(len(ids), -1), h[0]], dim=1)
        expected = part.head(e @ first.T + part.of_neighbor.bias).squeeze(1)
        torch.testing.assert_close(found[row, 1 : 1 + len(ids)], expected, rtol=1e-9, atol=1e-9)
    assert (found[:, 0] == 0).all()


def test_a_distance_is_its_formula():
    """Equations 11 and 12: cross-entropy of (1 - e, e) is that of the logit."""
    contexts = torch.randn(5, 4, 9, dtype=torch.float64)
    unit = contexts / contexts.norm(dim=2, keepdim=True)
    e = 0.25 * (unit[:, 1:] - unit[:, :1]).norm(dim=2) ** 2
    torch.testing.assert_close(distance_logits(contexts).sigmoid().double(), 1 - e, rtol=1e-5, atol=1e-6)
    same = torch.rand(5, 3).round()
    expected = -(same * (1 - e).log() + (1 - same) * e.log()).mean()
    found = binary_cross_entropy_with_logits(distance_logits(contexts), same)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_contexts_that_coincide_or_oppose_have_finite_logits():
    row = torch.tensor([3.0, 4.0, 0.0])
    contexts = torch.stack([row, row, 2 * row, -row])[None].requires_grad_()
    logits = distance_logits(contexts)
    assert logits[0, :2].tolist() == pytest.approx([math.log(1e6 - 1)] * 2, rel=1e-3)
    assert logits[0, 2].item() == pytest.approx(-math.log(1e6 - 1), rel=5e-3)
    logits.sum().backward()
    assert contexts.grad.isfinite().all()


@every_kind
def test_stored_contexts_judge_as_the_whole_network_does(kind):
    """Inference in two stages, in other batches, is the pass from end to end."""
    model, graph = small(kind).eval(), Graph()
    with torch.no_grad():
        stored = torch.cat(
            [model.encode(*(each[rows] for each in graph.inputs(model, rows)[:2])) for rows in ALL.split(4)]
        )
        for rows in ALL.split(7):
            whole = model(*graph.inputs(model, rows))
            found = model.link(stored[graph.neighbor[rows]], graph.present[rows])
            torch.testing.assert_close(found[graph.present[rows]], whole[graph.present[rows]], rtol=1e-4, atol=1e-5)


def test_a_context_depends_on_its_own_neighborhood_alone():
    model, graph = small("full").eval(), Graph()
    with torch.no_grad():
        before = graph.contexts(model)
        graph.vectors[5] = -graph.vectors[5]
        after = graph.contexts(model)
        alone = torch.cat([model.encode(graph.vectors[row[None, :4]], there[None, :4]) for row, there in lists(graph)])
    touched = ((graph.neighbor[:, : 1 + HOP2] == 5) & graph.present[:, : 1 + HOP2]).any(dim=1)
    assert 0 < touched.sum() < ROWS
    assert torch.equal(before[~touched], after[~touched])
    assert (before[touched] != after[touched]).any(dim=1).all()
    torch.testing.assert_close(alone, after, rtol=1e-4, atol=1e-5)


def lists(graph: Graph) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return zip(graph.neighbor, graph.present, strict=True)


@every_kind
def test_absent_neighbors_have_no_influence(kind):
    model, graph = small(kind).eval(), Graph()
    with torch.no_grad():
        vectors, near, place, present = graph.inputs(model, ALL)
        clean = model(vectors, near, place, present)
        hidden = torch.where(near[:, :, None], vectors, torch.nan)
        moved = torch.where(present, place, (place + 11) % ROWS)
        other = model(hidden, near, moved, present)
    assert torch.equal(clean[present], other[present])
    assert torch.isfinite(clean[present]).all()


def test_a_row_without_neighbors_is_its_own_context():
    model, graph = small("full").eval(), Graph()
    part = model.relation_encoder
    with torch.no_grad():
        expected = part.norm(part.encoder.embed(graph.vectors[3]))
        torch.testing.assert_close(graph.contexts(model)[3], expected)


@every_kind
def test_fewer_neighbors_are_as_a_shorter_list(kind):
    """A list of 7 with 2 absent is judged as a list of 5, by the same weights."""
    model, shorter = small(kind).eval(), small(kind, k=5).eval()
    shorter.load_state_dict(model.state_dict())
    graph = Graph()
    graph.present = (torch.arange(K) < 5).expand(ROWS, K)
    with torch.no_grad():
        long = model(*graph.inputs(model, ALL))
        vectors, near, place, present = graph.inputs(model, ALL)
        short = shorter(vectors, near, place[:, :5], present[:, :5])
    torch.testing.assert_close(long[:, :5], short, rtol=1e-4, atol=1e-5)


def influences(model: FaceTransformer, graph: Graph, row: int, rank: int) -> set[int]:
    """Rows of the set whose vectors the logit of one neighbor depends on."""
    graph.vectors.requires_grad_()
    logit = model(*graph.inputs(model, torch.tensor([row])))[0, rank]
    (gradient,) = torch.autograd.grad(logit, graph.vectors)
    return set(gradient.abs().sum(dim=1).nonzero()[:, 0].tolist())


def test_what_each_part_reads():
    """Only RE: both rows' own neighborhoods, whoever else is listed. Only LP: who is listed, whoever these list."""
    graph, row, rank = Graph(), 9, 1
    graph.present[:] = True
    listed = set(graph.neighbor[row].tolist())
    near = {int(i): set(graph.neighbor[i, : 1 + HOP2].tolist()) for i in ALL}
    pair = near[row] | near[int(graph.neighbor[row, rank])]
    everyone = set.union(*(near[i] for i in listed))
    assert influences(small("only RE").eval(), graph, row, rank) == pair
    assert influences(small("only LP").eval(), graph, row, rank) == listed
    assert influences(small("full").eval(), graph, row, rank) == everyone
    assert len({len(pair), len(listed), len(everyone)}) == 3


def test_order_does_not_matter_beyond_who_is_listed():
    """No positions, as published: neither hop tells ranks apart."""
    model, graph = small("full").eval(), Graph()
    graph.present[:] = True
    with torch.no_grad():
        before = model(*graph.inputs(model, ALL))
        vectors, near, place, present = graph.inputs(model, ALL)
        order = torch.tensor([0, 4, 6, 1, 5, 3, 2])
        after = model(vectors[:, [0, 3, 1, 2]], near, place[:, order], present)
    torch.testing.assert_close(after, before[:, order], rtol=1e-4, atol=1e-5)


@every_kind
def test_dropout_is_of_the_summands_of_layers_alone(kind):
    """Equations 4 and 7 have a d, 5, 6 and 9 have none: without those of the layers, training is inference."""
    model, graph = small(kind, dropout=0.4).double(), Graph(dtype=torch.float64)
    inputs = graph.inputs(model, ALL)
    expected = model.eval()(*inputs)
    assert not torch.allclose(model.train()(*inputs), expected)
    for part in model.modules():
        if isinstance(part, EncoderLayer):
            part.dropout.p = 0.0
    torch.testing.assert_close(model(*inputs), expected, rtol=1e-9, atol=1e-9)


@every_kind
def test_every_parameter_learns(kind):
    model, graph = small(kind, dropout=0.1), Graph()
    present = graph.present.clone()
    present[:, 0] = False
    logits = model(*graph.inputs(model, ALL))[present]
    binary_cross_entropy_with_logits(logits, torch.rand_like(logits).round()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert still == []
    parts = {name.split(".")[0] for name, _ in model.named_parameters()}
    both = {"relation_encoder", "linkage_predictor"}
    assert parts == {"full": both, "only RE": {"relation_encoder"}, "only LP": {"linkage_predictor"}}[kind]


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    settings = config("linkage", 2, layers=1, heads=1, width=4, hidden=4)
    model, graph = FaceTransformer(settings, 3, 2).double(), Graph(k=3, d=2, dtype=torch.float64)
    names, values = zip(*model.named_parameters(), strict=True)
    inputs = graph.inputs(model, torch.tensor([3, 4, 8]))

    def score(*parameters: torch.Tensor) -> torch.Tensor:
        return functional_call(model, dict(zip(names, parameters, strict=True)), inputs)[:, 1:]

    assert torch.autograd.gradcheck(score, tuple(value.detach().clone().requires_grad_() for value in values))


@pytest.mark.parametrize(("d", "width"), [(256, 256), (512, 512)])
def test_published_widths(d, width):
    """S3: features of 256 with heads of 64, of 512 with heads of 128; f is the row's own vector, not projected."""
    model = FaceTransformer(PredictorConfig(form="linkage", tokens="embedding"), 8, d)
    assert (model.width, model.encoder.width) == (width, width)
    assert isinstance(model.relation_encoder, RelationEncoder)
    assert isinstance(model.relation_encoder.encoder.embed, nn.Identity)


def test_another_width_is_refused():
    for kind in KINDS:
        model = small(kind)
        with pytest.raises(InputError, match="trained on embeddings of width 12, these have 7"):
            model.encode(torch.zeros(1, model.nearest, 7), torch.ones(1, model.nearest, dtype=torch.bool))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hop2": -1}, "predictor.hop2 is -1: it takes a whole number of at least 0."),
        ({"form": "distance", "hop2": 0}, "predictor.form distance needs a predictor.hop2 of at least 1."),
        ({"tokens": "gram"}, "predictor.form linkage reads the embeddings; set predictor.tokens to embedding."),
        (
            {"encoder": EncoderConfig(mask="topk")},
            "predictor.form linkage sees all neighbors; set encoder.mask to none.",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(values, sentence):
    with pytest.raises(ConfigError) as caught:
        PredictorConfig(**{"form": "linkage", "tokens": "embedding", **values})
    assert str(caught.value) == sentence


@every_kind
def test_bfloat16_autocast_comes_close(kind):
    model, graph = small(kind).eval(), Graph()
    with torch.no_grad():
        exact = model(*graph.inputs(model, ALL))[graph.present]
        with torch.autocast("cpu", torch.bfloat16):
            near = model(*graph.inputs(model, ALL))[graph.present].float()
    torch.testing.assert_close(near, exact, rtol=0.1, atol=0.1)


@pytest.mark.slow
def test_it_overfits():
    """Links that are coin flips can only be remembered; average precision above 0.999."""
    model, graph = small("full", layers=1, width=32, hidden=64), Graph()
    graph.present[:] = True
    same = (torch.rand(ROWS, K - 1, generator=torch.Generator().manual_seed(6)) < 0.4).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0)
    for _ in range(200):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(model(*graph.inputs(model, ALL))[:, 1:], same).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = model(*graph.inputs(model, ALL))[:, 1:]
    assert average_precision_score(same.flatten(), found.flatten()) > 0.999
