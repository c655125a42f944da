"""Scores of a model folder: those of its network, and to the bit the same for any shards, threads and order of calls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models import blocks, forms, opened, set_statistics
from raycluster.models.build import build_network
from raycluster.models.inference import ContextEncoder, Predictor, TopkFilter
from raycluster.models.scored_set import ScoredSet
from raycluster.models.set_statistics import measure
from raycluster.models.weights import load_network
from support import tiny
from support.data import identities, rows_of, unit_rows

ROWS, WIDTH, K = 75, tiny.WIDTH, tiny.K  # five blocks, the last cut short
BACKGROUND = (0.02, 0.25)
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
        self.chosen = (random.random((ROWS, K)) < random.choice([0, 0.1, 0.5, 1], (ROWS, 1))) & (self.neighbor >= 0)
        self.chosen[:, 0] = False

    def similarity(self):
        """As the form relative reads it: descending in every row."""
        similarity = np.where(self.neighbor < 0, -1, (self.vectors[self.neighbor] @ self.vectors[:, :, None])[..., 0])
        return -np.sort(-similarity.astype(np.float32), axis=1)

    def predictor(self, url, card, threads=1, **changes) -> Predictor:
        similarity = self.similarity()
        facts = {"background": list(BACKGROUND)}
        if card.training.predictor.form == "relative":
            facts = measure(card.training.predictor.form, self.neighbor, similarity, self.vectors)
        scored_set = ScoredSet(self.neighbor, similarity, self.vectors, facts, self.topk)
        return Predictor.open(url, card, replace(scored_set, **changes), threads=threads)

    def topk_filter(self, url, card) -> TopkFilter:
        return TopkFilter.open(url, card, self.neighbor, self.vectors, BACKGROUND)

    def encoder(self, url, card) -> ContextEncoder:
        return ContextEncoder.open(url, card, self.neighbor, self.vectors)


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


@pytest.fixture(autouse=True)
def whole_lists(monkeypatch):
    """Lists are scored to their end, but where a test has lengths of its own."""
    monkeypatch.setattr(set_statistics, "LENGTHS", ())


@pytest.fixture
def in_float32(monkeypatch):
    """As on a processor without bfloat16."""
    monkeypatch.setattr(blocks, "uses_bfloat16", lambda device: False)


def same(found, whole, start, stop):
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[start:stop], strict=True)


@pytest.mark.parametrize(("form", "mask"), [("row", "none"), ("row", "topk"), ("row", "mixture"), ("relative", "none")])
def test_logits_of_rows_do_not_depend_on_cuts_threads_or_order(models, rows, form, mask):
    whole = rows.predictor(*models[form, mask]).logits(0, ROWS)
    assert (np.isnan(whole) == (rows.neighbor < 0) | (np.arange(K) == 0)).all()
    predictor = rows.predictor(*models[form, mask])

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        predictor.runner.threads = threads
        for start, stop in calls:
            same(predictor.logits(start, stop), whole, start, stop)

    check()


def test_the_form_relative_judges_lists_of_any_length_and_at_most_80_neighbors_of_each(models, monkeypatch):
    vectors, _ = identities(30, 5, width=WIDTH)
    monkeypatch.setattr(forms, "MOST", 16)
    found = {}
    for k in (9, 16, 24):
        neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, k)
        url, card = models["relative", "none"]
        facts = measure(card.training.predictor.form, neighbor, similarity, vectors)
        found[k] = Predictor.open(url, card, ScoredSet(neighbor, similarity, vectors, facts)).logits(0, len(vectors))
        assert found[k].shape == (len(vectors), k)
    assert np.isnan(found[24][:, 16:]).all()
    assert not np.isnan(found[24][:, 1:16]).any()


@pytest.mark.usefixtures("in_float32")
def test_the_form_relative_judges_no_more_of_a_list_than_is_worth_judging(models, rows, monkeypatch):
    short = K // 3
    length = np.where(np.arange(ROWS) % 3 == 0, short, K)
    place = {similarity.tobytes(): number for number, similarity in enumerate(rows.similarity())}

    def some(similarity, _scale):
        return np.array([length[place[row.tobytes()]] for row in similarity])

    monkeypatch.setattr(forms, "lengths", some)
    whole = rows.predictor(*models["relative", "none"]).logits(0, ROWS)
    beyond = np.arange(K) >= length[:, None]
    assert (np.isnan(whole) == (rows.neighbor < 0) | (np.arange(K) == 0) | beyond).all()
    same(rows.predictor(*models["relative", "none"], threads=2).logits(5, ROWS - 3), whole, 5, ROWS - 3)
    for all_of in (short, K):
        monkeypatch.setattr(forms, "lengths", lambda similarity, _, k=all_of: np.full(len(similarity), k))
        expected = rows.predictor(*models["relative", "none"]).logits(0, ROWS)
        np.testing.assert_allclose(whole[length == all_of], expected[length == all_of], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["none", "mixture"])
def test_logits_of_pairs_do_not_depend_on_cuts_threads_or_order(models, rows, mask):
    whole = rows.predictor(*models["pair", mask]).logits_of_pairs(0, ROWS, rows.chosen)
    predictor = rows.predictor(*models["pair", mask])

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        predictor.runner.threads = threads
        for start, stop in calls:
            same(predictor.logits_of_pairs(start, stop, rows.chosen[start:stop]), whole, start, stop)

    check()


@pytest.mark.parametrize("form", ["linkage", "distance"])
def test_contexts_and_their_logits_do_not_depend_on_cuts_threads_or_order(models, rows, form, monkeypatch):
    monkeypatch.setitem(blocks.CPU_BLOCK, "context", 16)
    contexts = rows.encoder(*models[form, "none"]).contexts(0, ROWS)
    whole = rows.predictor(*models[form, "none"], contexts=contexts).logits(0, ROWS)
    encoder, predictor = rows.encoder(*models[form, "none"]), rows.predictor(*models[form, "none"], contexts=contexts)

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        encoder.runner.threads = predictor.runner.threads = threads
        for start, stop in calls:
            same(encoder.contexts(start, stop), contexts, start, stop)
            same(predictor.logits(start, stop), whole, start, stop)

    check()


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("form", ["linkage", "distance"])
def test_logits_from_contexts_are_the_networks_from_end_to_end_a_row_at_a_time(models, rows, form):
    url, card = models[form, "none"]
    network = build_network("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    contexts = rows.encoder(url, card).contexts(0, ROWS)
    assert contexts.dtype == np.float32
    assert contexts.shape == (ROWS, network.width)
    found = rows.predictor(url, card, contexts=contexts).logits(0, ROWS)
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
    whole = rows.topk_filter(*models["row", "none"]).topk(0, ROWS)
    predictor = rows.topk_filter(*models["row", "none"])

    @given(calls, st.integers(1, 3))
    @examples
    def check(calls, threads):
        predictor.runner.threads = threads
        for start, stop in calls:
            same(predictor.topk(start, stop), whole, start, stop)

    check()


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("mask", ["none", "topk", "mixture"])
def test_logits_of_rows_are_the_networks_a_row_at_a_time(models, rows, mask):
    url, card = models["row", mask]
    network = build_network("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    found = rows.predictor(url, card).logits(0, ROWS)
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
    network = build_network("predictor", card).eval()
    network.load_state_dict(load_network(url, card, "predictor"))
    found = rows.predictor(url, card).logits_of_pairs(0, ROWS, rows.chosen)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), ~rows.chosen)
    for i, rank in np.argwhere(rows.chosen)[::7]:
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
        monkeypatch.setattr(blocks, "uses_bfloat16", lambda device: bfloat16)
        predictor = rows.predictor(*models[form, "mixture"])
        return predictor.logits(0, ROWS) if form == "row" else predictor.logits_of_pairs(0, ROWS, rows.chosen)

    exact, found = scores(False), scores(True)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))
    assert 0 < np.sqrt(np.nanmean(np.square(found - exact))) < 0.1


@pytest.mark.usefixtures("in_float32")
def test_topk_is_the_filters_a_row_at_a_time(models, rows):
    url, card = models["row", "none"]
    network = build_network("filter", card).eval()
    network.load_state_dict(load_network(url, card, "filter"))
    found = rows.topk_filter(url, card).topk(0, ROWS)
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
        rows.predictor(*models["row", "mixture"], topk=np.full(ROWS, topk)).logits(0, ROWS)[:, 1:] for topk in (1, K)
    )
    assert np.nanmax(np.abs(few - many)) > 0.01


def test_no_pair_is_wanted(models, rows):
    found = rows.predictor(*models["pair", "none"]).logits_of_pairs(3, 9, np.zeros((6, K), np.bool_))
    assert found.shape == (6, K)
    assert np.isnan(found).all()


def test_the_row_form_scores_chosen_pairs_as_among_all(models, rows):
    predictor = rows.predictor(*models["row", "none"])
    chosen = np.random.default_rng(0).random((6, K)) < 0.4
    whole = predictor.logits(3, 9)
    np.testing.assert_array_equal(predictor.logits_of_pairs(3, 9, chosen), np.where(chosen, whole, np.nan))


def test_a_pair_with_no_neighbor_is_refused(models, rows):
    with pytest.raises(AssertionError, match="needs a neighbor"):
        rows.predictor(*models["pair", "none"]).logits_of_pairs(0, ROWS, np.ones((ROWS, K), np.bool_))


def test_threads_of_torch_are_as_before_also_after_an_error(models, rows, monkeypatch):
    torch.set_num_threads(2)
    predictor = rows.predictor(*models["row", "none"])
    predictor.logits(0, 20)
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(predictor.network, "forward", None)
    with pytest.raises(TypeError):
        predictor.logits(0, 20)
    assert torch.get_num_threads() == 2


def test_a_set_that_does_not_fit_the_model_is_refused(models, rows):
    url, card = models["row", "none"]
    scored_set = ScoredSet(rows.neighbor, rows.similarity(), rows.vectors, {"background": BACKGROUND})
    short = replace(scored_set, neighbor=rows.neighbor[:, :10], similarity=rows.similarity()[:, :10])
    with pytest.raises(InputError, match="trained on 12 neighbors per row"):
        Predictor.open(url, card, short)
    with pytest.raises(InputError, match="embeddings of width 99"):
        Predictor.open(url, replace(card, embedding_width=99), scored_set)


@pytest.mark.parametrize(
    ("form", "mask"), [("row", "none"), ("relative", "none"), ("pair", "none"), ("linkage", "none")]
)
def test_a_model_is_loaded_and_vectors_are_taken_once_for_any_number_of_shards(models, rows, form, mask, monkeypatch):
    calls = []
    for name in ("load_network", "Neighborhoods", "build_network"):
        original = getattr(opened, name)

        def counted(*arguments, name=name, original=original):
            calls.append(name)
            return original(*arguments)

        monkeypatch.setattr(opened, name, counted)
    opened._loaded_networks.clear()
    predictor = rows.predictor(*models[form, mask])
    for start in range(0, ROWS, 25):
        if form == "pair":
            predictor.score_pairs(start, start + 25, rows.chosen[start : start + 25])
        else:
            predictor.score_rows(start, start + 25)
    assert sorted(calls) == ["Neighborhoods", "build_network", "load_network"]
    assert rows.predictor(*models[form, mask]).network is predictor.network, "another set shares the weights"


def test_scores_are_the_probabilities_of_the_models_calibration(models, rows):
    url, card = models["row", "none"]
    card = replace(card, thresholds={"slope": 0.5, "intercept": -1.0})
    predictor = rows.predictor(url, card)
    expected = 1 / (1 + np.exp(-(0.5 * predictor.logits(0, ROWS).astype(np.float64) - 1)))
    found = predictor.score_rows(0, ROWS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
