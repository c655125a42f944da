"""A draft grows step by step, never changes, and is written as a model."""

from pathlib import Path

import pytest
import torch

from raycluster.config.load import load_config, load_training
from raycluster.models.card import load_card
from raycluster.models.weights import load_network
from raycluster.training.draft import Draft


@pytest.fixture
def draft() -> Draft:
    return Draft(load_config("sdt-row"), load_training("sdt-row"), metrics={"purpose": "p"})


def test_dictionaries_grow_and_all_else_is_replaced(draft: Draft) -> None:
    first = draft.adding(thresholds={"eta": 0.5}, confidence=[{"low": 1.0}], metrics={"filter": {"error": 2.0}})
    second = first.adding(thresholds={"slope": 2.0}, confidence=[{"low": 2.0}])
    assert draft.thresholds == {}
    assert first.thresholds == {"eta": 0.5}
    assert second.thresholds == {"eta": 0.5, "slope": 2.0}
    assert second.confidence == [{"low": 2.0}]
    assert second.metrics == {"purpose": "p", "filter": {"error": 2.0}}


def test_a_draft_is_written_as_a_model_that_reads_back(draft: Draft, tmp_path: Path) -> None:
    weights = {"head": torch.arange(3.0)}
    whole = draft.adding(tensors={"filter": weights}, history={"filter": [{"step": 5, "score": -1.0}]})
    written = whole.save(str(tmp_path), seconds=1.5)
    card, _ = load_card(str(tmp_path))
    assert card == written
    assert (card.recipe, card.k, card.seconds) == ("sdt-row", draft.config.knn.k, 1.5)
    assert card.history == {"filter": [{"step": 5, "score": -1.0}]}
    assert torch.equal(load_network(str(tmp_path), card, "filter")["head"], weights["head"])
