"""Diff-Cluster at its published width on a real GPU: trained and scored within eight minutes, with the cost of a step."""

from pathlib import Path

import pytest
import torch

from benchmarks.papers.published_scale import Args, tables

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ROWS = 50_000
"""Rows to train on, and as many others to score: the neighbors of both and all scores leave most of the budget to steps."""
MINUTES = 8.0
"""Budget of the training and the scores."""


def test_the_published_network_trains_and_scores_within_its_budget(tmp_path: Path) -> None:
    found = dict(tables(Args(str(tmp_path), rows=ROWS, steps=20, minutes=MINUTES)))
    (cost,) = found["a step at the published scale"]
    assert cost["device"] == "cuda"
    assert cost["parameters"] > 10_000_000
    (whole,) = found["within the budget"]
    print(cost, whole)
    assert whole["minutes"] < 1.1 * MINUTES
    assert whole["steps"] > 100
    assert whole["F_B"] > 50, "the walk alone has more"
