"""What stages declare: an order that follows from what they read, tasks that cover the rows, costs that grow."""

from itertools import pairwise

import pyarrow as pa
import pytest

from raycluster.config.load import load_config
from raycluster.pipeline.run import in_memory
from raycluster.stages import STAGES, stage_named, wanted_stages
from raycluster.stages.stage import ProblemSize, Stage, row_shards, single_task
from raycluster.storage.tables import Task
from support.data import unit_rows

CONFIG = load_config("fc-es", {"knn": {"k": 5}}, "test")
IVF = load_config("cosine", {"knn": {"k": 5, "index": "ivf"}}, "test")


class Cut:
    """Tables of ten rows in three shards."""

    rows = 10
    bounds = (0, 4, 7, 10)


def test_a_stage_reads_what_comes_before_it() -> None:
    names = [stage.name for stage in STAGES]
    assert len(set(names)) == len(names)
    for at, stage in enumerate(STAGES):
        assert set(stage.reads) <= set(names[:at]), stage.name
        assert stage_named(stage.name) is stage
        assert stage.revision >= 1


def test_row_shards_cover_every_row_once_and_a_global_step_all_of_them() -> None:
    shards = row_shards(Cut())  # type: ignore[arg-type]
    assert shards == [Task(0, 0, 4), Task(1, 4, 7), Task(2, 7, 10)]
    assert [len(shard) for shard in shards] == [4, 3, 3]
    assert all(one.stop == next_one.start for one, next_one in pairwise(shards))
    assert single_task(Cut()) == [Task(0, 0, 10)]  # type: ignore[arg-type]
    assert list(range(10))[shards[1].rows] == [4, 5, 6]


def test_a_recipe_has_only_the_stages_it_wants() -> None:
    wanted = {stage.name for stage in wanted_stages(CONFIG)}
    assert {"ingest", "embeddings", "knn", "edges", "communities", "labels"} <= wanted
    assert not {"coarse_lists", "topk", "relations"} & wanted
    assert "coarse_lists" in {stage.name for stage in wanted_stages(IVF)}


def size(rows: int, **changes: float) -> ProblemSize:
    values = {"rows": rows, "width": 16, "pieces": 4, "shards": 8, "edges": 6.0 * rows, "links": 3.0 * rows, **changes}
    return ProblemSize(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_costs_grow_with_the_rows_and_a_tables_schema_has_columns(stage: Stage) -> None:
    config = IVF if stage.name == "coarse_lists" else CONFIG
    small, large = (stage.cost(size(rows), config) for rows in (10_000, 80_000))
    assert 0 < small.work < large.work
    assert 0 <= small.worker_bytes <= large.worker_bytes
    assert 0 <= small.driver_bytes <= large.driver_bytes
    assert 0 < small.compression <= 1
    assert not stage.is_wanted(config) or stage.writes(config, pa.string(), 16).names


def test_the_largest_shard_is_the_rounded_up_share() -> None:
    assert size(10, shards=4).rows_per_shard == 3
    assert size(8, shards=4).rows_per_shard == 2


def test_settings_that_a_stage_does_not_name_leave_its_results_alone() -> None:
    other = load_config("fc-es", {"knn": {"k": 5}, "labels": {"min_cluster_size": 7}}, "test")
    changed = [stage.name for stage in STAGES if stage.settings(CONFIG) != stage.settings(other)]
    assert changed == ["labels"]


def test_tables_in_memory_are_one_shard() -> None:
    assert row_shards(in_memory(unit_rows(7, 4, 0), CONFIG, 1)) == [Task(0, 0, 7)]
