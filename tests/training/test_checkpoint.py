"""Checkpoints: what is saved is what is loaded, there is always a whole one, and damage is one clear sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raycluster.errors import StorageError
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.checkpoint import MARKER, State

FOLDER = "training/filter"
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64])
TENSORS = st.dictionaries(
    st.text("abc.", min_size=1, max_size=6), st.tuples(st.lists(st.integers(0, 3), max_size=3), DTYPES), max_size=3
)


def tensors(shapes: dict[str, tuple[list[int], torch.dtype]]) -> dict[str, Tensor]:
    return {name: torch.randn(shape).mul(100).to(dtype) for name, (shape, dtype) in shapes.items()}


def state(step: int = 5) -> State:
    """A state with a tensor in every group."""
    weight = torch.arange(6.0).view(2, 3) + step
    history = [{"step": step, "loss": 0.1 + 0.2, "score": 1 / 3}]
    groups = {"module": {"a.weight": weight}, "optimizer": {"0.momentum": -weight}, "best": {"a.weight": weight / 7}}
    return State(step=step, best_step=1, best_score=1 / 3, stale=2, history=history, **groups)


def files(path: Path) -> list[str]:
    return sorted(file.name for file in (path / FOLDER).iterdir())


def assert_equal(found: State | None, expected: State) -> None:
    assert found is not None
    for name, value in vars(expected).items():
        if name in ("module", "optimizer", "best"):
            same = getattr(found, name)
            assert same.keys() == value.keys()
            for key, tensor in value.items():
                assert same[key].dtype == tensor.dtype
                assert torch.equal(same[key], tensor)
        else:
            assert getattr(found, name) == value


def test_a_folder_without_marker_holds_no_checkpoint(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert checkpoint.load(store, FOLDER) is None
    store.put(f"{FOLDER}/step-00000005.safetensors", b"of a save that was killed")
    assert checkpoint.load(store, FOLDER) is None


@settings(max_examples=25, deadline=None)
@given(
    TENSORS, TENSORS, TENSORS, st.integers(1, 10**9), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)
def test_what_is_saved_is_loaded(tmp_path_factory, module, optimizer, best, step, score, finished) -> None:
    store = Store(str(tmp_path_factory.mktemp("run")))
    groups = {"module": tensors(module), "optimizer": tensors(optimizer), "best": tensors(best)}
    kept = State(step=step, best_score=score, finished=finished, history=[{"loss": score}], **groups)
    checkpoint.save(store, FOLDER, kept)
    assert_equal(checkpoint.load(store, FOLDER), kept)


def test_views_and_parameters_are_saved_as_they_look(tmp_path: Path) -> None:
    store, weight = Store(str(tmp_path)), torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    checkpoint.save(store, FOLDER, State(step=1, module={"turned": weight.T}))
    found = checkpoint.load(store, FOLDER)
    assert found is not None
    np.testing.assert_array_equal(found.module["turned"].numpy(), np.arange(6.0).reshape(2, 3).T)


def test_only_the_newest_step_stays_and_other_files_with_it(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put(f"{FOLDER}/notes.txt", b"of somebody else")
    for step in (5, 10, 15):
        checkpoint.save(store, FOLDER, state(step))
    assert files(tmp_path) == [MARKER, "notes.txt", "step-00000015.safetensors"]
    assert_equal(checkpoint.load(store, FOLDER), state(15))


def test_the_marker_says_what_it_names(tmp_path: Path) -> None:
    checkpoint.save(Store(str(tmp_path)), FOLDER, state())
    marker = json.loads((tmp_path / FOLDER / MARKER).read_text())
    assert marker["key"] == "step-00000005.safetensors"
    assert len(marker["sha256"]) == 64
    told = {
        name: marker[name]
        for name in ("step", "best_step", "best_score", "stale", "finished", "history", "losses", "seconds")
    }
    assert told == {name: value for name, value in vars(state()).items() if name in told}
    assert marker.keys() == told.keys() | {"key", "sha256"}


@pytest.mark.parametrize("puts", [0, 1])
def test_a_save_that_is_killed_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    store, done = Store(str(tmp_path)), []
    checkpoint.save(store, FOLDER, state(5))

    def put(path: str, data: bytes) -> None:
        if len(done) == puts:
            raise KeyboardInterrupt
        done.append(path)
        Store.put(store, path, data)

    monkeypatch.setattr(store, "put", put)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(store, FOLDER, state(10))
    monkeypatch.undo()
    assert_equal(checkpoint.load(store, FOLDER), state(5))
    checkpoint.save(store, FOLDER, state(15))
    assert files(tmp_path) == [MARKER, "step-00000015.safetensors"], "what the killed save left is not swept up"


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"\xff", lambda data: data[:-3], lambda data: b""])
def test_a_changed_object_is_refused(tmp_path: Path, change) -> None:
    checkpoint.save(Store(str(tmp_path)), FOLDER, state())
    path = tmp_path / FOLDER / "step-00000005.safetensors"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StorageError) as error:
        checkpoint.load(Store(str(tmp_path)), FOLDER)
    assert str(error.value) == f"{path} was changed or damaged; delete {tmp_path / FOLDER} and train again."


def test_a_missing_object_is_refused(tmp_path: Path) -> None:
    checkpoint.save(Store(str(tmp_path)), FOLDER, state())
    (tmp_path / FOLDER / "step-00000005.safetensors").unlink()
    with pytest.raises(StorageError, match=r"step-00000005\.safetensors is missing; delete .* and train again\.$"):
        checkpoint.load(Store(str(tmp_path)), FOLDER)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": 1}', '{"key": "k", "sha256": "s", "color": 1}', "\xff"])
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    Store(str(tmp_path)).put(f"{FOLDER}/{MARKER}", text.encode("latin-1"))
    with pytest.raises(StorageError, match=r"latest\.json was changed or damaged; delete .* and train again\.$"):
        checkpoint.load(Store(str(tmp_path)), FOLDER)
