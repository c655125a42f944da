"""The most memory that a process has held."""

import sys
from typing import Any

import psutil


def peak_bytes() -> int:
    """Return the largest resident memory that this process has had, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        memory: Any = psutil.Process().memory_info()
        return int(memory.peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # kilobytes but on macOS
