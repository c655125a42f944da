"""What a form reads: the same logits for a row alone, in company, and beside rows with shorter lists."""

import numpy as np
import pytest
import torch

from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models import forms
from raycluster.models.blocks import CPU_BLOCK
from raycluster.models.build import build_network
from raycluster.models.forms import RelativeForm, VectorForm, topk_of
from raycluster.models.neighborhoods import Neighborhoods
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.scored_set import ScoredSet
from raycluster.models.set_statistics import measure
from raycluster.models.weights import load_network
from support import tiny
from support.data import identities, neighbor_table, rows_of, unit_rows

K, ROWS = tiny.K, 60
CPU = torch.device("cpu")


def test_topk_is_gathered_by_row_and_none_stays_none():
    topk = np.arange(10, 0, -1)
    assert topk_of(topk, np.array([0, 9, 4]), CPU).tolist() == [10, 1, 6]
    assert topk_of(None, np.array([0]), CPU) is None


def test_a_masked_network_reads_the_topk_of_its_rows(tmp_path):
    card = tiny.model(tmp_path, "row", "topk")
    network = build_network("predictor", card).eval()
    assert isinstance(network, RowPredictor)
    network.load_state_dict(load_network(str(tmp_path), card, "predictor"))
    rows, topk = np.array([3, 8]), np.full(ROWS, K)
    facts = {"background": [0.0, 0.25]}
    scored_set = ScoredSet(*neighbor_table(ROWS, K, 0), unit_rows(ROWS, tiny.WIDTH, 0), facts, topk)
    near = Neighborhoods(scored_set.neighbor, scored_set.vectors, CPU)
    with torch.inference_mode():
        all_seen = VectorForm(network, near, scored_set, 16).logits(rows)
        topk[8] = 2
        few_seen = VectorForm(network, near, scored_set, 16).logits(rows)
    assert all_seen.shape == (2, K)
    np.testing.assert_allclose(few_seen[0], all_seen[0], rtol=1e-5, atol=1e-6)
    assert np.abs(few_seen[1] - all_seen[1]).max() > 1e-3


@pytest.mark.parametrize("block", [1, 4, 100])
def test_the_form_relative_computes_a_row_alike_beside_rows_with_shorter_lists(tmp_path, monkeypatch, block):
    card = tiny.model(tmp_path, "relative", "none")
    network = build_network("predictor", card).eval()
    assert isinstance(network, RelativePredictor)
    network.load_state_dict(load_network(str(tmp_path), card, "predictor"))
    vectors, _ = identities(10, 6, width=tiny.WIDTH)
    neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, K)
    scored_set = ScoredSet(neighbor, similarity, vectors, measure("relative", neighbor, similarity, vectors))
    form = RelativeForm(network, Neighborhoods(neighbor, vectors, CPU), scored_set, block)
    assert (form.block, form.scored, form.neighbors_at_once) == (CPU_BLOCK["lists"], K, block * K)
    rows = np.arange(12)
    with torch.inference_mode():
        for length in (np.full(12, K), np.where(rows % 3 == 0, 5, K)):
            monkeypatch.setattr(forms, "lengths", lambda *_, length=length: length)
            together = form.logits(rows)
            assert (np.isnan(together) == (np.arange(K) >= length[:, None])).all()
            for row in rows:
                monkeypatch.setattr(forms, "lengths", lambda *_, length=length, row=row: length[[row]])
                np.testing.assert_allclose(form.logits(rows[[row]])[0], together[row], rtol=1e-4, atol=1e-5)
