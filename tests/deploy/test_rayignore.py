"""`ray job submit --working-dir .` uploads what jobs need and little else."""

import zipfile
from pathlib import Path

from support.paths import ROOT

LARGEST = 8 * 2**20
"""Bytes of the package at most: the code and the model it ships are under four."""


def test_the_package_is_small_and_whole(tmp_path: Path) -> None:
    from ray._private.runtime_env.packaging import create_package

    package = tmp_path / "package.zip"
    create_package(str(ROOT), package, include_gitignore=True, include_parent_dir=False, excludes=[])
    assert package.stat().st_size < LARGEST
    with zipfile.ZipFile(package) as zipped:
        names = set(zipped.namelist())
    assert {"jobs/cluster.py", "raycluster/__init__.py", "raycluster/config/recipes/auto.yaml"} <= names
    assert "raycluster/models/pretrained/auto/predictor.safetensors" in names
    folders = {name.split("/")[0] for name in names if "/" in name}
    assert folders.isdisjoint({".git", ".venv", "tests", "docs", "benchmarks", "build", "runs"})
