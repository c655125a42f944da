"""The arithmetic of a run: one precision and one kind of device on every node.

Scores in float32 and in bfloat16 differ from the third digit on. So labels of two kinds of nodes would depend on which
computed a shard. The driver decides once for all nodes, and the run stores it. A processor without bfloat16
emulates it: slower, with the same rounding of inputs and products.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from raycluster.models.bfloat16 import fast_bfloat16

Precision = Literal["float32", "bfloat16"]
Device = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Arithmetic:
    """What every process of a run computes scores with."""

    precision: Precision
    """Of matrix products of networks."""
    device: Device
    """Where stages that can use a GPU run."""


_in_force: Arithmetic | None = None


@contextlib.contextmanager
def in_force(arithmetic: Arithmetic | None) -> Iterator[None]:
    """Compute with an arithmetic until the block ends; with none, as is fast."""
    global _in_force
    before, _in_force = _in_force, arithmetic
    try:
        yield
    finally:
        _in_force = before


def current() -> Arithmetic | None:
    """Return the arithmetic in force; none where nothing has decided it."""
    return _in_force


def uses_bfloat16(device: torch.device) -> bool:
    """Whether networks multiply in bfloat16: by the run, or where it is fast."""
    return fast_bfloat16(device) if _in_force is None else _in_force.precision == "bfloat16"


def network_device() -> torch.device:
    """Return where networks run: as the run has it, or on a GPU where there is one."""
    has_gpu = torch.cuda.is_available() if _in_force is None else _in_force.device == "gpu"
    return torch.device("cuda" if has_gpu else "cpu")
