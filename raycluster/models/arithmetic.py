"""The arithmetic of a run: one precision and one kind of device on every node.

Scores in float32 and in bfloat16 differ from the third digit on. So labels of two kinds of nodes would depend on which
computed a shard. The driver decides once for all nodes, and the run stores it. A processor without bfloat16
emulates it: slower, with the same rounding of inputs and products.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.models.processors import Shared

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]
Device = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Arithmetic:
    """What every process of a run computes scores with."""

    precision: Precision
    """Of matrix products of networks."""
    device: Device
    """Where stages that can use a GPU run."""
    shared: Shared = field(default_factory=Shared)
    """The kinds of processors that compute scores."""

    def of_stage(self, can_use_gpu: bool) -> Arithmetic:
        """Return that of one stage: what cannot use a GPU runs on processors."""
        return self if can_use_gpu else replace(self, device="cpu")


_in_force: Arithmetic | None = None


def adopt(arithmetic: Arithmetic | None) -> Arithmetic | None:
    """Compute with an arithmetic from now on; returns the one before."""
    global _in_force
    before, _in_force = _in_force, arithmetic
    return before


@contextlib.contextmanager
def in_force(arithmetic: Arithmetic | None) -> Iterator[None]:
    """Compute with an arithmetic until the block ends; with none, as is fast."""
    before = adopt(arithmetic)
    try:
        yield
    finally:
        adopt(before)


@contextlib.contextmanager
def for_stage(can_use_gpu: bool) -> Iterator[None]:
    """Compute a stage with its share of the arithmetic in force, if any is."""
    with in_force(_in_force and _in_force.of_stage(can_use_gpu)):
        yield


def current() -> Arithmetic | None:
    """Return the arithmetic in force; none where nothing has decided it."""
    return _in_force


def uses_bfloat16(device: torch.device) -> bool:
    """Whether networks multiply in bfloat16: by the run, or where it is fast."""
    return fast_bfloat16(device) if _in_force is None else _in_force.precision == "bfloat16"


def network_device() -> torch.device:
    """Return where networks run: as the run has it, or on a GPU where there is one."""
    import torch

    has_gpu = torch.cuda.is_available() if _in_force is None else _in_force.device == "gpu"
    return torch.device("cuda" if has_gpu else "cpu")
