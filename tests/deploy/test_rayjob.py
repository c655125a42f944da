"""deploy/rayjob.yaml has only fields of KubeRay's RayJob, of the right types, and keeps what its comments promise."""

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from raycluster.command_line import parse
from raycluster.commands import load
from support.kuberay import mistakes
from support.paths import ROOT

TEXT = (ROOT / "deploy" / "rayjob.yaml").read_text()
JOB: dict[str, Any] = yaml.safe_load(TEXT)
SPEC = JOB["spec"]
CLUSTER = SPEC["rayClusterSpec"]
PODS = [CLUSTER["headGroupSpec"]["template"]["spec"]] + [
    group["template"]["spec"] for group in CLUSTER["workerGroupSpecs"]
]


def test_every_field_is_one_of_the_published_schema() -> None:
    assert list(mistakes(JOB, "RayJob")) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("spec.backoffLimits", 3, "no such field"),
        ("spec.backoffLimit", "3", "not integer"),
        ("spec.shutdownAfterJobFinishes", "yes", "not boolean"),
        ("spec.rayClusterSpec.authOptions.mode", "password", "none of"),
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0, "not text by name"),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.restartPolicies", "Never", "no such field"),
        ("spec.rayClusterSpec.workerGroupSpecs.1.template.spec.containers.0.volumeMounts.0.path", "/x", "no such field"),
        ("spec.rayClusterSpec.workerGroupSpecs.0.template.spec.containers.0.resources.limits", {"memory": "8 GB"}, "no quantity"),
        ("spec.rayClusterSpec.workerGroupSpecs.0.replicas", True, "not integer"),
    ],
)  # fmt: skip
def test_a_mistake_is_found(path: str, value: Any, words: str) -> None:
    job = json.loads(json.dumps(JOB))  # aliases become copies
    *way, last = path.split(".")
    place: Any = job
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = value
    found = list(mistakes(job, "RayJob"))
    assert len(found) == 1
    assert words in found[0]


def test_the_entrypoint_is_a_command_of_ours() -> None:
    words = shlex.split(SPEC["entrypoint"])
    assert words[0] == "raycluster"
    parse(load(words[1]), words[2:], "deploy/rayjob.yaml")


def test_a_lost_cluster_is_replaced_and_a_finished_one_removed() -> None:
    assert SPEC["backoffLimit"] > 0
    assert SPEC["shutdownAfterJobFinishes"]
    assert SPEC["activeDeadlineSeconds"] >= 3600
    assert 0 < SPEC["ttlSecondsAfterFinished"] < 3600


def test_the_driver_is_on_the_head_where_no_shard_runs() -> None:
    head = CLUSTER["headGroupSpec"]["rayStartParams"]
    assert head["num-cpus"] == "0"
    # KubeRay puts the value into a shell command: the outer quotes are the shell's.
    assert json.loads(shlex.split(head["resources"])[0]) == json.loads(SPEC["entrypointResources"]) == {"driver": 1}
    for group in CLUSTER["workerGroupSpecs"]:
        assert "resources" not in group["rayStartParams"]
    memory = [int(pod["containers"][0]["resources"]["limits"]["memory"].removesuffix("Gi")) for pod in PODS]
    assert memory[0] > max(memory[1:])


def test_workers_start_from_zero_and_gpus_are_asked_for_once() -> None:
    groups = {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}
    assert set(groups) == {"cpu", "gpu"}
    assert CLUSTER["enableInTreeAutoscaling"]
    for group in groups.values():
        assert group["replicas"] == group["minReplicas"] == 0 < group["maxReplicas"]
    limits = {name: group["template"]["spec"]["containers"][0]["resources"]["limits"] for name, group in groups.items()}
    assert limits["gpu"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in limits["cpu"]


def test_scratch_is_a_volume_at_the_path_of_the_image() -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    path = re.search(r"RAYCLUSTER_SCRATCH=(\S+)", image)
    assert path is not None
    for pod in PODS:
        mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts[path[1]] in [volume["name"] for volume in pod["volumes"]]


def test_every_cluster_has_a_token_and_the_file_no_secret() -> None:
    assert CLUSTER["authOptions"]["mode"] == "token"
    assert all(pod["serviceAccountName"] for pod in PODS)
    for pattern in (r"AKIA[0-9A-Z]{16}", r"(?i)secret", r"(?i)password", r"\b[0-9a-f]{32,}\b"):
        assert not re.search(pattern, TEXT), pattern


def test_ray_has_the_version_of_the_constraints() -> None:
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    assert CLUSTER["rayVersion"] == pinned["ray"]
