"""Pieces of the input become runs of bounded size, each sorted, with samples of its ids."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import opened, run_stages
from raycluster.stages import ids
from raycluster.stages.ids import blocks, blocks_between, refuse_twice, runs
from raycluster.storage.records import InputFile, Piece, Plan, PlannedInput
from support.inputs import refusal, rows
from support.small_runs import make_small


def plan_with(pieces: list[Piece]) -> Plan:
    """A plan of two files with these pieces."""
    files = [InputFile("a.parquet", 1, "1"), InputFile("b.parquet", 1, "1")]
    return Plan(3, "0", {}, PlannedInput("in", files, "int64", 2, 9), pieces, 1)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12))
def test_runs_are_of_bounded_size_and_cover_every_piece_once(sizes: list[int]) -> None:
    pieces = [Piece(0, [number], 0, 0, 0, size) for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "RUN_BYTES", 400)
        found = runs(plan_with(pieces))
    assert [number for run in found for number in run] == list(range(len(sizes)))
    assert all(sum(sizes[number] for number in run) <= 400 or len(run) == 1 for run in found)
    # No two neighbors fit in one run.
    firsts = [sizes[run.start] for run in found[1:]]
    assert all(sum(sizes[number] for number in run) + first > 400 for run, first in zip(found, firsts, strict=False))


def test_blocks_cover_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    assert blocks(9) == [slice(0, 4), slice(4, 8), slice(8, 9)]
    assert blocks(0) == []


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True), st.integers(0, 60), st.integers(0, 60))
def test_no_block_that_a_range_needs_is_missed(values: list[int], one: int, other: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        values.sort()
        low, high = min(one, other), max(one, other)
        found = blocks_between(values[::2], low, high)
        needed = {at // 4 for at, value in enumerate(values) if low <= value < high}
        assert needed <= set(found)
        assert len(found) <= len(needed) + 1
        assert list(blocks_between(values[::2], None, None)) == list(range(len(blocks(len(values)))))


def test_a_run_is_stored_in_the_order_of_ids_with_positions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    (tmp_path / "in").mkdir()
    names = [f"{number:02d}" for number in np.random.default_rng(0).permutation(30)]
    pq.write_table(rows(names[:18]), tmp_path / "in" / "a.parquet", row_group_size=6)
    pq.write_table(rows(names[18:]), tmp_path / "in" / "b.parquet", row_group_size=12)
    with opened(str(tmp_path / "in"), str(tmp_path / "run"), Config(), Execution("local"), Silence()) as tables:
        run_stages(tables, Execution("local"), Silence(), until="ids")
        folder = tables.folder
        assert len(runs(folder.plan)) > 1
        for number, run in enumerate(runs(folder.plan)):
            table, pieces = folder.table("ids", number), [folder.plan.pieces[piece] for piece in run]
            positions = range(pieces[0].offset, pieces[-1].offset + pieces[-1].rows)
            assert table["id"].to_pylist() == sorted(names[position] for position in positions)
            assert [names[position] for position in table["position"].to_pylist()] == table["id"].to_pylist()
            assert folder.marker("ids", number).facts["samples"] == table["id"].to_pylist()[::2]


def test_a_null_names_its_file_and_row(tmp_path: Path) -> None:
    pq.write_table(rows(pa.array([1, 2, 3, None])), tmp_path / "in.parquet", row_group_size=2)
    assert refusal(tmp_path / "in.parquet") == f"{tmp_path}/in.parquet, column 'id', row 3: the id is null."


def test_the_lowest_of_the_doubled_ids_is_refused() -> None:
    plan = plan_with([Piece(0, [0], 0, 4), Piece(1, [0], 0, 3, 4), Piece(1, [1], 3, 2, 7)])
    refuse_twice(plan, "key", [None, None])
    with pytest.raises(InputError) as refused:
        refuse_twice(plan, "key", [(7, 1, 2), None, (5, 3, 8)])
    assert str(refused.value).endswith("/in/a.parquet row 3 and in " + str(Path("in").resolve()) + "/b.parquet row 4.")
    assert str(refused.value).startswith("Column 'key' holds the id 5 twice: in ")
