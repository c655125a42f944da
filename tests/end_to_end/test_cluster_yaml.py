"""cluster.yaml passes Ray's own validation and keeps the promises its comments make. AWS is not contacted."""

from __future__ import annotations

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from support.paths import ROOT

TEXT = (ROOT / "cluster.yaml").read_text()


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """The launcher's view: defaults filled in, setup commands merged, validated as `ray up` does."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(yaml.safe_load(TEXT))
    validate_config(prepared)
    return prepared


def is_spot(node_type: dict[str, Any]) -> bool:
    return bool(node_type["node_config"].get("InstanceMarketOptions", {}).get("MarketType") == "spot")


def setup_of(config: dict[str, Any], name: str) -> list[str]:
    """The commands that set up a node of this type; a type's own list replaces the common one."""
    common: list[str] = config["worker_setup_commands"]
    return list(config["available_node_types"][name].get("worker_setup_commands", common))


def test_validation_would_notice_a_mistake(config: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import validate_config

    broken = copy.deepcopy(config) | {"max_worker": 3}
    with pytest.raises(jsonschema.ValidationError):
        validate_config(broken)


def test_the_head_is_on_demand_and_runs_no_shards(config: dict[str, Any]) -> None:
    head = config["available_node_types"][config["head_node_type"]]
    assert not is_spot(head)
    assert head["resources"] == {"CPU": 0, "driver": 1}
    assert head["max_workers"] == 0


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_workers_are_spot_and_scale_to_zero(config: dict[str, Any], name: str) -> None:
    node_type = config["available_node_types"][name]
    assert is_spot(node_type)
    assert node_type["min_workers"] == 0
    assert 0 < node_type["max_workers"] <= config["max_workers"]
    assert 0 < config["idle_timeout_minutes"] <= 15


def test_every_node_has_the_token_and_asks_for_it(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        start = next(command for command in commands if "ray start" in command)
        assert "export RAY_AUTH_MODE=token" in start
        assert "unset OMP_NUM_THREADS" in start
    assert "--dashboard-host=127.0.0.1" in " ".join(config["head_start_ray_commands"])


def test_gpu_nodes_install_the_gpu_extra_and_the_others_the_cpu_extra(config: dict[str, Any]) -> None:
    pattern = r"raycluster/deploy/install ~/venv/bin/python (\w+)"
    extras = {name: re.findall(pattern, " ".join(setup_of(config, name))) for name in ("gpu", "cpu")}
    assert extras == {"gpu": ["gpu"], "cpu": ["cpu"]}
    assert re.findall(pattern, " ".join(config["head_setup_commands"])) == ["cpu"]


def test_all_nodes_get_one_python_and_the_pinned_packages(config: dict[str, Any]) -> None:
    nodes = [config["head_setup_commands"], setup_of(config, "gpu"), setup_of(config, "cpu")]
    image = re.search(r"^FROM python:(\d\.\d+)-", (ROOT / "deploy" / "Dockerfile").read_text(), re.M)
    assert image is not None
    assert [re.findall(r"--python (\d\S+)", "\n".join(commands)) for commands in nodes] == [[image[1]]] * 3
    assert "--constraint constraints.txt" in (ROOT / "deploy" / "install").read_text()
    assert "ray" in dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())


def test_commands_are_valid_shell(config: dict[str, Any]) -> None:
    commands = config["head_setup_commands"] + setup_of(config, "gpu")
    for command in commands + config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        subprocess.run(["bash", "-n", "-c", f"({command})"], check=True)


def test_mounted_files_exist_and_are_enough_to_install(config: dict[str, Any]) -> None:
    local = {Path(path) for path in config["file_mounts"].values() if not path.startswith("~")}
    needed = {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "deploy", "raycluster"}
    assert {Path(name) for name in needed} <= local
    assert not [path for path in local if not (ROOT / path).exists()]


def test_storage_is_reached_through_the_instance_profile_and_nothing_secret_is_written_down(
    config: dict[str, Any],
) -> None:
    for node_type in config["available_node_types"].values():
        assert node_type["node_config"]["IamInstanceProfile"]
    for pattern in (r"AKIA[0-9A-Z]{16}", r"(?i)secret", r"(?i)password", r"RAY_AUTH_TOKEN=", r"\b[0-9a-f]{32,}\b"):
        assert not re.search(pattern, TEXT), pattern
