"""The in-process API without what only Linux has: a simulation of macOS and Windows."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
for module in ("fcntl", "pwd", "grp", "termios"):  # Windows has none of them
    sys.modules[module] = None
for name in ("sched_getaffinity", "getloadavg"):  # macOS lacks the first
    if hasattr(os, name):
        delattr(os, name)
del signal.SIGHUP
import numpy as np
from raycluster import Clusterer
people = np.random.default_rng(0).normal(size=(30, 64))
X = np.repeat(people, 5, axis=0) + 0.1 * np.random.default_rng(1).normal(size=(150, 64))
print(len(set(Clusterer(effort=sys.argv[1]).fit_predict(X))))
"""


@pytest.mark.parametrize("effort", ["fast", "default"])
def test_clusterer_needs_nothing_of_linux_alone(effort: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, effort], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 30
