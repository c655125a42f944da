"""Which hardware multiplies bfloat16 matrices faster than float32 ones."""

import functools
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the instruction sets of the processor."""
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


@functools.cache
def fast_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices in hardware.

    False where nothing describes the hardware: an emulation is far slower than float32.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and CPUINFO.exists():
        return not _CPU_FLAGS.isdisjoint(CPUINFO.read_text().split())
    return False
