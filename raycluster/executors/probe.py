"""Collect a report from every node of a cluster, before anything is planned."""

from collections.abc import Sequence

from raycluster.executors.connection import connect  # before ray, which reads its settings when it is first imported
from raycluster.executors.fleet import live_nodes
from raycluster.executors.node_report import NodeReport, Sight, report

# isort: split
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PROBE_SECONDS = 120.0
"""Longest wait for a node's report. A first worker process imports torch, which takes seconds on a busy node; a node that
does not answer is left to the stages, which compare the versions of every worker again."""


def driver_is_worker() -> bool:
    """Whether the driver's own node can run a worker."""
    connect()
    return ray.get_runtime_context().get_node_id() in [node["NodeID"] for node in live_nodes()]


def probe_nodes(sight: Sight | None) -> Sequence[NodeReport]:
    """Return the reports of all other nodes that can run a worker.

    Parameters
    ----------
    sight
        What every node has to see; none checks versions and arithmetic alone.

    Returns
    -------
    list of NodeReport
        Those that answered in time, in the order of their addresses.
    """
    connect()
    own = ray.get_runtime_context().get_node_id()
    nodes = [node for node in live_nodes() if node["NodeID"] != own]
    probe = ray.remote(num_cpus=0, max_retries=0)(report)
    waiting = [
        probe.options(
            name=f"probe of {node['NodeManagerAddress']}",
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(node["NodeManagerAddress"], sight)
        for node in nodes
    ]
    if not waiting:
        return []
    answered, late = ray.wait(waiting, num_returns=len(waiting), timeout=PROBE_SECONDS)
    for reference in late:
        ray.cancel(reference, force=True)
    reports = []
    for reference in answered:
        try:
            reports.append(ray.get(reference))
        except ray.exceptions.RayError:  # a node that is gone again takes no part
            continue
    return sorted(reports, key=lambda one: str(one.node))
