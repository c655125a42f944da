"""What a path does not need is not imported, and faiss may be missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from raycluster.synthetic.generator import SyntheticConfig, write_parquet

SCRIPT = """
import json, sys
sys.modules["faiss"] = None  # as if it were not installed
from raycluster.command_line import main
try:
    main(["cluster", sys.argv[1], "-o", sys.argv[2], "--effort", sys.argv[3], "--no-report", "--json", sys.argv[4]])
finally:
    print(json.dumps([name for name in sys.modules if "." not in name]), file=open(sys.argv[5], "w"))
"""
ALWAYS_HEAVY = {"ray", "boto3", "botocore", "s3fs", "aiobotocore", "sklearn", "altair", "tyro"}
"""Libraries that one process on local files has no use for."""


@pytest.mark.parametrize(("effort", "heavy"), [("fast", ALWAYS_HEAVY | {"torch"}), ("default", ALWAYS_HEAVY)])
def test_cluster_on_one_machine_loads_no_more_than_it_needs(tmp_path: Path, effort: str, heavy: set[str]) -> None:
    write_parquet(SyntheticConfig(rows=200, width=32, mean_size=5), str(tmp_path / "rows"))
    places = [str(tmp_path / name) for name in ("rows", "run")]
    words = [*places, effort, str(tmp_path / "summary.json"), str(tmp_path / "modules.json")]
    subprocess.run([sys.executable, "-c", SCRIPT, *words], check=True, timeout=200)
    assert json.loads((tmp_path / "summary.json").read_text())["rows"] == 200
    assert heavy & set(json.loads((tmp_path / "modules.json").read_text())) == set()
