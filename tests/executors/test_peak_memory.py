"""The most memory that a process has held."""

import numpy as np
import psutil

from raycluster.executors.peak_memory import peak_bytes


def test_the_peak_outlives_what_was_freed() -> None:
    before = peak_bytes()
    assert before >= psutil.Process().memory_info().rss * 0.5
    block = np.ones(2**27 // 8)
    held = psutil.Process().memory_info().rss
    del block
    assert peak_bytes() >= held * 0.95
    assert peak_bytes() >= before
