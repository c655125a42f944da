"""Ranges of ids hold every id once, in order, from whatever runs; an id that occurs twice is found across runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import opened, run_stages
from raycluster.stages.ids import runs
from raycluster.storage.stored_tables import StoredTables
from support.inputs import plan_of, refusal, rows
from support.small_runs import make_small


def write(folder: Path, ids: list[Any], kind: pa.DataType, files: int) -> None:
    """Write ids in files of about as many rows, in row groups of five."""
    folder.mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(ids)), files)):
        table = rows([ids[at] for at in part], kind)
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=5)


def test_ranges_are_in_order_and_about_as_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch, run_bytes=600)
    ids = [f"{number:03d}" for number in np.random.default_rng(1).permutation(200)]
    write(tmp_path / "in", ids, pa.string(), 4)
    tables: StoredTables
    with opened(str(tmp_path / "in"), str(tmp_path / "run"), Config(), Execution("local"), Silence()) as tables:
        run_stages(tables, Execution("local"), Silence(), until="order")
        folder = tables.folder
        assert len(runs(folder.plan)) > 3
        found = [folder.table("order", number) for number in sorted(folder.finished("order"))]
    assert len(found) == len(runs(folder.plan))
    assert [key for table in found for key in table["id"].to_pylist()] == sorted(ids)
    mean = len(ids) / len(found)
    assert all(mean / 2 < len(table) < 2 * mean for table in found)
    for table in found:
        keys, position = table["id"].to_pylist(), table["position"].to_pylist()
        assert position == sorted(position)
        assert [keys[place] for place in table["place"].to_pylist()] == [ids[at] for at in position]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.permutations(list(range(40))), st.integers(1, 5), st.integers(60, 500), st.sampled_from(["int", "text", "bytes"])
)
def test_ranks_do_not_depend_on_runs_ranges_and_files(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], files: int, run_bytes: int, kind: str
) -> None:
    spelled: dict[str, tuple[Any, pa.DataType]] = {
        "int": (lambda one: one - 20, pa.int64()),
        "text": (lambda one: "é" * (one % 3) + str(one), pa.string()),
        "bytes": (lambda one: bytes([one, 255 - one]), pa.binary(2)),
    }
    spell, arrow = spelled[kind]
    ids = [spell(one) for one in order]
    folder = tmp_path_factory.mktemp("order") / "in"
    write(folder, ids, arrow, files)
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch, run_bytes)
        plan, ranks = plan_of(folder)
    expected = sorted(ids, key=lambda one: one.encode() if isinstance(one, str) else one)
    assert [expected[rank] for rank in np.concatenate(ranks)] == ids
    assert plan.input.rows == 40


@pytest.mark.parametrize("first", [0, 13, 39])
@pytest.mark.parametrize("second", [61, 99])
def test_an_id_twice_is_found_across_runs_and_borders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, second: int
) -> None:
    make_small(monkeypatch)
    ids = list(np.random.default_rng(3).permutation(1000)[:100])
    ids[second] = ids[first]
    write(tmp_path / "in", ids, pa.int64(), 4)
    assert refusal(tmp_path / "in") == (
        f"Column 'id' holds the id {ids[first]} twice: in {tmp_path}/in/{first // 25}.parquet row {first % 25} "
        f"and in {tmp_path}/in/{second // 25}.parquet row {second % 25}."
    )


def test_every_id_in_every_file_is_refused_by_the_lowest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    write(tmp_path / "in", 4 * [*range(25)], pa.int64(), 4)
    assert refusal(tmp_path / "in").startswith("Column 'id' holds the id 0 twice: in ")


def test_one_id_for_all_rows_is_refused_before_ranges_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    write(tmp_path / "in", 100 * ["same"], pa.string(), 4)
    where = (str(tmp_path / "in"), str(tmp_path / "run"), Config(), Execution("local"), Silence())
    with opened(*where) as tables:
        with pytest.raises(InputError, match=r"the id 'same' twice: in .*0\.parquet row 0 and in .*0\.parquet row 1\."):
            run_stages(tables, Execution("local"), Silence(), until="order")
        assert not tables.folder.finished("order")
