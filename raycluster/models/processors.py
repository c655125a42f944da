"""Kinds of processors, and instructions with which they compute the same bits.

torch, oneDNN and MKL choose their kernels by the processor. Kernels of two kinds add in another order, so that scores differ
in their last digits. On nodes of one kind nothing is set. Among several kinds three variables name instructions that all of
them have. They are read when torch is loaded.
"""

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from raycluster.errors import RayclusterError
from raycluster.models.bfloat16 import CPUINFO, fast_on_cpu

INTEL = "GenuineIntel"
Instructions = Literal["none", "avx2", "avx512"]
LEVELS: tuple[Instructions, ...] = ("none", "avx2", "avx512")
"""Vector instructions by which torch chooses, the fewest first; none also stands for processors that are no x86."""
_FLAGS = {"avx2": {"avx2", "fma"}, "avx512": {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"}}
CAPABILITY, OF_ONEDNN, OF_MKL = "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"
"""Variables with which torch, oneDNN and MKL take fewer instructions than there are."""


@dataclass(frozen=True)
class Processor:
    """What of a processor decides which kernels a library takes."""

    vendor: str = ""
    model: str = ""
    """Family and model, as the vendor numbers them."""
    instructions: Instructions = "none"
    has_bfloat16: bool = False
    """Whether oneDNN multiplies bfloat16 matrices in hardware. An emulation rounds differently."""

    def __str__(self) -> str:
        return f"{self.vendor or 'unknown'} {self.model or '?'} with {self.instructions}"


@dataclass(frozen=True)
class Shared:
    """Which processors compute the scores of a run."""

    kind: str = ""
    """The one kind; empty for several, and where none was there at the start."""
    least: Instructions = "none"
    """What every node must have, among several kinds."""
    variables: dict[str, str] = field(default_factory=dict)
    """What every process sets before it loads torch; none for one kind."""


def own_processor() -> Processor:
    """Return the processor of this node, as torch uses it."""
    if not CPUINFO.exists():
        return Processor()
    limit = os.environ.get(OF_ONEDNN, "DEFAULT").upper()
    has_bfloat16 = fast_on_cpu() and (limit == "DEFAULT" or "CORE_" in limit)
    first = CPUINFO.read_text().split("\n\n")[0].splitlines()
    lines = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first)}
    flags = set(lines.get("flags", "").split())
    level = max((level for level in _FLAGS if _FLAGS[level] <= flags), default="none", key=LEVELS.index)
    allowed = os.environ.get(CAPABILITY, level)
    instructions = min(level, allowed if allowed in LEVELS else "none", key=LEVELS.index)
    vendor = lines.get("vendor_id", lines.get("CPU implementer", ""))
    family = (lines.get("cpu family", ""), lines.get("model", lines.get("CPU part", "")))
    return Processor(vendor, "/".join(family), LEVELS[LEVELS.index(instructions)], has_bfloat16)


def shared_by(processors: Collection[Processor], precision: str) -> Shared:
    """Return what processors share.

    Parameters
    ----------
    processors
        Of all nodes that may compute scores.
    precision
        Of matrix products, float32 or bfloat16.

    Returns
    -------
    Shared
        For one kind, the kind alone.

    Raises
    ------
    RayclusterError
        Where kinds without AVX2 are mixed with others: they share no kernels.
    """
    if len(set(processors)) <= 1:
        return Shared(next((str(one) for one in processors), ""))
    least = min((one.instructions for one in processors), key=LEVELS.index)
    if least == "none":
        kinds = ", ".join(sorted({str(one) for one in processors}))
        raise RayclusterError(
            f"The nodes have processors that share no vector instructions ({kinds}): scores would depend on which node "
            "computed them; leave one kind out."
        )
    is_native = precision == "bfloat16" and all(one.has_bfloat16 for one in processors)
    return common(least, {one.vendor for one in processors} == {INTEL}, is_native)


def common(least: Instructions, is_intel: bool, is_native: bool) -> Shared:
    """Return the variables for several kinds.

    Parameters
    ----------
    least
        Instructions that all have: `avx2` or `avx512`.
    is_intel
        Whether all are Intel's. MKL promises equal bits by these instructions among Intel's processors, and by its
        compatible kernels alone among others. The latter take twice the time in float32.
    is_native
        Whether they multiply in bfloat16, and all do so in hardware.
    """
    of_onednn = {"avx2": "AVX2", "avx512": "AVX512_CORE"}[least]
    variables = {
        CAPABILITY: least,
        OF_ONEDNN: "AVX512_CORE_BF16" if is_native else of_onednn,
        OF_MKL: least.upper() if is_intel else "COMPATIBLE",
    }
    return Shared("", least, variables)


def take(variables: Mapping[str, str]) -> bool:
    """Take shared instructions for this process.

    False where torch is loaded already.
    """
    if all(os.environ.get(name) == value for name, value in variables.items()):
        return True
    os.environ.update(variables)
    return "torch" not in sys.modules


def why_refused(shared: Shared, own: Processor) -> str:
    """Return why a processor cannot take part; empty where it can."""
    if shared.variables:
        if LEVELS.index(own.instructions) >= LEVELS.index(shared.least):
            return ""
        return f"a processor ({own}) without {shared.least}, with which this run computes scores"
    if shared.kind in ("", str(own)):
        return ""
    return f"another kind of processor ({own}) than the nodes that this run started on ({shared.kind})"
