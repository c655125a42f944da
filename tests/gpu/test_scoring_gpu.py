"""Scores on a real GPU against those of the CPU."""

import numpy as np
import pytest
import torch

from raycluster.models import blocks, neighborhoods, opened
from raycluster.models.inference import Predictor, TopkFilter
from raycluster.models.scored_set import ScoredSet
from support import tiny
from support.data import unit_rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ROWS, WIDTH, K = 3000, tiny.WIDTH, tiny.K
BACKGROUND = (0.0, WIDTH**-0.5)
random = np.random.default_rng(0)
VECTORS = unit_rows(ROWS, WIDTH, 0)
NEIGHBOR = random.integers(0, ROWS, (ROWS, K)).astype(np.int32)
NEIGHBOR[:, 0] = np.arange(ROWS)
NEIGHBOR[np.arange(K) >= random.integers(1, 2 * K, ROWS)[:, None]] = -1
TOPK = random.integers(1, K + 1, ROWS)
CHOSEN = (random.random((ROWS, K)) < 0.2) & (NEIGHBOR >= 0)


def scores(url, form, name="predictor", vectors=VECTORS):
    card = tiny.model(url, form)
    if name == "filter":
        topk_filter = TopkFilter.open(str(url), card, NEIGHBOR, vectors, BACKGROUND, threads=2)
        return topk_filter.near.device, topk_filter.topk(0, ROWS)
    facts, similarity = {"background": BACKGROUND}, np.empty((ROWS, K), np.float32)
    predictor = Predictor.open(str(url), card, ScoredSet(NEIGHBOR, similarity, vectors, facts, TOPK), threads=2)
    logits = predictor.logits(0, ROWS) if form == "row" else predictor.logits_of_pairs(0, ROWS, CHOSEN)
    return predictor.near.device, logits


@pytest.fixture(params=["row", "pair"])
def on_cpu(request, tmp_path, monkeypatch):
    """A form of the predictor and its scores on the CPU; scores after it are of the GPU."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        device, found = scores(tmp_path, request.param)
    assert device.type == "cpu"
    return request.param, found


@pytest.mark.parametrize("resident", [True, False])
def test_float32_scores_are_those_of_the_cpu(on_cpu, tmp_path, monkeypatch, resident):
    """Vectors on the GPU, or sent to it in blocks of a few rows."""
    form, expected = on_cpu
    monkeypatch.setattr(blocks, "uses_bfloat16", lambda device: False)
    if not resident:
        for module in (neighborhoods, opened):
            monkeypatch.setattr(module, "free_bytes", lambda device: VECTORS.nbytes * 2 - 2)
    device, found = scores(tmp_path, form)
    assert device.type == "cuda"
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_bfloat16_scores_are_near_those_of_the_cpu(on_cpu, tmp_path):
    """Logits of spread 2 within 0.15 on average."""
    form, expected = on_cpu
    _, found = scores(tmp_path, form)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.sqrt(np.nanmean(np.square(found - expected))) < 0.15


def test_float16_vectors_make_nearly_the_same_scores(on_cpu, tmp_path, monkeypatch):
    form, expected = on_cpu
    monkeypatch.setattr(blocks, "uses_bfloat16", lambda device: False)
    _, found = scores(tmp_path, form, vectors=VECTORS.astype(np.float16))
    assert np.sqrt(np.nanmean(np.square(found - expected))) < 0.05


def test_topk_is_that_of_the_cpu_but_for_rounding(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        _, expected = scores(tmp_path, "row", "filter")
    monkeypatch.setattr(blocks, "uses_bfloat16", lambda device: False)
    _, found = scores(tmp_path, "row", "filter")
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.99
