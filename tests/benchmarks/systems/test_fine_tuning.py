"""The benchmark of few labels: whose labels are kept, and what is told of a model that is not tuned."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.systems import fine_tuning
from raycluster.evaluation.evaluate import evaluate
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support import tiny


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_labels_kept_are_those_of_whole_identities_and_no_more_than_it_takes(
    labels: list[int], rows: int, seed: int
) -> None:
    table = pa.table({"id": range(len(labels)), "label": labels})
    found = fine_tuning.few_labels(table, rows, seed)
    assert found["id"].equals(table["id"])
    kept = found["label"].to_pylist()
    assert all(new in (None, old) for new, old in zip(kept, labels, strict=True))
    chosen = set(kept) - {None}
    assert kept == [label if label in chosen else None for label in labels]
    count = len(labels) - kept.count(None)
    assert count >= min(rows, len(labels))
    assert count - rows < np.bincount(labels).max()
    assert fine_tuning.few_labels(table, rows, seed).equals(found)


def test_a_model_as_it_is_is_told_as_evaluate_scores_it(tmp_path: Path) -> None:
    source, model = str(tmp_path / "set"), str(tmp_path / "model")
    write_parquet(SyntheticConfig(rows=300, width=16, effective_dimension=16, mean_size=5, same_cosine=0.9), source)
    tiny.model(model, thresholds={"eta": 0.5}, metrics={"predictor": {"calibrated_on": [source]}})
    args = fine_tuning.Args(source, source, str(tmp_path / "runs"), model, labels=())
    ((title, (row,)),) = fine_tuning.tables(args)
    found = evaluate(str(tmp_path / "runs" / "0" / "as-it-is-run"), source)
    assert title == "set -> set"
    assert row["F_B"] == pytest.approx(100 * found["bcubed"]["f"])
    assert (row["labelled rows"], row["method"], row["eta"], row["calibrated on"]) == (0, "as it is", 0.5, "")
