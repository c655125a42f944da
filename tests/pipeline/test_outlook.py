"""The forecast that a line of progress shows."""

from pathlib import Path

import numpy as np
import pytest

from raycluster.config.fitted import resolved_for
from raycluster.config.load import load_config
from raycluster.config.plain import EFFORT
from raycluster.executors.progress import Silence
from raycluster.pipeline.outlook import HeldCopies, read_by_tasks, read_by_workers, read_later, seconds_of, size_of
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages import stage_named, wanted_stages
from raycluster.stages.stage import ProblemSize
from support import tiny


def test_forecasts_grow_with_the_rows_and_end_with_the_stage() -> None:
    config = load_config("cosine", {"knn": {"k": 10}}, "test")
    random = np.random.default_rng(0)
    small, large = (in_memory(random.standard_normal((rows, 8)).astype(np.float32), config, 1) for rows in (200, 2000))
    stages = [stage for stage in wanted_stages(config) if not small.is_given(stage.name)]
    before, more = seconds_of(small, stages), seconds_of(large, stages)
    assert before.keys() == {"duplicates", "knn", "edges", "communities", "labels"}
    assert all(0 < before[name] < more[name] for name in ("knn", "communities", "labels"))
    run_stages(small, LOCAL, Silence(), until="knn")
    after = seconds_of(small, stages)
    assert after["knn"] == 0
    assert after["labels"] == before["labels"]


@pytest.mark.parametrize("width", [64, 512])
@pytest.mark.parametrize("rows", [1000, 20_000, 1_000_000])
def test_the_default_takes_less_than_ten_times_the_time_of_the_fast_recipe(rows: int, width: int) -> None:
    """Else a run would have to print both forecasts before it starts."""
    size = ProblemSize(rows, width, pieces=1, shards=1, edges=10 * rows, links=10 * rows, threads=2)
    seconds = {}
    for effort, recipe in EFFORT.items():
        config = resolved_for(load_config(recipe, {}), rows)
        costs = [stage.cost(size, config) for stage in wanted_stages(config)]
        seconds[effort] = sum(cost.once * cost.once_rate + cost.work * cost.rate for cost in costs)
    assert 1.2 < seconds["default"] / seconds["fast"] < 7


def test_other_nodes_keep_what_tasks_read_and_the_driver_what_it_reads_itself(tmp_path: Path) -> None:
    tables = tiny.run(tmp_path, "cosine", shards=2)
    left = [stage_named(name) for name in ("edges", "communities", "rejoin", "labels")]
    of_run = size_of(tables), tables.config
    lists = {"knn.neighbor", "knn.similarity"}
    assert read_by_workers(*of_run, left) == lists, "limits are picked by the driver alone"
    assert read_later(*of_run, left) == lists | {"ingest.embedding"}
    assert read_by_tasks(*of_run, left[0], left[1:]) == lists
    assert read_by_workers(*of_run, left[1:]) == set()


def test_a_node_holds_a_copy_once_and_its_peak_counts_what_went() -> None:
    held = HeldCopies()
    assert held.holds({"a": 3.0, "b": 2.0}) == 5.0
    assert held.holds({"b": 2.0, "c": 4.0}) == 4.0, "b is there"
    held.keep({"c"})
    assert held.peak() == 9.0, "before a and b went"
    assert held.peak() == 4.0, "the peak counts anew"
