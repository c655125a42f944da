"""Whole machines are paid for, from their start to minutes after their last work; a run adds up by the same rules."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.machines import MACHINES
from raycluster.executors.progress import Silence
from raycluster.pipeline.bill import IDLE_SECONDS, Bill, usd_of_run
from raycluster.pipeline.run import open_run, opened, run_stages
from support.paths import ROOT

CLUSTER: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())


def test_the_driver_is_paid_for_all_along_and_workers_while_they_run() -> None:
    bill = Bill(3.6)
    assert bill.is_cold
    assert bill.charge(100.0, []) == pytest.approx(0.1)
    assert bill.charge(1000.0, [7.2, 7.2]) == pytest.approx((3.6 + 14.4) * 1000 / 3600)
    assert not bill.is_cold


def test_workers_without_work_are_paid_for_until_they_stop() -> None:
    bill = Bill(0.0)
    bill.charge(10.0, [36.0])
    assert bill.charge(100.0, []) == pytest.approx(1.0)
    assert not bill.is_cold
    assert bill.charge(1000.0, []) == pytest.approx((IDLE_SECONDS - 100) / 100)
    assert bill.is_cold
    assert bill.charge(1000.0, []) == 0.0


def test_a_stage_of_fewer_machines_pays_for_the_others_until_they_stop() -> None:
    bill = Bill(0.0)
    bill.charge(10.0, [36.0] * 4)
    assert bill.charge(1000.0, [36.0]) == pytest.approx(1000 / 100 + 3 * IDLE_SECONDS / 100)
    assert bill.charge(100.0, [36.0]) == pytest.approx(1.0)


def test_prices_and_minutes_are_those_of_cluster_yaml() -> None:
    kinds = {kind["node_config"]["InstanceType"] for kind in CLUSTER["available_node_types"].values()}
    assert kinds <= {machine.name for machine in MACHINES if machine.usd_hour is not None}
    assert 60 * CLUSTER["idle_timeout_minutes"] == IDLE_SECONDS
    assert "RAYCLUSTER_MACHINE=" in " ".join(CLUSTER["setup_commands"])


def test_a_run_costs_what_its_machines_cost(identities: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("cosine", {"edges": {"threshold": 0.6}}, "test")
    with opened(identities, str(tmp_path / "run"), config, Execution("local"), Silence()) as tables:
        run_stages(tables, Execution("local"), Silence())
    tables = open_run(str(tmp_path / "run"))
    monkeypatch.delenv("RAYCLUSTER_MACHINE", raising=False)
    assert usd_of_run(tables, {"knn": 3600.0}) is None
    monkeypatch.setenv("RAYCLUSTER_MACHINE", "r6id.8xlarge")
    assert usd_of_run(tables, {"knn": 3600.0}) == pytest.approx(2.4192)
    facts = dict(tables.task_facts("knn")[0]) | {"node": "10.0.0.1", "machine": "m6id.8xlarge"}
    plain = tables.task_facts
    monkeypatch.setattr(tables, "task_facts", lambda stage: [facts] if stage == "knn" else plain(stage))
    assert usd_of_run(tables, {"knn": 3600.0}) == pytest.approx(2.4192 + 1.8984)
    assert usd_of_run(tables, {"knn": 3600.0, "labels": 3600.0}) == pytest.approx(2 * 2.4192 + 1.8984 * (1 + 1 / 12))
    facts["machine"] = "abacus"
    assert usd_of_run(tables, {"knn": 3600.0}) is None
