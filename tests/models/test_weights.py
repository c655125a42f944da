"""Weights as numpy reads them; `test_card` has what torch reads, and what is refused."""

import numpy as np
import pytest

from raycluster.errors import InputError
from raycluster.models import weights
from raycluster.models.card import load_card
from raycluster.models.weights import load_arrays, load_network
from support import tiny


def test_arrays_are_the_tensors():
    card, _ = load_card("auto")
    arrays, tensors = load_arrays("auto", card.networks["predictor"]), load_network("auto", card, "predictor")
    assert arrays.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy())


def test_a_process_reads_weights_once_and_refuses_what_is_not_the_cards(tmp_path, monkeypatch):
    entry = tiny.model(tmp_path, "relative", "none").networks["predictor"]
    first = load_arrays(str(tmp_path), entry)
    monkeypatch.setattr(weights, "_decoded", lambda *_: pytest.fail("weights are read again"))
    assert load_arrays(str(tmp_path), entry) is first
    monkeypatch.undo()
    (tmp_path / entry.file).write_bytes(b"other")
    load_arrays.cache_clear()
    with pytest.raises(InputError, match="was changed or damaged"):
        load_arrays(str(tmp_path), entry)
