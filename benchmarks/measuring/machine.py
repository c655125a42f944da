"""The origin of a result: date, command, commit and machine."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_info

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the processors; other systems lack it."""


def origin(command: str) -> dict[str, Any]:
    """Return what a reader needs to repeat a measurement that `command` made."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "date": date, "commit": commit(), "machine": machine()}


def commit() -> str | None:
    """Return the commit of this checkout; none outside a checkout.

    It ends in "-dirty" where files differ from it.
    """
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def machine() -> dict[str, Any]:
    """Return the processor, cores, memory, load and BLAS kernels of this machine.

    `avx512` and `bfloat16` say whether the processor has instructions for them: they decide the rate of matrix products.
    """
    facts = _cpuinfo()
    flags = set(facts.get("flags", "").split())
    return {
        "processor": facts.get("model name") or platform.processor() or platform.machine(),
        "avx512": "avx512f" in flags,
        "bfloat16": bool(flags & {"avx512_bf16", "amx_bf16"}),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": _gpu(),
        "load": round(os.getloadavg()[0], 1),
        "blas": [f"{info['internal_api']} {info['version']} {info.get('architecture')}" for info in threadpool_info()],
        "python": platform.python_version(),
    }


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _cpuinfo() -> dict[str, str]:
    """Return the facts of the first processor; none where they are not listed."""
    first = CPUINFO.read_text("utf-8").partition("\n\n")[0] if CPUINFO.exists() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _gpu() -> str | None:
    """Return the first CUDA device; none without one, or without torch.

    Torch is not imported for it, because that would add to the memory of benchmarks that do without.
    """
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None
