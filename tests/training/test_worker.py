"""One worker's fit: the objective of each network, where it starts, and what it leaves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from raycluster.config.networks import FitConfig
from raycluster.errors import InputError
from raycluster.models import card as folder
from raycluster.models.build import build_network
from raycluster.models.weights import load_network
from raycluster.training import worker
from raycluster.training.labelled_set import LabelledSet
from raycluster.training.objectives import FilterObjective, LinkageObjective, RowObjective
from raycluster.training.pair_objective import PairObjective
from raycluster.training.relative_objective import RelativeObjective
from raycluster.training.worker import FitRequest, SetFolder, best_state, fit_network, progress_line
from support import tiny
from support.labelled import K, opened

CPU = torch.device("cpu")
FIT = FitConfig(optimizer="adamw", warmup_steps=1, steps=4, batch=8, evaluate_every=2)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"))


def model_of(tmp_path: Path, form: Any, weights: bool) -> folder.Card:
    """A model folder `start` for lists of K, whose networks are fitted for a few steps."""
    card = tiny.model(tmp_path / "start", form, "none", embedding_width=16)
    training = replace(
        card.training,
        filter=replace(card.training.filter, fit=FIT),
        predictor=replace(card.training.predictor, fit=FIT),
    )
    card = replace(card, training=training, k=K, thresholds={"theta": 0.4, "floor": 0.05})
    names: tuple[Any, ...] = ("filter", "predictor") if weights else ()
    torch.manual_seed(5)
    return folder.save(str(tmp_path / "start"), card, {name: build_network(name, card).state_dict() for name in names})


def request_for(tmp_path: Path, labelled: LabelledSet, network: Any) -> FitRequest:
    url = labelled.tables.folder.store.url
    return FitRequest(network, (SetFolder(url, "label", False),), str(tmp_path / "start"), str(tmp_path / "work"))


@pytest.mark.parametrize(
    ("network", "form", "kind"),
    [
        ("filter", "row", FilterObjective), ("predictor", "row", RowObjective), ("predictor", "relative", RelativeObjective),
        ("predictor", "linkage", LinkageObjective), ("predictor", "pair", PairObjective),
    ],
)  # fmt: skip
def test_every_network_has_its_objective_and_its_best_state_is_kept(
    labelled: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Any, form: Any, kind: type
) -> None:
    made: list[Any] = []
    plain = worker.fit
    monkeypatch.setattr(
        worker, "fit", lambda objective, *rest, **keys: made.append(objective) or plain(objective, *rest, **keys)
    )
    model_of(tmp_path, form, weights=False)
    entries: list[dict[str, float]] = []
    fitted = fit_network(request_for(tmp_path, labelled, network), 0, 1, CPU, entries.append)
    assert type(made[0]) is kind
    assert getattr(made[0], "teacher", None) is None
    assert [entry["step"] for entry in entries] == [2, 4]
    state, history = best_state(str(tmp_path / "work"), network)
    assert history == entries
    assert all(torch.equal(state[name], tensor) for name, tensor in fitted.tensors.items())
    assert progress_line(network, entries[0]).startswith(f"{network}: step 2, loss ")


def test_a_fit_starts_from_the_weights_of_the_model_which_also_teaches(
    labelled: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = model_of(tmp_path, "row", weights=True)
    made: list[Any] = []
    monkeypatch.setattr(worker, "fit", lambda objective, *rest, **keys: made.append(objective))
    fit_network(request_for(tmp_path, labelled, "predictor"), 0, 1, CPU, lambda entry: None)
    weights = load_network(str(tmp_path / "start"), card, "predictor")
    for network in (made[0].module, made[0].teacher):
        assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in weights.items())
    assert not made[0].teacher.training
    assert made[0].teacher is not made[0].module


def test_a_set_without_a_sample_is_refused(
    labelled: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_of(tmp_path, "row", weights=False)
    nothing = replace(labelled, held_out=labelled.held_out | True)
    monkeypatch.setattr(worker, "open_set", lambda *_: nothing)
    with pytest.raises(InputError, match="No sample to train on is left"):
        fit_network(request_for(tmp_path, labelled, "predictor"), 0, 1, CPU, lambda entry: None)
