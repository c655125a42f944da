"""Fields and types of KubeRay's RayJob, and a check of a manifest against them.

Names and types are those of the published reference of `ray.io/v1`, KubeRay 1.6.2. Pod templates are checked against the
API of Kubernetes, as its Python client publishes it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubernetes.client import models

VERSION = "1.6.2"
"""The release of KubeRay whose reference this is."""

OPTIONAL_TEXT = "text by name"
FIELDS: dict[str, dict[str, str]] = {
    "RayJob": {"apiVersion": "text", "kind": "text", "metadata": "V1ObjectMeta", "spec": "RayJobSpec"},
    "RayJobSpec": {
        "activeDeadlineSeconds": "integer",
        "backoffLimit": "integer",
        "clusterSelector": OPTIONAL_TEXT,
        "deletionStrategy": "DeletionStrategy",
        "entrypoint": "text",
        "entrypointNumCpus": "number",
        "entrypointNumGpus": "number",
        "entrypointResources": "text",
        "jobId": "text",
        "managedBy": "text",
        "metadata": OPTIONAL_TEXT,
        "preRunningDeadlineSeconds": "integer",
        "rayClusterSpec": "RayClusterSpec",
        "runtimeEnvYAML": "text",
        "shutdownAfterJobFinishes": "boolean",
        "submissionMode": "K8sJobMode|HTTPMode|InteractiveMode|SidecarMode",
        "submitterConfig": "SubmitterConfig",
        "submitterPodTemplate": "V1PodTemplateSpec",
        "suspend": "boolean",
        "ttlSecondsAfterFinished": "integer",
    },
    "SubmitterConfig": {"backoffLimit": "integer"},
    "DeletionStrategy": {"deletionRules": "list DeletionRule"},
    "DeletionRule": {
        "policy": "DeleteCluster|DeleteWorkers|DeleteSelf|DeleteNone",
        "condition": "DeletionCondition",
    },
    "DeletionCondition": {"ttlSeconds": "integer", "jobStatus": "text", "jobDeploymentStatus": "text"},
    "RayClusterSpec": {
        "authOptions": "AuthOptions",
        "autoscalerOptions": "AutoscalerOptions",
        "enableInTreeAutoscaling": "boolean",
        "headGroupSpec": "HeadGroupSpec",
        "headServiceAnnotations": OPTIONAL_TEXT,
        "managedBy": "text",
        "rayVersion": "text",
        "suspend": "boolean",
        "workerGroupSpecs": "list WorkerGroupSpec",
    },
    "AuthOptions": {"enableK8sTokenAuth": "boolean", "mode": "disabled|token", "secretName": "text"},
    "AutoscalerOptions": {
        "env": "list V1EnvVar",
        "envFrom": "list V1EnvFromSource",
        "idleTimeoutSeconds": "integer",
        "image": "text",
        "imagePullPolicy": "text",
        "resources": "V1ResourceRequirements",
        "securityContext": "V1SecurityContext",
        "upscalingMode": "Default|Aggressive|Conservative",
        "version": "v1|v2",
        "volumeMounts": "list V1VolumeMount",
    },
    "HeadGroupSpec": {
        "enableIngress": "boolean",
        "headService": "V1Service",
        "labels": OPTIONAL_TEXT,
        "rayStartParams": OPTIONAL_TEXT,
        "resources": OPTIONAL_TEXT,
        "serviceType": "text",
        "template": "V1PodTemplateSpec",
    },
    "WorkerGroupSpec": {
        "groupName": "text",
        "idleTimeoutSeconds": "integer",
        "labels": OPTIONAL_TEXT,
        "maxReplicas": "integer",
        "minReplicas": "integer",
        "numOfHosts": "integer",
        "rayStartParams": OPTIONAL_TEXT,
        "replicas": "integer",
        "resources": OPTIONAL_TEXT,
        "suspend": "boolean",
        "template": "V1PodTemplateSpec",
    },
}
"""Types by field, by kind of object. Kinds that begin with V1 are those of Kubernetes."""

PLAIN = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    OPTIONAL_TEXT: lambda value: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
}
"""Whether a value is of a plain type, by type."""

KUBERNETES = {"str": "text", "int": "integer", "bool": "boolean", "float": "number", "object": "anything"}
"""Plain types of the Python client in our words."""


def mistakes(value: Any, kind: str, place: str = "RayJob") -> Iterator[str]:
    """Yield the fields of a manifest that its kind lacks, and the values of another type."""
    if kind.startswith("list "):
        if not isinstance(value, list):
            yield f"{place}: a list is expected"
            return
        for number, item in enumerate(value):
            yield from mistakes(item, kind.removeprefix("list "), f"{place}[{number}]")
    elif kind == "anything":
        return
    elif kind in PLAIN:
        if not PLAIN[kind](value):
            yield f"{place}: {value!r} is not {kind}"
    elif "|" in kind:
        if value not in kind.split("|"):
            yield f"{place}: {value!r} is none of {kind}"
    elif not isinstance(value, dict):
        yield f"{place}: {value!r} is no {kind}"
    elif kind == "quantities":
        for name, amount in value.items():
            if not re.fullmatch(r"[0-9]+(\.[0-9]+)?(m|[kKMGTPE]i?)?", str(amount)) or isinstance(amount, bool | float):
                yield f"{place}.{name}: {amount!r} is no quantity"
    else:
        fields = fields_of(kind)
        for name, item in value.items():
            if name not in fields:
                yield f"{place}.{name}: {kind} has no such field"
            else:
                yield from mistakes(item, fields[name], f"{place}.{name}")


def fields_of(kind: str) -> Mapping[str, str]:
    """Return the types of an object's fields, by name."""
    if kind in FIELDS:
        return FIELDS[kind]
    model = getattr(models, kind)
    types = {model.attribute_map[name]: _in_our_words(type_) for name, type_ in model.openapi_types.items()}
    return types | ({"limits": "quantities", "requests": "quantities"} if kind == "V1ResourceRequirements" else {})


def _in_our_words(kind: str) -> str:
    """Return a type of the Python client as this module writes it."""
    if match := re.fullmatch(r"List\[(\w+)\]|list\[(\w+)\]", kind):
        return f"list {_in_our_words(match[1] or match[2])}"
    if kind.lower().startswith("dict"):
        return OPTIONAL_TEXT if "str, str" in kind else "anything"
    return KUBERNETES.get(kind, kind if hasattr(models, kind) else "anything")
