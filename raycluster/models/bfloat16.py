"""Where matrix products in bfloat16 are worth it: hardware that has them, for an emulation is far slower than float32."""

import functools
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


@functools.cache
def fast_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware; false where that cannot be told."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and CPUINFO.exists():
        return not _CPU_FLAGS.isdisjoint(CPUINFO.read_text().split())
    return False
