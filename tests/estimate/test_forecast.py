"""A dry run from end to end: it adds up, it writes nothing, and it says what does not fit and what to change."""

import json
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.estimate import EstimateOptions
from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import ConfigError
from raycluster.estimate import forecast
from raycluster.estimate.forecast import dry_run
from raycluster.executors.machines import MACHINES, Machine

STORED = {"probe_seconds": 0.0}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a command, not among what other tests left in memory."""
    monkeypatch.setattr(forecast, "own_bytes", lambda: 2**28)


def estimate(identities: str, options: dict[str, Any], output: str = "s3://bucket/run", **keys: Any) -> dict[str, Any]:
    """The JSON of a dry run with recipe `cosine` and K 20."""
    execution = Execution(**keys.pop("execution", {}))
    config = load_config("cosine", {"knn": {"k": 20}, **keys}, "test")
    return dry_run(identities, output, config, execution, EstimateOptions(**options)).to_json()


@pytest.mark.slow
def test_a_probed_estimate_adds_up_and_writes_nothing(
    identities: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = estimate(identities, {"probe_seconds": 0.01}, str(tmp_path / "run"))
    assert json.loads(json.dumps(found)) == found
    assert not (tmp_path / "run").exists()
    names = [stage["stage"] for stage in found["stages"]]
    assert names == [
        "plan",
        "ids",
        "order",
        "ranks",
        "ingest",
        "embeddings",
        "duplicates",
        "knn",
        "edges",
        "communities",
        "labels",
    ]
    assert found["hours"] == pytest.approx(sum(stage["hours"] for stage in found["stages"]), abs=1e-4)
    assert 0 < sum(stage["seconds"] for stage in found["stages"]) < 600
    assert found["will_not_fit"] == found["slow"] == []
    assert found["edges"]["from"] == "a sample of the input"
    assert 0 < found["edges"]["in_force"] <= found["edges"]["stored"] <= found["edges"]["at_most"] == 2500 * 19
    told = capsys.readouterr().err
    assert all(name in told for name in names)
    assert "All stages fit." in told


def test_nodes_share_the_work_and_copy_the_vectors(identities: str) -> None:
    options = {**STORED, "rows": 50_000_000, "machine": "m6id.8xlarge", "driver": "r6id.8xlarge", "edges_per_row": 9.0}
    one, many = (estimate(identities, {**options, "nodes": nodes}) for nodes in (1, 16))
    knn = [next(stage for stage in found["stages"] if stage["stage"] == "knn") for found in (one, many)]
    assert knn[1]["seconds"] < knn[0]["seconds"] / 6
    lists = [next(stage for stage in found["stages"] if stage["stage"] == "coarse_lists") for found in (one, many)]
    vectors = 50_000_000 * 48 * 4 / 2**30
    assert lists[1]["moved_gib"] - lists[0]["moved_gib"] == pytest.approx(15 * vectors, rel=0.01)
    assert one["edges"]["in_force"] == 450_000_000
    assert many["usd"] == pytest.approx(sum(stage["usd"] for stage in many["stages"]), abs=0.01)
    driver, worker = (next(m for m in MACHINES if m.name == name) for name in ("r6id.8xlarge", "m6id.8xlarge"))
    assert driver.usd_hour is not None
    assert worker.usd_hour is not None
    price = driver.usd_hour + 16 * worker.usd_hour
    assert knn[1]["usd"] == pytest.approx(knn[1]["seconds"] / 3600 * price, abs=0.02)


def test_a_gpu_is_as_fast_as_assumed(identities: str) -> None:
    options = {**STORED, "rows": 10_000_000, "machine": "g6.4xlarge"}
    found = estimate(identities, options, knn={"k": 20, "index": "exact"}, execution={"shards": 16, "workers": 1})
    knn = next(stage for stage in found["stages"] if stage["stage"] == "knn")
    assert knn["processes"] == 1
    assert knn["seconds"] == pytest.approx(2 * 1e14 * 48 / 20e12, rel=0.1)
    assert any("20 TFLOP/s" in line for line in found["assumed"])


def test_trials_side_by_side_each_hold_the_edges(identities: str) -> None:
    options = {**STORED, "rows": 50_000_000, "machine": "m6id.8xlarge", "nodes": 2, "edges_per_row": 9.0}
    one, four = (
        estimate(identities, options, communities={"trials": trials}, execution={"workers": 4})["stages"][-2]
        for trials in (1, 4)
    )
    assert (one["where"], four["where"], four["tasks"]) == ("driver", "workers", 4)
    assert four["worker_gib"] == pytest.approx(2 * one["driver_gib"], rel=0.01)
    assert four["driver_gib"] < 1


SMALL = Machine("this machine", 2, 0.05, 0.001)


@pytest.mark.parametrize(
    ("options", "keys", "sentence"),
    [
        ({"rows": 300_000_000}, {}, "communities will not fit: it needs 28"),
        ({"rows": 300_000_000}, {}, "raise edges.threshold, lower knn.k, or take a driver with more memory (r6id.32xl"),
        ({"rows": 100_000_000}, {"execution": {"shards": 1}}, "use more --shards"),
        ({"rows": 3_000_000_000}, {}, "a run numbers at most 2,147,483,647; split the input."),
        ({}, {"communities": {"memory_gib": 0.001}}, "communities will not fit: it needs "),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_change(
    options: dict[str, Any], keys: dict[str, Any], sentence: str, identities: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {**STORED, "machine": "m6id.8xlarge", "nodes": 4, **options}
    found = estimate(identities, named, **keys)
    assert any(sentence in line for line in found["will_not_fit"])
    assert sentence in capsys.readouterr().err


def test_a_small_disk_and_small_memory_are_said(
    identities: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "at_hand", lambda: SMALL)
    found = estimate(identities, {**STORED, "rows": 2_000_000_000}, str(tmp_path / "new" / "run"))
    told = "\n".join(found["will_not_fit"])
    assert "point RAYCLUSTER_SCRATCH at a larger disk" in told
    assert "The run folder will not fit" in told
    assert "knn reads " in "\n".join(found["slow"])


def test_a_machine_that_is_not_in_the_list_is_refused(identities: str) -> None:
    with pytest.raises(ConfigError, match=r"There is no machine 'abacus'; there are m6id\.8xlarge"):
        estimate(identities, {"machine": "abacus"})


def test_a_list_longer_than_the_input_has_all_other_rows(identities: str) -> None:
    longest, longer = (estimate(identities, STORED, knn={"k": k}) for k in (2500, 4000))
    assert longer["edges"]["at_most"] == longest["edges"]["at_most"] <= 2500 * 2499
