"""The sets of a training: their order, their runs, and which are calibrated on."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.errors import ConfigError
from raycluster.executors.progress import Silence
from raycluster.training import sets
from raycluster.training.sets import LabelledInput, SetRuns, write_sets
from support.labelled import ROWS, K, written

LOCAL = Execution("local", shards=2)


def test_generated_sets_follow_the_labelled_and_varied_ones_are_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sets.generated, "write", lambda url, rows, seed: [f"{url}/demo"])
    monkeypatch.setattr(sets.generated, "write_varied", lambda url, num, seed: [f"{url}/{n}" for n in range(num)])
    training = load_training("sdt-row", {"training": {"generated": 20_000, "varied": 2}})
    made = write_sets(["mine"], "person", training, "work")
    assert made == [
        LabelledInput("mine", "person"),
        LabelledInput("work/generated/demo", "label", is_generated=True),
        LabelledInput("work/varied/0", "label", is_generated=True, is_varied=True),
        LabelledInput("work/varied/1", "label", is_generated=True, is_varied=True),
    ]


def runs_of(tmp_path: Path, inputs: list[LabelledInput], **training: Any) -> SetRuns:
    return SetRuns(inputs, load_training("auto", {"training": training}), str(tmp_path / "work"), LOCAL, Silence())


def test_runs_go_on_from_stage_to_stage_and_are_described(tmp_path: Path) -> None:
    url = written(tmp_path)
    inputs = [LabelledInput(url, "label"), LabelledInput(url, "label", is_generated=True, is_varied=True)]
    config = load_config("cosine", {"knn": {"k": K}})
    with runs_of(tmp_path, inputs, folds=3) as runs:
        first = runs.run_until("knn", config)
        assert [labelled.tables.rows for labelled in first] == [ROWS, ROWS]
        folder = first[0].tables.folder
        assert folder.finished("knn") == {0, 1}
        assert folder.finished("edges") == set()
        (again,) = runs.run_until("edges", config, chosen=[1])
        assert again.tables.folder.finished("edges") == {0, 1}
        entries = runs.describe(first)
    assert [entry.rows for entry in entries] == [ROWS, ROWS]
    assert entries[0].url == url
    assert entries[0].identities == 24
    assert [folder.is_varied for folder in runs.folders()] == [False, True]
    assert runs.folders()[1].url == f"{tmp_path}/work/set-1"


@pytest.mark.parametrize(
    ("num_plain", "num_varied", "has_base", "enough", "chosen"),
    [
        (2, 0, False, {0: False, 1: False}, [0, 1]),  # nothing else to calibrate on
        (2, 3, False, {0: False, 1: True}, [1]),
        (2, 0, True, {0: False, 1: True}, [1]),
        (2, 3, True, {0: False, 1: False}, []),  # the base model keeps its calibration
        (2, 3, False, {0: False, 1: False}, [2, 3, 4]),
        (1, 5, False, {0: False}, [1, 4]),  # at most so many varied sets, evenly chosen
    ],
)
def test_what_is_calibrated_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_plain: int, num_varied: int, has_base: bool,
    enough: dict[int, bool], chosen: list[int],
) -> None:  # fmt: skip
    monkeypatch.setattr(sets, "can_calibrate", lambda number: enough[number])
    monkeypatch.setattr(sets, "MOST_CALIBRATION_SETS", 3 if num_varied < 5 else 2)
    inputs = [LabelledInput("x", "label") for _ in range(num_plain)]
    inputs += [LabelledInput("v", "label", is_generated=True, is_varied=True) for _ in range(num_varied)]
    runs = runs_of(tmp_path, inputs, varied=num_varied)
    numbers: Any = list(range(num_plain + num_varied))
    assert runs.to_calibrate_on(numbers, has_base) == chosen


def test_a_set_that_is_smaller_than_the_lists_of_others_is_refused(tmp_path: Path) -> None:
    large = written(tmp_path)
    small = tmp_path / "small.parquet"
    table = pq.read_table(large).slice(0, 5)
    pq.write_table(table.set_column(table.column_names.index("label"), "label", [["a", "a", "b", "b", "c"]]), small)
    inputs = [LabelledInput(large, "label"), LabelledInput(str(small), "label")]
    with (
        runs_of(tmp_path, inputs, folds=2) as runs,
        pytest.raises(
            ConfigError, match=r"small\.parquet has 5 rows, so its lists hold 4 neighbors, .* pass --knn\.k 4,"
        ),
    ):
        runs.run_until("knn", load_config("cosine", {"knn": {"k": K}}))
