"""Finished runs that reports are made of."""

from pathlib import Path

import pytest

from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from raycluster.synthetic.settings import PRESETS
from support.command_line import call
from support.runs import here


@pytest.fixture(scope="session")
def cosine_run(identities: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """2,500 rows in four shards, cut at a cosine. Tests add files of their own below review/ and take them away."""
    run = str(tmp_path_factory.mktemp("cosine") / "run")
    assert here(identities, run, "--shards", "4").code == 0
    return run


@pytest.fixture(scope="session")
def auto_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """300 rows scored by the shipped model: the run, and its input, which has labels."""
    folder: Path = tmp_path_factory.mktemp("auto")
    write_parquet(SyntheticConfig(**{**PRESETS["demo"], "rows": 300, "width": 64}), str(folder / "set"))
    words = (str(folder / "set"), "-o", str(folder / "run"), "--executor", "local", "--no-report")
    assert call("cluster", *words).code == 0
    return str(folder / "run"), str(folder / "set")
