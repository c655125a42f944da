"""Scores of a model folder: those of its network, and to the bit the same for any shards, threads and order of calls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.networks import EncoderConfig, FilterConfig, PredictorConfig
from raycluster.errors import InputError
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models import inference as scoring
from raycluster.models.card import load_network
from raycluster.models.inference import Neighborhoods, Scorer, activation_bytes, block_of, make
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.set_statistics import Scale
from support import tiny
from support.data import identities, rows_of, unit_rows

ROWS, WIDTH, K = 75, tiny.WIDTH, tiny.K  # five blocks, the last cut short
BACKGROUND = (0.02, 0.25)
CPU = torch.device("cpu")
GIB = 2**30
cuts = st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted)
calls = st.lists(cuts, min_size=1, max_size=4)
examples = settings(max_examples=15, deadline=None)


class Set:
    """Neighbor lists of which some are short, Top-K, and which pairs are wanted: of a row none, one, all or any."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.vectors = unit_rows(ROWS, WIDTH, 0)
        own = np.arange(ROWS)[:, None]
        self.neighbor = np.hstack([own, (own + 1 + random.random((ROWS, ROWS - 1)).argsort()[:, : K - 1]) % ROWS])
        self.neighbor = self.neighbor.astype(np.int32)
        self.neighbor[np.arange(K) >= random.integers(1, 2 * K, ROWS)[:, None]] = -1
        self.topk = random.integers(1, K + 1, ROWS)
        self.wanted = (random.random((ROWS, K)) < random.choice([0, 0.1, 0.5, 1], (ROWS, 1))) & (self.neighbor >= 0)
        self.wanted[:, 0] = False

    def told(self):
        """What the form relative reads besides."""
        similarity = np.where(self.neighbor < 0, -1, (self.vectors[self.neighbor] @ self.vectors[:, :, None])[..., 0])
        similarity = -np.sort(-similarity.astype(np.float32), axis=1)
        return {"similarity": similarity, "scale": Scale.of(self.neighbor, similarity, self.vectors)}

    def scorer(self, url, card, name="predictor", **changes) -> Scorer:
        arguments = {"topk": self.topk} | changes
        return Scorer(url, card, name, self.neighbor, self.vectors, BACKGROUND, **arguments)


