"""The edges that a sample promises, against those that a run makes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.limits.expected_edges import edges_per_row, is_worthwhile
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.plan import make_plan
from raycluster.stages import stage_named
from raycluster.stages.ingest import read_unit_rows
from raycluster.storage.parquet_input import describe_input
from support.data import unit_rows


@pytest.mark.parametrize(("k", "threshold"), [(40, 0.6), (8, 0.6), (40, None)])
def test_edges_are_those_of_the_run(k: int, threshold: float | None, identities: str, tmp_path: Path) -> None:
    config = load_config("cosine", {"knn": {"k": k}, "edges": {"threshold": threshold}}, "test")
    plan = make_plan(config, describe_input(identities), None)
    stored, in_force = edges_per_row(read_unit_rows(plan, config), config)
    pipeline.cluster(identities, str(tmp_path / "run"), config, Execution("local"))
    tables = pipeline.open_run(str(tmp_path / "run"))
    counted = stage_named("edges").sizes(tables)
    assert in_force * tables.rows == pytest.approx(counted["links"], rel=0.12)
    assert stored * tables.rows == pytest.approx(counted["edges"], rel=0.12)


def test_rows_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    vectors = unit_rows(200, 8, 0).repeat(2, axis=0)
    vectors[7], vectors[11] = np.nan, 0
    pq.write_table(pa.table({"id": range(400), "embedding": list(vectors)}), tmp_path / "a.parquet")
    config = load_config("cosine", {"knn": {"k": 8}, "edges": {"threshold": 0.999}}, "test")
    plan = make_plan(config, describe_input(str(tmp_path)), None)
    assert edges_per_row(read_unit_rows(plan, config), config)[1] == pytest.approx(198 / 398)


def test_large_inputs_and_other_rules_are_not_read() -> None:
    cosine = load_config("cosine")
    assert is_worthwhile(cosine, 1_000_000, 256)
    assert not is_worthwhile(cosine, 2_000_000, 256)
    assert not is_worthwhile(load_config("fc-es"), 1000, 16)
    assert not is_worthwhile(Config(edges=load_config("fc-es").edges), 1000, 16)
