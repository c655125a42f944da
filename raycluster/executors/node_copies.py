"""Node-local copies on all nodes of a cluster, freed when no stage reads them."""

import contextlib
from collections.abc import Sequence

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raycluster.executors import reach
from raycluster.executors.fleet import live_nodes
from raycluster.storage import node_cache

SECONDS = 30.0
"""Seconds that nodes have to free their copies. What a node that is late keeps is removed by the next job that starts there."""


def free_copies(run: str, kept: Sequence[str] = (), kept_here: Sequence[str] = ()) -> int:
    """Free the copies of a run on every node that lives; returns the nodes that did.

    Parameters
    ----------
    run
        Name of the run's copies.
    kept
        Beginnings of the names of copies that stay; none frees all.
    kept_here
        The same for the driver's own node.
    """
    if not ray.is_initialized() or reach.is_lost():
        return 0
    free = ray.remote(num_cpus=0, max_retries=0)(node_cache.keep_named)
    with contextlib.suppress(ray.exceptions.RayError, RuntimeError):
        here = ray.get_runtime_context().get_node_id()
        waiting = [
            free.options(
                name="node-local copies", scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(run, kept_here if node["NodeID"] == here else kept)
            for node in live_nodes()
        ]
        answered, late = ray.wait(waiting, num_returns=len(waiting), timeout=SECONDS) if waiting else ([], [])
        for reference in late:
            ray.cancel(reference, force=True)
        return len(answered)
    return 0
