"""Which hardware multiplies bfloat16 matrices faster than float32 ones."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the instruction sets of the processor."""
NVIDIA = Path("/proc/driver/nvidia/version")
"""What Linux has where the driver of a GPU is loaded."""
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


@functools.cache
def fast_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices in hardware.

    False where nothing describes the hardware: an emulation is far slower than float32.
    """
    if device.type == "cuda":
        import torch

        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and fast_on_cpu()


def fast_on_cpu() -> bool:
    """Return whether the processor does; nothing of torch is needed for it."""
    return CPUINFO.exists() and not _CPU_FLAGS.isdisjoint(CPUINFO.read_text().split())


def fast_on_gpu() -> bool | None:
    """Return whether the GPU does; none, without loading torch, for no GPU."""
    if sys.platform == "darwin" or (sys.platform == "linux" and not NVIDIA.exists()):
        return None
    import torch

    return fast_bfloat16(torch.device("cuda")) if torch.cuda.is_available() else None
