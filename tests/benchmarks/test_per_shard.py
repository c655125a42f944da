"""The benchmark of one shard: its table, its slopes, and every kernel measured at two sizes."""

import importlib
import json
import sys
from typing import Any

import numpy as np
import pytest

from support.paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))
per_shard: Any = importlib.import_module("per_shard")


def test_rows_list_themselves_first_and_stay_within_their_window():
    table = per_shard.tables(1000, 20, 400)
    own = np.arange(1000)
    assert (table.neighbor[:, 0] == own).all()
    assert (table.neighbor // 400 == own[:, None] // 400).all()
    assert (np.diff(table.similarity, axis=1) <= 0).all()
    anywhere = per_shard.tables(1000, 20)
    assert (anywhere.neighbor // 400 != own[:, None] // 400).mean() > 0.2
    assert ((anywhere.neighbor >= 0) & (anywhere.neighbor < 1000)).all()


def test_slopes_of_what_grows_and_of_what_does_not():
    assert per_shard.slope((10, 20, 40), [1.0, 2.0, 4.0]) == 1
    assert per_shard.slope((10, 20, 40), [3.0, 3.0, 3.0]) == 0
    assert per_shard.slope((10,), [3.0]) is None


def test_every_kernel_is_measured_at_every_size(capsys: pytest.CaptureFixture[str]) -> None:
    per_shard.main(per_shard.Args(rows=(600, 1200), shard=100, k=12, shards=2, window=600))
    out = capsys.readouterr().out
    result = json.loads(out[out.index("{") :])
    names = per_shard.works(per_shard.tables(200, 5)).keys()
    assert result["cpu_ms"].keys() == result["peak_mib"].keys() == result["slope"].keys() == names
    assert all(len(values) == 2 for values in result["cpu_ms"].values())
    assert all(name in out for name in names)
