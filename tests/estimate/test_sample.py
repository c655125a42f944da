"""The edges that a sample promises, against those that a run makes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.estimate import sample
from raycluster.pipeline import run as pipeline
from raycluster.storage.parquet_input import describe_input, make_plan
from support.data import unit_rows


@pytest.mark.parametrize(("k", "threshold"), [(40, 0.6), (8, 0.6), (40, None)])
def test_edges_are_those_of_the_run(k: int, threshold: float | None, identities: str, tmp_path: Path) -> None:
    config = load_config("cosine", {"knn": {"k": k}, "edges": {"threshold": threshold}}, "test")
    plan, _ = make_plan(config, describe_input(identities), None)
    stored, in_force = sample.edges_a_row(plan, config, 1)
    summary = pipeline.cluster(identities, str(tmp_path / "run"), config, Execution("local"))
    run = open_run(str(tmp_path / "run"))
    assert in_force * run.rows == pytest.approx(summary["edges"], rel=0.12)
    assert stored * run.rows == pytest.approx(run.folder.marker("edges", 0).facts["rows"], rel=0.12)


def test_rows_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    vectors = unit_rows(200, 8, 0).repeat(2, axis=0)
    vectors[7], vectors[11] = np.nan, 0
    pq.write_table(pa.table({"id": range(400), "embedding": list(vectors)}), tmp_path / "a.parquet")
    config = load_config("cosine", {"knn": {"k": 8}, "edges": {"threshold": 0.999}}, "test")
    plan, _ = make_plan(config, describe_input(str(tmp_path)), None)
    assert sample.edges_a_row(plan, config, 1)[1] == pytest.approx(198 / 398)


def test_large_inputs_and_other_rules_are_not_read() -> None:
    assert sample.worth_it(Config(), 1_000_000, 256)
    assert not sample.worth_it(Config(), 2_000_000, 256)
    assert not sample.worth_it(load_config("fc-es"), 1000, 16)
