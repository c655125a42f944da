"""Ray's own logs of a stage that failed, kept in RUN/logs."""

import contextlib
from pathlib import Path

from raycluster.errors import StorageError
from raycluster.executors.connection import connect  # before ray, which reads its settings when it is first imported
from raycluster.executors.fleet import live_nodes
from raycluster.storage.object_store import Store

# isort: split
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

TAIL_BYTES = 2**16
"""Last bytes of every file that are kept: the end has the reason. More make RUN/logs larger."""
FILES_PER_NODE = 12
"""Newest files of a node that are kept."""
NAMES = ("raylet.*", "gcs_server.*", "monitor*", "worker-*.err")
"""Files that have reasons: of the node, of the head, of its autoscaler, and of workers."""
COLLECT_SECONDS = 20.0
"""Longest wait for the logs of all nodes; the error that they belong to is raised after it."""


def tails(folder: Path) -> dict[str, bytes]:
    """Return the ends of the newest log files in a folder that hold anything, by name."""
    paths = {path for name in NAMES for path in folder.glob(name) if path.is_file() and path.stat().st_size}
    newest = sorted(paths, key=lambda path: -path.stat().st_mtime)[:FILES_PER_NODE]
    return {path.name: path.read_bytes()[-TAIL_BYTES:] for path in newest}


def _own_tails() -> dict[str, bytes]:
    """Return the ends of Ray's logs of this node."""
    from ray._private import worker

    node = worker._global_node
    return {} if node is None else tails(Path(node.get_logs_dir_path()))


def keep_logs(store: Store) -> int:
    """Store the ends of all nodes' logs below RUN/logs; returns the number of files.

    Best effort: what cannot be collected or stored is left out, since another error is about to be raised.
    """
    kept = 0
    with contextlib.suppress(ray.exceptions.RayError, StorageError, RuntimeError, OSError):
        connect()
        collect = ray.remote(num_cpus=0, max_retries=0)(_own_tails)
        own = ray.get_runtime_context().get_node_id()
        nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in live_nodes()}
        nodes |= {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["NodeID"] == own}
        waiting = {
            collect.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(): address
            for node, address in nodes.items()
        }
        answered, late = ray.wait(list(waiting), num_returns=len(waiting), timeout=COLLECT_SECONDS)
        for reference in late:
            ray.cancel(reference, force=True)
        for reference in answered:
            for name, data in ray.get(reference).items():
                store.put(f"logs/{waiting[reference]}/{name}", data)
                kept += 1
    return kept
