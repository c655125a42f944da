"""Disks of nodes: copies go with their last reader, and all of them at the end."""

from collections.abc import Sequence

from raycluster.config.execution import Execution
from raycluster.executors.sizing import joins_cluster, uses_ray
from raycluster.pipeline.outlook import read_by_workers, read_later
from raycluster.stages.stage import Stage
from raycluster.storage import node_cache
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Tables


def free_read(tables: Tables, left: Sequence[Stage], execution: Execution) -> None:
    """Free the copies on all nodes that no later stage reads.

    Parameters
    ----------
    tables
        Of the run.
    left
        Stages that are left.
    execution
        Where tasks run.
    """
    kept = read_later(tables, left)
    tables.release(kept)
    if isinstance(tables, StoredTables) and uses_ray(tables.folder.plan.shards, execution):
        from raycluster.executors.node_copies import free_copies

        others = read_by_workers(tables, left)
        name, names_of = node_cache.name_of(tables.folder), node_cache.names_of
        free_copies(name, names_of(tables.folder, others), names_of(tables.folder, kept))


def free_all(folder: RunFolder, execution: Execution) -> None:
    """Free the copies of a run on all nodes."""
    if joins_cluster(execution):
        from raycluster.executors.node_copies import free_copies

        free_copies(node_cache.name_of(folder))
    node_cache.remove(folder)
