"""Ranks come back to the pieces; ids between two ranks are read from the ranges that hold them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import opened, run_stages
from raycluster.stages.ids import runs
from raycluster.stages.ranks import ids_between, ranks_of
from support.inputs import rows
from support.small_runs import make_small


def test_every_piece_has_its_ranks_and_every_interval_its_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch, run_bytes=500)
    ids = np.random.default_rng(5).permutation(500)[:60].tolist()
    pq.write_table(rows(ids), tmp_path / "in.parquet", row_group_size=7)
    monkeypatch.setattr("raycluster.pipeline.plan.SHARD_BYTES", 8 * 7)
    with opened(str(tmp_path / "in.parquet"), str(tmp_path / "run"), Config(), Execution("local"), Silence()) as tables:
        run_stages(tables, Execution("local"), Silence(), until="ranks")
        folder, starts = tables.folder, tables.facts("ranks")["starts"]
        assert len(folder.plan.pieces) == 9
        assert 1 < len(runs(folder.plan)) < 9
        ranks = [ranks_of(folder, piece) for piece in range(9)]
        assert [len(rank) for rank in ranks] == [7] * 8 + [4]
        assert np.concatenate(ranks).tolist() == np.argsort(np.argsort(ids)).tolist()
        assert (starts[0], starts[-1], len(starts)) == (0, 60, len(folder.finished("order")) + 1)
        for first, last in [
            (0, 60),
            (0, 1),
            (59, 60),
            (17, 43),
            (starts[1], starts[2]),
            (starts[1] - 1, starts[1] + 1),
        ]:
            assert ids_between(folder, starts, first, last).to_pylist() == sorted(ids)[first:last]
