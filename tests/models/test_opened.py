"""A network is opened with the model's weights, in evaluation mode, for sets that fit the model."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raycluster.errors import InputError
from raycluster.models import opened as module
from raycluster.models.blocks import CPU_BLOCK
from raycluster.models.opened import open_network
from raycluster.models.weights import MOST_LOADED, load_network
from support import tiny
from support.data import neighbor_table, unit_rows

ROWS = 40


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_a_network_has_the_models_weights_and_the_set(tmp_path: Path) -> None:
    url, card = str(tmp_path), tiny.model(tmp_path, "linkage", "none")
    neighbor, vectors = neighbor_table(ROWS, tiny.K, 0)[0], unit_rows(ROWS, tiny.WIDTH, 0)
    contexts = np.zeros((ROWS, 24), np.float32)
    opened = open_network(url, card, "predictor", neighbor, vectors, contexts, 3)
    for name, tensor in load_network(url, card, "predictor").items():
        assert torch.equal(opened.network.state_dict()[name], tensor), name
    assert not opened.network.training
    assert opened.near.gather(np.array([0]))[0].shape == (1, tiny.K, 24)
    assert (opened.block, opened.runner.threads) == (CPU_BLOCK["row"], 3)


def test_a_set_that_does_not_fit_is_refused_before_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, card = str(tmp_path), tiny.model(tmp_path, "row", "none")
    monkeypatch.setattr("raycluster.models.opened.load_network", lambda *_: pytest.fail("weights are read"))
    neighbor, vectors = neighbor_table(ROWS, 5, 0)[0], unit_rows(ROWS, tiny.WIDTH, 0)
    with pytest.raises(InputError, match=r"knn\.k is 5"):
        open_network(url, card, "predictor", neighbor, vectors, vectors, 1)


def test_a_process_keeps_few_networks_and_reads_changed_weights_again(tmp_path: Path) -> None:
    neighbor, vectors = neighbor_table(ROWS, tiny.K, 0)[0], unit_rows(ROWS, tiny.WIDTH, 0)
    module._loaded_networks.clear()
    networks = []
    for number in range(MOST_LOADED + 1):
        url = str(tmp_path / str(number))
        card = tiny.model(url, "row", "none")
        networks.append(open_network(url, card, "predictor", neighbor, vectors, vectors, 1).network)
    assert list(module._loaded_networks.values()) == networks[1:]
    changed = tiny.model(tmp_path / "0", "row", "topk")
    again = open_network(str(tmp_path / "0"), changed, "predictor", neighbor, vectors, vectors, 1).network
    assert again is not networks[0]
    assert again.config.encoder.mask == "topk"
