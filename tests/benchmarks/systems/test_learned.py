"""The benchmarks of trained models: a split by identity, and the table beside tuned cosine."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.systems import learned, split_identities
from raycluster.evaluation.evaluate import evaluate
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support import tiny


def test_a_split_shares_no_identity_and_loses_no_row(identities: str, tmp_path: Path) -> None:
    ((_, halves),) = split_identities.tables(split_identities.Args(identities, str(tmp_path), test_share=0.4))
    whole, train, test = (
        pq.read_table(path) for path in (identities, tmp_path / "train.parquet", tmp_path / "test.parquet")
    )
    assert sorted(train["id"].to_pylist() + test["id"].to_pylist()) == sorted(whole["id"].to_pylist())
    of_train, of_test = set(train["label"].to_pylist()), set(test["label"].to_pylist())
    assert of_train.isdisjoint(of_test)
    assert 0.3 < len(of_test) / (len(of_train) + len(of_test)) < 0.5
    assert halves[1] == {"half": "test", "rows": len(test), "identities": len(of_test)}


@pytest.mark.slow
def test_every_row_of_the_table_is_what_evaluate_says_of_the_run(tmp_path: Path) -> None:
    source = str(tmp_path / "set")
    write_parquet(SyntheticConfig(rows=300, width=16, effective_dimension=16, mean_size=5, same_cosine=0.9), source)
    tiny.model(tmp_path / "model", thresholds={"eta": 0.5})
    args = learned.Args(str(tmp_path / "model"), (source,), str(tmp_path / "runs"))
    ((told, rows),) = learned.tables(args)
    assert told == source
    methods = [row["method"] for row in rows]
    assert methods == [
        "sdt-row, calibrated", "sdt-row, best eta", "cosine, picked from the data", "cosine, best threshold",
    ]  # fmt: skip
    for row, name in ((rows[0], "model"), (rows[2], "cosine")):
        found = evaluate(str(tmp_path / "runs" / "set" / name), source)
        assert row["F_B"] == pytest.approx(100 * found["bcubed"]["f"])
    assert rows[0]["limit"] == 0.5
    assert rows[1]["F_B"] >= rows[0]["F_B"]
