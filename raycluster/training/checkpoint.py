"""Checkpoints: what a fit needs to go on where it stood.

    FOLDER/step-00000500.safetensors    module, optimizer and best module, by the prefix of a tensor's name

    FOLDER/latest.json                  key and sha256 of that object, and the rest of the state

The marker is put last, and only then is the step before deleted. So a fit killed at any moment leaves a whole checkpoint.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field

from safetensors.torch import load as decode
from safetensors.torch import save as encode
from torch import Tensor

from raycluster.config.networks import FitConfig
from raycluster.errors import StorageError
from raycluster.storage.object_store import Store

MARKER = "latest.json"
_GROUPS = ("module", "optimizer", "best")
_STEP = "step-"


@dataclass
class State:
    """Where a fit stands after `step` optimizer steps."""

    step: int = 0
    best_step: int = 0
    best_score: float = -math.inf
    stale: int = 0
    """Evaluations on held-out identities since the best one."""
    finished: bool = False
    """Nothing is left to do: all steps are done, or the fit stopped early."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry per evaluation."""
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last evaluation."""
    seconds: float = 0.0
    """Time of the fit so far, in all processes."""
    module: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The module's state at `best_step`."""

    def is_evaluation_due(self, config: FitConfig) -> bool:
        """Whether steps were taken since the last evaluation, and enough of them."""
        return bool(self.losses) and (self.step % config.evaluate_every == 0 or self.step == config.steps)


def save(store: Store, folder: str, state: State) -> None:
    """Make a state the checkpoint of a folder, in place of the one before.

    Parameters
    ----------
    store
        The training's storage.
    folder
        Path within it.
    state
        Its tensors may lie on any device.
    """
    tensors = {f"{group}.{name}": tensor for group in _GROUPS for name, tensor in getattr(state, group).items()}
    data = encode({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    key = f"{_STEP}{state.step:08}.safetensors"
    store.put(f"{folder}/{key}", data)
    plain = {name: value for name, value in vars(state).items() if name not in _GROUPS}
    marker = {"key": key, "sha256": hashlib.sha256(data).hexdigest(), **plain}
    store.put(f"{folder}/{MARKER}", json.dumps(marker, indent=2).encode())
    for path in store.files(folder):
        if path.startswith(f"{folder}/{_STEP}") and path != f"{folder}/{key}":
            store.delete(path)


def load(store: Store, folder: str) -> State | None:
    """Return the checkpoint of a folder, its tensors on the CPU; None without one.

    Raises StorageError where the marker is damaged, or its object is missing or changed.
    """
    text = store.get(f"{folder}/{MARKER}")
    if text is None:
        return None
    try:
        marker = json.loads(text)
        key, sha256 = marker.pop("key"), marker.pop("sha256")
        state = State(**marker)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refusal(store, folder, MARKER, "was changed or damaged") from error
    data = store.get(f"{folder}/{key}")
    if data is None:
        raise _refusal(store, folder, key, "is missing")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _refusal(store, folder, key, "was changed or damaged")
    for name, tensor in decode(data).items():
        group, _, rest = name.partition(".")
        getattr(state, group)[rest] = tensor
    return state


def _refusal(store: Store, folder: str, key: str, what: str) -> StorageError:
    return StorageError(f"{store.name(f'{folder}/{key}')} {what}; delete {store.name(folder)} and train again.")
