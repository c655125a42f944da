"""The machines of the cluster, and what its autoscaler is to start."""

from typing import Any

from raycluster.executors.connection import connect  # before ray, which reads its settings when it is first imported
from raycluster.executors.sizing import Fleet, Machine, Pool

# isort: split
import ray
from ray.autoscaler.sdk import request_resources

MOST_OF_A_KIND = 1000
"""Machines of one kind that are counted where an autoscaler has no limit. More change no worker's size."""


def live_nodes() -> list[dict[str, Any]]:
    """Return Ray's records of the live nodes that can run a worker."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def fleet() -> Fleet:
    """Return the machines that live, and those that an autoscaler may start."""
    connect()
    startable: list[Machine] = []
    for kind in _node_kinds():
        count = kind.max_count if 0 <= kind.max_count <= MOST_OF_A_KIND else MOST_OF_A_KIND
        if kind.resources.get("CPU", 0) >= 1:
            startable += [_machine(dict(kind.resources))] * count
    return Fleet([_machine(node["Resources"]) for node in live_nodes()], startable)


def _machine(resources: dict[str, float]) -> Machine:
    return Machine(int(resources["CPU"]), int(resources.get("GPU", 0)), resources.get("memory", 0.0))


def _node_kinds() -> list[Any]:
    """Return the kinds of nodes that an autoscaler has reported; none without one.

    The same records are read by Ray Data's own autoscaler.
    """
    from ray._private.state import state

    config = state.get_cluster_config()
    return list(config.node_group_configs) if config is not None else []


def wish_for(pool: Pool | None) -> None:
    """Request machines for a whole pool from the autoscaler; with none, release them.

    A cluster without an autoscaler takes no notice. Ray Data's requests replace this one, so it is repeated.
    """
    request_resources(bundles=[] if pool is None else [pool.bundle] * pool.most)