@pytest.fixture(scope="module")
def rows() -> Set:
    return Set()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Scorers by the form of the predictor and its mask; the filter's is in the row form's folder."""
    made = {}
    forms = [("row", "none"), ("row", "topk"), ("row", "mixture"), ("pair", "none"), ("pair", "mixture")]
    for form, mask in (*forms, ("relative", "none"), ("linkage", "none"), ("distance", "none")):
        url = str(tmp_path_factory.mktemp("model"))
        made[form, mask] = url, tiny.model(url, form, mask)
    return made


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def in_float32(monkeypatch):
    """As on a processor without bfloat16."""
    monkeypatch.setattr(scoring, "fast_bfloat16", lambda device: False)


def same(found, whole, start, stop):
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[start:stop], strict=True)


@pytest.mark.parametrize(("form", "mask"), [("row", "none"), ("row", "topk"), ("row", "mixture"), ("relative", "none")])
def test_logits_of_rows_do_not_depend_on_cuts_threads_or_order(models, rows, form, mask):
    told = rows.told() if form == "relative" else {}
    whole = rows.scorer(*models[form, mask], **told).rows(0, ROWS)
    assert (np.isnan(whole) == (rows.neighbor < 0) | (np.arange(K) == 0)).all()
    scorer = rows.scorer(*models[form, mask], **told)

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        scorer.threads = threads
        for start, stop in calls:
            same(scorer.rows(start, stop), whole, start, stop)

    check()


def test_the_form_relative_judges_lists_of_any_length_and_at_most_80_neighbors_of_each(models, monkeypatch):
    vectors, _ = identities(30, 5, width=WIDTH)
    monkeypatch.setattr(scoring, "MOST", 16)
    found = {}
    for k in (9, 16, 24):
        neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, k)
        told = {"similarity": similarity, "scale": Scale.of(neighbor, similarity, vectors)}
        found[k] = Scorer(*models["relative", "none"], "predictor", neighbor, vectors, **told).rows(0, len(vectors))
        assert found[k].shape == (len(vectors), k)
    assert np.isnan(found[24][:, 16:]).all()
    assert not np.isnan(found[24][:, 1:16]).any()


@pytest.mark.usefixtures("in_float32")
def test_the_form_relative_judges_no_more_of_a_list_than_is_worth_judging(models, rows, monkeypatch):
    told, short = rows.told(), K // 3
    length = np.where(np.arange(ROWS) % 3 == 0, short, K)
    place = {similarity.tobytes(): number for number, similarity in enumerate(told["similarity"])}

    def some(similarity, _scale):
        return np.array([length[place[row.tobytes()]] for row in similarity])

    monkeypatch.setattr(scoring, "lengths", some)
    whole = rows.scorer(*models["relative", "none"], **told).rows(0, ROWS)
    beyond = np.arange(K) >= length[:, None]
    assert (np.isnan(whole) == (rows.neighbor < 0) | (np.arange(K) == 0) | beyond).all()
    same(rows.scorer(*models["relative", "none"], **told, threads=2).rows(5, ROWS - 3), whole, 5, ROWS - 3)
    for all_of in (short, K):
        monkeypatch.setattr(scoring, "lengths", lambda similarity, _, k=all_of: np.full(len(similarity), k))
        expected = rows.scorer(*models["relative", "none"], **told).rows(0, ROWS)
        np.testing.assert_allclose(whole[length == all_of], expected[length == all_of], rtol=1e-5)


@pytest.mark.parametrize("mask", ["none", "mixture"])
def test_logits_of_pairs_do_not_depend_on_cuts_threads_or_order(models, rows, mask):
    whole = rows.scorer(*models["pair", mask]).pairs(0, ROWS, rows.wanted)
    scorer = rows.scorer(*models["pair", mask])

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        scorer.threads = threads
        for start, stop in calls:
            same(scorer.pairs(start, stop, rows.wanted[start:stop]), whole, start, stop)

    check()


@pytest.mark.parametrize("form", ["linkage", "distance"])
def test_contexts_and_their_logits_do_not_depend_on_cuts_threads_or_order(models, rows, form, monkeypatch):
    monkeypatch.setitem(scoring.CPU_BLOCK, "context", 16)
    contexts = rows.scorer(*models[form, "none"]).contexts(0, ROWS)
    whole = rows.scorer(*models[form, "none"], contexts=contexts).rows(0, ROWS)
    encoder, judge = rows.scorer(*models[form, "none"]), rows.scorer(*models[form, "none"], contexts=contexts)

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        encoder.threads = judge.threads = threads
        for start, stop in calls:
            same(encoder.contexts(start, stop), contexts, start, stop)
            same(judge.rows(start, stop), whole, start, stop)

    check()


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("form", ["linkage", "distance"])
def test_logits_from_contexts_are_the_networks_from_end_to_end_a_row_at_a_time(models, rows, form):
    url, card = models[form, "none"]
    network = make("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    contexts = rows.scorer(url, card).contexts(0, ROWS)
    assert contexts.dtype == np.float32
    assert contexts.shape == (ROWS, network.width)
    found = rows.scorer(url, card, contexts=contexts).rows(0, ROWS)
    neighbor, vectors = torch.from_numpy(rows.neighbor).long(), torch.from_numpy(rows.vectors)
    for row, ids in enumerate(neighbor):
        there = ids >= 0
        near = neighbor[ids.clamp(min=0), : network.nearest]
        place = torch.arange(K)[None]
        with torch.no_grad():
            expected = network(vectors[near], near >= 0, place, there[None])[0].numpy()
        there[0] = False
        np.testing.assert_allclose(found[row][there], expected[there], rtol=1e-4, atol=1e-3)
        assert np.isnan(found[row][~there]).all()
    assert np.nanstd(found) > 0.1


def test_topk_does_not_depend_on_cuts_threads_or_order(models, rows):
    whole = rows.scorer(*models["row", "none"], "filter").topk(0, ROWS)
    scorer = rows.scorer(*models["row", "none"], "filter")

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        scorer.threads = threads
        for start, stop in calls:
            same(scorer.topk(start, stop), whole, start, stop)

    check()


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("mask", ["none", "topk", "mixture"])
def test_logits_of_rows_are_the_networks_a_row_at_a_time(models, rows, mask):
    url, card = models["row", mask]
    network = make("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    found = rows.scorer(url, card).rows(0, ROWS)
    assert found.dtype == np.float32
    for row, neighbor in enumerate(rows.neighbor):
        there = neighbor >= 0
        with torch.no_grad():
            expected = network(
                torch.from_numpy(rows.vectors[neighbor])[None], torch.from_numpy(there)[None],
                torch.from_numpy(rows.topk[[row]]), BACKGROUND,
            )[0].numpy()  # fmt: skip
        there[0] = False
        np.testing.assert_allclose(found[row][there], expected[there], rtol=1e-4, atol=1e-4)
        assert np.isnan(found[row][~there]).all()
    assert np.nanstd(found) > 0.1


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("mask", ["none", "mixture"])
def test_logits_of_pairs_are_the_networks_a_pair_at_a_time(models, rows, mask):
    url, card = models["pair", mask]
    network = make("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    found = rows.scorer(url, card).pairs(0, ROWS, rows.wanted)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), ~rows.wanted)
    for i, rank in np.argwhere(rows.wanted)[::7]:
        both = rows.neighbor[[i, rows.neighbor[i, rank]]]
        (vectors_i, vectors_j), (present_i, present_j) = (
            torch.from_numpy(rows.vectors)[both],
            torch.from_numpy(both >= 0),
        )
        topk_i, topk_j = torch.from_numpy(rows.topk[both[:, 0]])
        parts = (vectors_i, vectors_j, present_i, present_j, topk_i, topk_j)
        with torch.no_grad():
            expected = network(*(part[None] for part in parts)).item()
        assert found[i, rank] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert np.nanstd(found) > 0.1


@pytest.mark.parametrize("form", ["row", "pair"])
def test_scores_in_bfloat16_are_near_those_in_float32(models, rows, form, monkeypatch):
    """Logits of spread 2 within 0.1 on average; on a processor that only emulates it, too."""

    def scores(bfloat16):
        monkeypatch.setattr(scoring, "fast_bfloat16", lambda device: bfloat16)
        scorer = rows.scorer(*models[form, "mixture"])
        return scorer.rows(0, ROWS) if form == "row" else scorer.pairs(0, ROWS, rows.wanted)

    exact, found = scores(False), scores(True)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))
    assert 0 < np.sqrt(np.nanmean(np.square(found - exact))) < 0.1


@pytest.mark.usefixtures("in_float32")
def test_topk_is_the_filters_a_row_at_a_time(models, rows):
    url, card = models["row", "none"]
    network = make("filter", card).eval()
    network.load_state_dict(load_network(url, card, "filter"))
    found = rows.scorer(url, card, "filter").topk(0, ROWS)
    assert found.dtype == np.int64
    assert found.min() >= 1
    assert found.max() <= K
    for row, neighbor in enumerate(rows.neighbor):
        with torch.no_grad():
            share = network(
                torch.from_numpy(rows.vectors[neighbor])[None], torch.from_numpy(neighbor >= 0)[None], BACKGROUND
            )
        assert abs(found[row] - max(K * share.item(), 1)) < 0.501
    assert len(np.unique(found)) > 3


def test_topk_decides_what_a_masked_network_sees(models, rows):
    few, many = (
        rows.scorer(*models["row", "mixture"], topk=np.full(ROWS, topk)).rows(0, ROWS)[:, 1:] for topk in (1, K)
    )
    assert np.nanmax(np.abs(few - many)) > 0.01


def test_no_pair_is_wanted(models, rows):
    found = rows.scorer(*models["pair", "none"]).pairs(3, 9, np.zeros((6, K), np.bool_))
    assert found.shape == (6, K)
    assert np.isnan(found).all()


def test_a_pair_with_no_neighbor_is_refused(models, rows):
    with pytest.raises(AssertionError, match="needs a neighbor"):
        rows.scorer(*models["pair", "none"]).pairs(0, ROWS, np.ones((ROWS, K), np.bool_))


def test_threads_of_torch_are_as_before_also_after_an_error(models, rows):
    torch.set_num_threads(2)
    scorer = rows.scorer(*models["row", "none"])
    scorer.rows(0, 20)
    assert torch.get_num_threads() == 2
    scorer.network.forward = None
    with pytest.raises(TypeError):
        scorer.rows(0, 20)
    assert torch.get_num_threads() == 2


def test_a_set_that_does_not_fit_the_model_is_refused(models, rows):
    url, card = models["row", "none"]
    with pytest.raises(InputError, match="trained on 12 neighbors a row"):
        Scorer(url, card, "predictor", rows.neighbor[:, :10], rows.vectors, BACKGROUND)
    with pytest.raises(InputError, match="embeddings of width 99"):
        Scorer(url, replace(card, embedding_width=99), "predictor", rows.neighbor, rows.vectors, BACKGROUND)


@pytest.mark.parametrize("storage", [np.float32, np.float16])
@pytest.mark.filterwarnings("error")
def test_neighborhoods_are_gathered_from_read_only_tables(rows, storage):
    vectors = rows.vectors.astype(storage)
    vectors.flags.writeable = False
    chosen = np.array([4, 0, 4, ROWS - 1])
    found, present = Neighborhoods(rows.neighbor, vectors, CPU).of(chosen)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(present.numpy(), rows.neighbor[chosen] >= 0)
    expected = vectors.astype(np.float32)[rows.neighbor[chosen]]
    np.testing.assert_array_equal(found.numpy()[present.numpy()], expected[present.numpy()])
    assert torch.isfinite(found).all()


def test_make_follows_the_card(models):
    kinds = {"row": RowPredictor, "relative": RelativePredictor, "pair": PairPredictor}
    kinds |= {"linkage": FaceTransformer, "distance": FaceTransformer}
    for (form, _), (_, card) in models.items():
        assert isinstance(make("predictor", card), kinds[form])
        assert isinstance(make("filter", card), AdaptiveFilter)


NETWORKS = {
    "row": RowPredictor(PredictorConfig(form="row", encoder=EncoderConfig(width=128)), 80, 512),
    "pair": PairPredictor(PredictorConfig(form="pair"), 80, 512),
    "filter": AdaptiveFilter(FilterConfig(network="transformer"), 80, 512),
    "lstm": AdaptiveFilter(FilterConfig(network="lstm"), 80, 512),
    "linkage": FaceTransformer(PredictorConfig(form="linkage", tokens="embedding"), 80, 512),
}


@pytest.mark.parametrize("name", NETWORKS)
@given(free=st.integers(0, 200 * GIB))
@settings(max_examples=30, deadline=None)
def test_blocks_fill_a_quarter_of_a_gpu_at_most_and_half_of_that_at_least(name, free):
    network = NETWORKS[name]
    block, each = block_of(network, "cuda", free, 512), activation_bytes(network, 512)
    assert block & (block - 1) == 0
    assert 1 <= block <= scoring.GPU_BLOCK
    assert block == 1 or block * each <= free / 4
    assert block == scoring.GPU_BLOCK or 2 * block * each > free / 4


def test_blocks_of_a_cpu_do_not_depend_on_memory():
    relative = RelativePredictor(
        PredictorConfig(form="relative", tokens="gram", encoder=EncoderConfig(width=96)), 80, 512
    )
    for name, network in {**NETWORKS, "relative": relative}.items():
        expected = scoring.CPU_BLOCK[name if name in ("pair", "relative") else "row"]
        assert {block_of(network, "cpu", free, 512) for free in (0, GIB)} == {expected}


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_of_a_sample_are_what_a_pass_takes(name):
    """Peak of torch's allocations over a pass: no more than foreseen, and not less than half."""
    network, batch = NETWORKS[name].eval(), 8
    inputs = [torch.randn(batch, 80, 512), torch.ones(batch, 80, dtype=torch.bool)]
    if name == "pair":
        inputs = [inputs[0], inputs[0], inputs[1], inputs[1], None, None]
    else:
        inputs += {"row": [None, (0.0, 1.0)], "linkage": []}.get(name, [(0.0, 1.0)])
    with (
        torch.inference_mode(),
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile,
    ):
        (network.judge if name == "linkage" else network)(*inputs)
    changes = [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held, foreseen = np.cumsum(changes).max(), batch * activation_bytes(network, 512)
    assert foreseen / 2 < held < foreseen
