"""Kernels are compiled once per machine: all are cached, processes share the cache, and nothing stale stays in it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core.dispatcher import Dispatcher

from raycluster import kernels
from support import numba_cache, package
from support.package import imports, modules

KERNELS = [name for name, path in modules().items() if "numba" in path.read_text() and "numba" in imports(path)]

CALL = """
import numpy as np
from raycluster.kernels.edge_rules import rank_of
rank_of(np.int32(2), np.array([3, 1, 2], np.int32), 3)
print(sum(rank_of.stats.cache_hits.values()), sum(rank_of.stats.cache_misses.values()))
"""


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_is_cached(name: str) -> None:
    kernels = [value for value in vars(importlib.import_module(name)).values() if isinstance(value, Dispatcher)]
    assert [kernel.__name__ for kernel in kernels if not hasattr(kernel._cache, "cache_path")] == []


def test_a_process_finds_what_another_has_compiled() -> None:
    command = [sys.executable, "-c", CALL]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first in ("1 0\n", "0 1\n")
    assert second == "1 0\n"


def test_a_kernel_is_dropped_when_one_that_it_calls_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"raycluster.kernels.{name}": tmp_path / f"{name}.py" for name in ("below", "above", "beside")}
    monkeypatch.setattr(package, "modules", lambda: names)
    monkeypatch.setattr(numba_cache, "modules", lambda: names)
    for path in names.values():
        path.write_text("from raycluster.kernels import below\n" if path.stem == "above" else "")
    cached = [
        tmp_path / "__pycache__" / f"{path.stem}.kernel-1.py311.{kind}"
        for path in names.values()
        for kind in ("nbi", "nbc")
    ]
    (tmp_path / "__pycache__").mkdir()
    for path in cached:
        path.touch()
    assert numba_cache.drop_stale() == []
    later = cached[0].stat().st_mtime + 5
    os.utime(names["raycluster.kernels.below"], (later, later))
    assert {path.name.split(".")[0] for path in numba_cache.drop_stale()} == {"below", "above"}
    assert [path.exists() for path in cached] == [False] * 4 + [True] * 2


def test_a_set_folder_that_cannot_be_written_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_writable = kernels._is_writable
    monkeypatch.setattr(kernels, "_is_writable", lambda folder: folder.name != "__pycache__" and is_writable(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for folder, chosen in (("/proc/none", str(tmp_path / "raycluster")), (str(tmp_path / "own"), None)):
        monkeypatch.setattr(numba.config, "CACHE_DIR", folder)
        assert kernels._cache_folder() == chosen
